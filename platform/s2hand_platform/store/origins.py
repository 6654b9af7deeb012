"""Where results come from, beside the attempts: patches of the code, and runs of a tracker."""

import hashlib
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from s2hand_platform.identity import sha256_of
from s2hand_platform.store.files import (
    UnusableFile,
    parquet_files,
    read_whole,
    write_replacing,
)
from s2hand_platform.store.records import TrackedRun
from s2hand_platform.store.schema import PATCHES, TRACKED
from s2hand_platform.store.set_aside import SetAsideRoom

PATCHES_FOLDER = "patches"
TRACKED_FOLDER = "tracked"


class PatchFiles:
    """What differed from a commit when something ran: a file for every text, named by its hash."""

    def __init__(self, store: Path, set_aside: SetAsideRoom) -> None:
        self._folder = store / PATCHES_FOLDER
        self._set_aside = set_aside

    def write(self, text: str) -> None:
        """Keep a text, unless it is here."""
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        if self.read(sha256) is None:
            line = {"sha256": sha256, "text": text}
            write_replacing(pa.Table.from_pylist([line], schema=PATCHES), self._path(sha256))

    def read(self, sha256: str) -> str | None:
        """Return the text of a hash, or None if it is not known."""
        path = self._path(sha256)
        try:
            return _only_text(path, sha256)
        except FileNotFoundError:
            return None
        except UnusableFile as fault:
            self._set_aside.take(fault)
            return None

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.parquet"


class TrackedFiles:
    """Which runs of trackers show an attempt: a file for each, that comes after the attempt's own.

    Whether a run is known is answered by the name of its file.
    """

    def __init__(self, store: Path, set_aside: SetAsideRoom) -> None:
        self._folder = store / TRACKED_FOLDER
        self._set_aside = set_aside

    def write(self, run: TrackedRun) -> None:
        """Keep a run, unless it is here."""
        line = asdict(run)
        path = self._folder / f"{run.trial_id}.{run.attempt:04d}.{sha256_of(line)[:32]}.parquet"
        if not path.exists():
            write_replacing(pa.Table.from_pylist([line], schema=TRACKED), path)

    def read(self, trial_ids: Collection[str]) -> list[TrackedRun]:
        """List the runs that show attempts at some trials."""
        found = []
        for path in parquet_files(self._folder):
            if path.name.partition(".")[0] in trial_ids:
                try:
                    found += _runs(path)
                except FileNotFoundError:
                    continue  # set aside by another process
                except UnusableFile as fault:
                    self._set_aside.take(fault)
        return found


def _only_text(path: Path, sha256: str) -> str:
    texts = read_whole(path, PATCHES)["text"].to_pylist()
    if len(texts) != 1 or hashlib.sha256(str(texts[0]).encode()).hexdigest() != sha256:
        raise UnusableFile(path, "foreign", "must hold the one text that it is named by")
    return str(texts[0])


def _runs(path: Path) -> list[TrackedRun]:
    lines = read_whole(path, TRACKED)
    if any(column.null_count for column in lines.columns):
        raise UnusableFile(path, "foreign", "must have a value in every column")
    return [TrackedRun(**line) for line in lines.to_pylist()]
