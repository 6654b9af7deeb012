import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from tiny_experiment import TinyExperiment

from s2hand_platform.experiments.protocol import Evaluation
from s2hand_platform.planning import PlannedTrial, plan_table
from s2hand_platform.spec.published import (
    PublishedCell,
    PublishedColumn,
    PublishedRow,
    PublishedTable,
)
from s2hand_platform.spec.schema import ColumnSpec, ContrastSpec, RowSpec, TableSpec
from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.store.records import Environment
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.layout import format_interval

ERRORS = {"full": (1.0, 1.2, 1.1), "straight": (1.5, 1.6, 1.7)}


def printed(**cells: str) -> dict[str, PublishedCell]:
    return {label: PublishedCell.parse(text) for label, text in cells.items()}


def published_row(name: str, *, quoted: bool = False, **cells: str) -> PublishedRow:
    return PublishedRow(id=name, label=name, dataset="curve", quoted=quoted, cells=printed(**cells))


SPEC = TableSpec(
    name="t",
    title="Noise & curvature",
    dataset="curve",
    margin_column="error_cm",
    base={},
    rows=(
        RowSpec(id="full", label="full"),
        RowSpec(id="straight", label="no curvature", overrides={"curvature": False}),
        RowSpec(id="waiting", label="not yet", overrides={"epochs": 9}),
    ),
    columns=(
        ColumnSpec(label="error_cm", metric="test/error"),
        ColumnSpec(label="score", metric="test/score"),
    ),
    contrasts=(
        ContrastSpec(row="straight", baseline="full", columns=("error_cm",), expected="worse"),
        ContrastSpec(
            row="waiting", baseline="full", columns=("error_cm", "score"), expected="better"
        ),
    ),
    published=PublishedTable(
        name="t",
        title="P",
        dataset="curve",
        direction="",
        columns=(PublishedColumn(label="error_cm", metric="test/error", unit="cm"),),
        rows=(
            published_row("other", quoted=True, error_cm="0.9"),
            published_row("full", error_cm="1.10"),
            published_row("later", error_cm="0.99", score="0.50"),
        ),
    ),
    notes=("A note of the recipe.",),
)

Measure = Callable[..., None]


@pytest.fixture
def measure(
    tiny: TinyExperiment, store: ResultStore, make_record: Any, make_evaluation: Any
) -> Measure:
    """Write what a row's seeds achieved."""

    def write(row: str, error: float, *, seed: int, evaluation: Any = None, **changes: Any) -> None:
        trial = next(t for t in plan(tiny, store, seed) if t.rows[0][1] == row)
        fields = {
            "config": trial.config,
            "config_hash": trial.config_hash,
            "seed": seed,
            "data_fingerprint": trial.data_fingerprint,
            "code_fingerprint": trial.code_fingerprint,
            **changes,
        }
        store.write_attempt(
            make_record(trial.trial_id, **fields), evaluation or make_evaluation(error)
        )

    return write


def plan(tiny: TinyExperiment, store: ResultStore, seed: int) -> tuple[PlannedTrial, ...]:
    return plan_table(SPEC, tiny, store, [seed]).trials


@pytest.fixture
def measured(measure: Measure, store: ResultStore, tiny: TinyExperiment) -> ResultStore:
    for row, errors in ERRORS.items():
        for seed, error in enumerate(errors):
            measure(row, error, seed=seed)
    data = plan(tiny, store, 0)[0].data_fingerprint
    baseline = Evaluation(
        metrics={"test/error": 2.0}, samples={}, sample_ids={}, evaluator_id="tiny-1"
    )
    store.write_baseline("tiny", "zero", data, baseline, {"error": "cm"})
    return store


def build(store: ResultStore, data: str = "synthetic", **settings: Any) -> MeasuredTable:
    return MeasuredTable.build(SPEC, store, TinyExperiment(), data=data, **settings)


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


