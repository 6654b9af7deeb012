import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from scipy import stats
from tiny_tables import PCK

from s2hand_platform.cards import Cards
from s2hand_platform.errors import StoreError
from s2hand_platform.experiments.protocol import DataRecord, Evaluation, StageReport
from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.schema import ContrastSpec, Look
from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.store.attempts import AttemptFiles
from s2hand_platform.store.export import export_table
from s2hand_platform.store.records import Environment
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanColumn, PlanRow, PrintedRow, TablePlan
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.layout import format_interval

ERRORS = {"full": (1.0, 1.2, 1.1), "straight": (1.5, 1.6, 1.7)}


CURVES = DataRecord(title="Curves v1", dataset="curve", version="v1", origin="official")
MADE = DataRecord(title="made curves", dataset="curve", version="", origin="synthetic")


def plan_row(name: str, label: str = "", **changes: Any) -> PlanRow:
    fields: dict[str, Any] = {
        "id": name,
        "label": label or name,
        "why_not_comparable": "",
        "settings": {"epochs": 4},
        "config_hash": f"config of {name}",
        "data": "d" * 64,
        "code": "e" * 64,
        "evaluation": "f" * 64,
        "trial_ids": {seed: trial_id(name, seed) for seed in (0, 1, 2)},
        "measured_on": CURVES,
    }
    return PlanRow(**{**fields, **changes})


def trial_id(row: str, seed: int) -> str:
    return hashlib.sha256(f"{row}:{seed}".encode()).hexdigest()


def printed_row(name: str, *, quoted: bool = False, **cells: str) -> PrintedRow:
    return PrintedRow(
        id=name,
        label=name,
        quoted=quoted,
        cells={label: PublishedCell.parse(text) for label, text in cells.items()},
    )


PLAN = TablePlan(
    name="t",
    title="Noise & curvature",
    experiment="tiny",
    label="curve",
    device_type="cpu",
    primary_column="error_cm",
    rows=(
        plan_row("full"),
        plan_row("straight", "no curvature"),
        plan_row("waiting", "not yet"),
    ),
    columns=(
        PlanColumn(label="error_cm", metric="test/error", unit="cm", direction="lower"),
        PlanColumn(label="score", metric="test/score", unit="1", direction="higher"),
    ),
    contrasts=(
        ContrastSpec(row="straight", baseline="full", columns=("error_cm",), expected="worse"),
        ContrastSpec(
            row="waiting", baseline="full", columns=("error_cm", "score"), expected="better"
        ),
    ),
    printed=(
        printed_row("other", quoted=True, error_cm="0.9"),
        printed_row("full", error_cm="1.10"),
        printed_row("later", error_cm="0.99", score="0.50"),
    ),
    notes=("A note of the recipe.",),
)

SYNTHETIC = replace(
    PLAN,
    label="synthetic (demo)",
    rows=tuple(
        replace(
            row,
            why_not_comparable="measured on made curves, not the published set",
            measured_on=MADE,
        )
        for row in PLAN.rows
    ),
)

Measure = Callable[..., None]


@pytest.fixture
def measure(store: ResultStore, make_record: Any, make_evaluation: Any) -> Measure:
    """Write what a row's seeds achieved."""

    def write(row: str, error: float, *, seed: int, evaluation: Any = None, **changes: Any) -> None:
        planned = next(each for each in PLAN.rows if each.id == row)
        fields = {
            "config_hash": planned.config_hash,
            "seed": seed,
            "data_fingerprint": planned.data,
            "code_fingerprint": planned.code,
            "evaluation_fingerprint": planned.evaluation,
            "device_type": PLAN.device_type,
            **changes,
        }
        name = fields.pop("trial_id", trial_id(row, seed))
        store.write_attempt(make_record(name, **fields), evaluation or make_evaluation(error))

    return write


