"""Work in parts as Ray tasks: which part runs where and when does not matter."""

from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution.session import connect
from s2hand_platform.experiments.protocol import Part, Result

_RETRIES = 2
"""Further tries at a part whose worker died; an error of the work itself is not tried again."""
_AHEAD = 2
"""Parts that wait or run for each CPU: more would only fill the memory."""


def map_with_ray(
    work: Callable[[Part], Result],
    parts: Sequence[Part],
    done: Callable[[Result], None],
    *,
    address: str | None,
) -> None:
    """Do the work of each part in a task of one CPU, and hand over what is done as it comes.

    Args:
        work: picklable; what it loads may stay in its process for the next part.
        parts: what it is called with.
        done: called here, in the order in which parts end.
        address: ``HOST:PORT`` or ``auto`` of a cluster, ``local`` for a Ray of our own; None: as
            the environment says, or else a Ray of our own.

    Raises:
        ExecutionError: if no cluster answers, or a part's workers die again and again.
        Exception: what the work raised; parts that are under way are given up.
    """
    with connect(address) as cluster:
        task, shared = ray.remote(num_cpus=1, max_retries=_RETRIES)(_do), ray.put(work)
        waiting = list(reversed(parts))
        running: list[ray.ObjectRef] = []
        most = max(1, int(cluster.cpus)) * _AHEAD
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    running.append(task.remote(shared, waiting.pop()))
                ready, running = ray.wait(running)
                for each in ready:
                    done(_result(each))
        finally:
            for each in running:
                ray.cancel(each, force=True)


def _do(work: Callable[[Part], Result], part: Part) -> Result:
    return work(part)


def _result(reference: "ray.ObjectRef") -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from error
    except RayError as error:
        raise ExecutionError(
            f"workers of a part died {_RETRIES + 1} times: {str(error).splitlines()[0]}; mostly "
            "memory is short: run again with fewer CPUs (--address of a smaller Ray), or with "
            "--without-ray"
        ) from error
