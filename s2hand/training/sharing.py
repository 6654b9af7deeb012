"""How trainings share a stage: one holds its folder, others wait or do something else."""

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from s2hand.training.workers import Workers

_LOCK_POLL_S = 0.5


@contextmanager
def first_free(folders: Sequence[Path], workers: Workers) -> Iterator[int]:
    """Hold one of several folders alone, among all trainings of all processes; return its place.

    Takes the first that no other training holds, and waits while others hold all of them. The
    lock goes with the process that holds it, however that ends. The workers of one training hold
    it together; they ask again and again instead of blocking, so that no worker waits in a
    collective for longer than a moment.
    """
    with ExitStack() as locks:
        descriptors = []
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            descriptors.append(locks.enter_context((folder / "lock").open("a")).fileno())
        while True:
            for place, descriptor in enumerate(descriptors):
                if workers.first_says(workers.rank == 0 and _try_lock(descriptor)):
                    yield place
                    return
            time.sleep(_LOCK_POLL_S)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
