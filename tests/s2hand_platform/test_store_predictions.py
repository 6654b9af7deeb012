"""Predictions: files beside the attempts that they belong to."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from s2hand_platform.errors import StoreError
from s2hand_platform.store import files
from s2hand_platform.store.beside import owned_files
from s2hand_platform.store.files import UnusableFile
from s2hand_platform.store.predictions import read_predictions, write_predictions
from s2hand_platform.store.schema import VERSION_KEY

A, COMMIT = "a" * 64, "0123456789abcdef" * 2
BETAS = np.arange(20.0).reshape(2, 10) / 3
POSE = np.arange(2 * 15 * 3).reshape(2, 15, 3)
BOTH = {"test": {"betas": BETAS, "pose": POSE}, "own.train": {"scale": np.array([1, 2])}}
IDS = {"test": ["x0", "x1"], "own.train": ["y0", "y1"]}


@pytest.fixture
def written(tmp_path: Path, make_evaluation: Any) -> list[Path]:
    evaluation = make_evaluation(predictions=BOTH, sample_ids=IDS)
    return write_predictions(tmp_path, A, 7, COMMIT, evaluation)


def test_a_file_is_named_by_what_it_belongs_to(tmp_path: Path, written: list[Path]) -> None:
    """Files of earlier programs are found by it."""
    names = [f"{A}.0007.{COMMIT}.{split}.parquet" for split in ("test", "own.train")]
    assert written == [tmp_path / "predictions" / name for name in names]
    assert sorted(written) == sorted((tmp_path / "predictions").iterdir())
    for other in ("notes.parquet", f"{A}.0007.short.test.parquet", f"{names[0]}.old"):
        (tmp_path / "predictions" / other).touch()
    assert sorted(owned_files(tmp_path / "predictions")) == sorted(
        (path, A, COMMIT) for path in written
    )


def test_a_file_is_a_column_a_parameter_with_its_shape(written: list[Path]) -> None:
    table = pq.read_table(written[0])
    assert table.schema.metadata[VERSION_KEY] == b"2"
    assert table.column_names == ["sample_id", "betas", "pose"]
    assert [str(field.type) for field in table.schema] == [
        "string", "fixed_size_list<element: float>[10]", "fixed_size_list<element: float>[45]",
    ]  # fmt: skip
    assert [table.schema.field(name).metadata[b"shape"] for name in ("betas", "pose")] == [
        b"[10]", b"[15, 3]",
    ]  # fmt: skip


def test_what_is_written_comes_back_as_float32(tmp_path: Path, written: list[Path]) -> None:
    del written
    for split, arrays in BOTH.items():
        found = read_predictions(tmp_path, A, 7, COMMIT, split)
        assert found is not None
        assert found.sample_ids == tuple(IDS[split])
        assert list(found.arrays) == list(arrays)
        for name, values in arrays.items():
            assert found.arrays[name].dtype == np.float32
            np.testing.assert_array_equal(found.arrays[name], values.astype(np.float32))
    for absent in ((A, 8, COMMIT, "test"), (A, 7, "1" * 32, "test"), (A, 7, COMMIT, "train")):
        assert read_predictions(tmp_path, *absent) is None


def test_a_split_without_samples_comes_back_empty(tmp_path: Path, make_evaluation: Any) -> None:
    evaluation = make_evaluation(predictions={"none": {"betas": np.zeros((0, 10))}})
    write_predictions(tmp_path, A, 0, COMMIT, evaluation)
    found = read_predictions(tmp_path, A, 0, COMMIT, "none")
    assert found is not None
    assert found.sample_ids == ()
    assert found.arrays["betas"].shape == (0, 10)


def test_rows_without_an_id_are_refused(tmp_path: Path, make_evaluation: Any) -> None:
    evaluation = make_evaluation(predictions={"test": {"betas": BETAS, "pose": POSE[:1]}})
    with pytest.raises(StoreError, match=r"'test/pose' must be one per sample id .*\(2\), got 1"):
        write_predictions(tmp_path, A, 0, COMMIT, evaluation)
    assert list(tmp_path.iterdir()) == []


def test_where_one_split_cannot_be_written_none_is_left(
    tmp_path: Path, make_evaluation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files._write

    def fill(content: Any, path: Path) -> None:
        if "own.train" in path.name:
            raise StoreError("the disk is full")
        write(content, path)

    monkeypatch.setattr(files, "_write", fill)
    with pytest.raises(StoreError, match="the disk is full"):
        write_predictions(tmp_path, A, 0, COMMIT, make_evaluation(predictions=BOTH, sample_ids=IDS))
    assert list((tmp_path / "predictions").iterdir()) == []


def test_a_damaged_file_is_told(tmp_path: Path, written: list[Path]) -> None:
    written[0].write_bytes(written[0].read_bytes()[:-9])
    with pytest.raises(UnusableFile, match="damaged"):
        read_predictions(tmp_path, A, 7, COMMIT, "test")
