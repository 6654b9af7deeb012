"""Pages: what stands in them, and what they say where something is missing."""

import base64
import gzip
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from made_store import (
    ERRORS,
    PLAN,
    SAMPLES,
    SEARCH,
    evaluation,
    on_official,
    trial_id,
    webp,
    write_attempt,
    write_row,
    write_search,
    write_table,
)
from page_text import Element, cells, data, parse
from plotly.offline import get_plotlyjs

from s2hand_dashboards import report
from s2hand_dashboards.errors import ReportError
from s2hand_platform.errors import SpecError
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables import MeasuredTable

LIMIT_BYTES = 6_000_000
RUN = "s2hand run tiny --data made --scale demo --device cpu"
HOSTILE = "</script><img src=x onerror=alert(1)>'\"&{{ 7*7 }}"


def page_of(store: ResultStore, name: str = "tiny", **options: Any) -> Element:
    target = store.path.parent / "page.html"
    assert report(name, target, workspace=store.path.parent, **options) == target
    return parse(target.read_text(encoding="utf-8"))


def missing(page: Element) -> str:
    found = page.all("section", **{"class": "missing"})
    return found[0].text if found else ""


def shows(text: str, value: float) -> bool:
    """Whether a shown number is the value, rounded to as many decimals as are shown."""
    return abs(float(text.replace("−", "-")) - value) <= 0.5000001 * 10 ** -len(
        text.partition(".")[2]
    )


def test_a_page_carries_the_whole_table(measured: ResultStore) -> None:
    table = MeasuredTable.build(PLAN, measured)
    assert data(page_of(measured), "content") == json.loads(json.dumps(table.to_json()))


def test_the_cells_are_those_of_the_json(measured: ResultStore) -> None:
    page = page_of(measured)
    content = data(page, "content")
    lines = cells(page)
    assert [line[0].text.split(" (")[0] for line in lines] == [
        "zero no training",
        "with curvature",
        "no curvature",
        "not yet",
        "later the paper's alone",
    ]
    for line, row in zip(lines, content["rows"], strict=True):
        for cell, column in zip(line[1:], content["columns"], strict=True):
            known = row["cells"][column["label"]]
            interval, printed = known["interval"], known["published"]
            main = cell.one("button").text
            if interval is None:
                assert main == "not run"
            elif interval["half_width"] is None:
                assert shows(main, interval["mean"])
            else:
                mean, half_width, n = re.fullmatch(r"(\S+) ± (\S+) \((\d)\)", main).groups()  # type: ignore[union-attr]
                assert shows(mean, interval["mean"])
                assert shows(half_width, interval["half_width"])
                assert int(n) == interval["n"] == 3
            asides = [each.text for each in cell.all("small")]
            assert asides == ([f"{printed['value']:.2f}"] if printed else [])


def test_every_number_opens_a_card_of_its_own(measured: ResultStore) -> None:
    page = page_of(measured)
    buttons = [each for each in page.all("button") if "data-card" in each.attributes]
    cards = {card.attributes["id"]: card for card in page.all("dialog")}
    assert sorted(f"card-{b.attributes['data-card']}" for b in buttons) == sorted(cards)
    assert len(buttons) == 5 * 2 + 2 * 2 + 3 + 2  # cells, contrasts' heads and numbers, margins
    for button in buttons:
        assert cards[f"card-{button.attributes['data-card']}"].text.count(button.text) >= 1
    full = cells(page)[1][1].one("button").attributes["data-card"]
    lines = {div.one("dt").text: div.one("dd").text for div in cards[f"card-{full}"].all("div")}
    assert [lines[f"seed {seed}"] for seed in (0, 1, 2)] == ["1", "1.2", "1.1"]
    assert lines["printed"].startswith("1.10 cm (rounded from 1.095 to 1.105)")


def test_a_contrast_says_its_verdict_and_what_it_rests_on(measured: ResultStore) -> None:
    page = page_of(measured)
    (table,) = [each for each in page.all("table") if "no curvature worse than" in each.text]
    first = table.one("tbody").all("tr")[0]
    assert first.all("td")[0].one("button").text == "reproduced"
    number = first.all("td")[0].one("button").attributes["data-card"]
    card = page.one("dialog", id=f"card-{number}").text
    for pair in ("+0.5", "+0.4", "+0.6"):
        assert pair in card
    assert "Contrasts in error_cm: 1 reproduced, 1 not run." in page.one("header").text


def test_contrasts_in_one_column_leave_no_column_empty(store: ResultStore) -> None:
    in_score = replace(PLAN.contrasts[0], columns=("score",))
    write_table(store, replace(PLAN, contrasts=(in_score,), primary_column="score"))
    page = page_of(store)
    (table,) = [each for each in page.all("table") if "no curvature worse than" in each.text]
    heads = [each.text for each in table.one("thead").all("th")]
    assert heads == ["contrast", "verdict (score)", "the paper (score)", "score ↑"]
    number = table.one("tbody").all("td")[2].one("button").attributes["data-card"]
    assert "score" in page.one("dialog", id=f"card-{number}").text


