"""What makes two trials the same: configuration, seed, data, code and device, in one SHA-256."""

import hashlib
import importlib.util
import json
import math
import sys
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from s2hand_platform.errors import ExecutionError
from s2hand_platform.experiments.protocol import Code, Experiment
from s2hand_platform.spec.overrides import flatten

_FORMAT = "s2hand-identity-2"


def canonical_json(value: Any) -> str:
    """Write plain data so that equal data gives equal text.

    Convention:
        Keys are sorted, tuples are lists, floats are written by ``repr`` (so 1 and 1.0 differ, as
        a configuration that went through its dataclass always has one of them).

    Raises:
        ValueError: for NaN and infinities, which no configuration may hold.
        TypeError: for anything that is not plain data.
    """
    return json.dumps(_plain(value, "value"), sort_keys=True, separators=(",", ":"))


def _plain(value: Any, where: str) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{where} must be finite to have an identity, got {value!r}")
            return value
        case list() | tuple():
            return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        case Mapping():
            for key in value:
                if not isinstance(key, str):
                    raise TypeError(f"{where} must have text as keys, got {key!r}")
            return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
        case _:
            raise TypeError(f"{where} must be plain data, got {type(value).__name__}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeFingerprint:
    """The modules that can change a result, and other files that do, as one process has them."""

    sha256: str
    """Over module names and digests; paths do not enter."""
    digests: Code
    paths: Mapping[str, str]
    """Module → the file it is imported from, for messages."""

    @classmethod
    def of(cls, code: Code) -> "CodeFingerprint":
        """Fingerprint what an experiment says acts."""
        return cls(
            sha256=sha256_of(dict(code)),
            digests=dict(code),
            paths={module: _source_path(module) for module in code},
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingIdentity:
    """All that can change the weights of a training."""

    config_hash: str
    """Over the configuration without operational fields and what only the evaluation reads."""
    seed: int
    data: str | None
    """Fingerprint of the training data; None where it cannot be known."""
    code: str | None
    """Fingerprint of the training's code; None where it cannot be known."""
    device_type: str
    """``cpu`` or ``cuda``, which round differently."""

    def trial_id(self) -> str:
        """Name the trial.

        Returns:
            A SHA-256 in hexadecimal. Where a fingerprint is None, one that was never seen before:
            what cannot be fingerprinted is never reused.
        """
        known = [self.config_hash, self.seed, self.data, self.code, self.device_type]
        return sha256_of([*known, uuid.uuid4().hex if None in known else ""])


def config_hash(experiment: Experiment, config: Mapping[str, Any]) -> str:
    """Hash what of a config dump can change a training: equal for trainings that are the same."""
    outside = {*experiment.operational_fields, *experiment.evaluation_fields}
    return sha256_of([_FORMAT, experiment.name, without_fields(config, outside)])


def evaluation_contents(
    experiment: Experiment, config: Mapping[str, Any], data: str, code: Code
) -> dict[str, str]:
    """List what can change an evaluation: its modules, its data and its settings, with digests."""
    settings = {
        path: value
        for path, value in without_fields(config, experiment.operational_fields).items()
        if _is_below(path, experiment.evaluation_fields)
    }
    return {
        **code,
        EVALUATION_DATA: data,
        **{f"setting {path}": sha256_of(value) for path, value in settings.items()},
    }


EVALUATION_DATA = "evaluation data"
"""Stands among the modules of an evaluation for the data that it reads."""


def without_fields(config: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Return a config dump, as dotted paths, without some fields and all below them."""
    return {path: value for path, value in flatten(config).items() if not _is_below(path, fields)}


def sha256_of(value: Any) -> str:
    """Hash plain data by its canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _is_below(path: str, fields: Collection[str]) -> bool:
    return any(path == field or path.startswith(f"{field}.") for field in fields)


def _source_path(module: str) -> str:
    loaded = sys.modules.get(module)
    path = getattr(loaded, "__file__", None)
    if path is None:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            return _ABSENT
        path = spec.origin if spec is not None else None
    return path or _ABSENT


_ABSENT = "(absent)"


def is_module(name: str) -> bool:
    """Tell a module's name from the words for something else among an experiment's code."""
    return all(part.isidentifier() for part in name.split("."))


def check_same_code(expected: CodeFingerprint, here: CodeFingerprint) -> None:
    """Check that this process imports the code that the trial was planned with.

    Raises:
        ExecutionError: naming a module that differs, with the paths on both sides: most often
            an installed copy is imported in place of the uploaded one; or what else differs.
    """
    for module in sorted({*expected.digests, *here.digests}):
        if expected.digests.get(module) != here.digests.get(module):
            if not is_module(module):
                raise ExecutionError(
                    f"the {module} must have the content that the trial was planned with, but "
                    "this process has another; give every machine the same files",
                    "code",
                )
            raise ExecutionError(
                f"the code of '{module}' must be the one that the trial was planned with "
                f"({expected.paths.get(module, _ABSENT)}), but this process imports "
                f"{here.paths.get(module, _ABSENT)}; uninstall the copy in the worker's "
                "environment, or submit the job from the code that the worker has",
                "code",
            )
