import logging
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from s2hand_platform.experiments.protocol import DataRecord
from s2hand_platform.runs import table_files
from s2hand_platform.runs.table_files import write_table_files
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanColumn, PlanRow, TablePlan
from s2hand_platform.tables import MeasuredTable


@pytest.fixture
def plan() -> TablePlan:
    curves = DataRecord(title="Curves", dataset="curve", version="v1", origin="official")
    row = PlanRow(
        id="flat", label="Flat", settings={}, config_hash="c", data="d", code="e", evaluation="f",
        trial_ids={0: "t"}, measured_on=curves,
    )  # fmt: skip
    columns = (PlanColumn(label="error", metric="test/error", unit="cm", direction="lower"),)
    return TablePlan(
        name="t", title="T", experiment="tiny", label="x", device_type="cpu", rows=(row,),
        columns=columns,
    )  # fmt: skip


@pytest.fixture
def table(plan: TablePlan, store: ResultStore) -> MeasuredTable:
    return MeasuredTable.build(plan, store)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text("title = 'ü'\n", encoding="utf-8")
    return path


@pytest.fixture
def write(table: MeasuredTable, plan: TablePlan, store: ResultStore, recipe: Path) -> Any:
    return lambda folder: write_table_files(table, plan, store, recipe, folder)


OWN = {"contrasts.parquet", "recipe.toml", "table.md", "table.parquet"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_table_is_written_as_text_and_numbers(
    table: MeasuredTable, recipe: Path, write: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "reports" / "t"
    for _ in range(2):
        assert write(folder)
        assert names(folder) == OWN
    assert (folder / "table.md").read_text(encoding="utf-8") == table.to_markdown()
    assert (folder / "recipe.toml").read_bytes() == recipe.read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "table.parquet"), table.frame())


def test_where_it_cannot_be_written_is_told_and_ends_nothing(
    write: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "reports").write_text("a file")
    with caplog.at_level(logging.WARNING):
        assert not write(tmp_path / "reports" / "t")
    assert "the table could not be written there" in caplog.text


def write_more(plan: TablePlan, store: ResultStore, folder: Path) -> None:
    """What another package adds."""
    (folder / "more.txt").write_text(f"{plan.name} in {store.path.name}")


def fail(plan: TablePlan, store: ResultStore, folder: Path) -> None:
    (folder / "half.txt").write_text("half")
    raise ValueError("no page today")


def add(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    entries = [EntryPoint(f"e{n}", value, table_files.GROUP) for n, value in enumerate(values)]
    monkeypatch.setattr(
        table_files, "entry_points", lambda group: entries if group == table_files.GROUP else ()
    )


def test_other_packages_add_files(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(monkeypatch, "test_table_files:write_more")
    assert write(tmp_path / "t")
    assert names(tmp_path / "t") == {*OWN, "more.txt"}
    assert (tmp_path / "t" / "more.txt").read_text() == "t in store"


def test_an_extra_that_is_not_installed_changes_nothing(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add(monkeypatch, "no_such_package.pages:write")
    with caplog.at_level(logging.INFO):
        assert write(tmp_path / "t")
    assert names(tmp_path / "t") == OWN
    assert not caplog.records


def test_a_package_that_fails_is_told_and_the_rest_is_written(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add(monkeypatch, "test_table_files:fail", "test_table_files:write_more")
    assert write(tmp_path / "t")
    assert names(tmp_path / "t") == {*OWN, "more.txt"}
    assert "'e0' (test_table_files:fail) of t: no page today" in caplog.text
