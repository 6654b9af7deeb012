"""Where attempts lie, and that no more is opened of a store than a question needs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import version1_store

from s2hand_platform.errors import StoreError
from s2hand_platform.store import attempts, version1
from s2hand_platform.store.attempts import Wanted, named_trials
from s2hand_platform.store.results import ResultStore


def trial(index: int) -> str:
    return f"a{index:063x}"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which files are opened: folder and first letter."""
    names: list[str] = []

    def noting(read: Callable[..., Any]) -> Callable[..., Any]:
        def noted(path: Path, **settings: Any) -> Any:
            names.append(f"{path.parent.name}/{path.name[0]}")
            return read(path, **settings)

        return noted

    monkeypatch.setattr(attempts, "reading", noting(attempts.reading))
    monkeypatch.setattr(version1, "read_attempt", noting(version1.read_attempt))
    return names


EVERYTHING = ["trials/1", "trials/2", "attempts/5", "attempts/6", "compacted/3", "compacted/4"]


@pytest.mark.parametrize(
    ("wanted", "looked_into", "found"),
    [
        ({}, EVERYTHING, "123456"),
        ({"trial_ids": "1"}, ["trials/1"], "1"),
        ({"trial_ids": "36"}, ["attempts/6", "compacted/3"], "36"),
        ({"trial_ids": "7"}, [], ""),
        ({"trial_ids": ""}, [], ""),
        # Only the names of recent files tell the configuration.
        ({"config_hashes": "d"}, [each for each in EVERYTHING if each != "attempts/5"], "46"),
        ({"config_hashes": "d", "trial_ids": "456"}, ["attempts/6", "compacted/4"], "46"),
        ({"store_version": 1}, [each for each in EVERYTHING if "attempts" not in each], "12"),
        ({"store_version": 2}, EVERYTHING, "3456"),
    ],
)  # fmt: skip
def test_only_files_that_may_hold_wanted_lines_are_opened(
    store: ResultStore,
    make_record: Any,
    opened: list[str],
    wanted: dict[str, Any],
    looked_into: list[str],
    found: str,
) -> None:
    for name, config in (("3", "c"), ("4", "d")):
        store.write_attempt(make_record(name * 64, config_hash=config * 64))
    store.compact()
    for name, config in (("5", "c"), ("6", "d")):
        store.write_attempt(make_record(name * 64, config_hash=config * 64))
    for name in "12":
        version1_store.write_attempt(store.path, name * 64)
    opened.clear()
    sets = {
        name: frozenset(letter * 64 for letter in value) if isinstance(value, str) else value
        for name, value in wanted.items()
    }
    lines = store._files.read(Wanted(columns=["status"], **sets))
    assert sorted(name[0] for name in lines["trial_id"].to_pylist()) == list(found)
    assert sorted(opened) == sorted(looked_into)


def test_recent_files_are_named_by_trial_attempt_and_configuration(
    store: ResultStore, make_record: Any
) -> None:
    """Files of earlier programs are found by it."""
    store.write_attempt(make_record(attempt=12, config_hash="0123456789abcdef" * 4))
    (path,) = store.path.glob("attempts/*")
    commit = store.attempts(columns=["commit"])["commit"][0]
    assert path.name.rsplit(".", 2)[0] == f"{'a' * 64}.0012.0123456789abcdef.{commit}"


@pytest.mark.parametrize(
    ("path", "trials"),
    [
        (f"attempts/{'a' * 64}.0012.0123.{'1' * 32}.{'2' * 16}.parquet", ("a" * 64,)),
        (f"attempts/{'a' * 64}.0012.0123.{'1' * 32}.{'2' * 16}.parquet.old", ()),
        ("attempts/a.b.c.parquet", ()),
        (f"trials/{'a' * 64}-0012.parquet", ("a" * 64,)),
        ("trials/foreign.parquet", ()),
        (f"compacted/a.{'1' * 32}.{'2' * 16}.parquet", ()),
    ],
)
def test_a_files_name_tells_its_trial_or_nothing(path: str, trials: tuple[str, ...]) -> None:
    assert named_trials(Path(path)) == trials


