"""How trainings share a stage: one holds its folder, others wait or do something else."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from s2hand.training.workers import Workers

_LOCK_POLL_S = 0.5

_LOG = logging.getLogger(__name__)


@contextmanager
def first_free(folders: Sequence[Path], workers: Workers) -> Iterator[int]:
    """Hold one of several folders alone, among all trainings of all processes; return its place.

    Takes the first that no other training holds; waits, and says so, while others hold all of them.
    The lock goes with the process that holds it, however that ends. The workers of one training
    hold it together; they ask again and again instead of blocking, so that no worker waits in a
    collective for longer than a moment.
    """
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    locks = [FileLock(folder / "lock") for folder in folders]
    try:
        place = _try_all(locks, workers)
        if place is None and workers.rank == 0:
            _LOG.warning("other trainings hold %s; waiting", ", ".join(map(str, folders)))
        while place is None:
            time.sleep(_LOCK_POLL_S)
            place = _try_all(locks, workers)
        yield place
    finally:
        for lock in locks:
            lock.release()


def _try_all(locks: Sequence[FileLock], workers: Workers) -> int | None:
    for place, lock in enumerate(locks):
        if workers.first_says(workers.rank == 0 and _try(lock)):
            return place
    return None


def _try(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True