def test_every_figure_stands_below_its_own_title(store: ResultStore) -> None:
    """Also where one that is seen at once follows one that is folded away."""
    other = replace(PLAN.columns[1], metric="test/other", label="other")
    write_table(store, replace(PLAN, columns=(PLAN.columns[0], other), contrasts=()))
    page = page_of(store)
    figures = data(page, "figures")
    x_titles = {
        figure.one("figcaption").text: figures[int(figure.one("div").attributes["data-figure"])][
            "layout"
        ]["xaxis"]["title"]["text"]
        for figure in page.all("figure")
    }
    assert x_titles["Worst <points> (test set)"] == "threshold [px]"  # whose area is a column
    assert x_titles["PCK of points (test set)"] == "threshold [mm]"
    assert x_titles["train/loss"] == "epoch"
    (folded,) = [each for each in page.all("details") if "PCK of points" in each.text]
    assert "Worst" not in folded.text


@pytest.mark.parametrize("name", ["tiny", "grid"])
def test_a_page_is_small_and_asks_nothing_of_the_network(measured: ResultStore, name: str) -> None:
    page_of(measured, name)
    text = (measured.path.parent / "page.html").read_text(encoding="utf-8")
    assert len(text.encode()) < LIMIT_BYTES
    assert "://" not in text
    assert not re.search(r"<(link|iframe|object|embed)\b|\b(src|href)=\"(?!data:)|@import", text)
    policy = parse(text).one("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'; img-src data: blob:;")


def test_plotlys_script_is_packed_whole(measured: ResultStore) -> None:
    packed = page_of(measured).one("script", id="plotly").text
    assert gzip.decompress(base64.b64decode(packed)).decode() == get_plotlyjs()


