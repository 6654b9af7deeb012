import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tiny_experiment import TinyExperiment

from s2hand_platform.planning import Plan, PlannedTrial, plan_table, plan_tables
from s2hand_platform.spec.schema import ColumnSpec, RowSpec, TableSpec
from s2hand_platform.store.results import ResultStore

ERROR = ColumnSpec(label="error_cm", metric="test/error")
FULL = RowSpec(id="full", label="full")
STRAIGHT = RowSpec(id="straight", label="straight", overrides={"curvature": False})

Record = Callable[..., None]


def table(name: str = "t", *rows: RowSpec, **base: Any) -> TableSpec:
    return TableSpec(
        name=name,
        title="T",
        dataset="curve",
        base=base,
        rows=rows or (FULL, STRAIGHT),
        columns=(ERROR,),
    )


@pytest.fixture
def record(store: ResultStore, make_record: Any, make_evaluation: Any) -> Record:
    def record_trial(trial: PlannedTrial, seconds: float = 90, **changes: Any) -> None:
        fields = {
            "config": trial.config,
            "config_hash": trial.config_hash,
            "seed": trial.seed,
            "data_fingerprint": trial.data_fingerprint,
            "code_fingerprint": trial.code_fingerprint,
            **changes,
        }
        made = make_record(trial.trial_id, **fields)
        made = replace(made, finished=made.started + timedelta(seconds=seconds))
        store.write_attempt(made, make_evaluation() if made.status == "finished" else None)

    return record_trial


def statuses(plan: Plan) -> list[str]:
    return [trial.status for trial in plan.trials]


def test_rows_run_through_their_seeds(tiny: TinyExperiment, store: ResultStore) -> None:
    plan = plan_table(table(), tiny, store, [0, 1, 2])
    assert [(trial.rows[0][1], trial.seed) for trial in plan.trials] == [
        ("full", 0), ("full", 1), ("full", 2), ("straight", 0), ("straight", 1), ("straight", 2),
    ]  # fmt: skip
    assert set(statuses(plan)) == {"missing"}
    assert plan.trials[0].reason == "never run with this configuration and seed"
    assert plan.estimated_hours is None
    assert len({trial.trial_id for trial in plan.trials}) == 6


def test_each_seed_starts_once_before_its_other_rows(
    tiny: TinyExperiment, store: ResultStore
) -> None:
    third = RowSpec(id="long", label="long", overrides={"epochs": 9})
    plan = plan_table(table("t", FULL, STRAIGHT, third), tiny, store, [0, 1])
    assert [(trial.rows[0][1], trial.seed) for trial in plan.trials] == [
        ("full", 0), ("full", 1), ("straight", 0), ("long", 0), ("straight", 1), ("long", 1),
    ]  # fmt: skip


def test_planning_again_gives_the_same_trials(tiny: TinyExperiment, store: ResultStore) -> None:
    assert plan_table(table(), tiny, store, [0]) == plan_table(table(), tiny, store, [0])


def test_one_training_fills_the_cells_of_several_rows(
    tiny: TinyExperiment, store: ResultStore
) -> None:
    again = RowSpec(id="curved", label="curved", overrides={"curvature": True})
    plan = plan_tables([table("t1"), table("t2", again)], tiny, store, [0, 1])
    assert len(plan.trials) == 4
    assert plan.trials[0].rows == (("t1", "full"), ("t2", "curved"))
    assert plan.trials[2].rows == (("t1", "straight"),)
    assert plan.rows[2].trial_ids == plan.rows[0].trial_ids


def test_what_is_in_the_store_is_cached(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    record(plan_table(table(), tiny, store, [0]).trials[0])
    plan = plan_table(table(), tiny, store, [0, 1])
    assert statuses(plan) == ["cached", "missing", "missing", "missing"]
    assert (plan.rows[0].cached, len(plan.rows[0].trial_ids)) == (1, 2)
    assert [trial.seed for trial in plan.to_run] == [1, 0, 1]


def test_a_failure_is_told_and_forgotten_after_success(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    record(trial, status="failed", reason="out of memory")
    failed = plan_table(table(), tiny, store, [0]).trials[0]
    assert (failed.status, failed.reason) == ("failed", "attempt 0 failed: out of memory")
    record(trial, attempt=1)
    assert plan_table(table(), tiny, store, [0]).trials[0].status == "cached"


def test_an_early_stopped_trial_is_missing(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    record(plan_table(table(), tiny, store, [0]).trials[0], status="stopped_early")
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    assert (trial.status, trial.reason) == ("missing", "only ended early by a search so far")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"data_fingerprint": "old"}, "data"),
        ({"code_fingerprint": "old"}, "code"),
        ({"data_fingerprint": "old", "code_fingerprint": "old"}, "data and code"),
    ],
)
def test_results_of_other_data_or_code_are_stale(
    tiny: TinyExperiment, store: ResultStore, record: Record, changes: dict[str, str], what: str
) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    record(replace(trial, trial_id="f" * 64), **changes)
    stale = plan_table(table(), tiny, store, [0]).trials[0]
    assert stale.status == "stale"
    assert stale.reason == f"finished before, but the {what} changed since"
    assert stale.trial_id == trial.trial_id


def test_what_cannot_be_fingerprinted_is_missing_each_time(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    spec = table(**{"points.source": "unknown"})
    first = plan_table(spec, tiny, store, [0]).trials[0]
    record(first)
    again = plan_table(spec, tiny, store, [0]).trials[0]
    assert again.status == "missing"
    assert again.reason == "the data cannot be fingerprinted: never reused"
    assert again.trial_id != first.trial_id


def test_unknown_data_is_shared_within_one_plan(tiny: TinyExperiment, store: ResultStore) -> None:
    specs = [table("t1", FULL, **{"points.source": "unknown"})] * 2
    assert len(plan_tables(specs, tiny, store, [0]).trials) == 1


def test_cost_is_the_median_of_equal_configurations(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    trials = plan_table(table(), tiny, store, [0, 1, 2]).trials
    for trial, seconds in zip(trials[:3], (3600, 7200, 36000), strict=True):
        record(trial, seconds)
    plan = plan_table(table("t", FULL), tiny, store, [0, 3, 4])
    assert plan.trials[1].estimated_hours == 2.0
    assert plan.estimated_hours == 4.0
    assert plan_table(table(), tiny, store, [3]).estimated_hours is None


def test_a_plan_is_plain_data(tiny: TinyExperiment, store: ResultStore) -> None:
    plain = json.loads(json.dumps(plan_table(table(), tiny, store, [0]).to_json()))
    assert plain["num_to_run"] == 2
    assert plain["trials"][0]["rows"] == [["t", "full"]]
    assert plain["rows"][1]["label"] == "straight"