@pytest.fixture
def measured(measure: Measure, store: ResultStore, make_evaluation: Any) -> ResultStore:
    for row, errors in ERRORS.items():
        for seed, error in enumerate(errors):
            samples = {"test": {"error": [0.5 * error, 1.5 * error]}}
            measure(row, error, seed=seed, evaluation=make_evaluation(error, samples=samples))
    baseline = Evaluation(
        metrics={"test/error": 2.0}, samples={}, sample_ids={}, evaluator_id="tiny-1"
    )
    store.write_baseline("tiny", "zero", "f" * 64, baseline, {"error": "cm"})
    return store


def build(store: ResultStore, plan: TablePlan = SYNTHETIC, **settings: Any) -> MeasuredTable:
    return MeasuredTable.build(plan, store, **settings)


def cell(table: MeasuredTable, row: str, column: str = "error_cm") -> Any:
    return next(found for found in table.rows if found.id == row).cells[column]


def test_cells_are_means_over_seeds(measured: ResultStore) -> None:
    found = cell(build(measured), "full")
    assert found.values == {0: 1.0, 1: 1.2, 2: 1.1}
    assert found.interval.mean == pytest.approx(1.1)
    assert found.interval.half_width == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert found.verdict == "not comparable"


def test_rows_are_baselines_recipes_and_what_only_the_paper_has(measured: ResultStore) -> None:
    rows = {row.id: (row.kind, row.cells["error_cm"].verdict) for row in build(measured).rows}
    assert rows == {
        "zero": ("baseline", "not comparable"),
        "full": ("measured", "not comparable"),
        "straight": ("measured", "not comparable"),
        "waiting": ("measured", "not run"),
        "other": ("quoted", "not run"),
        "later": ("published", "not run"),
    }


def test_the_published_data_is_judged_row_by_row(measured: ResultStore) -> None:
    table = build(measured, PLAN)
    assert cell(table, "full").verdict == "consistent but imprecise"
    assert cell(table, "full", "score").verdict == "not comparable"
    differs = replace(PLAN.rows[0], why_not_comparable="the recipe differs")
    table = build(measured, replace(PLAN, rows=(differs, *PLAN.rows[1:])))
    assert cell(table, "full").verdict == "not comparable"
    assert "'full': not judged against the printed cells: the recipe differs." in table.footnotes


def test_contrasts_are_paired_by_seed(measured: ResultStore) -> None:
    verdicts = build(measured).verdicts()
    first = verdicts.iloc[0]
    assert (first["row"], first["baseline"], first["column"]) == ("straight", "full", "error_cm")
    assert first["difference"] == pytest.approx((0.5 + 0.4 + 0.6) / 3)
    assert first["n"] == 3
    assert first["verdict"] == "reproduced"
    assert first["p"] == pytest.approx(stats.ttest_1samp([0.5, 0.4, 0.6], 0.0).pvalue)
    assert first["p_adjusted"] == pytest.approx(2 * first["p"])  # two contrasts are declared
    assert verdicts["verdict"].tolist()[1:] == ["not run", ""]  # of the primary column alone


def test_a_table_of_two_sets_has_baselines_of_each(measured: ResultStore) -> None:
    moved = {"measured_on": replace(MADE, dataset="line"), "evaluation": "e" * 64}
    rows = (SYNTHETIC.rows[0], replace(SYNTHETIC.rows[1], **moved))
    plan = replace(SYNTHETIC, rows=rows, contrasts=())
    other = Evaluation(metrics={"test/error": 8.0}, samples={}, sample_ids={}, evaluator_id="t")
    measured.write_baseline("tiny", "zero", "e" * 64, other, {"error": "cm"})
    table = build(measured, plan, other_code=True)
    zeros = {row.label: row.cells["error_cm"] for row in table.rows if row.kind == "baseline"}
    assert {label: found.interval.mean for label, found in zeros.items()} == {
        "zero (curve)": 2.0, "zero (line)": 8.0
    }  # fmt: skip
    assert {(each.row, each.baseline) for each in table.margins} == {("full", "zero (curve)")}
    card = Cards(plan, measured).cell("zero (line)", "error_cm")
    assert (list(card.evaluators), card.measured_on) == (["t"], MADE.title)