def test_labels_are_text_wherever_they_stand(store: ResultStore) -> None:
    rows = tuple(replace(row, label=f"{row.id} {HOSTILE}") for row in PLAN.rows)
    plan = replace(PLAN, rows=rows, title=HOSTILE, notes=(HOSTILE,), label=f"{HOSTILE} (demo)")
    write_table(store, plan, pictures={name: {HOSTILE: webp(9)} for name in SAMPLES})
    page = page_of(store)
    text = (store.path.parent / "page.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "49" not in page.one("h1").text
    assert HOSTILE in page.one("h1").text
    assert len(page.all("script")) == 4
    assert data(page, "content")["rows"][1]["label"] == f"full {HOSTILE}"
    drawn = json.dumps(data(page, "figures"))
    assert "&lt;img src=x" in drawn
    assert "<img" not in drawn
    assert f"--data '{HOSTILE[:20]}" in page.all("pre")[-1].text


# What is missing


def test_nothing_measured(store: ResultStore) -> None:
    store.write_plan(PLAN)
    page = page_of(store)
    assert missing(page) == (f"What is missing Nothing of this table is measured yet. {RUN}")
    assert {line[1].one("button").text for line in cells(page)} == {"not run"}
    assert cells(page)[0][1].one("small").text == "1.10"


def test_rows_without_a_result_are_named(measured: ResultStore) -> None:
    assert missing(page_of(measured)) == f"What is missing Not measured: not yet. {RUN}"


def test_one_seed_says_nothing_about_the_spread(store: ResultStore) -> None:
    write_table(store, errors={name: values[:1] for name, values in ERRORS.items()})
    page = page_of(store)
    assert "no verdict: with curvature, no curvature. " + f"{RUN} --seeds 3" in missing(page)
    assert cells(page)[1][1].one("button").text == "1.00 (1)"


def test_curves_that_an_earlier_program_kept_none_of_are_evaluated_again(
    measured: ResultStore,
) -> None:
    path = next(measured.path.glob(f"attempts/{trial_id('full', 1)}*"))
    pq.write_table(pq.read_table(path).drop_columns("threshold_curves"), path)
    checksums = f"00000000{zlib.crc32(path.read_bytes()):08x}"
    path.rename(path.with_name(re.sub(r"\w+[.]parquet$", f"{checksums}.parquet", path.name)))
    page = page_of(ResultStore(measured.path))
    said = "No curves over thresholds (PCK) are stored of: with curvature. The program that"
    assert said in missing(page)
    assert f"{RUN} --seeds 3" in missing(page)
    assert "Curves over thresholds" in [each.text for each in page.all("h2")]


def test_a_contrast_without_a_common_seed(store: ResultStore) -> None:
    store.write_plan(PLAN)
    write_row(store, "full", {0: 1.0, 1: 1.2})
    write_row(store, "straight", {4: 1.0, 5: 1.2})
    said = "No seed is measured in both rows of a contrast: straight and full."
    assert f"{said} {RUN} --seeds 6" in missing(page_of(store))


def test_a_store_of_another_evaluator(store: ResultStore) -> None:
    store.write_plan(PLAN)
    for seed in (0, 1):
        write_attempt(
            store,
            trial_id("full", seed),
            evaluation(9.0, evaluator_id="tiny-0"),
            config_hash="config of full",
            seed=seed,
            evaluation_fingerprint="old",
        )
    page = page_of(store)
    assert "as it is planned (the notes name results of" in missing(page)
    assert RUN in missing(page)
    assert "9.0" not in cells(page)[0][1].text


def test_a_table_that_was_never_planned(store: ResultStore, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"make one with: s2hand plan table4$"):
        report("table4", tmp_path / "page.html", workspace=store.path.parent)
    with pytest.raises(SpecError, match="no plan of a table or search of this name; did you mean"):
        report("quaternoin", tmp_path / "page.html", workspace=store.path.parent)
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(("data", "asked"), [(None, ""), ("my data", " --data 'my data'")])
def test_a_search_that_was_never_planned_is_swept(
    store: ResultStore, tmp_path: Path, data: str | None, asked: str
) -> None:
    with pytest.raises(SpecError) as caught:
        report("quaternion", tmp_path / "page.html", data=data, workspace=store.path.parent)
    assert str(caught.value).endswith(f"make one with: s2hand sweep quaternion{asked}")


def test_a_page_that_cannot_be_written(measured: ResultStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ReportError, match=r"page\.html: the page cannot be written \(.+\); name"):
        report("tiny", tmp_path / "file" / "page.html", workspace=measured.path.parent)


def test_a_page_replaces_an_older_one_and_leaves_nothing_beside(measured: ResultStore) -> None:
    folder = measured.path.parent / "pages"
    for _ in range(2):
        report("tiny", folder / "tiny.html", workspace=measured.path.parent)
    assert [path.name for path in folder.iterdir()] == ["tiny.html"]


# Pictures


def drawn(pictures_of: TablePlan, store: ResultStore, **options: Any) -> Element:
    pictures = {name: {"input": webp(9), "overlay": webp(99)} for name in SAMPLES[:4]}
    write_table(store, pictures_of, pictures=pictures)
    return page_of(store, **options)


def test_best_median_and_worst_by_the_baselines_error(store: ResultStore) -> None:
    page = drawn(PLAN, store)
    # Of the four with pictures, by their shares 0.4, 1.8, 0.7, 1.3 of the mean error 1.1.
    assert [each.text for each in page.all("h3") if each.text.partition(":")[0] in
            {"Best", "Median", "Worst"}] == [
        "Best: x0 (0.44)", "Median: x3 (1.43)", "Worst: x1 (1.98)",
    ]  # fmt: skip
    images = page.all("img")
    assert len(images) == 3 * 2 * 2  # samples, rows that are measured, kinds
    assert images[1].attributes["alt"] == "overlay of x0, with curvature"
    source = images[1].attributes["src"].removeprefix("data:image/webp;base64,")
    assert base64.b64decode(source) == webp(99)


@pytest.mark.parametrize("origin", ["official", "own"])
def test_pictures_of_other_data_are_left_out_unless_asked_for(
    store: ResultStore, origin: str
) -> None:
    plan = on_official(PLAN)
    kept = tuple(
        replace(row, measured_on=replace(row.measured_on, origin=origin)) for row in plan.rows
    )
    page = drawn(replace(plan, rows=kept), store)
    assert not page.all("img")
    assert "--with-pictures shows them." in page.text
    page = page_of(store, with_pictures=True)
    assert len(page.all("img")) == 12
    assert "a dataset with a licence of its own" in page.text


def test_a_picture_that_cannot_be_read_is_named(store: ResultStore) -> None:
    broken = webp(9)[:14] + b"\0" * 30
    write_table(store, pictures={"x0": {"input": broken, "side": webp(1)}})
    page = page_of(store)
    assert "The picture 'input' of sample x0 by row 'full' cannot be read;" in page.text
    assert [each.attributes["title"] for each in page.all("img")] == ["side", "side"]


def test_without_pictures_there_is_no_word_of_them(measured: ResultStore) -> None:
    assert "Pictures" not in [each.text for each in page_of(measured).all("h2")]


# Searches


def test_a_search_is_ranked_with_what_became_of_each_point(measured: ResultStore) -> None:
    page = page_of(measured, "grid")
    lines = [
        [each.text for each in line.children if isinstance(each, Element)]
        for line in page.one("tbody").all("tr")
    ]
    assert [line[3:] for line in lines] == [
        ["1.6", "finished"],
        ["1.7", "finished"],
        ["1.8", "finished"],
        ["1.9", "finished"],
        ["5", "stopped early"],  # its last reported value
        ["–", "failed"],
    ]
    assert [line[0] for line in lines[:3]] == ["1", "2 Table 1, the first", "3"]
    assert lines[1][1:3] == ["4", "0.1"]  # epochs, rate
    assert "Best validation/error: 1.6 with epochs 2, rate 1." in page.one("header").text


def test_a_search_without_values(store: ResultStore) -> None:
    write_search(store, replace(SEARCH, points={}))
    page = page_of(store, "grid")
    assert "No trial of this search has a value yet." in missing(page)
    assert "s2hand sweep grid --data made --scale demo --device cpu" in missing(page)
