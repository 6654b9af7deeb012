"""Other people's predictions as rows of a table."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from test_cli import SCALE, TABLE, call
from tiny_experiment import TinyExperiment

from s2hand_platform.cli.endings import EXIT_USER_ERROR
from s2hand_platform.errors import SpecError
from s2hand_platform.runs.imports import import_row, remove_row
from s2hand_platform.runs.place import Place
from s2hand_platform.runs.tables import plan_to_show, show_table
from s2hand_platform.store.export import export_table
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.schema import IMPORTED
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.kept import command_of

W = [1.5, -2.0, 1.0]
"""Half too high everywhere: the truth is 1 - 2x + x²."""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("tables", "scales"):
        (tmp_path / "sweeps" / folder).mkdir(parents=True)
    (tmp_path / "sweeps" / "tables" / "tiny.toml").write_text(TABLE)
    for scale in ("demo", "full"):
        (tmp_path / "sweeps" / "scales" / f"{scale}.toml").write_text(SCALE)
    (tmp_path / "theirs.json").write_text(json.dumps(W))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2HAND_EXPERIMENT", "tiny_experiment:TinyExperiment")
    return tmp_path


@pytest.fixture
def place(tiny: TinyExperiment) -> Place:
    return Place.choose(experiment=tiny, device="cpu")


def table_of(place: Place) -> MeasuredTable:
    plan_to_show(place, "tiny", seeds=None)
    return show_table(place.workspace, "tiny")


def test_the_command_scores_and_keeps_a_row(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("import", "tiny", "theirs.json", "--label", "Theirs, 2021")
    assert call(monkeypatch, *asked) == 0
    digest = hashlib.sha256((project / "theirs.json").read_bytes()).hexdigest()
    told = capsys.readouterr().out
    assert f"Theirs, 2021: theirs.json (SHA-256 {digest}) on made curves" in told
    assert "0.5000 cm" in told
    assert call(monkeypatch, "plan", "tiny") == 0
    capsys.readouterr()
    assert call(monkeypatch, "table", "tiny", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    (row,) = [each for each in shown["rows"] if each["kind"] == "imported"]
    assert (row["id"], row["label"]) == ("theirs_2021", "Theirs, 2021")
    cell = row["cells"]["error"]
    assert (cell["interval"]["mean"], cell["interval"]["n"]) == (pytest.approx(0.5), 1)
    assert (cell["interval"]["half_width"], cell["verdict"]) == (None, "not comparable")
    (note,) = [each for each in shown["footnotes"] if "Theirs" in each]
    assert "theirs.json" in note
    assert digest[:12] in note
    assert "tiny-1" in note
    assert call(monkeypatch, "table", "tiny", "--format", "markdown") == 0
    lines = [line.split("|") for line in capsys.readouterr().out.splitlines()]
    assert ["Theirs, 2021 (imported)", "0.500"] in [
        [cell.strip() for cell in line[1:3]] for line in lines
    ]
    assert call(monkeypatch, "explain", "tiny.theirs_2021.error", "--json") == 0
    card = json.loads(capsys.readouterr().out)
    assert (card["kind"], card["trained"], card["measured_on"]) == ("imported", None, "made curves")
    assert list(card["evaluators"]) == ["tiny-1"]
    assert card["what"][0].startswith("predictions that somebody made elsewhere")


def test_a_table_of_two_sets_takes_several_words_in_any_order(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TABLE.replace('label = "Flat"', 'label = "Flat"\ndataset = "line"')
    (project / "sweeps" / "tables" / "two.toml").write_text(text[: text.index("[[contrasts]]")])
    words = ("--data", "line=here", "--data", "curve=there")
    assert call(monkeypatch, "run", "two", *words, "--without-ray") == 0
    capsys.readouterr()
    assert call(monkeypatch, "table", "two", *words[2:], *words[:2], "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    kinds = {row["label"]: row["kind"] for row in shown["rows"]}
    assert kinds == {
        "zero (curve)": "baseline", "zero (line)": "baseline", "Flat": "measured",
        "Curved": "measured",
    }  # fmt: skip
    store = ResultStore(project / "workspace" / "store")
    plan = store.latest_table_plan("two")
    assert plan is not None
    assert plan.label == "curve=there + line=here (full)"
    assert [row.settings["points.source"] for row in plan.rows] == ["here", "there"]
    assert command_of(plan) == (
        "s2hand run two --data curve=there --data line=here --scale full --device cpu"
    )
    assert call(monkeypatch, "table", "two", "--data", "line=here") == EXIT_USER_ERROR


def test_a_row_of_one_label_is_replaced_and_another_stands_beside(
    place: Place, project: Path
) -> None:
    import_row(place, "tiny", project / "theirs.json", "Theirs")
    (project / "better.json").write_text(json.dumps([1.25, -2.0, 1.0]))
    import_row(place, "tiny", project / "better.json", "Theirs")
    import_row(place, "tiny", project / "theirs.json", "Others")
    rows = [row for row in table_of(place).rows if row.kind == "imported"]
    assert [(row.label, row.cells["error"].interval.mean) for row in rows if row.cells] == [
        ("Others", pytest.approx(0.5)), ("Theirs", pytest.approx(0.25))
    ]  # fmt: skip


def test_what_was_scored_on_other_data_is_left_out_aloud(place: Place, project: Path) -> None:
    row = import_row(place, "tiny", project / "theirs.json", "Theirs")
    place.store.write_imported(replace(row, label="Old", id="old", data_fingerprint="0" * 64))
    place.store.write_imported(replace(row, label="Elsewhere", id="else", table="tinier"))
    table = table_of(place)
    assert [row.label for row in table.rows if row.kind == "imported"] == ["Theirs"]
    assert "Imported 'Old' was scored on other data (made curves) and is left out." in (
        table.footnotes
    )
    assert not any("Elsewhere" in note for note in table.footnotes)


def test_it_is_no_result_of_ours(place: Place, project: Path) -> None:
    """Nothing is compared with it, and no trial or claim counts it."""
    before = table_of(place)
    import_row(place, "tiny", project / "theirs.json", "Theirs")
    after = table_of(place)
    assert (after.contrasts, after.margins) == (before.contrasts, before.margins)
    assert after.summaries() == {}
    assert place.store.trials().empty


def test_it_goes_with_an_exported_table(place: Place, project: Path) -> None:
    row = import_row(place, "tiny", project / "theirs.json", "Theirs")
    table_of(place)
    plan = place.store.latest_table_plan("tiny")
    assert plan is not None
    other = ResultStore(project / "other")
    export_table(plan, place.store, other)
    assert other.imported("tiny", "tiny") == (row,)


def test_a_row_is_taken_out_again_and_nothing_else(
    place: Place, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = import_row(place, "tiny", project / "theirs.json", "Theirs, 2021")
    import_row(place, "tiny", project / "theirs.json", "Others")
    table_of(place)
    of_another = replace(row, table="tinier")
    of_another_experiment = replace(row, experiment="other")
    for other in (of_another, of_another_experiment):
        place.store.write_imported(other)
    place.store.write_imported(replace(row, data_fingerprint="0" * 64, data_title="older curves"))

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in place.store.path.rglob("*") if path.is_file()}

    before = files()
    with pytest.raises(SpecError) as caught:
        remove_row(place, "tiny", "Their")
    assert "nothing was imported into tiny as 'Their'; there is " in str(caught.value)
    assert "'Others' on made curves (curve)" in str(caught.value)
    assert "'Theirs, 2021' on older curves (curve)" in str(caught.value)
    with pytest.raises(SpecError, match="as 'Others' on line; there is"):
        remove_row(place, "tiny", "Others", dataset="line")
    assert files() == before
    assert call(monkeypatch, "import", "tiny", "--remove", "theirs_2021") == 0
    told = capsys.readouterr().out
    assert told.count("removed from tiny: Theirs, 2021 (n = 1), theirs.json (SHA-256 ") == 2
    assert "on older curves" in told
    after = files()
    gone = before.keys() - after.keys()
    assert {path.parent.name for path in gone} == {"imported"}
    assert len(gone) == 2
    assert all(before[path] == content for path, content in after.items())
    assert [each.label for each in place.store.imported("tiny", "tiny")] == ["Others"]
    assert place.store.imported("tiny", "tinier") == (of_another,)
    assert place.store.imported("other", "tiny") == (of_another_experiment,)
    place.store.remove_imported(row)  # which is gone
    remove_row(place, "tiny", "Others", dataset="curve")
    with pytest.raises(SpecError, match="as 'Others'; there is no imported row"):
        remove_row(place, "tiny", "Others")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "give FILE and --label whose they are, or --remove a row's label"),
        (("theirs.json",), "give FILE and --label"),
        (("theirs.json", "--remove", "A"), "--remove: goes without FILE and --label"),
        (("--label", "A", "--remove", "A"), "--remove: goes without FILE and --label"),
    ],
)
def test_one_imports_or_removes(
    words: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, "import", "tiny", *words) == EXIT_USER_ERROR
    assert told in capsys.readouterr().err


def test_a_damaged_file_is_set_aside(place: Place, project: Path) -> None:
    import_row(place, "tiny", project / "theirs.json", "Theirs")
    (path,) = place.store.path.glob("imported/*.parquet")
    path.write_bytes(path.read_bytes()[:40])
    pq.write_table(IMPORTED.empty_table(), path.with_name("no_line.parquet"))
    assert place.store.imported("tiny", "tiny") == ()
    (entry,) = place.store.set_aside()
    assert entry.path.endswith(path.name) or path.name in str(entry.path)


@pytest.mark.parametrize(
    ("file", "label", "dataset", "fault"),
    [
        ("nowhere.json", "A", "", "nowhere.json: must be a file of predictions, there is nothing"),
        ("theirs.json", "flat", "", "--label: 'flat' is the row 'flat' of tiny; say another"),
        ("theirs.json", "–", "", "--label: must hold letters or digits, got '–'"),
        ("theirs.json", "A", "line", "--dataset: tiny has no rows on 'line'; known here: curve"),
    ],
)
def test_what_cannot_be_imported(
    place: Place, file: str, label: str, dataset: str, fault: str
) -> None:
    with pytest.raises(SpecError) as caught:
        import_row(place, "tiny", file, label, dataset=dataset)
    assert fault in str(caught.value)
    assert not (place.store.path / "imported").exists()


def test_a_table_of_several_sets_asks_which(place: Place, project: Path) -> None:
    text = TABLE.replace('label = "Flat"', 'label = "Flat"\ndataset = "line"')
    two = text[: text.index("[[contrasts]]")]
    (project / "sweeps" / "tables" / "two.toml").write_text(two)
    with pytest.raises(SpecError, match="two is measured on line, curve; say which one"):
        import_row(place, "two", "theirs.json", "Theirs")
    row = import_row(place, "two", "theirs.json", "Theirs", dataset="line")
    assert row.dataset == "line"
    assert row.metrics["test/error"] > 0.51  # theirs is half above the curve, not the line
