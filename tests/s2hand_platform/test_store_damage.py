"""Files that cannot be used: named, set aside, counted as never measured; the rest goes on."""

import errno
import random
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_tables import PCK

from s2hand_platform.errors import StoreError
from s2hand_platform.experiments.protocol import DataRecord
from s2hand_platform.planning.cost import Costs
from s2hand_platform.store import attempts, files
from s2hand_platform.store.documents import config_of, environment_of
from s2hand_platform.store.records import Environment
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.schema import ATTEMPTS, PLANS, REQUIRED, VERSION_KEY
from s2hand_platform.store.table_plan import PlanRow, TablePlan
from s2hand_platform.tables import MeasuredTable

A, B = "a" * 64, "b" * 64
PLAN = TablePlan(
    name="tiny", title="", experiment="tiny", label="made", device_type="cpu", columns=(), rows=()
)
ROW_OF_A = PlanRow(
    id="a", label="", settings={}, config_hash="c" * 64, data=None, code=None, evaluation=None,
    trial_ids={0: A}, measured_on=DataRecord(title="", dataset="", version="", origin="own"),
)  # fmt: skip


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), path)


def other_types(path: Path) -> None:
    content = pq.read_table(path).drop_columns("seed").append_column("seed", pa.array(["one"]))
    pq.write_table(content, path)


def newer(path: Path) -> None:
    content = pq.read_table(path)
    pq.write_table(content.replace_schema_metadata({VERSION_KEY: b"3"}), path)


