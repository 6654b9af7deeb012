"""The spool and the thread that empties it, without MLflow."""

import errno
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s2hand_platform.planning.plan import Plan
from s2hand_platform.tracking import writer
from s2hand_platform.tracking.spool import Operation, Spool, TrackerAwayError
from s2hand_platform.tracking.writer import SpoolingSink


def numbered(count: int, first: int = 0, group: str = "table") -> list[Operation]:
    return [{"op": "x", "name": n, "group": group} for n in range(first, first + count)]


def names(operations: list[Operation]) -> list[Any]:
    return [operation["name"] for operation in operations]


def waiting(spool: Spool) -> list[Any]:
    return names([entry.operation for entry in spool.waiting()])


def test_spool_keeps_order_and_what_was_not_struck_out(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "uri")
    spool.append(numbered(5))
    with spool.turn(wait=True) as entries:
        for entry in entries:
            if entry.operation["name"] != 1:
                spool.strike(entry)
    assert waiting(spool) == [1]
    spool.append(numbered(2, 5))
    with spool.turn(wait=True) as entries:
        assert names([entry.operation for entry in entries]) == [1, 5, 6]
        for entry in entries:
            spool.strike(entry)
    assert not spool.path.exists()


def test_spool_of_a_killed_process_has_forgotten_what_was_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "uri")
    spool.append(numbered(5))
    with spool.turn(wait=True) as entries:
        for entry in entries[:3]:
            spool.strike(entry)
        assert waiting(Spool(tmp_path, "uri")) == [3, 4]


def test_spool_takes_entries_while_another_process_tells(tmp_path: Path) -> None:
    spool, other = Spool(tmp_path, "uri"), Spool(tmp_path, "uri")
    spool.append(numbered(2))
    with spool.turn(wait=True) as entries:
        other.append(numbered(1, 2))
        with other.turn(wait=False) as nothing:
            assert nothing == []
        for entry in entries:
            spool.strike(entry)
    assert waiting(spool) == [2]


def test_spool_does_not_grow_by_what_it_holds(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "uri")
    first = {"op": "stored", "group": "t", "name": "row", "trial": "a", "time_ms": 1}
    spool.append([first, {**first, "trial": "b"}])
    spool.append([{**first, "time_ms": 2}])
    assert len(spool) == 2
    summary = {"op": "summary", "group": "t", "name": "row"}
    for value in (1.0, 2.0, 2.0, 1.0):  # the last one counts
        spool.append([{**summary, "values": {"mean": value}}])
    values = [entry.operation["values"]["mean"] for entry in spool.waiting()[2:]]
    assert values == [1.0, 2.0, 1.0]


@pytest.mark.parametrize(
    "line", [b'{"op": "x", "numb', b"\xff\xfe\x00", b"[1]", b"{" * 100_000, b'{"a":' * 100_000]
)
def test_spool_skips_a_line_that_is_none_of_its_own(tmp_path: Path, line: bytes) -> None:
    spool = Spool(tmp_path, "uri")
    spool.append(numbered(1))
    with spool.path.open("ab") as file:
        file.write(line)
    spool.append(numbered(2, 1))
    assert waiting(spool) == [0, 1, 2]


def test_spool_writes_numbers_of_other_libraries(tmp_path: Path) -> None:
    class Number:
        def __float__(self) -> float:
            return 0.5

    spool = Spool(tmp_path, "uri")
    spool.append([{"op": "x", "value": Number(), "path": tmp_path}])
    (entry,) = spool.waiting()
    assert entry.operation == {"op": "x", "value": 0.5, "path": str(tmp_path)}


class Tracker:
    """Remembers what it is told, and what the user was."""

    def __init__(self, spool: Spool, fail: Callable[[Operation], None] = lambda _: None) -> None:
        self.told: list[Any] = []
        self.said: list[str] = []
        self._fail = fail
        self.sink = SpoolingSink(spool, self.apply, data="data", say=self.said.append)

    def apply(self, operation: Operation) -> None:
        self._fail(operation)
        self.told.append(operation["name"])

    def run(self, *names: str, group: str = "table") -> None:
        self.sink.begin(Plan(trials=()))
        for name in names:
            self.sink.summarise("row", group, name, {"mean": 1.0})


@pytest.fixture(autouse=True)
def no_traceback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(writer, "FLUSH_INTERVAL_S", 0.01)
    escaped: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", escaped.append)
    yield
    assert escaped == []


def test_error_of_any_kind_keeps_its_entry_and_the_others_are_told(tmp_path: Path) -> None:
    def fail(operation: Operation) -> None:
        if operation["name"] in {"b", "d"}:
            raise ZeroDivisionError("of all things\nline after line")

    tracker = Tracker(Spool(tmp_path, "uri"), fail)
    tracker.run(*"abcde")
    tracker.sink.close()
    assert tracker.told == ["a", "c", "e"]
    assert tracker.sink.num_spooled == 2
    assert tracker.said == ["MLflow did not take all of 'table': of all things"]
    later = Tracker(Spool(tmp_path, "uri"))
    later.run()
    later.sink.close()
    assert (later.told, later.sink.num_spooled) == (["b", "d"], 0)