def test_margins_to_a_baseline_are_relative(measured: ResultStore) -> None:
    margins = build(measured).margins
    assert [(margin.row, margin.baseline, margin.column) for margin in margins] == [
        ("full", "zero", "error_cm"),
        ("straight", "zero", "error_cm"),
    ]
    assert margins[0].change.mean == pytest.approx(1.1 / 2 - 1)
    assert margins[0].excludes_zero


def test_only_the_seeds_asked_for(measured: ResultStore) -> None:
    table = build(measured, seeds=[1, 2])
    assert cell(table, "full").values == {1: 1.2, 2: 1.1}
    assert "Seeds: 1, 2." in table.footnotes


def test_the_papers_contrast_is_an_interval_of_its_rounding(measured: ResultStore) -> None:
    printed = (printed_row("full", error_cm="1.10"), printed_row("straight", error_cm="1.11"))
    (first, _, _) = build(measured, replace(PLAN, printed=printed)).contrasts
    assert first.printed is not None
    assert (first.printed.value, first.printed.low, first.printed.high) == (0.01, 0.0, 0.02)
    assert (
        "not decided by the digits" in build(measured, replace(PLAN, printed=printed)).to_markdown()
    )


def test_from_six_seeds_on_tests_by_symmetry_stand_beside(
    store: ResultStore, measure: Measure
) -> None:
    for seed in range(6):
        measure("full", 1.0, seed=seed)
        measure("straight", 1.5 + 0.1 * seed, seed=seed)
    table = build(store)
    assert "ranks 0.031, signs 0.031 (smallest 0.031)" in table.to_markdown()
    assert table.verdicts()["signed_rank_p"][0] == 2**-5
    assert any("smallest p that so many seeds can reach" in note for note in table.footnotes)


def test_a_seed_that_failed_is_counted_in_its_cells(
    measured: ResultStore, measure: Measure
) -> None:
    measure("full", 0.1, seed=3, status="failed", reason="diverged", trial_id="7" * 64)
    measure("waiting", 0.1, seed=1, status="failed", reason="diverged")
    table = build(measured)
    assert {row.id: dict(row.failed) for row in table.rows if row.failed} == {
        "full": {3: "diverged"},
        "waiting": {1: "diverged"},
    }
    text = table.to_markdown()
    assert "1.10 ± 0.25 (3, 1 failed)" in text
    assert "failed (1)" in text


def test_rows_that_share_trained_stages_are_named(store: ResultStore, measure: Measure) -> None:
    def stages(**ids: str) -> list[StageReport]:
        return [
            StageReport(name=name, stage_id=stage_id, training_s=1.0, trained_here=True)
            for name, stage_id in ids.items()
        ]

    measure("full", 1.0, seed=0, stages=stages(first="a", last="b"))
    measure("straight", 1.0, seed=0, stages=stages(first="a", last="c"))
    measure("waiting", 1.0, seed=1, stages=stages(first="a", last="b"))  # of another seed
    notes = [note for note in build(store).footnotes if "share trained stages" in note]
    assert len(notes) == 1
    assert notes[0].startswith("Rows 'full', 'straight' share trained stages of each seed (first):")


