"""One trial is run by one process at a time, whichever commands ask for it."""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from s2hand_platform.trials.context import checkpoint_folder
from s2hand_platform.workspace import Workspace

LOCK_FILE = "lock"
_POLL_INTERVAL_S = 0.25

_LOG = logging.getLogger(__name__)


@contextmanager
def first_free(workspace: Workspace, trial_ids: Collection[str]) -> Iterator[str]:
    """Hold the lock of the first trial that nobody else runs; who must wait for one says so.

    Whoever holds it looks into the store first: another command may have finished the trial
    meanwhile. The operating system frees the lock when its process ends, however that ends.

    Args:
        workspace: on a disk whose locks all machines see.
        trial_ids: at least one.
    """
    locks = {
        trial_id: FileLock(checkpoint_folder(workspace, trial_id) / LOCK_FILE)
        for trial_id in trial_ids
    }
    held = _try_all(locks)
    if held is None:
        shown = ", ".join(trial_id[:12] for trial_id in locks)
        _LOG.warning("another command runs %s; waiting until it is done", shown)
    while held is None:
        time.sleep(_POLL_INTERVAL_S)
        held = _try_all(locks)
    try:
        yield held
    finally:
        locks[held].release()


def _try_all(locks: dict[str, FileLock]) -> str | None:
    for trial_id, lock in locks.items():
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        return trial_id
    return None
