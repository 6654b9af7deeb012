"""Where files go that cannot be used: named, out of the way, kept for a person to look at."""

import json
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from s2hand.files import whole_file
from s2hand_platform.store.files import UnusableFile

FOLDER = "set-aside"


@dataclass(frozen=True, kw_only=True, slots=True)
class SetAside:
    """A file that was set aside."""

    path: str
    """Where it lay, relative to the store."""
    reason: str
    trial_ids: tuple[str, ...]
    """Whose results it held; empty where that cannot be known."""


class SetAsideRoom:
    """Moves unusable files out of the store's way, and remembers what it met.

    A file of a newer version is no one's to move: it is passed over, and remarked on. So is
    everything in a store that this process may not write to.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._met: dict[Path, str] = {}
        self._passed_over: set[Path] = set()
        self._lock = threading.Lock()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What this process met, a sentence each, naming the path."""
        return tuple(self._met.values())

    @property
    def passed_over(self) -> frozenset[Path]:
        """What this process left where it is."""
        return frozenset(self._passed_over)

    def take(self, fault: UnusableFile, trial_ids: Collection[str] = ()) -> bool:
        """Set a file aside with the reason beside it.

        Returns:
            Whether it was moved.
        """
        moved = fault.fault != "newer" and self._move(fault, trial_ids)
        if moved:
            self._remark(fault, f"Set aside, in {self._folder}")
        else:
            self.pass_over(fault)
        return moved

    def pass_over(self, fault: UnusableFile) -> None:
        """Leave a file where it is."""
        self._passed_over.add(fault.path)
        self._remark(fault, "Passed over")

    def _remark(self, fault: UnusableFile, what: str) -> None:
        with self._lock:
            self._met.setdefault(
                fault.path, f"{what}: {fault.path}: {fault.reason}. What it holds does not count."
            )

    def entries(self) -> list[SetAside]:
        """List what lies there, whoever put it there."""
        found = []
        for path in sorted(self._folder.glob("*.reason.json")):
            with suppress(OSError, ValueError, KeyError, TypeError):  # cut off, or taken away
                told = json.loads(path.read_text())
                found.append(
                    SetAside(
                        path=told["path"],
                        reason=told["reason"],
                        trial_ids=tuple(told["trial_ids"]),
                    )
                )
        return found

    def _free(self, target: Path) -> Path:
        """Return ``target``, or its like where an earlier file lies that was set aside."""
        others = (target.with_stem(f"{target.stem}-{number}") for number in count(2))
        return next(path for path in chain([target], others) if not path.exists())

    @property
    def _folder(self) -> Path:
        return self._store / FOLDER

    def _move(self, fault: UnusableFile, trial_ids: Collection[str]) -> bool:
        place = fault.path.relative_to(self._store)
        target = self._free(self._folder / "-".join(place.parts))
        told = {"path": str(place), "reason": fault.reason, "trial_ids": sorted(trial_ids)}
        try:
            self._folder.mkdir(exist_ok=True)
            with whole_file(target.with_name(f"{target.name}.reason.json")) as file:
                file.write(json.dumps(told, indent=1).encode())
            fault.path.replace(target)
        except FileNotFoundError:
            return True  # another process was quicker
        except OSError:
            return False
        return True