def test_samples_are_not_the_unit_and_the_table_says_what_they_would_give(
    store: ResultStore, measure: Measure, make_evaluation: Any
) -> None:
    samples = {"full": [0.0, 0.0, 0.0], "straight": [1.0, 2.0, 3.0]}
    for seed, shift in enumerate((0.0, 1.0, -1.0)):
        for row, values in samples.items():
            shifted = [value + shift * (row == "full") for value in values]
            evaluation = make_evaluation(
                metrics={"test/error": float(np.mean(shifted))},
                samples={"test": {"error": shifted}},
                sample_ids={"test": ["x0", "x1", "x2"]},
            )
            measure(row, 0.0, seed=seed, evaluation=evaluation, attempt=1)
    # The trials were evaluated before, by other rules; and one of them later, by others again.
    other = make_evaluation(
        samples={"test": {"error": [0.0, 50.0, 900.0]}},
        sample_ids={"test": ["x0", "x1", "x2"]},
    )
    for seed in range(3):
        before = {"attempt": 0, "evaluation_fingerprint": "9" * 64}
        measure("straight", 0.0, seed=seed, evaluation=other, **before)
    later = {"attempt": 2, "evaluation_fingerprint": "8" * 64}
    measure("straight", 0.0, seed=0, evaluation=other, **later)
    (note,) = [note for note in build(store).footnotes if note.startswith("Seeds are the unit")]
    # Both spreads are 1; t(2, 0.975) / √3 = 2.48.
    assert "straight minus full is known to ± 2.5 over 3 of them" in note
    assert "The 3 held-out samples as the unit would give ± 2.5" in note


def test_contrasts_have_the_columns_that_any_of_them_is_declared_in(measured: ResultStore) -> None:
    _, both, _ = build(measured, SYNTHETIC).grids()
    assert both.header[3:] == ("error_cm ↓", "score ↑")
    _, one, _ = build(measured, replace(SYNTHETIC, contrasts=SYNTHETIC.contrasts[:1])).grids()
    assert one.header[3:] == ("error_cm ↓",)
    assert [len(line) for line in one.rows] == [4]


LOOKS = (Look(seeds=3, level=0.02), Look(seeds=5, level=0.02))


def decisions(table: MeasuredTable) -> list[tuple[str, int | None]]:
    found = []
    for contrast in table.contrasts:
        if contrast.decision is not None:
            look = contrast.decision.look
            found.append((str(contrast.decision), look.seeds if look else None))
    return found


def test_a_look_is_taken_when_all_its_seeds_have_run_or_failed(
    store: ResultStore, measure: Measure
) -> None:
    plan = replace(SYNTHETIC, looks=LOOKS)
    for seed in (0, 1):
        measure("full", 1.0, seed=seed)
        measure("straight", 2.0 + 0.01 * seed, seed=seed)
    measure("straight", 2.02, seed=2)
    assert decisions(build(store, plan)) == [("undecided", None), ("not run", None)]
    measure("full", 1.0, seed=3)  # a seed of the next look, without the one between
    measure("straight", 2.03, seed=3)
    assert decisions(build(store, plan))[0] == ("undecided", None)
    measure("full", 0.0, seed=2, status="failed", reason="diverged")
    assert decisions(build(store, plan))[0] == ("reproduced", 3)
    (of_family, *_) = build(store, plan).contrasts
    assert of_family.decision is not None
    assert of_family.decision.p == pytest.approx(stats.ttest_1samp([1.0, 1.01], 0.0).pvalue)


def test_a_decision_of_a_look_outlives_the_seeds_after_it(
    measured: ResultStore, measure: Measure
) -> None:
    plan = replace(SYNTHETIC, looks=LOOKS)
    for seed in (3, 4):
        measure("full", 9.0, seed=seed)
        measure("straight", 1.0, seed=seed)
    table = build(measured, plan)
    (contrast, *_) = table.contrasts
    assert contrast.difference is not None
    assert contrast.difference.n == 5
    assert contrast.difference.mean < 0  # on the other side by now
    assert decisions(table)[0] == ("reproduced", 3)
    line = table.verdicts().iloc[0]
    assert (line["look_seeds"], line["look_level"], line["p_adjusted"]) == (3, 0.02, None)
    assert json.loads(json.dumps(table.to_json()))["contrasts"][0]["decision"]["look"] == {
        "seeds": 3,
        "level": 0.02,
    }
    assert decisions(build(measured))[0] == ("undecided", None)  # by Holm, of all five
    text = table.to_markdown()
    assert "at 3 seeds (level 0.02)" in text
    assert "looked at with 3 seeds at level 0.02, 5 seeds at level 0.02, so that" in text
    assert "Holm's procedure" not in text


