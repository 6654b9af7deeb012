import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tiny_experiment import TinyExperiment

from s2hand_platform.experiments.protocol import StageReport
from s2hand_platform.planning.persist import persisted_table
from s2hand_platform.planning.plan import Plan, PlannedTrial
from s2hand_platform.planning.planner import plan_points, plan_table, plan_tables
from s2hand_platform.planning.reasons import Reasons
from s2hand_platform.spec.published import (
    PrintedOn,
    PublishedCell,
    PublishedColumn,
    PublishedRow,
    PublishedTable,
)
from s2hand_platform.spec.schema import Choices, ColumnSpec, RowSpec, SweepSpec, TableSpec
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
            "config_hash": trial.identity.config_hash,
            "seed": trial.seed,
            "data_fingerprint": trial.identity.data,
            "code_fingerprint": trial.identity.code,
            "evaluation_fingerprint": trial.evaluation_fingerprint,
            "device_type": trial.identity.device_type,
            **changes,
        }
        name = fields.pop("trial_id", trial.trial_id)
        made = make_record(name, **fields)
        made = replace(made, finished=made.started + timedelta(seconds=seconds))
        store.write_attempt(made, make_evaluation() if made.status == "finished" else None)
        for code in (trial.code, trial.evaluation):
            if code is not None:
                store.write_code(code.sha256, code.digests)

    return record_trial


class Changed(TinyExperiment):
    """The tiny experiment with another module, another metric, other data."""

    def __init__(self, **digests: str) -> None:
        self._digests = digests

    def training_code(self, config: Any, device_type: str) -> dict[str, str]:
        code = super().training_code(config, device_type)
        return {**code, "shared": "1", **_only(self._digests, "training")}

    def evaluation_code(self, config: Any, device_type: str) -> dict[str, str]:
        code = super().evaluation_code(config, device_type)
        return {**code, "shared": "1", **_only(self._digests, "evaluation")}

    def fingerprint_evaluation_data(self, config: Any) -> str | None:
        return self._digests.get("data", super().fingerprint_evaluation_data(config))


def _only(digests: dict[str, str], start: str) -> dict[str, str]:
    return {name: digest for name, digest in digests.items() if name.startswith(start)}


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


