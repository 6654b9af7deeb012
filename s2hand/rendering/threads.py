"""How many threads compiled code may use."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch


@contextmanager
def as_many_threads_as_torch() -> Iterator[None]:
    """Let compiled code run on as many threads as torch does, and leave torch's number alone.

    A training's threads are pinned and part of what makes it repeatable; starting numba's own can
    change torch's number.
    """
    threads = torch.get_num_threads()
    before = numba.get_num_threads()
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)