@pytest.mark.parametrize("status", ["stopped_early", "failed"])
def test_what_did_not_finish_never_fills_a_cell(
    measured: ResultStore, measure: Measure, status: str
) -> None:
    measure("waiting", 0.1, seed=0, status=status, reason="why")
    table = build(measured)
    assert cell(table, "waiting").interval is None
    assert ("Failed: row 'waiting', seed 0: why" in table.footnotes) == (status == "failed")


OTHERS = {
    "code_fingerprint": "old",
    "data_fingerprint": "old",
    "evaluation_fingerprint": "old",
    "device_type": "cuda",
}


@pytest.mark.parametrize("field", OTHERS)
def test_results_of_other_code_are_told_of_and_shown_when_asked(
    measured: ResultStore, measure: Measure, field: str
) -> None:
    measure("waiting", 0.25, seed=1, trial_id="9" * 64, **{field: OTHERS[field]})
    table = build(measured, PLAN)
    assert cell(table, "waiting").interval is None
    assert any("Row 'waiting': seeds 1 were measured with other" in f for f in table.footnotes)
    table = build(measured, PLAN, other_code=True)
    found = cell(table, "waiting")
    assert (found.values, found.of_other_code) == ({1: 0.25}, (1,))
    assert found.verdict == "not comparable"
    assert "0.250 (1)†" in table.to_markdown()
    assert table.verdicts()["verdict"].tolist()[1:] == ["not run", ""]
    assert {margin.row for margin in table.margins} == {"full", "straight"}


def test_what_is_measured_as_planned_is_never_replaced(
    measured: ResultStore, measure: Measure
) -> None:
    measure("full", 9.0, seed=1, trial_id="9" * 64, code_fingerprint="old")
    for other_code in (False, True):
        assert cell(build(measured, other_code=other_code), "full").values[1] == 1.2


def test_an_older_result_of_the_same_evaluator_is_shown_where_the_latest_has_another(
    measured: ResultStore, measure: Measure, make_evaluation: Any
) -> None:
    other = make_evaluation(9.0, evaluator_id="tiny-2")
    measure("waiting", 0.25, seed=1, trial_id="8" * 64, code_fingerprint="old")
    measure("waiting", 9.0, seed=1, trial_id="9" * 64, code_fingerprint="older", evaluation=other)
    found = cell(build(measured, other_code=True), "waiting")
    assert found.values == {1: 0.25}


def test_what_cannot_be_fingerprinted_is_shown_by_its_trial(
    store: ResultStore, measure: Measure
) -> None:
    unknown = {"data_fingerprint": None, "evaluation_fingerprint": None}
    measure("full", 1.5, seed=0, **unknown)
    measure("full", 9.0, seed=1, trial_id="9" * 64, **unknown)  # of another plan
    rows = (replace(PLAN.rows[0], data=None, evaluation=None), *PLAN.rows[1:])
    assert cell(build(store, replace(PLAN, rows=rows)), "full").values == {0: 1.5}


def test_each_row_says_what_it_is_measured_on(store: ResultStore) -> None:
    rows = (replace(PLAN.rows[0], measured_on=MADE), *PLAN.rows[1:])
    table = build(store, replace(PLAN, rows=rows))
    assert table.data == "made curves; Curves v1"


def test_seeds_that_were_measured_at_another_time_count(
    measured: ResultStore, measure: Measure
) -> None:
    measure("full", 1.3, seed=7)
    assert cell(build(measured), "full").values == {0: 1.0, 1: 1.2, 2: 1.1, 7: 1.3}