def rewritten(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Change a file and name it by its new checksum, as one who knows the format."""

    def at(path: Path) -> None:
        change(path)
        stem = path.name.rpartition(".")[0].rpartition(".")[0]
        path.rename(path.with_name(f"{stem}.00000000{zlib.crc32(path.read_bytes()):08x}.parquet"))

    return at


FAULTS = {
    "cut": (cut, "does not have the checksum"),
    "flip": (flip, "does not have the checksum"),
    "empty": (rewritten(empty), "damaged"),
    "cut with its checksum": (rewritten(cut), "damaged"),
    "foreign": (rewritten(foreign), "a Parquet file, but none of the result store"),
    "other types": (rewritten(other_types), "column 'seed' must be int64, found string"),
}


@pytest.fixture
def two(store: ResultStore, make_record: Any, make_evaluation: Any) -> ResultStore:
    for trial in (A, B):
        store.write_attempt(make_record(trial), make_evaluation(), [(0, {"loss": 1.0})])
    return store


@pytest.mark.parametrize("fault", FAULTS)
def test_an_unusable_file_is_set_aside_and_its_trial_is_not_measured(
    two: ResultStore, make_record: Any, make_evaluation: Any, fault: str
) -> None:
    change, said = FAULTS[fault]
    change(next(two.path.glob(f"attempts/{A}*")))
    (path,) = two.path.glob(f"attempts/{A}*")

    assert two.last_attempt(A) is None
    assert two.next_attempt(A) == 0
    assert two.trials()["trial_id"].tolist() == [B]
    (remark,) = two.remarks
    assert str(path) in remark
    assert said in remark
    assert remark.endswith("What it holds does not count.")

    assert not path.exists()
    (entry,) = ResultStore(two.path).set_aside()
    assert entry.path == f"attempts/{path.name}"
    assert said in entry.reason
    assert (two.path / "set-aside" / f"attempts-{path.name}").is_file()

    two.write_attempt(make_record(A), make_evaluation(7.0))
    assert two.last_attempt(A).metrics["test/error"] == 7.0  # type: ignore[union-attr]
    assert len(two.remarks) == 1


def test_the_trial_of_a_file_set_aside_is_known_by_its_name(two: ResultStore) -> None:
    cut(next(two.path.glob(f"attempts/{A}*")))
    two.trials()
    assert two.set_aside()[0].trial_ids == (A,)


@pytest.mark.parametrize("compacting", [False, True])
def test_a_newer_file_is_passed_over_and_left_to_newer_programs(
    two: ResultStore, compacting: bool
) -> None:
    rewritten(newer)(next(two.path.glob(f"attempts/{A}*")))
    if compacting:
        two.compact()
    assert two.trials()["trial_id"].tolist() == [B]
    (remark,) = two.remarks
    assert "written by version 3 of the result store, this program reads up to version 2" in remark
    assert remark.startswith("Passed over")
    assert len(list(two.path.glob(f"attempts/{A}*"))) == 1
    assert two.set_aside() == []


def left_predictions(store: ResultStore) -> list[str]:
    store.remove_leftovers(older_than_s=-1)
    return sorted(path.name[0] for path in store.path.glob("predictions/*"))


@pytest.mark.parametrize("fault", ["newer", "cut", "cut, and not to be moved"])
def test_predictions_of_results_that_cannot_be_read_are_no_leftovers(
    store: ResultStore, make_record: Any, make_evaluation: Any, fault: str
) -> None:
    evaluation = make_evaluation(predictions={"test": {"scale": np.ones(2)}})
    for trial_id in (A, B, "c" * 64):
        store.write_attempt(make_record(trial_id), evaluation)
    path = next(store.path.glob(f"attempts/{A}*"))
    (rewritten(newer) if fault == "newer" else cut)(path)
    if fault == "cut, and not to be moved":
        (store.path / "set-aside").write_text("no folder")
    next(store.path.glob(f"attempts/{B}*")).unlink()
    assert left_predictions(store) == ["a", "c"]
    assert left_predictions(ResultStore(store.path)) == ["a", "c"]


@pytest.mark.parametrize("change", [newer, empty])
def test_where_it_is_not_known_whose_results_cannot_be_read_all_predictions_stay(
    store: ResultStore, make_record: Any, make_evaluation: Any, change: Callable[[Path], None]
) -> None:
    evaluation = make_evaluation(predictions={"test": {"scale": np.ones(2)}})
    store.write_attempt(make_record(A), evaluation)
    store.compact()
    (path,) = store.path.glob("compacted/*.parquet")
    rewritten(change)(path)
    assert left_predictions(store) == ["a"]
    assert left_predictions(ResultStore(store.path)) == ["a"]


def test_other_files_that_cannot_be_read_keep_no_predictions(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    evaluation = make_evaluation(predictions={"test": {"scale": np.ones(2)}})
    store.write_attempt(make_record(A), evaluation)
    next(store.path.glob("attempts/*")).unlink()
    store.write_code("f" * 64, {"model": "1" * 64})
    empty(next(store.path.glob("code/*")))
    store.write_code("e" * 64, {"model": "1" * 64})
    newer(next(store.path.glob(f"code/{'e' * 64}*")))
    assert store.code_files("f" * 64) is store.code_files("e" * 64) is None
    assert len(store.remarks) == 2
    assert left_predictions(store) == []


def without(column: str, *, keep_column: bool) -> Callable[[Path], None]:
    """Take a column of a file away, or only what stands in it."""

    def change(path: Path) -> None:
        table = pq.read_table(path)
        index, field = table.schema.get_field_index(column), table.schema.field(column)
        table = table.drop_columns(column)
        if keep_column:
            table = table.add_column(index, field, pa.nulls(len(table), field.type))
        pq.write_table(table, path)

    return rewritten(change)


def read_all(store: ResultStore) -> None:
    """Read in every way that there is."""
    Costs(store.trials())
    store.last_attempt(A)
    store.next_attempt(A)
    store.metrics(store.trials())
    store.samples([A], split="test", metric="error")
    store.curves([A])
    store.threshold_curves(store.trials())
    store.predictions(A, "test")
    store.pictures(A, "test")
    store.table_labels("tiny")
    store.remove_leftovers(older_than_s=-1)


@pytest.mark.parametrize("keep_column", [False, True], ids=["missing", "empty"])
def test_a_column_is_optional_or_its_file_is_set_aside(
    two: ResultStore, tmp_path: Path, keep_column: bool
) -> None:
    read: list[str] = []
    for column in ATTEMPTS.names:
        store = ResultStore(shutil.copytree(two.path, tmp_path / column))
        without(column, keep_column=keep_column)(next(store.path.glob(f"attempts/{A}*")))
        read_all(store)
        assert B in set(store.trials()["trial_id"])
        if store.remarks:
            assert "must have" in store.remarks[0]
            assert store.set_aside()[0].trial_ids == (A,)
        else:
            assert A in set(store.trials()["trial_id"])
            read.append(column)
    assert set(read) == set(ATTEMPTS.names) - set(REQUIRED) - {"samples", "sample_ids"}


def with_text(column: str, text: str) -> Callable[[Path], None]:
    """Put text into a column of all lines of a file."""

    def change(path: Path) -> None:
        table = pq.read_table(path)
        place = table.schema.get_field_index(column)
        texts = pa.array([text] * len(table), table.schema.field(place).type)
        pq.write_table(table.set_column(place, table.schema.field(place), texts), path)

    return rewritten(change)


NO_DOCUMENT = {"none": "", "cut": "{", "number": "1", "deep": "[" * 100_000}


@pytest.mark.parametrize("text", [*NO_DOCUMENT.values(), "[1]", '{"a": 1}'])
def test_notes_that_are_no_json_object_of_texts_are_told(two: ResultStore, text: str) -> None:
    with_text("notes_json", text)(next(two.path.glob(f"attempts/{A}*")))
    told = f"notes of attempt 0 of trial {A} are no JSON object of texts"
    with pytest.raises(StoreError, match=told):
        two.last_attempt(A)
    with pytest.raises(StoreError, match=told):
        MeasuredTable.build(replace(PLAN, rows=(ROW_OF_A,)), two)
    assert two.last_attempt(B) is not None


STAGE = '{"name": "a", "stage_id": "s", "training_s": %s, "trained_here": true}'


@pytest.mark.parametrize(
    "text", [*NO_DOCUMENT.values(), "{}", "[{}]", f"[{STAGE % 'null'}]", f"[{STAGE % '[]'}]"]
)
def test_stages_that_are_no_json_list_of_stages_are_told(two: ResultStore, text: str) -> None:
    with_text("stages_json", text)(next(two.path.glob(f"attempts/{A}*")))
    with pytest.raises(
        StoreError, match=f"stages of attempt 0 of trial {A} are no JSON list of stages"
    ):
        Costs(two.trials())
    Costs(two.attempts(trial_ids=[B]))


@pytest.mark.parametrize("text", [*NO_DOCUMENT.values(), "[1]"])
def test_settings_that_are_no_json_object_are_told(text: str) -> None:
    with pytest.raises(
        StoreError, match=f"the settings of attempt 3 of trial {A} are no JSON object, so that"
    ):
        config_of(A, 3, text)
    assert config_of(A, 3, '{"epochs": 4, "weights": [0.5]}') == {"epochs": 4, "weights": [0.5]}


ENVIRONMENT = Environment(framework="python", device="cpu", precision="float64", threads=1)


@pytest.mark.parametrize(
    "text", [*NO_DOCUMENT.values(), "{}", ENVIRONMENT.to_json().replace("1", '"1"')]
)
def test_an_environment_without_its_fields_is_told(text: str) -> None:
    told = (
        f"fields of the environment of attempt 3 of trial {A} are no JSON object of an "
        "environment's fields, so that"
    )
    with pytest.raises(StoreError, match=told):
        environment_of(A, 3, text)
    assert environment_of(A, 3, ENVIRONMENT.to_json()) == ENVIRONMENT


FOLDERS = (
    "trials", "metrics", "samples", "curves", "attempts", "compacted", "predictions", "baselines",
    "imported", "plans", "code",
)  # fmt: skip


@pytest.mark.parametrize("name", ["foreign.parquet", "a-1.parquet", "a.b.c.d.e.f.parquet"])
def test_foreign_files_are_named_or_left_alone_and_never_lost(two: ResultStore, name: str) -> None:
    for folder in FOLDERS:
        (two.path / folder).mkdir(exist_ok=True)
        foreign(two.path / folder / name)
    ResultStore(two.path).compact()
    read_all(two)
    assert sorted(two.trials()["trial_id"]) == [A, B]
    kept = [path for path in two.path.rglob("*.parquet") if path.name.endswith(name)]
    assert len(kept) == len(FOLDERS)
    entries = {entry.path: entry.reason for entry in two.set_aside()}
    assert f"trials/{name}" in entries
    assert set(entries.values()) == {"a Parquet file, but none of the result store"}


def test_a_folder_in_a_files_place_is_set_aside(two: ResultStore) -> None:
    (two.path / "attempts" / "spark.parquet").mkdir()
    read_all(two)
    assert "a folder, where a file should be" in two.remarks[0]
    assert (two.path / "set-aside" / "attempts-spark.parquet").is_dir()


def test_what_is_set_aside_replaces_nothing_that_was(two: ResultStore) -> None:
    for value in (1, 2):
        path = two.path / "attempts" / "foreign.parquet"
        pq.write_table(pa.table({"x": [value]}), path)
        two.trials()
    kept = {
        path.name: pq.read_table(path)["x"].to_pylist()
        for path in two.path.glob("set-aside/*.parquet")
    }
    assert kept == {"attempts-foreign.parquet": [1], "attempts-foreign-2.parquet": [2]}
    assert len(two.set_aside()) == 2


def test_a_plan_that_is_none_is_set_aside(two: ResultStore) -> None:
    two.write_plan(PLAN)
    (path,) = two.path.glob("plans/*.parquet")
    for changed in (PLANS.empty_table(), pq.read_table(path).slice(0, 1)):
        columns = changed.set_column(5, PLANS.field(5), pa.nulls(len(changed), pa.string()))
        pq.write_table(columns.cast(PLANS), path)
        rewritten(lambda _path: None)(path)
        assert two.table_labels("tiny") == ()
    assert {entry.reason for entry in two.set_aside()} == {"must hold one plan"}


def test_a_folder_that_cannot_be_listed_is_no_empty_store(
    two: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.os, "listdir", refuse)
    for read in (two.trials, lambda: two.table_labels("tiny"), lambda: two.baselines("tiny", "e")):
        with pytest.raises(StoreError, match=r"cannot read the result store at .*: Permission"):
            read()


@pytest.mark.parametrize("compacting", [False, True])
def test_a_file_under_another_attempts_name_is_foreign(two: ResultStore, compacting: bool) -> None:
    path = next(two.path.glob(f"attempts/{A}*"))
    path.rename(path.with_name("c" * 64 + path.name[64:]))
    if compacting:
        two.compact()
    assert two.trials()["trial_id"].tolist() == [B]
    assert "must hold the one attempt that it is named by" in two.remarks[0]


def test_every_single_flipped_bit_of_a_recent_file_is_noticed(two: ResultStore) -> None:
    path = next(two.path.glob(f"attempts/{A}*"))
    content = path.read_bytes()
    source = random.Random(0)
    for _ in range(60):
        changed = bytearray(content)
        changed[source.randrange(len(content))] ^= 1 << source.randrange(8)
        path.write_bytes(changed)
        assert ResultStore(two.path).trials()["trial_id"].tolist() == [B]


def test_where_nothing_can_be_moved_files_are_passed_over(two: ResultStore) -> None:
    (two.path / "set-aside").write_text("no folder")
    path = next(two.path.glob(f"attempts/{A}*"))
    cut(path)
    for _ in range(2):
        assert two.trials()["trial_id"].tolist() == [B]
    assert path.exists()
    (remark,) = two.remarks
    assert remark.startswith(f"Passed over: {path}")


def test_a_disk_that_does_not_give_a_file_is_no_damage(
    two: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(StoreError, match=r"cannot read .*/attempts/.*: Input/output error; check"):
        two.trials()
    monkeypatch.undo()
    assert len(two.trials()) == 2
    assert two.remarks == ()


def test_damaged_predictions_leave_the_result(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    webp = b"RIFF\x04\0\0\0WEBPVP8 "
    evaluation = make_evaluation(
        predictions={"test": {"scale": np.ones(2)}}, pictures={"test": {"x0": {"input": webp}}}
    )
    store.write_attempt(make_record(), evaluation)
    for folder in ("predictions", "pictures"):
        flip(next(store.path.glob(f"{folder}/*")))
    assert store.predictions(A, "test") is None
    assert store.pictures(A, "test") == {}
    assert "predictions" in store.remarks[0]
    assert "pictures" in store.remarks[1]
    assert store.set_aside()[0].trial_ids == (A,)
    assert store.last_attempt(A) is not None


def test_damaged_baselines_are_measured_again(store: ResultStore, make_evaluation: Any) -> None:
    store.write_baseline("tiny", "zero", "d1", make_evaluation(3.0), {"error": "cm"})
    cut(next(store.path.glob("baselines/*")))
    assert store.baselines("tiny", "d1").empty
    store.write_baseline("tiny", "zero", "d1", make_evaluation(3.0), {"error": "cm"})
    assert len(store.baselines("tiny", "d1")) == 2


@pytest.fixture
def compacted(
    store: ResultStore, make_record: Any, make_evaluation: Any, monkeypatch: pytest.MonkeyPatch
) -> ResultStore:
    """Eight trials in one compacted file of row groups of two, treated as a large file."""
    monkeypatch.setattr(attempts, "_GROUP_LINES", 2)
    monkeypatch.setattr(files, "_SMALL_BYTES", 0)
    for index in range(8):
        evaluation = make_evaluation(index, threshold_curves={"test": {"pck": PCK}})
        store.write_attempt(make_record(trial(index)), evaluation, [(0, {"loss": 1.0})])
    assert store.compact() == 8
    return store


def trial(index: int) -> str:
    return f"a{index:063x}"


def page_of(path: Path, group: int, column: str) -> int:
    """Return the position of a byte within a column's last page."""
    chunks = pq.ParquetFile(path).metadata.row_group(group)
    (chunk,) = [
        chunks.column(index)
        for index in range(chunks.num_columns)
        if chunks.column(index).path_in_schema == column
    ]
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    return start + chunk.total_compressed_size - 2


@pytest.mark.parametrize(
    ("column", "read"),
    [
        ("status", lambda store: store.trials()),
        ("metrics.list.element.value", lambda store: store.last_attempt(trial(2))),
        ("metrics.list.element.value", lambda store: store.metrics(store.trials())),
        ("curves.list.element.value", lambda store: store.curves([trial(3)])),
        (
            "threshold_curves.list.element.points.list.element.share",
            lambda store: store.threshold_curves(store.trials()),
        ),
    ],
)
def test_of_a_damaged_compacted_file_only_one_row_group_is_lost(
    compacted: ResultStore,
    make_record: Any,
    make_evaluation: Any,
    column: str,
    read: Callable[[ResultStore], object],
) -> None:
    (path,) = compacted.path.glob("compacted/*.parquet")
    content = bytearray(path.read_bytes())
    content[page_of(path, 1, column)] ^= 1
    path.write_bytes(content)

    read(compacted)
    left = [trial(index) for index in (0, 1, 4, 5, 6, 7)]
    assert sorted(compacted.trials()["trial_id"]) == left
    metrics = compacted.metrics(compacted.trials())
    errors = metrics[metrics["metric"] == "error"]
    assert sorted(errors["value"]) == [0, 1, 4, 5, 6, 7]
    assert compacted.last_attempt(trial(2)) is None
    (remark,) = compacted.remarks
    assert str(path) in remark
    (entry,) = compacted.set_aside()
    assert entry.trial_ids == (trial(2), trial(3))

    compacted.write_attempt(make_record(trial(2)), make_evaluation(2.0))
    compacted.compact()
    assert len(compacted.trials()) == 7


def test_a_trial_that_lost_one_of_its_attempts_keeps_its_predictions(
    store: ResultStore, make_record: Any, make_evaluation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_GROUP_LINES", 1)
    for attempt in (0, 1):
        evaluation = make_evaluation(predictions={"test": {"scale": np.ones(2)}})
        store.write_attempt(make_record(A, attempt=attempt), evaluation)
    store.compact()
    (path,) = store.path.glob("compacted/*.parquet")
    content = bytearray(path.read_bytes())
    content[page_of(path, 1, "commit")] ^= 1
    path.write_bytes(content)
    assert left_predictions(store) == ["a", "a"]
    assert store.trials()["attempt"].tolist() == [0]
    assert store.set_aside()[0].trial_ids == (A,)


def test_where_nothing_can_be_moved_the_good_row_groups_are_read_in_place(
    compacted: ResultStore, make_record: Any
) -> None:
    (compacted.path / "set-aside").write_text("no folder")
    (path,) = compacted.path.glob("compacted/*.parquet")
    content = bytearray(path.read_bytes())
    content[page_of(path, 1, "status")] ^= 1
    path.write_bytes(content)
    for _ in range(2):
        assert len(compacted.trials()) == 6
    assert list(compacted.path.glob("compacted/*.parquet")) == [path]
    assert compacted.remarks[0].startswith(f"Passed over: {path}")

    compacted.write_attempt(make_record(trial(8)))
    compacted.compact()
    assert path.read_bytes() == content
    assert len(compacted.trials()) == 7


def test_a_damaged_footer_takes_the_file(compacted: ResultStore, make_record: Any) -> None:
    (path,) = compacted.path.glob("compacted/*.parquet")
    content = bytearray(path.read_bytes())
    content[-60] ^= 1
    path.write_bytes(content)
    assert len(compacted.trials()) == 0
    assert list(compacted.path.glob("compacted/*.parquet")) == []
    assert "does not have the checksum in its name" in compacted.remarks[0]
    compacted.write_attempt(make_record(trial(0)))
    assert len(compacted.trials()) == 1


def test_compaction_keeps_what_is_good_of_damaged_files(
    compacted: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    (path,) = compacted.path.glob("compacted/*.parquet")
    content = bytearray(path.read_bytes())
    content[page_of(path, 1, "status")] ^= 1
    path.write_bytes(content)
    for index in (8, 9):
        compacted.write_attempt(make_record(trial(index)), make_evaluation(index))
    cut(next(compacted.path.glob(f"attempts/{trial(9)}*")))
    assert compacted.compact() == 1
    assert sorted(compacted.trials()["trial_id"]) == [
        trial(index) for index in (0, 1, 4, 5, 6, 7, 8)
    ]
    assert {name for entry in compacted.set_aside() for name in entry.trial_ids} == {
        trial(2),
        trial(3),
        trial(9),
    }


def test_what_was_not_written_as_it_should_be_replaces_nothing(
    two: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files._write

    def spoil(content: pa.Buffer, path: Path) -> None:
        write(content, path)
        if path.parent.name == "compacted":
            flip(path)

    monkeypatch.setattr(files, "_write", spoil)
    with pytest.raises(StoreError, match="did not come back as it was written; check the disk"):
        two.compact()
    assert len(list(two.path.glob("attempts/*.parquet"))) == 2
    assert len(two.trials()) == 2
    assert two.remarks == ()
