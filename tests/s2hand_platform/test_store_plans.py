import dataclasses
import hashlib
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s2hand_platform.experiments.protocol import DataRecord
from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.schema import ContrastSpec, Look
from s2hand_platform.store import plans
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanColumn, PlanRow, PrintedRow, SearchPlan, TablePlan

DATA = DataRecord(title="points", dataset="curve", version="", origin="synthetic")


def table(**changes: Any) -> TablePlan:
    row = PlanRow(
        id="full",
        label="all losses",
        settings={"epochs": 4},
        config_hash="c" * 64,
        data="d" * 64,
        code="e" * 64,
        evaluation="f" * 64,
        trial_ids={0: "a" * 64, 1: "b" * 64},
        measured_on=DATA,
    )
    column = PlanColumn(label="error", metric="test/error", unit="cm", direction="lower")
    plan = TablePlan(
        name="t",
        title="A table",
        experiment="tiny",
        label="curve (demo)",
        device_type="cpu",
        columns=(column,),
        rows=(row,),
    )
    return dataclasses.replace(plan, **changes)


def search(**changes: Any) -> SearchPlan:
    plan = SearchPlan(
        name="t",
        title="A search",
        experiment="tiny",
        label="curve (demo)",
        device_type="cpu",
        data=DATA,
        metric="test/error",
        mode="min",
        axes={"learning_rate": "rate"},
        points={"a" * 64: {"learning_rate": 0.5}},
        paper={"the paper's": {"learning_rate": 0.1}},
    )
    return dataclasses.replace(plan, **changes)


def files(store: ResultStore) -> list[Path]:
    return list(store.path.glob("plans/*.parquet"))


def test_files_are_named_by_what_is_planned(store: ResultStore) -> None:
    """Plans of earlier programs are found by it."""
    store.write_plan(table())
    store.write_plan(search())
    starts = {
        ".".join(hashlib.sha256(part.encode()).hexdigest()[:16] for part in parts)
        for parts in (("table:t", "curve (demo)", "cpu"), ("search:t", "curve (demo)", "cpu"))
    }
    assert {path.name.rsplit(".", 3)[0] for path in files(store)} == starts


def test_a_plan_says_when_it_was_made_and_of_what(store: ResultStore) -> None:
    before = datetime.now(UTC)
    store.write_plan(table())
    (line,) = pq.read_table(files(store)[0]).to_pylist()
    assert before <= line.pop("created") <= datetime.now(UTC)
    assert json.loads(line.pop("document_json")) == table().to_plain()
    assert line == {"kind": "table", "name": "t", "label": "curve (demo)", "device_type": "cpu"}


def test_a_table_says_what_it_is_measured_on_and_what_was_printed() -> None:
    (row,) = table().rows
    other = dataclasses.replace(row, id="lines", measured_on=dataclasses.replace(DATA, title="L"))
    cell = PublishedCell.parse("1.10")
    printed = tuple(
        PrintedRow(id=name, label=name, quoted=False, cells={"error": cell} if number else {})
        for number, name in enumerate(("lines", "full"))
    )
    plan = table(rows=(row, other, row), printed=printed)
    assert plan.measured_on == "points; L"
    assert plan.printed_cell("full", "error") == cell
    assert plan.printed_cell("full", "score") is plan.printed_cell("lines", "error") is None
    assert plan.printed_cell("other", "error") is None
    assert TablePlan.from_plain(json.loads(json.dumps(plan.to_plain()))) == plan
    assert (row.why_not_comparable, plan.primary_column, plan.columns[0].tolerance) == ("", "", 0)


def test_contrasts_are_between_rows_of_the_table_and_decided_in_a_column() -> None:
    (row,) = table().rows
    contrast = ContrastSpec(row="full", baseline="none", columns=("error",), expected="better")
    rows = (row, dataclasses.replace(row, id="none"))
    plan = table(rows=rows, contrasts=(contrast,), primary_column="error")
    assert TablePlan.from_plain(json.loads(json.dumps(plan.to_plain()))) == plan
    with pytest.raises(ValueError, match="primary column must be one of the table's, got 'score'"):
        dataclasses.replace(plan, primary_column="score")
    for absent in ("row", "baseline"):
        wrong = dataclasses.replace(contrast, **{absent: "other"})
        with pytest.raises(ValueError, match=r"between rows of the table, got .*'other'"):
            dataclasses.replace(plan, contrasts=(contrast, wrong))


def test_a_search_is_kept_as_json() -> None:
    plan = search(notes=("short trainings",))
    assert json.loads(json.dumps(plan.to_plain())) == plan.to_plain()
    assert SearchPlan.from_plain(plan.to_plain()) == plan