def test_evaluators_are_never_mixed(
    measured: ResultStore, measure: Measure, make_evaluation: Any
) -> None:
    other = make_evaluation(9.0, evaluator_id="tiny-2")
    measure("full", 9.0, seed=3, evaluation=other, evaluation_fingerprint="of another metric")
    for other_code in (False, True):
        table = build(measured, other_code=other_code)
        assert set(cell(table, "full").values) == {0, 1, 2}
        assert "Evaluator: tiny-1." in table.footnotes
        assert "Row 'full': seeds 3 were measured by another evaluator (tiny-2)." in table.footnotes


def test_cards_and_versions_are_shown_and_never_left_out(
    measured: ResultStore, measure: Measure
) -> None:
    newer = Environment(framework="python 3.12", device="cpu", precision="float64", threads=1)
    measure("full", 9.0, seed=3, environment=newer)
    table = build(measured)
    assert set(cell(table, "full").values) == {0, 1, 2, 3}
    assert "Environment: cpu, python 3.11, float64; cpu, python 3.12, float64." in table.footnotes


def test_threads_do_not_make_another_kind(measured: ResultStore, measure: Measure) -> None:
    more = Environment(framework="python 3.11", device="cpu", precision="float64", threads=8)
    measure("full", 1.1, seed=3, environment=more)
    assert len(cell(build(measured), "full").values) == 4


def test_a_repeated_trial_counts_once(measured: ResultStore, measure: Measure) -> None:
    measure("full", 1.3, seed=0, attempt=1)
    assert cell(build(measured), "full").values == {0: 1.3, 1: 1.2, 2: 1.1}


def test_an_empty_store_gives_the_papers_table(store: ResultStore) -> None:
    table = build(store)
    assert {row.cells["error_cm"].verdict for row in table.rows} == {"not run"}
    assert "not run / 1.10" in table.to_markdown()


def test_a_frame_has_one_line_per_cell(measured: ResultStore) -> None:
    frame = build(measured).frame().set_index(["row", "column"])
    assert len(frame) == 6 * 2
    line = frame.loc[("full", "error_cm")]
    assert (line["n"], line["published"], line["unit"]) == (3, "1.10", "cm")
    assert build(measured).to_csv().splitlines()[0].startswith("table,row,label,kind,column,")


def test_json_is_plain(measured: ResultStore) -> None:
    plain = json.loads(json.dumps(build(measured).to_json(), allow_nan=False))
    assert plain["rows"][1]["cells"]["error_cm"]["published"] == {"value": 1.1, "decimals": 2}
    assert plain["margins"][0]["excludes_zero"] is True


@pytest.mark.parametrize("plan", [SYNTHETIC, PLAN], ids=["synthetic", "curve"])
def test_markdown(
    measured: ResultStore, golden: Callable[[str, str], None], plan: TablePlan
) -> None:
    name = plan.label.partition(" ")[0]
    golden(f"tables/tiny_{name}.md", build(measured, plan).to_markdown())


def test_a_column_that_no_row_fills_is_told(measured: ResultStore) -> None:
    look = PlanColumn(label="look", metric="test/look", unit="1", direction="lower")
    sound = PlanColumn(label="sound", metric="test/sound", unit="1", direction="lower")
    plan = replace(SYNTHETIC, columns=(*SYNTHETIC.columns, look, sound))
    told = "Not measured, as no row's model or data have what it takes: "
    (note,) = [each for each in build(measured, plan).footnotes if each.startswith(told)]
    assert note == f"{told}look (test/look), sound (test/sound)."
    assert not any(each.startswith(told) for each in build(measured).footnotes)


def test_a_column_is_not_told_before_a_row_is_run(store: ResultStore) -> None:
    assert not any(each.startswith("Not measured, as") for each in build(store).footnotes)