def test_the_published_data_is_judged_where_the_recipe_is_the_papers(
    measured: ResultStore,
) -> None:
    table = build(measured, data="curve")
    assert cell(table, "full").verdict == "consistent but imprecise"
    assert cell(table, "full", "score").verdict == "not comparable"
    other = replace(SPEC, rows=(replace(SPEC.rows[0], comparable=False), *SPEC.rows[1:]))
    table = MeasuredTable.build(other, measured, TinyExperiment(), data="curve")
    assert cell(table, "full").verdict == "not comparable"


def test_contrasts_are_paired_by_seed(measured: ResultStore) -> None:
    verdicts = build(measured).verdicts()
    first = verdicts.iloc[0]
    assert (first["row"], first["baseline"], first["column"]) == ("straight", "full", "error_cm")
    assert first["difference"] == pytest.approx((0.5 + 0.4 + 0.6) / 3)
    assert first["n"] == 3
    assert first["verdict"] == "reproduced"
    assert verdicts["verdict"].tolist()[1:] == ["not run", "not run"]


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


@pytest.mark.parametrize("status", ["stopped_early", "failed"])
def test_what_did_not_finish_never_fills_a_cell(
    measured: ResultStore, measure: Measure, status: str
) -> None:
    measure("waiting", 0.1, seed=0, status=status, reason="why")
    table = build(measured)
    assert cell(table, "waiting").interval is None
    assert ("Failed: row 'waiting', seed 0: why" in table.footnotes) == (status == "failed")


def test_results_of_other_code_are_not_taken(measured: ResultStore, measure: Measure) -> None:
    measure("waiting", 0.1, seed=0, code_fingerprint="old")
    assert cell(build(measured), "waiting").interval is None


def test_evaluators_are_never_mixed(
    measured: ResultStore, measure: Measure, make_evaluation: Any
) -> None:
    measure("full", 9.0, seed=3, evaluation=make_evaluation(9.0, evaluator_id="tiny-2"))
    for mixed in (False, True):
        table = build(measured, mix_environments=mixed)
        assert set(cell(table, "full").values) == {0, 1, 2}
        assert any("Left out: 1 finished trial(s)" in note for note in table.footnotes)
        assert "Evaluator: tiny-1." in table.footnotes


def test_environments_are_mixed_only_when_asked(measured: ResultStore, measure: Measure) -> None:
    gpu = Environment(framework="python 3.11", device="cuda", precision="float64", threads=1)
    measure("full", 9.0, seed=3, environment=gpu)
    table = build(measured)
    assert set(cell(table, "full").values) == {0, 1, 2}
    assert (
        "Left out: 1 finished trial(s) measured otherwise (tiny-1, cuda, python 3.11, float64)."
    ) in table.footnotes
    table = build(measured, mix_environments=True)
    assert set(cell(table, "full").values) == {0, 1, 2, 3}
    assert "Values from different kinds of environments are mixed, as asked." in table.footnotes


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


@pytest.mark.parametrize("data", ["synthetic", "curve"])
def test_markdown(measured: ResultStore, golden: Callable[[str, str], None], data: str) -> None:
    golden(f"tables/tiny_{data}.md", build(measured, data).to_markdown())


def test_latex(measured: ResultStore, golden: Callable[[str, str], None]) -> None:
    golden("tables/tiny_curve.tex", build(measured, "curve").to_latex())


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
    ("mean", "half_width", "decimals", "signed", "text"),
    [
        (1.14159, 0.0567, 2, False, "1.142 ± 0.057 (3)"),
        (1.14159, 0.567, 2, False, "1.14 ± 0.57 (3)"),
        (114.159, 23.0, 0, False, "114 ± 23 (3)"),
        (-0.5, 0.0, 3, True, "−0.500 ± 0.000 (3)"),
        (0.5, 0.011, 0, True, "+0.500 ± 0.011 (3)"),
        (0.5, None, 3, False, "0.500 (3)"),
    ],
)
def test_numbers_show_two_digits_of_their_interval(
    mean: float, half_width: float | None, decimals: int, signed: bool, text: str
) -> None:
    interval = MeanInterval(mean=mean, sd=1.0, half_width=half_width, n=3)
    assert format_interval(interval, decimals, signed=signed) == text