def test_each_seed_starts_once_before_its_other_rows(
    tiny: TinyExperiment, store: ResultStore
) -> None:
    third = RowSpec(id="long", label="long", overrides={"epochs": 9})
    plan = plan_table(table("t", FULL, STRAIGHT, third), tiny, store, [0, 1])
    assert [(trial.members[0].name, trial.seed) for trial in plan.trials] == [
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
    assert [str(member) for member in plan.trials[0].members] == ["t1.full", "t2.curved"]
    assert [str(member) for member in plan.trials[2].members] == ["t1.straight"]
    assert plan.rows[2].trials[0].trial_id == plan.rows[0].trials[0].trial_id


def test_what_is_in_the_store_is_cached(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    record(plan_table(table(), tiny, store, [0]).trials[0])
    plan = plan_table(table(), tiny, store, [0, 1])
    assert statuses(plan) == ["cached", "missing", "missing", "missing"]
    assert (plan.rows[0].cached, len(plan.rows[0].trials)) == (1, 2)
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


def test_a_damaged_result_is_run_again_and_named(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    record(trial)
    (path,) = (store.path / "attempts").glob("*.parquet")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    plan_table(table(), tiny, store, [0])  # meets the damage
    again = plan_table(table(), tiny, ResultStore(store.path), [0]).trials[0]
    assert again.status == "missing"
    assert again.reason.startswith(f"its result was set aside: attempts/{path.name}: ")


def test_other_training_data_is_stale(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    record(trial, trial_id="f" * 64, data_fingerprint="old")
    stale = plan_table(table(), tiny, store, [0]).trials[0]
    assert stale.status == "stale"
    assert stale.reason == "finished before, but the training data changed since"
    assert stale.trial_id == trial.trial_id


def test_a_changed_module_of_the_training_is_named(store: ResultStore, record: Record) -> None:
    before, after = Changed(training_loss="1"), Changed(training_loss="2")
    record(plan_table(table(), before, store, [0]).trials[0])
    assert plan_table(table(), before, store, [0]).trials[0].status == "cached"
    stale = plan_table(table(), after, store, [0]).trials[0]
    assert (stale.status, stale.reason) == (
        "stale",
        "finished before, but the code (training_loss) changed since",
    )


@pytest.mark.parametrize(
    ("training_loss", "changed"),
    [
        ("1", "the starting weights 'hands' changed"),
        ("2", "the code (training_loss) and the starting weights 'hands' changed"),
    ],
)
def test_what_changed_and_is_no_module_is_named_by_its_words(
    store: ResultStore, record: Record, training_loss: str, changed: str
) -> None:
    class Starting(Changed):
        """Begins with a file."""

        def training_code(self, config: Any, device_type: str) -> dict[str, str]:
            weights = {"starting weights 'hands'": self._digests["file"]}
            return {**super().training_code(config, device_type), **weights}

    before = Starting(training_loss="1", file="a")
    record(plan_table(table(), before, store, [0]).trials[0])
    assert plan_table(table(), before, store, [0]).trials[0].status == "cached"
    after = Starting(training_loss=training_loss, file="b")
    stale = plan_table(table(), after, store, [0]).trials[0]
    assert (stale.status, stale.reason) == ("stale", f"finished before, but {changed} since")


def test_a_changed_metric_is_evaluated_again_and_not_trained(
    store: ResultStore, record: Record
) -> None:
    before, after = Changed(evaluation_pck="1"), Changed(evaluation_pck="2")
    first = plan_table(table(), before, store, [0]).trials[0]
    record(first)
    again = plan_table(table(), after, store, [0]).trials[0]
    assert again.trial_id == first.trial_id
    assert (again.status, again.reason) == (
        "evaluate",
        "trained already; its evaluation is of other code or data: evaluation_pck",
    )
    record(again, attempt=1)
    for experiment in (before, after):  # both evaluations are in the store
        assert plan_table(table(), experiment, store, [0]).trials[0].status == "cached"


@pytest.mark.parametrize("after", [Changed(data="other"), "grid"])
def test_other_evaluation_data_or_settings_are_evaluated_again(
    store: ResultStore, record: Record, after: Any
) -> None:
    before = Changed()
    first = plan_table(table(), before, store, [0]).trials[0]
    record(first)
    spec = table(grid=11) if after == "grid" else table()
    again = plan_table(spec, before if after == "grid" else after, store, [0]).trials[0]
    assert (again.status, again.trial_id) == ("evaluate", first.trial_id)
    what = "setting grid" if after == "grid" else "the evaluation's data"
    assert again.reason.endswith(f"is of other code or data: {what}")


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
    record(first)
    again = plan_table(table("t", FULL, fine), tiny, store, [0])
    assert statuses(again) == ["cached", "evaluate"]
    kept = persisted(table("t", FULL, fine), again, tiny)
    assert [row.evaluation for row in kept.rows] == [
        first.evaluation_fingerprint, second.evaluation_fingerprint,
    ]  # fmt: skip
    assert [row.settings["grid"] for row in kept.rows] == [21, 401]


def test_another_device_is_another_trial(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    record(plan_table(table(), tiny, store, [0], device_type="cuda").trials[0])
    trial = plan_table(table(), tiny, store, [0]).trials[0]
    assert (trial.status, trial.reason) == ("missing", "finished on cuda, not on cpu")
    assert plan_table(table(), tiny, store, [0], device_type="cuda").trials[0].status == "cached"


def test_a_changed_setting_is_named(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    spec = table("t", FULL, points={"source": "here"})
    before = plan_table(spec, tiny, store, [0])
    record(before.trials[0])
    store.write_plan(persisted(spec, before, tiny))
    moved = {"source": "there"}  # where the data lies changes nothing
    changed = plan_table(table("t", FULL, learning_rate=0.5, points=moved), tiny, store, [0])
    changed = changed.trials[0]
    assert changed.status == "missing"
    assert changed.reason.endswith("the row's settings changed: learning_rate: 0.3 before, 0.5 now")


def test_settings_that_changed_elsewhere_are_not_named(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    """Only what was last run under the same label, on the same device, is compared with."""
    spec = replace(table("t", FULL), label="here")
    for label, device_type in (("there", "cpu"), ("here", "cuda")):
        other = replace(table("t", FULL, learning_rate=0.9), label=label)
        plan = plan_table(other, tiny, store, [0], device_type=device_type)
        store.write_plan(persisted(other, plan, tiny))
    trial = plan_table(spec, tiny, store, [0]).trials[0]
    assert trial.reason == "never run with this configuration and seed"


def test_rows_on_other_data_are_other_trials(tiny: TinyExperiment, store: ResultStore) -> None:
    """Though where data lies is no part of a configuration's hash."""
    elsewhere = RowSpec(id="unknown", label="unknown", overrides={"points.source": "unknown"})
    first, second = plan_table(table("t", FULL, elsewhere), tiny, store, [0]).trials
    assert first.identity.config_hash == second.identity.config_hash
    assert (first.identity.data is None, second.identity.data is None) == (False, True)
    assert first.trial_id != second.trial_id


def test_settings_in_lists_of_tables_are_named_one_by_one(store: ResultStore) -> None:
    reasons = Reasons(store, store.attempts(), ())
    before = {"stages": [{"name": "image", "epochs": 3}, {"name": "last", "epochs": 1}]}
    now = {"stages": [{"name": "image", "epochs": 4}, {"name": "last", "epochs": 1}]}
    assert reasons.with_changed_settings("never run", before, now) == (
        "never run; the row's settings changed: stages.image.epochs: 3 before, 4 now"
    )


def persisted(spec: TableSpec, plan: Plan, experiment: Any) -> Any:
    record = experiment.describe_data(experiment.build_config(dict(spec.base)))
    return persisted_table(
        spec,
        plan,
        experiment=experiment.name,
        metrics=experiment.metrics,
        data={row.id: record for row in spec.rows},
    )


def test_what_cannot_be_fingerprinted_is_missing_each_time(
    tiny: TinyExperiment, store: ResultStore, record: Record
) -> None:
    spec = table(**{"points.source": "unknown"})
    first = plan_table(spec, tiny, store, [0]).trials[0]
    record(first)
    again = plan_table(spec, tiny, store, [0]).trials[0]
    assert again.status == "missing"
    assert again.reason == "the training data cannot be fingerprinted: never reused"
    assert again.trial_id != first.trial_id


def test_unknown_data_is_shared_within_one_plan(tiny: TinyExperiment, store: ResultStore) -> None:
    specs = [table("t1", FULL, **{"points.source": "unknown"})] * 2
    assert len(plan_tables(specs, tiny, store, [0]).trials) == 1


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


class TestComparability:
    PUBLISHED = PublishedTable(
        name="t",
        title="P",
        measured_on=PrintedOn(dataset="curve", version="v1"),
        direction="",
        columns=(PublishedColumn(label="error_cm", metric="test/error", unit="cm"),),
        rows=(
            PublishedRow(
                id="full",
                label="full",
                measured_on=PrintedOn(dataset="curve", version="v1"),
                quoted=False,
                cells={"error_cm": PublishedCell.parse("1.0")},
            ),
        ),
    )

    def why(self, store: ResultStore, spec: TableSpec) -> list[str]:
        tiny = TinyExperiment()
        plan = plan_table(spec, tiny, store, [0])
        return [row.why_not_comparable for row in persisted(spec, plan, tiny).rows]

    def spec(self, source: str = "official", **changes: Any) -> TableSpec:
        return replace(table(points={"source": source}), published=self.PUBLISHED, **changes)

    def test_the_published_set_is_judged_where_something_is_printed(
        self, store: ResultStore
    ) -> None:
        assert self.why(store, self.spec()) == ["", "the paper prints no cells of it"]

    def test_follows_from_the_data_and_not_from_the_command(self, store: ResultStore) -> None:
        spec = self.spec(source="folder called curve", label="curve")
        assert self.why(store, spec)[0] == "measured on made curves, which is not the published set"

    def test_another_release_is_not_comparable(self, store: ResultStore) -> None:
        printed = replace(
            self.PUBLISHED.rows[0], measured_on=PrintedOn(dataset="curve", version="v2")
        )
        spec = self.spec()
        spec = replace(spec, published=replace(self.PUBLISHED, rows=(printed,)))
        assert self.why(store, spec)[0] == "measured on Curves v1, printed for curve v2"

    def test_another_scale_or_recipe_is_not_comparable(self, store: ResultStore) -> None:
        assert self.why(store, self.spec(reduced_by="demo"))[0] == (
            "the scale 'demo' changes the paper's training"
        )
        rows = (replace(FULL, comparable=False), STRAIGHT)
        assert self.why(store, self.spec(rows=rows))[0] == (
            "the recipe differs from the paper's row"
        )


def test_a_plan_is_plain_data(tiny: TinyExperiment, store: ResultStore) -> None:
    plain = json.loads(json.dumps(plan_table(table(), tiny, store, [0]).to_json()))
    assert plain["num_to_run"] == 2
    assert plain["trials"][0]["members"] == [{"kind": "row", "group": "t", "name": "full"}]
    assert plain["rows"][1]["label"] == "straight"
