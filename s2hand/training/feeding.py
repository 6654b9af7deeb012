"""Batches of an epoch: on a CPU made when they are asked for, on a GPU ahead of the steps."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from s2hand.data.sample import Batch

_AHEAD = 2
"""Batches that are made before they are asked for."""

Place = TypeVar("Place")


def made_ahead(
    make: Callable[[Place], Batch], places: Iterable[Place], device: str
) -> Iterator[Batch]:
    """Make the batches of some places, in their order.

    A GPU is given its next batches by a thread, so that it waits neither for random numbers nor
    for pictures that are read from the disk. The thread gives them to the stream of the steps:
    what is copied and resampled there takes its turn between the kernels of a step. A CPU, which
    has nothing to spare, makes each when it is asked for.

    Args:
        make: makes a batch on the device; called one place after the other.
        places: rows or steps.
        device: a torch device string.
    """
    if torch.device(device).type != "cuda":
        return map(make, places)
    number = torch.empty(0, device=device).device  # 'cuda' is another device in another thread
    return _in_thread(make, places, lambda: torch.cuda.set_device(number))


def _in_thread(
    make: Callable[[Place], Batch], places: Iterable[Place], prepare_thread: Callable[[], None]
) -> Iterator[Batch]:
    with ThreadPoolExecutor(1, initializer=prepare_thread) as thread:
        pending = deque[Future[Batch]]()
        for place in places:
            pending.append(thread.submit(make, place))
            if len(pending) > _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
