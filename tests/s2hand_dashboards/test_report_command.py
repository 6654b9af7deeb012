"""``s2hand report``: found by its entry point, and what it prints."""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from made_store import PLAN, write_table
from page_text import parse

from s2hand_dashboards import report
from s2hand_platform import cli
from s2hand_platform.cli import added
from s2hand_platform.runs import table_files
from s2hand_platform.runs.table_files import write_table_files
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tables import MeasuredTable

ROOT = Path(__file__).parents[2]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
REPORT = EntryPoint("report", DECLARED[added.GROUP]["report"], added.GROUP)

HELP = """
import sys
from s2hand_platform.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print("imported:", *{name.partition(".")[0] for name in sys.modules})
"""


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str, commands: Any = (REPORT,)) -> int:
    monkeypatch.setattr(added, "entry_points", lambda group: commands)
    monkeypatch.setattr(sys, "argv", ["s2hand", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_pages_are_written_and_named(
    store: ResultStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_table(store)
    workspace = str(store.path.parent)
    arguments = ["report", "tiny", "--data", "made", "--scale", "demo", "--workspace", workspace]
    assert call(monkeypatch, *arguments) == 0
    again = ["tiny", "sweeps/tables/tiny.toml", "-o", str(tmp_path / "out")]
    assert call(monkeypatch, *arguments, *again) == 0  # the same table, so one page
    written = [store.path.parent / "reports" / "tiny.html", tmp_path / "out" / "tiny.html"]
    assert capsys.readouterr().out.split() == [str(path) for path in written]
    first, second = (path.read_text(encoding="utf-8") for path in written)
    assert first == second
    assert parse(first).one("h1").text == "Noise & curvature"


def test_a_run_s_files_get_the_same_page(
    store: ResultStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(store)
    value = DECLARED[table_files.GROUP]["page"]
    entry = EntryPoint("page", value, table_files.GROUP)
    monkeypatch.setattr(table_files, "entry_points", lambda group: [entry])
    (tmp_path / "recipe.toml").write_text("")
    table, folder = MeasuredTable.build(PLAN, store), tmp_path / "files"
    assert write_table_files(table, PLAN, store, tmp_path / "recipe.toml", folder)
    page = report("tiny", tmp_path / "page.html", workspace=store.path.parent)
    assert (folder / "page.html").read_bytes() == page.read_bytes()
    assert (folder / "table.md").exists()


def test_a_table_that_is_not_there_is_one_message(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = str(store.path.parent)
    assert call(monkeypatch, "report", "table4", "--workspace", workspace) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert error.startswith("error: table4: the store at")
    assert error.endswith("make one with: s2hand plan table4")


def test_a_table_that_is_not_there_stops_no_other(
    store: ResultStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_table(store)
    place = ["--workspace", str(store.path.parent), "-o", str(tmp_path)]
    # A table that was run at another scale only is as one that was not run.
    for names in (["table4", "tiny", "figure6"], ["tiny", "table4", "figure6"]):
        (tmp_path / "tiny.html").unlink(missing_ok=True)
        assert call(monkeypatch, "report", *names, "--scale", "demo", *place) == 1
        told = capsys.readouterr()
        assert told.out.split() == [str(tmp_path / "tiny.html")]
        error = " ".join(told.err.split())
        assert error.index("no page of table4 is written: table4: ") < error.index(
            "no page of figure6 is written: figure6: "
        )
    assert [path.name for path in tmp_path.glob("*.html")] == ["tiny.html"]
    assert call(monkeypatch, "report", "table4", "figure6", "tiny", "--scale", "full", *place) == 2
    error = " ".join(capsys.readouterr().err.split())
    for name in ("table4", "figure6", "tiny"):
        assert f"{name}: the store at" in error


def test_a_command_that_cannot_be_added_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = EntryPoint("broken", "no_such_module:command", added.GROUP)
    assert call(monkeypatch, "--help", commands=(REPORT, broken)) == 0
    told = capsys.readouterr()
    assert "report" in told.out
    assert "the command 'broken' (no_such_module:command) cannot be added" in told.err


@pytest.mark.parametrize("arguments", [["--help"], ["report", "-h"]])
def test_help_knows_it_and_imports_nothing_slow(arguments: list[str], tmp_path: Path) -> None:
    information = tmp_path / "made-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: made\nVersion: 1\n")
    (information / "entry_points.txt").write_text(f"[{added.GROUP}]\nreport = {REPORT.value}\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", HELP, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    help_text, _, imported = done.stdout.rpartition("imported:")
    assert "report" in help_text
    slow = {"torch", "numba", "ray", "mlflow", "numpy", "pandas", "pyarrow", "plotly", "jinja2"}
    assert slow & set(imported.split()) == set()