def test_a_damaged_result_is_named(measured: ResultStore) -> None:
    (path,) = (measured.path / "attempts").glob(f"{trial_id('full', 1)}*.parquet")
    path.write_bytes(path.read_bytes()[:-40])
    for store in (measured, ResultStore(measured.path)):  # also in a later process
        table = build(store)
        assert cell(table, "full").values == {0: 1.0, 2: 1.1}
        assert any(
            note.startswith("Not measured: row 'full', seed 1: its result was set aside: attempts/")
            for note in table.footnotes
        )


def test_a_plan_survives_the_store(measured: ResultStore) -> None:
    again = TablePlan.from_plain(json.loads(json.dumps(PLAN.to_plain())))
    assert again == PLAN
    assert build(measured, again).to_json() == build(measured, PLAN).to_json()


def test_an_export_shows_the_same_table(
    measured: ResultStore, measure: Measure, make_evaluation: Any, tmp_path: Path
) -> None:
    measure("waiting", 0.1, seed=0, status="failed", reason="diverged")
    measure("straight", 9.0, seed=0, trial_id="8" * 64, config_hash="of no row of this table")
    code = {"a.module": "1" * 64, "starting weights 'hands'": "2" * 64}
    measured.write_code("e" * 64, code)
    measured.write_code("f" * 64, {"an.evaluation": "3" * 64})
    measured.write_code("0" * 64, {"of.another.table": "4" * 64})
    measured.write_patch("what differed")
    measured.write_baseline("tiny", "zero", "0" * 64, make_evaluation(), {"error": "cm"})
    target = ResultStore(tmp_path / "export")
    assert export_table(PLAN, measured, target) == 7
    assert target.code_files("e" * 64) == code
    assert target.code_files("f" * 64) == {"an.evaluation": "3" * 64}
    assert target.code_files("0" * 64) is None
    assert target.patch(hashlib.sha256(b"what differed").hexdigest()) is None
    assert target.baselines("tiny", "0" * 64).empty
    plan = target.latest_table_plan("t", label="curve")
    assert plan == PLAN
    assert build(target, plan).to_json() == build(measured, PLAN).to_json()
    assert len(target.trials()) == 7
    assert not target.samples([trial_id("full", 0)], split="test", metric="error").empty
    target.compact()
    assert build(ResultStore(target.path), plan).to_json() == build(measured, PLAN).to_json()


def test_an_export_does_not_tell_where_data_lies(
    store: ResultStore, measure: Measure, tmp_path: Path
) -> None:
    settings = {"data.root": "/home/me/sets/ho3d", "list": ["/a", "b/c"], "epochs": 4, "name": "x"}
    plan = replace(PLAN, rows=(replace(PLAN.rows[0], settings=settings), *PLAN.rows[1:]))
    config = {"data": {"root": "/home/me/sets/ho3d", "cache": ""}, "epochs": 4}
    measure("full", 1.5, seed=0, config=config)
    target = ResultStore(tmp_path / "export")
    export_table(plan, store, target)
    (kept,) = target.trials()["config_json"]
    assert json.loads(kept) == {"data": {"root": "…/sets/ho3d", "cache": ""}, "epochs": 4}
    again = target.latest_table_plan("t", label="curve")
    assert again is not None
    assert again.rows[0].settings == {
        "data.root": "…/sets/ho3d", "list": ["…/a", "b/c"], "epochs": 4, "name": "x"
    }  # fmt: skip


