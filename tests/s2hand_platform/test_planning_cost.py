from collections.abc import Callable
from dataclasses import replace

import pytest
import version1_store
from tiny_experiment import TinyExperiment
from tiny_tables import FULL, STRAIGHT, Changed, persisted, table

from s2hand_platform.experiments.protocol import StageReport
from s2hand_platform.planning.cost import Costs, hours_by_seeds
from s2hand_platform.planning.planner import plan_table
from s2hand_platform.spec.schema import RowSpec
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan

Record = Callable[..., None]


def stage(name: str, stage_id: str, seconds: float, *, here: bool = True) -> StageReport:
    return StageReport(name=name, stage_id=stage_id, training_s=seconds, trained_here=here)


def test_cost_is_the_median_of_stages_and_evaluation(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    trials = plan_table(table(), tiny, store, [0, 1, 2]).trials
    for trial, seconds in zip(trials[:3], (3600, 7200, 36000), strict=True):
        record(trial, stages=[stage("fit", f"s{trial.seed}", seconds)], evaluation_s=360)
    plan = plan_table(table("t", FULL), tiny, store, [0, 3, 4])
    assert plan.trials[1].estimated_hours == pytest.approx(2.1)
    assert plan.estimated_hours == pytest.approx(4.2)
    assert plan_table(table(), tiny, store, [3]).estimated_hours is None


def test_a_stage_that_rows_share_is_paid_once_a_seed(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    plan = plan_table(table(), tiny, store, [0])
    for number, trial in enumerate(plan.trials):
        shared = stage("image", "common", 3600, here=not number)
        record(trial, stages=[shared, stage("last", trial.trial_id, 1800)], evaluation_s=0)
    later = plan_table(table(), tiny, store, [1, 2])
    assert [trial.estimated_hours for trial in later.trials] == [1.5] * 4
    assert later.estimated_hours == pytest.approx(2 * (1 + 0.5 + 0.5))


def test_each_evaluation_of_a_training_is_paid(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    fine = RowSpec(id="fine", label="fine", overrides={"grid": 401})
    plan = plan_table(table("t", FULL, fine), tiny, store, [0])
    record(plan.trials[0], stages=[stage("fit", "s", 3600)], evaluation_s=360)
    later = plan_table(table("t", FULL, fine), tiny, store, [1])
    assert later.estimated_hours == pytest.approx(1 + 2 * 0.1)


def test_evaluating_again_costs_the_evaluation(store: ResultStore, record: Record) -> None:
    before, after = Changed(evaluation_pck="1"), Changed(evaluation_pck="2")
    trial = plan_table(table(), before, store, [0]).trials[0]
    record(trial, stages=[stage("fit", "s", 3600)], evaluation_s=180)
    again = plan_table(table("t", FULL), after, store, [0])
    assert again.estimated_hours == pytest.approx(0.05)


def test_what_did_not_finish_or_has_no_times_tells_no_cost(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    trial = plan_table(table("t", FULL), tiny, store, [0]).trials[0]
    stages = [stage("fit", "s", 3600)]
    record(trial, status="failed", stages=stages, evaluation_s=360)
    record(trial, attempt=1)
    later = plan_table(table("t", FULL), tiny, store, [1])
    assert later.trials[0].estimated_hours is later.estimated_hours is None

    record(trial, attempt=2, stages=stages)
    assert plan_table(table("t", FULL), tiny, store, [1]).estimated_hours == pytest.approx(1)
    record(trial, attempt=3, evaluation_s=360)
    assert plan_table(table("t", FULL), tiny, store, [1]).estimated_hours == pytest.approx(1.1)


def test_results_of_version_1_tell_no_cost(tiny: TinyExperiment, store: ResultStore) -> None:
    version1_store.write_attempt(store.path, "a" * 64)
    assert Costs(store.attempts()).of_one("c" * 64, "missing") is None


class TestHoursBySeeds:
    """One hour of training in common, half an hour each of their own, six minutes to measure."""

    FINE = RowSpec(id="fine", label="fine", overrides={"grid": 401})

    def measured(
        self, tiny: TinyExperiment, store: ResultStore, record: Record, device_type: str = "cpu"
    ) -> TablePlan:
        """Run seed 0 of two trainings, one of which is measured in two ways."""
        spec = table("t", FULL, self.FINE, STRAIGHT)
        plan = plan_table(spec, tiny, store, [0], device_type=device_type)
        for row in ("full", "straight"):
            trial = next(each.trials[0] for each in plan.rows if each.row == row)
            shared = stage("image", "common", 3600, here=row == "full")
            last = stage("last", trial.trial_id, 1800)
            record(trial, stages=[shared, last], evaluation_s=360)
        return persisted(spec, plan, tiny)

    def test_counts_what_no_row_has_yet_and_shares_what_is_in_common(
        self, tiny: TinyExperiment, store: ResultStore, record: Record
    ) -> None:
        plan = self.measured(tiny, store, record)
        seed = 1 + 2 * 0.5 + 3 * 0.1  # a common stage, two trainings, three evaluations
        has = {"full": {0}, "fine": {0}, "straight": {0}}
        hours = hours_by_seeds(plan, store, has=has, seeds=[1, 2, 4])
        assert hours == pytest.approx({1: 0, 2: seed, 4: 3 * seed})
        # Evaluated anew, both rows of one training: its last stage once, evaluated twice.
        has = {"full": set(), "fine": set(), "straight": {0}}
        hours = hours_by_seeds(plan, store, has=has, seeds=[1])
        assert hours == pytest.approx({1: 1 + 0.5 + 2 * 0.1})

    def test_learns_from_the_tables_own_kind_of_device(
        self, tiny: TinyExperiment, store: ResultStore, record: Record
    ) -> None:
        none = {"full": set(), "fine": set(), "straight": set()}
        plan = self.measured(tiny, store, record)
        elsewhere = replace(plan, device_type="cuda")
        assert hours_by_seeds(elsewhere, store, has=none, seeds=[0, 1]) == {0: 0, 1: None}
        on_cuda = self.measured(tiny, store, record, device_type="cuda")
        assert hours_by_seeds(on_cuda, store, has=none, seeds=[1])[1] is not None
