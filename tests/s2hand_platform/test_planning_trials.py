import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tiny_experiment import TinyExperiment
from tiny_tables import FULL, STRAIGHT, persisted, table

from s2hand_platform.cli.shown import print_plan
from s2hand_platform.experiments.protocol import StageReport
from s2hand_platform.planning.plan import Member, Plan
from s2hand_platform.planning.planner import plan_points, plan_table, plan_tables
from s2hand_platform.spec.schema import Choices, RowSpec, SweepSpec
from s2hand_platform.store.results import ResultStore

Record = Callable[..., None]


def statuses(plan: Plan) -> list[str]:
    return [trial.status for trial in plan.trials]


def test_rows_run_through_their_seeds(tiny: TinyExperiment, store: ResultStore) -> None:
    plan = plan_table(table(), tiny, store, [0, 1, 2])
    assert [(trial.members[0].name, trial.seed) for trial in plan.trials] == [
        ("full", 0), ("full", 1), ("full", 2), ("straight", 0), ("straight", 1), ("straight", 2),
    ]  # fmt: skip
    assert set(statuses(plan)) == {"missing"}
    assert plan.trials[0].reason == "never run with this configuration and seed"
    assert plan.estimated_hours is None
    assert len({trial.trial_id for trial in plan.trials}) == 6