def test_an_export_names_settings_that_are_no_document(
    store: ResultStore, measure: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure("full", 1.5, seed=0)
    read = AttemptFiles.read

    def damaged(files: AttemptFiles, wanted: Any) -> Any:
        found = read(files, wanted)
        place = found.column_names.index("config_json")
        return found.set_column(place, "config_json", [["{"] * len(found)])

    monkeypatch.setattr(AttemptFiles, "read", damaged)
    with pytest.raises(
        StoreError, match=r"the settings of attempt 0 of trial .* are no JSON object"
    ):
        export_table(PLAN, store, ResultStore(tmp_path / "export"))


def test_an_export_leaves_samples_of_other_columns_behind_and_takes_curves(
    store: ResultStore, measure: Measure, make_evaluation: Any, tmp_path: Path
) -> None:
    samples = {"test": {"error": [1.0, 2.0], "score": [0.5, 0.4]}, "train": {"error": [1.0]}}
    ids = {"test": ["x0", "x1"], "train": ["y0"]}
    curves = {"test": {"pck": PCK}, "train": {"pck": PCK}}
    evaluation = make_evaluation(samples=samples, sample_ids=ids, threshold_curves=curves)
    measure("full", 1.5, seed=0, evaluation=evaluation)
    target = ResultStore(tmp_path / "export")
    export_table(replace(PLAN, columns=PLAN.columns[::-1]), store, target)
    name = [trial_id("full", 0)]
    (path,) = target.path.glob("attempts/*.parquet")
    (kept,) = pq.read_table(path)["sample_ids"].to_pylist()
    assert kept == [{"split": "test", "sample_ids": ["x0", "x1"]}]
    assert target.samples(name, split="test", metric="error")["value"].tolist() == [1.0, 2.0]
    assert target.samples(name, split="test", metric="score").empty
    assert target.samples(name, split="train", metric="error").empty
    copied = target.threshold_curves(target.trials())
    assert copied[["split", "share"]].to_numpy().tolist() == [
        ["test", 0.25], ["test", 1.0], ["train", 0.25], ["train", 1.0],
    ]  # fmt: skip


def test_latex(measured: ResultStore, golden: Callable[[str, str], None]) -> None:
    golden("tables/tiny_curve.tex", build(measured, PLAN).to_latex())


def test_terminal(measured: ResultStore, golden: Callable[[str, str], None]) -> None:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(build(measured).to_rich())
    golden("tables/tiny_synthetic.txt", console.file.getvalue())  # type: ignore[attr-defined]


def test_html_is_escaped(measured: ResultStore) -> None:
    text = build(measured)._repr_html_()
    assert "Noise &amp; curvature" in text
    assert text.count("<table>") == 3
    assert "<small>1.10</small>" in text


@pytest.mark.parametrize(
    ("looks", "share"),
    [((), "of at most 5 % again."), (LOOKS, "within that of the differences.")],
    ids=["at once", "at looks"],
)
def test_a_table_says_how_often_an_equivalence_is_wrong(
    measured: ResultStore, looks: tuple[Look, ...], share: str
) -> None:
    columns = (replace(PLAN.columns[0], tolerance=0.25), PLAN.columns[1])
    table = build(measured, replace(SYNTHETIC, columns=columns, looks=looks))
    (note,) = [each for each in table.footnotes if "declared not to matter" in each]
    assert note.startswith("A difference of less than 0.25 cm was declared")
    assert note.endswith(f"a chance of any wrong one {share}")


@pytest.mark.parametrize(
    ("mean", "half_width", "decimals", "signed", "text"),
    [
        (1.14159, 0.0567, 2, False, "1.142 ± 0.057 (3)"),
        (1.14159, 0.567, 2, False, "1.14 ± 0.57 (3)"),
        (114.159, 23.0, 0, False, "114 ± 23 (3)"),
        (-0.5, 0.0, 3, True, "−0.500 ± 0.000 (3)"),
        (0.5, 0.011, 0, True, "+0.500 ± 0.011 (3)"),
        (0.5, None, 3, False, "0.500 (3)"),
        (-0.0646, None, 0, True, "−0.065 (3)"),
        (0.25, 0.0, 2, True, "+0.25 ± 0.00 (3)"),
        (0.5, None, 4, False, "0.5000 (3)"),
    ],
)
def test_numbers_show_two_digits_of_their_interval(
    mean: float, half_width: float | None, decimals: int, signed: bool, text: str
) -> None:
    interval = MeanInterval(mean=mean, sd=1.0, half_width=half_width, n=3)
    assert format_interval(interval, decimals, signed=signed) == text