def test_the_latest_plan_of_a_name_and_label_comes_back(store: ResultStore) -> None:
    assert store.latest_table_plan("t") is None
    for plan in (table(), table(title="Changed"), table(label="curve"), table(name="other")):
        store.write_plan(plan)
    assert store.latest_table_plan("t", label="curve (demo)") == table(title="Changed")
    assert store.latest_table_plan("t", label="curve") == table(label="curve")
    assert store.latest_table_plan("t") == table(label="curve")
    assert store.latest_table_plan("t", label="line") is None
    assert store.table_labels("t") == (("curve", "cpu"), ("curve (demo)", "cpu"))


def test_every_table_comes_back_as_it_was_planned_last(store: ResultStore) -> None:
    assert store.table_plans() == []
    kept = [
        table(name="a", label="z"),
        table(name="b", label="x", device_type="cuda"),
        table(name="b", label="y"),
    ]
    for plan in (kept[1], kept[0], kept[2]):
        store.write_plan(dataclasses.replace(plan, title="Before"))
        store.write_plan(plan)
    store.write_plan(search(name="a", label="z"))
    (store.path / "plans" / "notes.parquet").write_bytes(b"of another program")
    assert store.table_plans() == kept
    assert store.remarks == ()


def test_plans_for_two_devices_are_two(store: ResultStore) -> None:
    label = table().label
    for kind, latest in ((table, store.latest_table_plan), (search, store.latest_search_plan)):
        for device_type in ("cpu", "cuda"):
            store.write_plan(kind(device_type=device_type))
        for device_type in ("cpu", "cuda"):
            found = latest("t", label=label, device_type=device_type)
            assert found == latest("t", device_type=device_type) == kind(device_type=device_type)
        assert latest("t", label=label) == kind(device_type="cuda")
        assert latest("t", device_type="cp") is None
    store.write_plan(table())  # says what the latest for this device says
    assert len(files(store)) == 4
    assert store.table_labels("t") == ((label, "cuda"), (label, "cpu"))


def test_a_table_and_a_search_of_one_name_are_two(store: ResultStore) -> None:
    store.write_plan(table())
    assert store.latest_search_plan("t") is None
    store.write_plan(search(label="curve"))
    assert store.latest_search_plan("t") == search(label="curve")
    assert store.latest_table_plan("t") == table()
    assert store.table_labels("t") == (("curve (demo)", "cpu"),)


def test_history_is_kept_and_what_is_the_same_is_not_written_again(store: ResultStore) -> None:
    store.write_plan(table())
    store.write_plan(table())
    assert len(files(store)) == 1
    store.write_plan(table(title="Changed"))
    store.write_plan(table())
    assert len(files(store)) == 3
    assert store.latest_table_plan("t") == table()


def test_a_damaged_plan_gives_way_to_the_one_before(store: ResultStore) -> None:
    store.write_plan(table())
    (first,) = files(store)
    store.write_plan(table(title="Changed"))
    (second,) = set(files(store)) - {first}
    second.write_bytes(second.read_bytes()[:-30])
    assert store.latest_table_plan("t") == table()
    assert store.table_plans() == [table()]
    assert len(store.remarks) == 1
    assert str(second) in store.remarks[0]


ROW, COLUMN = table().to_plain()["rows"][0], table().to_plain()["columns"][0]
CONTRAST = {"row": "full", "baseline": "none", "columns": ["error"], "expected": "better"}
PRINTED = {
    "id": "p",
    "label": "",
    "quoted": False,
    "cells": {"error": {"value": 1, "decimals": -1}},
}
UNKNOWN = {
    "another field": json.dumps({"rows": 1}),
    "one more field": json.dumps({**table().to_plain(), "secondary_column": "error"}),
    "one more field of a row": json.dumps({**table().to_plain(), "rows": [{**ROW, "weight": 1}]}),
    "a contrast with no row": json.dumps(
        {**table().to_plain(), "contrasts": [CONTRAST], "primary_column": "error"}
    ),
    "a primary column that is none": json.dumps(
        {
            **table().to_plain(),
            "contrasts": [{**CONTRAST, "baseline": "full"}],
            "primary_column": "x",
        }
    ),
    "no printed number": json.dumps({**table().to_plain(), "printed": [PRINTED]}),
    "no number": json.dumps({**table().to_plain(), "notes": [math.nan]}),
    "cut": json.dumps(table().to_plain())[:-1],
    "deep": "[" * 100_000,
    "deep settings": json.dumps(table().to_plain()).replace("4", f"{'[' * 900}{']' * 900}"),
}


