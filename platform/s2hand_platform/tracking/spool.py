"""What a tracker could not be told yet: JSON lines in the workspace, replayed in order."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

Operation = Mapping[str, Any]
"""Plain data; applying one twice must change nothing."""


class TrackerAwayError(Exception):
    """The tracker does not answer now; what it was to be told must wait."""


class Spool:
    """The operations that wait for one tracker, shared by all processes of a workspace."""

    def __init__(self, folder: Path, uri: str) -> None:
        """Keep operations for the tracker at ``uri`` in ``folder``."""
        self.path = folder / f"spool-{hashlib.sha256(uri.encode()).hexdigest()[:12]}.jsonl"
        self._lock = FileLock(self.path.with_suffix(".lock"))

    def append(self, operations: Sequence[Operation]) -> None:
        """Add operations at the end."""
        if operations:
            lines = "".join(f"{json.dumps(operation)}\n" for operation in operations)
            text = f"\n{lines}"  # behind a line that a killed process did not finish
            with self._lock, self.path.open("a") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())

    def replay(self, apply: Callable[[Operation], None]) -> None:
        """Apply what waits, in order, and forget what was applied, also if ``apply`` raises."""
        with self._lock:
            waiting = self._read()
            done = 0
            try:
                for operation in waiting:
                    apply(operation)
                    done += 1
            finally:
                self._write(waiting[done:])

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> list[Operation]:
        if not self.path.exists():
            return []
        operations = []
        for line in self.path.read_text().splitlines():
            try:
                operations.append(json.loads(line))
            except json.JSONDecodeError:
                continue  # empty, or cut off
        return operations

    def _write(self, operations: Sequence[Operation]) -> None:
        if not operations:
            self.path.unlink(missing_ok=True)
            return
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(f"{json.dumps(operation)}\n" for operation in operations))
        temporary.replace(self.path)
