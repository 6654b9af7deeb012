"""Merges many small files into few large ones, while others read and write."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from filelock import FileLock, Timeout

from s2hand_platform.errors import StoreError
from s2hand_platform.store import version1
from s2hand_platform.store.attempts import (
    COMPACTED,
    AttemptFiles,
    lost_trials,
    named_trials,
    partition_of,
    partition_of_file,
)
from s2hand_platform.store.files import UnusableFile, remove
from s2hand_platform.store.lines import latest_of_each
from s2hand_platform.store.schema import ATTEMPTS
from s2hand_platform.store.set_aside import SetAsideRoom

_LOCK = ".lock"
_FULL_BYTES = 32 << 20
"""No merge takes more than this from the disk, so that it fits in memory."""
_RATIO = 4
"""A file is merged again once what comes to it is a quarter of it: each line is rewritten a few
times, and a partition has a few files."""


def compact(files: AttemptFiles, set_aside: SetAsideRoom) -> int:
    """Merge the recent files, those of version 1 too, into the compacted ones.

    What is merged is removed only when the result is on the disk under its name, and until then,
    and again if this is killed in between, readers take one of the two: nothing depends on it
    coming to an end. The lock spares two processes the same work.

    Returns:
        How many attempts moved; 0 too where another process is at it.

    Raises:
        StoreError: if the disk does not take or give a file.
    """
    recent = files.recent()
    if not recent:
        return 0
    folder = files.store / COMPACTED
    try:
        folder.mkdir(exist_ok=True)
        with FileLock(folder / _LOCK, timeout=0):
            return _merge_all(files, set_aside)
    except Timeout:
        return 0
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"cannot compact the result store in {folder}: {error.strerror or error}; check the "
            "folder's permissions, then run again"
        ) from error


def _merge_all(files: AttemptFiles, set_aside: SetAsideRoom) -> int:
    by_partition: dict[str, list[Path]] = defaultdict(list)
    for path in files.recent():
        for trial in named_trials(path):
            by_partition[partition_of(trial)].append(path)
    moved = 0
    for partition, recent in sorted(by_partition.items()):
        for batch in _batches(recent):
            moved += _merge(files, set_aside, partition, batch)
    return moved


def _merge(
    files: AttemptFiles, set_aside: SetAsideRoom, partition: str, recent: Sequence[Path]
) -> int:
    compacted = [path for path in files.compacted() if partition_of_file(path) == partition]
    sources = [*recent, *_worth_merging(compacted, sum(map(_size, recent)))]
    merged: dict[Path, pa.Table] = {}
    faults: list[tuple[UnusableFile, Collection[str]]] = []
    for path in sources:
        try:
            merged[path], fault = files.read_whole(path)
        except FileNotFoundError:
            continue  # set aside by another process, or compacted without our lock
        except UnusableFile as error:
            faults.append((error, named_trials(path)))
            continue
        if fault is not None:
            faults.append((fault, lost_trials(path, merged[path])))
    lines = latest_of_each(pa.concat_tables([ATTEMPTS.empty_table(), *merged.values()]))
    if len(lines):
        files.write_compacted(lines, partition)
    for fault, trials in faults:
        set_aside.take(fault, trials)
    damaged = {fault.path for fault, _ in faults}
    # Compacted ones first: what a killed compaction leaves is then recent, and merged next time.
    for path in reversed([path for path in merged if path not in damaged]):
        if files.is_version1(path):
            version1.remove_attempt(path, merged[path]["commit"][0].as_py())
        else:
            remove(path)
    return sum(path in merged for path in recent)


def _worth_merging(compacted: Sequence[Path], size: int) -> Iterator[Path]:
    """Choose, from the smallest on, the files that are not much larger than what comes to them."""
    for path in sorted(compacted, key=_size):
        own = _size(path)
        if own > _RATIO * size or size + own > _FULL_BYTES:
            return
        size += own
        yield path


def _batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    total = 0
    for path in paths:
        size = _size(path)
        if batch and total + size > _FULL_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(path)
        total += size
    if batch:
        yield batch


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # set aside by another process
        return 0