@pytest.mark.parametrize("fault", UNKNOWN)
def test_a_plan_that_cannot_be_read_is_told_and_left_to_the_program_that_knows_it(
    store: ResultStore, fault: str
) -> None:
    store.write_plan(table())
    (known,) = files(store)
    store.write_plan(table(title="Changed"))
    (path,) = set(files(store)) - {known}
    content = pq.read_table(path)
    path.unlink()
    column = content.schema.get_field_index("document_json")
    content = content.set_column(column, content.schema.field(column), pa.array([UNKNOWN[fault]]))
    unknown = path.with_name(path.name[: -len(".0123456789abcdef.parquet")] + ".0.parquet")
    pq.write_table(content, unknown)
    assert store.latest_table_plan("t") == table()
    assert store.table_labels("t") == (("curve (demo)", "cpu"),)
    assert store.table_plans() == [table()]
    (remark,) = store.remarks
    assert remark.startswith(
        f"Passed over: {unknown}: a plan of other fields than this program knows."
    )
    assert unknown.exists()

    known.unlink()
    assert store.latest_table_plan("t") is None
    assert store.table_labels("t") == ()
    assert store.table_plans() == []
    store.write_plan(table())
    assert store.latest_table_plan("t") == table()
    assert unknown.exists()


def test_a_plan_from_before_a_field_was_there_has_its_default(store: ResultStore) -> None:
    store.write_plan(table())
    (path,) = files(store)
    content = pq.read_table(path)
    older = {
        **{name: value for name, value in table().to_plain().items() if name != "looks"},
        "columns": [{name: value for name, value in COLUMN.items() if name != "tolerance"}],
        "rows": [{name: value for name, value in ROW.items() if name != "why_not_comparable"}],
    }
    column = content.schema.get_field_index("document_json")
    field = content.schema.field(column)
    path.unlink()
    before = path.with_name(path.name[: -len(".0123456789abcdef.parquet")] + ".0.parquet")
    pq.write_table(content.set_column(column, field, pa.array([json.dumps(older)])), before)
    assert store.latest_table_plan("t") == table()
    assert store.remarks == ()
    looks = (Look(seeds=5, level=0.01), Look(seeds=8, level=0.02))
    store.write_plan(table(looks=looks))
    found = store.latest_table_plan("t")
    assert found is not None
    assert found.looks == looks


def test_code_is_kept_once_and_written_again_where_it_is_lost(store: ResultStore) -> None:
    digests = {"model": "1" * 64, "losses.motion": "2" * 64}
    store.write_code("f" * 64, digests)
    (path,) = store.path.glob("code/*.parquet")
    written = path.stat().st_mtime_ns
    store.write_code("f" * 64, digests)
    assert path.stat().st_mtime_ns == written
    assert store.code_files("f" * 64) == digests
    assert store.code_files("e" * 64) is None

    path.write_bytes(b"PAR1 no more")
    assert store.code_files("f" * 64) is None
    store.write_code("f" * 64, digests)
    assert store.code_files("f" * 64) == digests


@pytest.mark.parametrize("fault", ["no line", "two lines", "no document"])
def test_a_file_that_holds_no_plan_is_set_aside(store: ResultStore, fault: str) -> None:
    store.write_plan(table())
    (path,) = files(store)
    content = pq.read_table(path)
    (line,) = content.to_pylist()
    lines = {
        "no line": [],
        "two lines": [line, line],
        "no document": [{**line, "document_json": None}],
    }[fault]
    path.unlink()
    unnamed = path.with_name(f"{path.name.rsplit('.', 2)[0]}.0.parquet")
    pq.write_table(pa.Table.from_pylist(lines, schema=content.schema), unnamed)
    assert store.latest_table_plan("t") is None
    assert [entry.reason for entry in store.set_aside()] == ["must hold one plan"]


def test_a_plan_that_another_process_takes_away_gives_way(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_plan(table())
    store.write_plan(table(title="Changed"))
    gone = max(files(store), key=lambda path: path.name.split(".")[3])
    listed = plans.parquet_files(gone.parent)
    gone.unlink()
    monkeypatch.setattr(plans, "parquet_files", lambda _folder: listed)
    assert store.latest_table_plan("t") == table()
    assert store.remarks == ()


def test_code_is_a_line_a_module(store: ResultStore) -> None:
    store.write_code("f" * 64, {"model": "1", "losses": "2"})
    assert pq.read_table(store.path / "code" / f"{'f' * 64}.parquet").to_pylist() == [
        {"fingerprint": "f" * 64, "module": "model", "sha256": "1"},
        {"fingerprint": "f" * 64, "module": "losses", "sha256": "2"},
    ]


@pytest.mark.parametrize("field", ["points", "paper"])
@pytest.mark.parametrize("point", [{}, {"learning_rate": 0.5, "epochs": 3}])
def test_points_of_a_search_have_a_value_on_every_axis(field: str, point: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must have a value of each of learning_rate, got"):
        search(**{field: {"x": point}})
