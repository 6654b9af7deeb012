"""Which files a compaction takes together."""

import errno
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from s2hand_platform.errors import StoreError
from s2hand_platform.store import compaction
from s2hand_platform.store.results import ResultStore


def sized(folder: Path, *sizes: int) -> list[Path]:
    """Make files of these sizes, named by their order."""
    paths = [folder / f"{place}.parquet" for place in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(bytes(size))
    return paths


@pytest.mark.parametrize(
    ("compacted", "recent", "taken"),
    [
        ((), 10, []),
        ((40,), 10, [0]),
        ((41,), 10, []),
        ((600, 30, 100), 10, [1, 2]),  # 30 and 10 are 40, of which 100 are no four times
        ((560, 30, 100), 10, [1, 2, 0]),
        ((41, 400), 10, []),
        ((60, 800), 40, [0]),
        ((500, 440), 460, [1]),  # all three are too much for one merge
        ((540,), 460, [0]),
        ((541,), 460, []),
    ],
)
def test_what_is_not_much_larger_is_merged_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    compacted: tuple[int, ...],
    recent: int,
    taken: list[int],
) -> None:
    monkeypatch.setattr(compaction, "_FULL_BYTES", 1000)
    paths = sized(tmp_path, *compacted)
    chosen = compaction._worth_merging(paths, recent)
    assert list(chosen) == [paths[place] for place in taken]


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ((), []),
        ((60, 40, 1), [[60, 40], [1]]),
        ((60, 41, 59, 1), [[60], [41, 59], [1]]),
        ((200, 5, 300), [[200], [5], [300]]),
    ],
)
def test_no_batch_is_larger_than_fits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sizes: tuple[int, ...],
    batches: list[list[int]],
) -> None:
    monkeypatch.setattr(compaction, "_FULL_BYTES", 100)
    found = compaction._batches(sized(tmp_path, *sizes))
    assert [[path.stat().st_size for path in batch] for batch in found] == batches


def test_what_another_process_took_away_has_no_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_FULL_BYTES", 100)
    paths = [tmp_path / "gone", *sized(tmp_path, 60, 40)]
    assert list(compaction._batches(paths)) == [paths]


def test_partitions_are_merged_apart_and_counted_together(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    for round_of in range(2):
        for letter in "ab":
            store.write_attempt(make_record(f"{letter}{round_of}" * 32), make_evaluation())
        assert store.compact() == 2
    held = {
        path.name[0]: pq.read_table(path)["trial_id"].to_pylist()
        for path in store.path.glob("compacted/*.parquet")
    }
    assert held == {letter: [f"{letter}0" * 32, f"{letter}1" * 32] for letter in "ab"}
    assert store.compact() == 0


def test_where_nothing_is_there_nothing_is_made(store: ResultStore) -> None:
    assert store.compact() == 0
    assert not store.path.exists()


def test_where_nothing_is_good_nothing_is_written(store: ResultStore, make_record: Any) -> None:
    store.write_attempt(make_record())
    (path,) = store.path.glob("attempts/*.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    assert store.compact() == 0
    assert list(store.path.glob("compacted/*.parquet")) == []
    assert len(store.set_aside()) == 1


def test_a_folder_that_takes_no_lock_is_told(
    store: ResultStore, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    store.write_attempt(make_record())
    monkeypatch.setattr(compaction, "FileLock", refuse)
    with pytest.raises(StoreError, match=r"cannot compact .*/compacted: Permission denied; check"):
        store.compact()