@pytest.fixture
def eight(store: ResultStore, make_record: Any, monkeypatch: pytest.MonkeyPatch) -> ResultStore:
    """Trials 0, 10, … 70 in row groups of two; the configuration of the last is another."""
    monkeypatch.setattr(attempts, "_GROUP_LINES", 2)
    for place in range(8):
        config = "c" if place < 7 else "d"
        store.write_attempt(make_record(trial(10 * place), config_hash=config * 64))
    assert store.compact() == 8
    return store


def groups_read(store: ResultStore, **wanted: Any) -> tuple[list[list[int]], int]:
    """Return which row groups are read, time by time, and how many lines are found."""
    groups: list[list[int]] = []
    read = pq.ParquetFile.read_row_groups

    def noted(file: Any, chosen: Sequence[int], **settings: Any) -> Any:
        groups.append(list(chosen))
        return read(file, chosen, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pq.ParquetFile, "read_row_groups", noted)
        found = len(store._files.read(Wanted(columns=["status"], **wanted)))
    return groups, found


def test_only_row_groups_that_may_hold_wanted_lines_are_read(eight: ResultStore) -> None:
    def of(*numbers: int) -> tuple[list[list[int]], int]:
        return groups_read(eight, trial_ids=frozenset(map(trial, numbers)))

    assert groups_read(eight) == ([[0, 1, 2, 3]], 8)
    assert of(20) == of(30) == ([[1]], 1)
    assert of(25) == ([[1]], 0)
    assert of(35) == of(75) == ([[]], 0)
    assert of(0, 35, 70) == ([[0, 3]], 2)
    assert groups_read(eight, config_hashes=frozenset(["d" * 64])) == ([[0, 1, 2, 3], [3]], 1)
    assert groups_read(eight, config_hashes=frozenset(["e" * 64])) == ([[0, 1, 2, 3], []], 0)
    both = {"trial_ids": frozenset([trial(60)]), "config_hashes": frozenset(["c" * 64])}
    assert groups_read(eight, **both) == ([[3], [3]], 1)
    none = {"trial_ids": frozenset([trial(35)]), "config_hashes": frozenset(["c" * 64])}
    assert groups_read(eight, **none) == ([[]], 0)
    assert groups_read(eight, store_version=1) == ([[]], 0)
    assert groups_read(eight, store_version=2) == ([[0, 1, 2, 3]], 8)


def test_where_no_ranges_are_written_all_row_groups_are_read(eight: ResultStore) -> None:
    (path,) = eight.path.glob("compacted/*.parquet")
    table = pq.read_table(path)
    path.unlink()
    pq.write_table(table, path.with_name("a.parquet"), row_group_size=2, write_statistics=False)
    found = groups_read(eight, trial_ids=frozenset([trial(20)]))
    assert found == ([[0, 1, 2, 3]], 1)


def test_row_groups_hold_no_more_than_their_bytes(
    store: ResultStore, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_GROUP_BYTES", 1)
    for attempt in (2, 0, 1):
        store.write_attempt(make_record(attempt=attempt))
    assert store.compact() == 3
    (path,) = store.path.glob("compacted/*.parquet")
    file = pq.ParquetFile(path)
    held = [file.read_row_group(group)["attempt"].to_pylist() for group in range(3)]
    assert held == [[0], [1], [2]]


def test_files_that_vanish_again_and_again_are_told(
    store: ResultStore, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def vanish(path: Path, **_: object) -> AbstractContextManager[pq.ParquetFile]:
        tries.append(path)
        raise FileNotFoundError(path)

    store.write_attempt(make_record())
    monkeypatch.setattr(attempts, "reading", vanish)
    monkeypatch.setattr(attempts, "_PATIENCE", 3)
    with pytest.raises(StoreError, match="vanish faster than they can be read"):
        store.trials()
    assert len(tries) == 3
