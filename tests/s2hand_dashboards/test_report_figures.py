"""The numbers that figures draw, beside independent ones."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from made_store import (
    ERRORS,
    PLAN,
    SEARCH,
    SHARES,
    evaluation,
    on_official,
    trial_id,
    write_attempt,
    write_row,
    write_search,
    write_table,
)
from scipy import stats

from s2hand_dashboards.contents import TableContents, read_contents
from s2hand_dashboards.figures import Figure
from s2hand_dashboards.figures.contrasts import forest_plots
from s2hand_dashboards.figures.curves import curve_plots
from s2hand_dashboards.figures.responses import search_plots
from s2hand_dashboards.figures.samples import sample_plots
from s2hand_dashboards.figures.seeds import seed_plots
from s2hand_dashboards.figures.style import QUIET, text
from s2hand_dashboards.figures.thresholds import threshold_plots
from s2hand_dashboards.searches import SearchContents, read_search
from s2hand_platform.store.results import ResultStore


@pytest.fixture
def contents(measured: ResultStore) -> TableContents:
    return read_contents(PLAN, measured)


@pytest.fixture
def search(measured: ResultStore) -> SearchContents:
    return read_search(SEARCH, measured)


def trace(figure: Figure, name: str) -> Any:
    (found,) = [each for each in figure.data if each.get("name") == name]
    return found


def test_plotly_knows_every_field(contents: TableContents, search: SearchContents) -> None:
    drawers = (forest_plots, seed_plots, curve_plots, sample_plots, threshold_plots)
    figures = [figure for draw in drawers for figure in draw(contents)]
    figures += search_plots(search)
    assert len(figures) == 2 + 2 + 1 + 1 + 2 + 3
    for figure in figures:
        go.Figure(data=figure.data, layout=figure.layout)  # refuses what it does not know
        assert figure.says


def test_a_forest_plot_has_the_paired_interval_and_the_papers_rounding(
    contents: TableContents,
) -> None:
    first, second = forest_plots(contents)
    assert (first.is_first, second.is_first) == (True, False)
    found = trace(first, "measured, with its 95 % interval")
    pairs = np.subtract(ERRORS["straight"], ERRORS["full"])
    expected = stats.ttest_1samp(pairs, 0.0).confidence_interval()
    assert found["x"] == pytest.approx([pairs.mean()])
    assert found["x"][0] - found["error_x"]["array"][0] == pytest.approx(expected.low)
    assert found["y"] == [0]
    paper = trace(first, "the paper's, within its rounding")  # 1.13 - 1.10, each ± 0.005
    assert paper["base"] == pytest.approx([0.02])
    assert paper["base"][0] + paper["x"][0] == pytest.approx(0.04)
    (band,) = first.layout["shapes"]
    assert (band["x0"], band["x1"]) == (-0.1, 0.1)
    said = [each["text"] for each in first.layout["annotations"]]
    assert said == [
        "no curvature worse than with curvature:<br><b>reproduced</b>",
        "not yet better than with curvature: <b>not run</b>",
    ]


def test_other_columns_claim_nothing(contents: TableContents) -> None:
    _, second = forest_plots(contents)
    assert second.title == "Declared contrasts in score"
    assert [each["text"] for each in second.layout["annotations"]] == [
        "no curvature worse than with curvature"
    ]
    assert second.layout["xaxis"]["title"]["text"].endswith("better is right")


def test_one_pair_has_no_interval(store: ResultStore) -> None:
    write_table(store, errors={name: values[:1] for name, values in ERRORS.items()})
    figure = next(iter(forest_plots(read_contents(PLAN, store))))
    found = trace(figure, "measured, with its 95 % interval")
    assert found["marker"]["symbol"] == ["circle-open"]
    assert found["error_x"]["array"] == [0.0]


def test_a_seed_is_one_line_over_the_rows(store: ResultStore) -> None:
    write_table(store)
    write_row(store, "full", {3: 1.3})
    figure, other = seed_plots(read_contents(PLAN, store))
    assert (figure.is_first, other.is_first) == (True, False)
    assert trace(figure, "seed 1")["x"] == [1.2, 1.6]
    assert trace(figure, "seed 3")["x"] == [1.3, None]
    assert figure.layout["yaxis"]["ticktext"] == ["with curvature", "no curvature"]
    mean = trace(figure, "mean, with its 95 % interval")
    assert mean["x"] == pytest.approx([1.15, 1.6])


def test_printed_cells_stand_beside_seeds_where_they_are_comparable(store: ResultStore) -> None:
    name = "printed in the paper, within its rounding"
    write_table(store)
    for figure in seed_plots(read_contents(PLAN, store)):
        assert name not in [each["name"] for each in figure.data]
    figure = next(iter(seed_plots(read_contents(on_official(PLAN), store))))
    assert trace(figure, name)["x"] == [1.10, 1.13]
    assert trace(figure, name)["error_x"]["array"] == [0.005, 0.005]


def test_curves_are_means_within_their_extremes(contents: TableContents) -> None:
    (figure,) = curve_plots(contents)
    line = trace(figure, "with curvature")
    assert line["x"] == [0, 1, 2]
    assert line["y"] == pytest.approx([1.1, 0.55, 0.275])
    (band,) = [each for each in figure.data if each.get("fill") and each["legendgroup"] == "0"]
    assert band["y"] == pytest.approx([1.2, 0.6, 0.3, 0.25, 0.5, 1.0])
    assert figure.layout["xaxis"]["tickvals"] == [0, 1, 2]


def test_long_trainings_have_few_ticks(contents: TableContents) -> None:
    long = contents.curves.assign(epoch=contents.curves["epoch"] * 95)
    (figure,) = curve_plots(replace(contents, curves=long))
    ticks = figure.layout["xaxis"]["tickvals"]
    assert len(ticks) <= 9
    assert set(np.diff(ticks)) == {24}


def test_the_share_of_samples_below_an_error(contents: TableContents) -> None:
    (figure,) = sample_plots(contents)
    line = trace(figure, "with curvature")
    means = np.array(SHARES) * np.mean(ERRORS["full"])
    for share in (0.0, 0.25, 0.5, 1.0):
        place = line["y"].index(share)
        assert line["x"][place] == pytest.approx(np.quantile(means, share))
    low, high = figure.layout["xaxis"]["range"]  # of the row with the largest errors
    assert low == pytest.approx(means.min())
    assert high == pytest.approx(np.quantile(np.array(SHARES) * 1.6, 0.99))


def test_shares_within_thresholds_are_means_within_their_extremes(
    contents: TableContents,
) -> None:
    first, second = threshold_plots(contents)  # those of the split that the columns are of
    assert first.title == "PCK of points (test set)"
    assert (first.is_first, second.is_first) == (True, False)  # `score` is a column, `other` none
    line = trace(first, "with curvature")
    assert line["x"] == [0, 5, 10]
    shares = 0.5 / np.array(ERRORS["full"])
    assert line["y"] == pytest.approx([0, shares.mean() / 2, shares.mean()], abs=1e-5)
    (band,) = [each for each in first.data if each.get("fill") and each["legendgroup"] == "0 0"]
    low, high = shares.min(), shares.max()
    assert band["y"] == pytest.approx([0, high / 2, high, low, low / 2, 0], abs=1e-5)
    assert first.layout["xaxis"]["title"]["text"] == "threshold [mm]"
    assert f"with curvature {shares.mean() / 2:.3g}" in first.says  # a triangle's area


def test_curves_of_a_figure_are_drawn_together_and_what_no_training_changes_once(
    contents: TableContents,
) -> None:
    _, figure = threshold_plots(contents)
    assert figure.title == "Worst <points> (test set)"
    lines = {each["name"]: each["line"] for each in figure.data if "name" in each}
    assert list(lines) == ["given", "with curvature: found", "no curvature: found"]
    assert lines["given"]["color"] == QUIET
    _, one, other = lines.values()
    assert one["color"] != other["color"]
    assert one["dash"] == other["dash"] != lines["given"]["dash"]
    assert trace(figure, "given")["y"] == [0.5, 0.6, 0.9]
    one_row = contents.threshold_curves[contents.threshold_curves["row"] == "full"]
    _, figure = threshold_plots(replace(contents, threshold_curves=one_row))
    assert "with curvature: given" in [each.get("name") for each in figure.data]


def test_figures_of_the_leading_split_come_first_and_one_is_seen(
    contents: TableContents,
) -> None:
    columns = [replace(each, metric=f"train/{each.label}") for each in contents.table.columns]
    columns = [columns[0], replace(contents.table.columns[1], metric="test/elsewhere")]
    table = replace(contents.table, columns=tuple(columns))
    figures = list(threshold_plots(replace(contents, table=table)))
    assert [figure.title.rpartition(" (")[2] for figure in figures] == [
        "train set)", "train set)", "test set)", "test set)",
    ]  # fmt: skip
    assert [figure.is_first for figure in figures] == [True, False, False, False]


def test_without_details_there_are_no_plots_of_them(store: ResultStore) -> None:
    store.write_plan(PLAN)
    empty = read_contents(PLAN, store)
    for draw in (seed_plots, curve_plots, sample_plots, threshold_plots):
        assert not list(draw(empty))
    for figure in forest_plots(empty):
        go.Figure(data=figure.data, layout=figure.layout)


def test_a_grids_map_frames_the_papers_cells(search: SearchContents) -> None:
    grid, *_ = search_plots(search)
    (cells,) = grid.data
    assert (cells["x"], cells["y"]) == (["0.01", "0.1", "1.0"], ["2", "4"])
    # Point by point 0.1 less, from 2.0; the first was stopped at 5, the last failed.
    expected = [[5.0, 1.8, 1.6], [1.9, 1.7, None]]
    for line, wanted in zip(cells["z"], expected, strict=True):
        assert line == [None if each is None else pytest.approx(each) for each in wanted]
    (frame,) = grid.layout["shapes"]
    assert (frame["x0"], frame["x1"]) == pytest.approx((0.53, 1.47))  # 0.1
    assert (frame["y0"], frame["y1"]) == pytest.approx((0.54, 1.46))  # 4 epochs


def test_the_response_of_a_weight_with_the_papers_value(search: SearchContents) -> None:
    _, rate, epochs = search_plots(search)
    assert rate.layout["xaxis"]["type"] == "log"  # 0.01 to 1
    assert epochs.layout["xaxis"]["type"] == "linear"
    (line,) = rate.layout["shapes"]
    assert (line["x0"], line["x1"], line["showlegend"]) == (0.1, 0.1, True)
    dots = trace(rate, "finished")
    assert dict(zip(dots["text"], dots["y"], strict=True)) == {
        "rate 1, epochs 2": pytest.approx(1.6),
        "rate 0.1, epochs 4": pytest.approx(1.7),
        "rate 0.1, epochs 2": pytest.approx(1.8),
        "rate 0.01, epochs 4": pytest.approx(1.9),
    }
    assert trace(rate, "stopped early")["y"] == [5.0]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_point_comes_first(store: ResultStore, mode: Any) -> None:
    plan = replace(SEARCH, mode=mode)
    write_search(store, plan)
    found = read_search(plan, store)
    values = [point.value for point in found.points if point.value is not None]
    assert values == sorted(values, reverse=mode == "max")
    assert found.points[-1].value is None
    assert found.best is not None
    assert found.best.value == pytest.approx(1.6 if mode == "min" else 1.9)


def test_what_is_no_full_grid_has_no_map(store: ResultStore) -> None:
    some = dict(list(SEARCH.points.items())[:5])
    write_search(store, replace(SEARCH, points=some))
    found = read_search(replace(SEARCH, points=some), store)
    assert [figure.title for figure in search_plots(found)] == [
        "Response to rate",
        "Response to epochs",
    ]


def test_texts_are_broken_and_escaped() -> None:
    assert (
        text("a <b>bold</b> & long label", 12) == "a<br>&lt;b&gt;bold&lt;/b&gt;<br>&amp; long label"
    )
    assert text("a <b>", 0) == "a &lt;b&gt;"


def test_values_that_are_not_finite_are_not_drawn(store: ResultStore) -> None:
    write_table(store, errors={"full": (1.0, 1.2)})
    contents = read_contents(PLAN, store)
    assert len(contents.curves) == 2 * 3
    write_attempt(
        store, trial_id("full", 2), evaluation(1.0), [(0, {"train/loss": math.inf})],
        config_hash="config of full", seed=2,
    )  # fmt: skip
    assert len(read_contents(PLAN, store).curves) == 2 * 3


def test_samples_are_of_the_evaluation_in_the_cells(measured: ResultStore) -> None:
    write_attempt(
        measured, trial_id("full", 0), evaluation(9.0), config_hash="config of full", attempt=1,
        evaluation_fingerprint="of another metric",
    )  # fmt: skip
    samples = read_contents(PLAN, measured).samples
    assert len(samples) == 2 * 3 * 5
    assert samples["value"].max() == pytest.approx(1.7 * 1.8)
