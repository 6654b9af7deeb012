"""Where the cells of a row come from: settings, code, data, attempts, and what a rerun costs."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from s2hand_platform.cards.card import AttemptCard, RowCost, RowOrigin
from s2hand_platform.cards.places import Places, RowPlace
from s2hand_platform.identity import is_module
from s2hand_platform.planning.cost import Costs
from s2hand_platform.revision import Revision
from s2hand_platform.spec.overrides import spread
from s2hand_platform.store.documents import environment_of
from s2hand_platform.store.records import TrackedRun
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanRow, TablePlan
from s2hand_platform.tables.selection import counted_attempts

_ABSENT = "absent"


def origin_of(place: RowPlace, places: Places, store: ResultStore) -> RowOrigin:
    """Gather what the store knows of a row's trainings."""
    plan, row = place
    tried = places.attempts_at(place).sort_values(["seed", "attempt"])
    counted = counted_attempts(tried, row)
    attempts = _attempts(tried, counted, store.tracked(set(tried["trial_id"])))
    code = store.code_files(row.code) if row.code is not None else None
    return RowOrigin(
        settings=_own_settings(plan, row),
        against_baselines=_against_baselines(plan, row),
        config_hash=row.config_hash,
        data_fingerprint=row.data,
        code_fingerprint=row.code,
        evaluation_fingerprint=row.evaluation,
        num_modules=None if code is None else sum(map(is_module, code)),
        starts={name: digest for name, digest in (code or {}).items() if not is_module(name)},
        missing_patches=_missing_patches(attempts, store),
        data=asdict(row.measured_on),
        evaluator_ids=tuple(sorted(counted["evaluator_id"].dropna().unique())),
        attempts=attempts,
        also_fills=places.with_same_trainings(place),
        shared_stages=places.sharing_stages(place),
        cost=_cost(row, places.attempts),
    )


def _own_settings(plan: TablePlan, row: PlanRow) -> dict[str, Any]:
    """Return the row's settings but for the table's base, which is what all rows share."""
    others = [dict(spread(each.settings)) for each in plan.rows]
    return {
        path: value
        for path, value in spread(row.settings)
        if any(other.get(path, _ABSENT) != value for other in others)
    }


def _against_baselines(plan: TablePlan, row: PlanRow) -> dict[str, Mapping[str, tuple[Any, Any]]]:
    rows = {each.id: dict(spread(each.settings)) for each in plan.rows}
    baselines = dict.fromkeys(each.baseline for each in plan.contrasts if each.row == row.id)
    return {name: _differences(rows[row.id], rows[name]) for name in baselines}


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {
        path: (one.get(path, _ABSENT), other.get(path, _ABSENT))
        for path in dict.fromkeys([*one, *other])
    }
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


def _attempts(
    tried: pd.DataFrame, counted: pd.DataFrame, runs: Collection[TrackedRun]
) -> tuple[AttemptCard, ...]:
    counting = set(zip(counted["trial_id"], counted["attempt"], strict=True))
    shown: dict[tuple[str, int], list[TrackedRun]] = {}
    for run in runs:
        shown.setdefault((run.trial_id, run.attempt), []).append(run)
    return tuple(
        _attempt(
            line,
            counts=(line["trial_id"], line["attempt"]) in counting,
            runs=tuple(shown.get((line["trial_id"], line["attempt"]), ())),
        )
        for line in tried.to_dict("records")
    )


def _attempt(line: Mapping[str, Any], *, counts: bool, runs: tuple[TrackedRun, ...]) -> AttemptCard:
    environment = environment_of(line["trial_id"], line["attempt"], line["environment_json"])
    return AttemptCard(
        trial_id=line["trial_id"],
        attempt=int(line["attempt"]),
        seed=int(line["seed"]),
        status=line["status"],
        reason=line["reason"],
        counts=counts,
        started=line["started"].to_pydatetime(),
        duration_s=float(line["duration_s"]),
        training_s=_known(line["training_s"]),
        evaluation_s=_known(line["evaluation_s"]),
        device=environment.device,
        framework=environment.framework,
        precision=environment.precision,
        threads=environment.threads,
        revision=_revision(line),
        runs=runs,
    )


def _known(value: Any) -> Any:
    """Return what stands in a line; None where it is not known."""
    return None if pd.isna(value) else value


def _revision(line: Mapping[str, Any]) -> Revision | None:
    state = _known(line["code_state"])
    if state is None:  # written before there was such a column
        return None
    return Revision(
        commit=_known(line["code_commit"]), state=state, patch=_known(line["code_patch"])
    )


def _missing_patches(attempts: Collection[AttemptCard], store: ResultStore) -> tuple[str, ...]:
    patches = {each.revision.patch for each in attempts if each.revision is not None}
    return tuple(sorted(each for each in patches if each and store.patch(each) is None))


def _cost(row: PlanRow, attempts: pd.DataFrame) -> RowCost:
    costs, seeds = Costs(attempts), len(row.trial_ids)
    each = costs.of_one(row.config_hash, "missing")
    evaluation = costs.of_one(row.config_hash, "evaluate")
    return RowCost(
        seeds=seeds,
        hours_per_seed=each,
        hours=None if each is None else seeds * each,
        evaluation_hours=None if evaluation is None else seeds * evaluation,
    )
