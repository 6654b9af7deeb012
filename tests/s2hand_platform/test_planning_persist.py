from dataclasses import replace
from typing import Any

from tiny_experiment import TinyExperiment
from tiny_tables import FULL, STRAIGHT, persisted, table

from s2hand_platform.experiments.protocol import DataRecord
from s2hand_platform.planning.persist import persisted_table
from s2hand_platform.planning.planner import plan_table, plan_tables
from s2hand_platform.spec.published import (
    PrintedOn,
    PublishedCell,
    PublishedColumn,
    PublishedRow,
    PublishedTable,
)
from s2hand_platform.spec.schema import ColumnSpec, ContrastSpec, Look, TableSpec
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanColumn, PlanRow, PrintedRow, TablePlan

ON = PrintedOn(dataset="curve", version="v1")
CELLS = {"error_cm": PublishedCell.parse("1.0")}
PUBLISHED = PublishedTable(
    name="t",
    title="P",
    measured_on=ON,
    direction="",
    columns=(PublishedColumn(label="error_cm", metric="test/error", unit="cm"),),
    rows=(PublishedRow(id="full", label="Full", measured_on=ON, quoted=True, cells=CELLS),),
)


def test_all_that_shows_a_table_is_kept(tiny: TinyExperiment, store: ResultStore) -> None:
    contrast = ContrastSpec(
        row="straight", baseline="full", columns=("error_cm",), expected="worse"
    )
    spec = TableSpec(
        name="lines",
        title="Lines",
        dataset="curve",
        base={"epochs": 7},
        rows=(FULL, replace(STRAIGHT, label="a line")),
        columns=(
            ColumnSpec(label="error_cm", metric="test/error", tolerance=0.25),
            ColumnSpec(label="score", metric="validation/score"),
        ),
        contrasts=(contrast,),
        primary_column="error_cm",
        published=PUBLISHED,
        notes=("short trainings",),
        left_out="Left out: 'third'.",
        label="made (demo)",
    )
    data = {
        name: DataRecord(title=name, dataset="curve", version="v1", origin="official")
        for name in ("full", "straight")
    }
    plan = plan_tables([spec, table("other")], tiny, store, [3, 1], device_type="cuda")
    looks = (Look(seeds=3, level=0.01), Look(seeds=5, level=0.02))
    kept = persisted_table(
        spec, plan, experiment="tiny", metrics=tiny.metrics, data=data, looks=looks
    )

    first, second = (row.trials for row in plan.rows[:2])
    settings = {
        "points.truth": "curve", "points.source": "", "points.noise": 0.1, "epochs": 7,
        "learning_rate": 0.3, "curvature": True, "workers": 1, "fail": False, "grid": 21,
    }  # fmt: skip
    fingerprints = {
        "data": first[3].identity.data,
        "code": first[3].identity.code,
        "evaluation": first[3].evaluation_fingerprint,
    }
    assert all(fingerprints.values())
    assert kept == TablePlan(
        name="lines",
        title="Lines",
        experiment="tiny",
        label="made (demo)",
        device_type="cuda",
        columns=(
            PlanColumn(
                label="error_cm",
                metric="test/error",
                unit="cm",
                direction="lower",
                tolerance=0.25,
            ),
            PlanColumn(label="score", metric="validation/score", unit="1", direction="higher"),
        ),
        rows=(
            PlanRow(
                id="full",
                label="full",
                settings=settings,
                config_hash=first[3].identity.config_hash,
                trial_ids={3: first[3].trial_id, 1: first[1].trial_id},
                measured_on=data["full"],
                **fingerprints,
            ),
            PlanRow(
                id="straight",
                label="a line",
                why_not_comparable="the paper prints no cells of it",
                settings={**settings, "curvature": False},
                config_hash=second[3].identity.config_hash,
                trial_ids={3: second[3].trial_id, 1: second[1].trial_id},
                measured_on=data["straight"],
                **fingerprints,
            ),
        ),
        contrasts=(contrast,),
        primary_column="error_cm",
        looks=looks,
        printed=(PrintedRow(id="full", label="Full", quoted=True, cells=CELLS),),
        notes=("short trainings", "Left out: 'third'."),
    )


class TestComparability:
    def why(self, store: ResultStore, spec: TableSpec) -> list[str]:
        tiny = TinyExperiment()
        plan = plan_table(spec, tiny, store, [0])
        return [row.why_not_comparable for row in persisted(spec, plan, tiny).rows]

    def spec(self, source: str = "official", **changes: Any) -> TableSpec:
        return replace(table(points={"source": source}), published=PUBLISHED, **changes)

    def test_the_published_set_is_judged_where_something_is_printed(
        self, store: ResultStore
    ) -> None:
        assert self.why(store, self.spec()) == ["", "the paper prints no cells of it"]

    def test_follows_from_the_data_and_not_from_the_command(self, store: ResultStore) -> None:
        spec = self.spec(source="folder called curve", label="curve")
        assert self.why(store, spec)[0] == "measured on made curves, which is not the published set"

    def test_another_release_is_not_comparable(self, store: ResultStore) -> None:
        printed = replace(PUBLISHED.rows[0], measured_on=PrintedOn(dataset="curve", version="v2"))
        spec = self.spec()
        spec = replace(spec, published=replace(PUBLISHED, rows=(printed,)))
        assert self.why(store, spec)[0] == "measured on Curves v1, printed for curve v2"

    def test_another_scale_or_recipe_is_not_comparable(self, store: ResultStore) -> None:
        assert self.why(store, self.spec(reduced_by="demo"))[0] == (
            "the scale 'demo' changes the paper's training"
        )
        rows = (replace(FULL, comparable=False), STRAIGHT)
        assert self.why(store, self.spec(rows=rows))[0] == (
            "the recipe differs from the paper's row"
        )


def test_of_a_table_of_ones_own_nothing_is_printed(
    tiny: TinyExperiment, store: ResultStore
) -> None:
    kept = persisted(table(), plan_table(table(), tiny, store, [0]), tiny)
    assert kept.printed == ()
    assert [row.why_not_comparable for row in kept.rows] == ["the paper prints no cells of it"] * 2