def test_a_plan_tells_what_a_scale_leaves_out(
    tiny: TinyExperiment, store: ResultStore, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, part = table("whole"), replace(table("part"), left_out="Without row 'long' (epochs).")
    plan = plan_tables([whole, part], tiny, store, [0])
    assert plan.left_out == ("Without row 'long' (epochs).",)
    print_plan(plan)
    assert "to run; cost: unknown, as one was never run\nWithout row 'long' (epochs).\n" in (
        capsys.readouterr().out
    )
    kept = persisted(part, plan_table(part, tiny, store, [0]), tiny)
    assert kept.notes == ("Without row 'long' (epochs).",)
    assert persisted(whole, plan_table(whole, tiny, store, [0]), tiny).notes == ()


def test_each_seed_starts_once_before_its_other_rows(
    tiny: TinyExperiment, store: ResultStore
) -> None:
    third = RowSpec(id="long", label="long", overrides={"epochs": 9})
    plan = plan_table(table("t", FULL, STRAIGHT, third), tiny, store, [0, 1])
    assert [(trial.members[0].name, trial.seed) for trial in plan.trials] == [
        ("full", 0), ("full", 1), ("straight", 0), ("long", 0), ("straight", 1), ("long", 1),
    ]  # fmt: skip


def test_seeds_come_in_the_order_asked_for(tiny: TinyExperiment, store: ResultStore) -> None:
    """Where they lead; the rest comes seed by seed."""
    plan = plan_table(table(), tiny, store, [2, 0])
    assert [(trial.members[0].name, trial.seed) for trial in plan.trials] == [
        ("full", 2), ("full", 0), ("straight", 0), ("straight", 2),
    ]  # fmt: skip


def test_planning_again_gives_the_same_trials(tiny: TinyExperiment, store: ResultStore) -> None:
    assert plan_table(table(), tiny, store, [0]) == plan_table(table(), tiny, store, [0])


def test_one_training_fills_the_cells_of_several_rows(
    tiny: TinyExperiment, store: ResultStore
) -> None:
    again = RowSpec(id="curved", label="C", overrides={"curvature": True})
    plan = plan_tables([table("t1"), table("t2", again)], tiny, store, [0, 1])
    assert len(plan.trials) == 4
    assert [str(member) for member in plan.trials[0].members] == ["t1.full", "t2.curved"]
    assert [str(member) for member in plan.trials[2].members] == ["t1.straight"]
    assert plan.rows[2].trials[0].trial_id == plan.rows[0].trials[0].trial_id
    assert plan.trials[0].members[1] == Member(kind="row", group="t2", name="curved", label="C")
    assert {trial.identity.device_type for trial in plan.trials} == {"cpu"}


def test_what_is_in_the_store_is_cached(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    record(plan_table(table(), tiny, store, [0]).trials[0])
    plan = plan_table(table(), tiny, store, [0, 1, 2])
    assert statuses(plan) == ["cached", *["missing"] * 5]
    assert (plan.rows[0].cached, len(plan.rows[0].trials)) == (1, 3)
    assert [trial.seed for trial in plan.to_run] == [1, 2, 0, 1, 2]
    assert {trial.reason for trial in plan.to_run} == {"never run with this configuration and seed"}


def test_rows_that_differ_in_their_evaluation_are_one_training_and_two_results(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    fine = RowSpec(id="fine", label="fine", overrides={"grid": 401})
    plan = plan_table(table("t", FULL, fine), tiny, store, [0])
    first, second = plan.trials
    assert first.trial_id == second.trial_id
    assert first.evaluation_fingerprint != second.evaluation_fingerprint
    assert [[trial.key for trial in turn.trials] for turn in plan.in_turns()] == [
        [first.key], [second.key],
    ]  # fmt: skip
    assert [len(turn.rows) for turn in plan.in_turns()] == [2, 0]
    record(first)
    again = plan_table(table("t", FULL, fine), tiny, store, [0])
    assert statuses(again) == ["cached", "evaluate"]
    kept = persisted(table("t", FULL, fine), again, tiny)
    assert [row.evaluation for row in kept.rows] == [
        first.evaluation_fingerprint, second.evaluation_fingerprint,
    ]  # fmt: skip
    assert [row.settings["grid"] for row in kept.rows] == [21, 401]


def test_rows_on_other_data_are_other_trials(tiny: TinyExperiment, store: ResultStore) -> None:
    """Though where data lies is no part of a configuration's hash."""
    elsewhere = RowSpec(id="unknown", label="unknown", overrides={"points.source": "unknown"})
    first, second = plan_table(table("t", FULL, elsewhere), tiny, store, [0]).trials
    assert first.identity.config_hash == second.identity.config_hash
    assert (first.identity.data is None, second.identity.data is None) == (False, True)
    assert first.trial_id != second.trial_id


def test_unknown_data_is_shared_within_one_plan(tiny: TinyExperiment, store: ResultStore) -> None:
    specs = [table("t1", FULL, **{"points.source": "unknown"})] * 2
    (trial,) = plan_tables(specs, tiny, store, [0]).trials
    assert [str(member) for member in trial.members] == ["t1.full"]


@pytest.mark.parametrize("unknown", ["evaluation_code", "fingerprint_evaluation_data"])
def test_an_evaluation_that_cannot_be_fingerprinted_is_made_each_time(
    tiny: TinyExperiment, store: ResultStore, record: Record, unknown: str
) -> None:
    setattr(tiny, unknown, lambda *_: None)
    record(plan_table(table("t", FULL), tiny, store, [0]).trials[0])
    (trial,) = plan_table(table("t", FULL), tiny, store, [0]).trials
    assert trial.evaluation_fingerprint is trial.to_json()["evaluation_fingerprint"] is None
    assert (trial.status, trial.reason) == (
        "evaluate",
        "the evaluation cannot be fingerprinted: never reused",
    )


class TestPoints:
    SPEC = SweepSpec(
        name="rates",
        title="Rates",
        dataset="curve",
        base={},
        space={"learning_rate": Choices(values=(0.1, 0.2, 0.1))},
        search="grid",
        scheduler="none",
        metric="test/error",
        mode="min",
        num_trials=3,
    )

    def test_are_trials_of_a_search_and_of_no_table(
        self, tiny: TinyExperiment, store: ResultStore
    ) -> None:
        points = [{"learning_rate": value} for value in (0.1, 0.2, 0.1)]
        trials = plan_points(self.SPEC, tiny, store, 3)(points)
        assert [str(trial.members[0]) for trial in trials] == [
            "rates learning_rate=0.1", "rates learning_rate=0.2", "rates learning_rate=0.1",
        ]  # fmt: skip
        assert trials[0].trial_id == trials[2].trial_id != trials[1].trial_id
        assert {trial.seed for trial in trials} == {3}
        assert [member.label for member in trials[0].members] == ["Rates"]

    def test_are_the_same_trials_as_those_of_a_table(
        self, tiny: TinyExperiment, store: ResultStore
    ) -> None:
        row = RowSpec(id="r", label="r", overrides={"learning_rate": 0.2})
        (point,) = plan_points(self.SPEC, tiny, store, 0)([{"learning_rate": 0.2}])
        assert plan_table(table("t", row), tiny, store, [0]).trials[0].trial_id == point.trial_id

    def test_hash_the_code_once(self, store: ResultStore) -> None:
        calls = []

        class Counting(TinyExperiment):
            def training_code(self, config: Any, device_type: str) -> dict[str, str]:
                calls.append(config)
                return super().training_code(config, device_type)

        plan = plan_points(self.SPEC, Counting(), store, 0)
        for _ in range(3):
            plan([{"learning_rate": 0.1}, {"learning_rate": 0.2}])
        assert len(calls) == 2


def test_a_plan_is_plain_data(tiny: TinyExperiment, store: ResultStore, record: Record) -> None:
    row = RowSpec(id="full", label="all of it")
    stages = [StageReport(name="fit", stage_id="s", training_s=1800, trained_here=True)]
    record(plan_table(table("t", row), tiny, store, [4]).trials[0], stages=stages)
    plan = plan_table(table("t", row), tiny, store, [4, 3])
    first, second = plan.trials
    assert json.loads(json.dumps(plan.to_json())) == {
        "trials": [
            {
                "trial_id": trial.trial_id,
                "seed": seed,
                "device_type": "cpu",
                "config": tiny.dump_config(tiny.build_config({})),
                "config_hash": trial.identity.config_hash,
                "data_fingerprint": trial.identity.data,
                "code_fingerprint": trial.identity.code,
                "evaluation_fingerprint": trial.evaluation_fingerprint,
                "members": [{"kind": "row", "group": "t", "name": "full"}],
                "status": told[0],
                "reason": told[1],
                "estimated_hours": 0.5,
            }
            for trial, seed, told in (
                (first, 4, ("cached", "finished with the same configuration, seed, data and code")),
                (second, 3, ("missing", "never run with this configuration and seed")),
            )
        ],
        "rows": [
            {
                "table": "t",
                "row": "full",
                "label": "all of it",
                "trial_ids": [second.trial_id, first.trial_id],
                "cached": 1,
            }
        ],
        "num_to_run": 1,
        "estimated_hours": 0.5,
        "left_out": [],
        "looks": [],
    }