def test_tracker_that_is_away_is_not_asked_for_each_entry(tmp_path: Path) -> None:
    asked: list[str] = []

    def fail(operation: Operation) -> None:
        asked.append(operation["name"])
        raise TrackerAwayError("away")

    spool = Spool(tmp_path, "uri")
    spool.append(numbered(100))
    tracker = Tracker(spool, fail)
    tracker.run()
    tracker.sink.close()
    assert set(asked) == {0}
    assert tracker.said == ["away"]
    assert tracker.sink.num_spooled == 100


def test_what_one_table_waits_for_does_not_hold_up_the_others(tmp_path: Path) -> None:
    def fail(operation: Operation) -> None:
        if operation["group"] == "deleted":
            raise TrackerAwayError("restore it", group="deleted")

    spool = Spool(tmp_path, "uri")
    spool.append([*numbered(3, group="deleted"), *numbered(3, 3)])
    tracker = Tracker(spool, fail)
    tracker.run()
    tracker.sink.close()
    assert tracker.told == [3, 4, 5]
    assert tracker.said == ["restore it"]
    assert waiting(spool) == [0, 1, 2]


def test_full_disk_is_one_message_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, "uri")
    tracker = Tracker(spool)
    refused = threading.Semaphore(0)

    def full(operations: list[Operation]) -> None:
        refused.release()
        raise OSError(errno.ENOSPC, "No space left on device", str(spool.path))

    with monkeypatch.context() as patch:
        patch.setattr(spool, "append", full)
        tracker.run("a", "b")
        for _ in range(3):
            assert refused.acquire(timeout=60)
        (said,) = tracker.said
        assert said.startswith("what MLflow is to be told cannot be kept: [Errno 28] No space left")
    tracker.sink.close()
    assert tracker.told == ["a", "b"]
    assert tracker.sink.num_unwritten == 0


def test_folder_that_cannot_be_written_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, "uri")
    tracker = Tracker(spool)

    def read_only(operations: list[Operation]) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(spool.path))

    monkeypatch.setattr(spool, "append", read_only)
    tracker.run("a", "b")
    tracker.sink.close()
    assert len(tracker.said) == 1
    assert (tracker.sink.num_spooled, tracker.sink.num_unwritten) == (0, 2)


def test_terminal_that_is_gone_does_not_end_the_thread(tmp_path: Path) -> None:
    def fail(operation: Operation) -> None:
        if operation["name"] == "a":
            raise ValueError

    def gone(text: str) -> None:
        raise BrokenPipeError

    tracker = Tracker(Spool(tmp_path, "uri"), fail)
    tracker.sink._say = gone
    tracker.run("a", "b")
    tracker.sink.close()
    assert tracker.told == ["b"]


class _PatientThread(threading.Thread):
    """Whoever waits for it, waits until one more entry is told or it ends: no clock decides."""

    permits = threading.Semaphore(0)
    told = threading.Semaphore(0)

    def join(self, timeout: float | None = None) -> None:
        self.permits.release()
        while self.is_alive() and not self.told.acquire(timeout=0.01):
            pass


def test_closing_waits_while_the_tracker_is_told_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer.threading, "Thread", _PatientThread)
    spool = Spool(tmp_path, "uri")
    spool.append(numbered(20))

    def take_one(operation: Operation) -> None:
        assert _PatientThread.permits.acquire(timeout=60)

    strike = spool.strike

    def struck(entry: Any) -> None:
        strike(entry)
        _PatientThread.told.release()

    monkeypatch.setattr(spool, "strike", struck)
    tracker = Tracker(spool, take_one)
    tracker.run()
    (thread,) = [each for each in threading.enumerate() if isinstance(each, _PatientThread)]
    tracker.sink.close()
    threading.Thread.join(thread, 60)
    assert tracker.told == list(range(20))
    assert tracker.said[0].startswith("telling MLflow what it does not know yet")


def test_closing_gives_up_when_nothing_happens_and_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "NOTICE_AFTER_S", 0.01)
    monkeypatch.setattr(writer, "PATIENCE_S", 0.01)
    release, begun = threading.Event(), threading.Event()

    def hang(operation: Operation) -> None:
        begun.set()
        release.wait(60)

    spool = Spool(tmp_path, "uri")
    spool.append(numbered(3))
    tracker = Tracker(spool, hang)
    tracker.run()
    assert begun.wait(60)
    tracker.sink.summarise("row", "table", "late", {})
    tracker.sink.close()
    assert tracker.sink.num_spooled == 4  # what was told last too, though the thread hangs
    assert json.loads(spool.path.read_bytes().splitlines()[-1])["name"] == "late"
    release.set()
