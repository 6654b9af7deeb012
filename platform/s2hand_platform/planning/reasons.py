"""Why a trial is reused, evaluated again, or run: naming what changed."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from s2hand_platform.identity import (
    EVALUATION_DATA,
    CodeFingerprint,
    TrainingIdentity,
    is_module,
    without_fields,
)
from s2hand_platform.planning.plan import Status
from s2hand_platform.spec.overrides import spread
from s2hand_platform.store.results import ResultStore

_SHOWN = 3
"""Changes that a reason names; the others are counted."""


class Reasons:
    """Compares identities with what the store knows."""

    def __init__(
        self, store: ResultStore, attempts: pd.DataFrame, operational: Collection[str]
    ) -> None:
        """Compare with ``attempts``, of the configurations that are planned.

        Args:
            store: knows what code fingerprints are of.
            attempts: at trials of the planned configurations.
            operational: fields of configurations that change no result.
        """
        self._operational = operational
        self._store = store
        self._attempts = attempts
        self._set_aside = {name: each for each in store.set_aside() for name in each.trial_ids}

    def of(
        self,
        identity: TrainingIdentity,
        trial_id: str,
        code: CodeFingerprint | None,
        evaluation: CodeFingerprint | None,
    ) -> tuple[Status, str]:
        """Say what is to be done about a trial, and why."""
        attempts = self._attempts[self._attempts["trial_id"] == trial_id]
        finished = attempts[attempts["status"] == "finished"]
        if len(finished):
            return self._finished(finished, evaluation)
        if len(attempts):
            last = attempts.iloc[-1]
            if last["status"] == "failed":
                return "failed", f"attempt {last['attempt']} failed: {last['reason']}"
            return "missing", "only ended early by a search so far"
        if trial_id in self._set_aside:
            file = self._set_aside[trial_id]
            return "missing", f"its result was set aside: {file.path}: {file.reason}"
        known = {"training data": identity.data, "code": identity.code}
        unknown = [what for what, fingerprint in known.items() if fingerprint is None]
        if unknown:
            return "missing", f"the {' and '.join(unknown)} cannot be fingerprinted: never reused"
        return self._stale(identity, code)

    def with_changed_settings(
        self, reason: str, before: Mapping[str, Any], now: Mapping[str, Any]
    ) -> str:
        """Add to the reason of a trial never run how its row's settings differ from before."""
        before, now = (
            dict(spread(without_fields(each, self._operational))) for each in (before, now)
        )
        changes = [
            f"{path}: {before.get(path, 'absent')!r} before, {now.get(path, 'absent')!r} now"
            for path in sorted({*before, *now})
            if before.get(path) != now.get(path)
        ]
        return f"{reason}; the row's settings changed: {_listed(changes)}" if changes else reason

    def _finished(
        self, finished: pd.DataFrame, evaluation: CodeFingerprint | None
    ) -> tuple[Status, str]:
        if evaluation is None:
            return "evaluate", "the evaluation cannot be fingerprinted: never reused"
        if (finished["evaluation_fingerprint"] == evaluation.sha256).any():
            return "cached", "finished with the same configuration, seed, data and code"
        fingerprint = finished.iloc[-1]["evaluation_fingerprint"]
        before = self._store.code_files(fingerprint) if fingerprint is not None else None
        what = _changed_modules(before, evaluation) if before else "which is not known any more"
        return "evaluate", f"trained already; its evaluation is of other code or data: {what}"

    def _stale(
        self, identity: TrainingIdentity, code: CodeFingerprint | None
    ) -> tuple[Status, str]:
        table = self._attempts
        same = table[
            (table["config_hash"] == identity.config_hash)
            & (table["seed"] == identity.seed)
            & (table["status"] == "finished")
        ]
        if same.empty:
            return "missing", "never run with this configuration and seed"
        here = same[same["device_type"] == identity.device_type]
        if here.empty:
            others = ", ".join(sorted(set(same["device_type"].dropna()))) or "another device"
            return "missing", f"finished on {others}, not on {identity.device_type}"
        last = here.iloc[-1]
        changes = []
        if last["data_fingerprint"] != identity.data:
            changes.append("the training data")
        if last["code_fingerprint"] != identity.code and code is not None:
            before = self._store.code_files(last["code_fingerprint"])
            changed = _changed_names(before, code) if before else []
            modules = [name for name in changed if is_module(name)]
            if modules or not changed:
                changes.append(f"the code ({_listed(modules)})" if modules else "the code")
            changes += [f"the {name}" for name in changed if not is_module(name)]
        return "stale", f"finished before, but {' and '.join(changes)} changed since"


def _changed_modules(before: Mapping[str, str], now: CodeFingerprint) -> str:
    names = _changed_names(before, now)
    return _listed(["the evaluation's data" if name == EVALUATION_DATA else name for name in names])


def _changed_names(before: Mapping[str, str], now: CodeFingerprint) -> list[str]:
    return sorted(
        name for name in {*before, *now.digests} if before.get(name) != now.digests.get(name)
    )


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
