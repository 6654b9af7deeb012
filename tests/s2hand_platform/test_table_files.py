import logging
from pathlib import Path

import pandas as pd
import pytest

from s2hand_platform.experiments.protocol import DataRecord
from s2hand_platform.runs.table_files import write_table_files
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanColumn, PlanRow, TablePlan
from s2hand_platform.tables import MeasuredTable


@pytest.fixture
def table(store: ResultStore) -> MeasuredTable:
    curves = DataRecord(title="Curves", dataset="curve", version="v1", origin="official")
    row = PlanRow(
        id="flat", label="Flat", settings={}, config_hash="c", data="d", code="e", evaluation="f",
        trial_ids={0: "t"}, measured_on=curves,
    )  # fmt: skip
    columns = (PlanColumn(label="error", metric="test/error", unit="cm", direction="lower"),)
    plan = TablePlan(
        name="t", title="T", experiment="tiny", label="x", device_type="cpu", rows=(row,),
        columns=columns,
    )  # fmt: skip
    return MeasuredTable.build(plan, store)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text("title = 'ü'\n", encoding="utf-8")
    return path


def test_a_table_is_written_as_text_and_numbers(
    table: MeasuredTable, recipe: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "reports" / "t"
    for _ in range(2):
        assert write_table_files(table, recipe, folder)
        names = {"contrasts.parquet", "recipe.toml", "table.md", "table.parquet"}
        assert {path.name for path in folder.iterdir()} == names
    assert (folder / "table.md").read_text(encoding="utf-8") == table.to_markdown()
    assert (folder / "recipe.toml").read_bytes() == recipe.read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "table.parquet"), table.frame())


def test_where_it_cannot_be_written_is_told_and_ends_nothing(
    table: MeasuredTable, recipe: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "reports").write_text("a file")
    with caplog.at_level(logging.WARNING):
        assert not write_table_files(table, recipe, tmp_path / "reports" / "t")
    assert "the table could not be written there" in caplog.text
