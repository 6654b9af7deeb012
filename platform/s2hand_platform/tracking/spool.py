"""What a tracker could not be told yet: JSON lines in the workspace, replayed in order."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from s2hand.files import whole_file
from s2hand_platform.errors import without_passwords

Operation = Mapping[str, Any]
"""Plain data; applying one twice must change nothing."""

_SUBJECT = ("op", "kind", "group", "name", "data", "trial", "attempt", "evaluation")
"""What an operation is about; of two about the same, the later one counts."""


class TrackerAwayError(Exception):
    """The tracker takes nothing now; what it was to be told must wait."""

    def __init__(self, message: str, group: str | None = None) -> None:
        """Say why; ``group`` is the table or search that it is true of, None if of all."""
        self.group = group
        super().__init__(without_passwords(message))


@dataclass(frozen=True, slots=True)
class Entry:
    """An operation that waits."""

    position: int
    """Of its first byte in the file."""
    operation: Operation


class Spool:
    """The operations that wait for one tracker, shared by all processes of a workspace.

    An entry that the tracker has been told is struck out where it stands, so that a process that is
    killed forgets nothing of its progress; the file goes with its last entry.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        """Keep operations for the tracker at ``uri`` in ``folder``."""
        self.path = folder / f"spool-{hashlib.sha256(uri.encode()).hexdigest()[:12]}.jsonl"
        self._lock = FileLock(self.path.with_suffix(".lock"))
        self._turn = FileLock(self.path.with_suffix(".turn"))

    def append(self, operations: Sequence[Operation]) -> None:
        """Add operations at the end, but for those that already wait.

        Raises:
            OSError: if they cannot be written.
        """
        if not operations:
            return
        with self._lock:
            waiting = {_subject(entry.operation): entry.operation for entry in self.waiting()}
            lines = b""
            for operation in operations:
                subject = _subject(operation)
                if subject not in waiting or _untimed(waiting[subject]) != _untimed(operation):
                    waiting[subject] = operation
                    lines += _line(operation)
            if lines:
                with self.path.open("ab") as file:
                    file.write(b"\n" + lines)  # behind a line that a killed process left
                    file.flush()
                    os.fsync(file.fileno())

    def waiting(self) -> list[Entry]:
        """List what waits, in order."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        entries = []
        position = 0
        for line in content.split(b"\n"):
            if line.startswith(b"{"):
                with suppress(ValueError, RecursionError):  # cut off, or none of ours
                    entries.append(Entry(position, json.loads(line)))
            position += len(line) + 1
        return entries

    @contextmanager
    def turn(self, *, wait: bool) -> Iterator[list[Entry]]:
        """Have the tracker to oneself, and get what waits; nothing while another process has it.

        Args:
            wait: until the other process is done.
        """
        try:
            self._turn.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield []
            return
        try:
            yield self.waiting()
        finally:
            with suppress(OSError):  # a full disk; what is struck out stays so
                self._tidy()
            self._turn.release()

    def strike(self, entry: Entry) -> None:
        """Forget an entry, inside the turn that gave it."""
        with self.path.open("r+b") as file:
            file.seek(entry.position)
            file.write(b"-")

    def __len__(self) -> int:
        return len(self.waiting())

    def _tidy(self) -> None:
        if not self.path.exists():
            return
        with self._lock:
            lines = b"".join(_line(entry.operation) for entry in self.waiting())
            if not lines:
                self.path.unlink()
            elif 2 * len(lines) < self.path.stat().st_size:
                with whole_file(self.path, beside=self.path.with_suffix(".tmp")) as file:
                    file.write(lines)


def _line(operation: Operation) -> bytes:
    return json.dumps(operation, default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Write numbers of other libraries as numbers, and the rest as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


def _subject(operation: Operation) -> tuple[str, ...]:
    return tuple(str(operation.get(name)) for name in _SUBJECT)


def _untimed(operation: Operation) -> dict[str, Any]:
    return {name: value for name, value in operation.items() if name != "time_ms"}
