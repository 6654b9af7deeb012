"""Work in parts, for the commands that an experiment adds: over Ray, or in this process."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from s2hand_platform.cli.endings import resumable
from s2hand_platform.errors import SpecError

Part = TypeVar("Part")
Result = TypeVar("Result")


def map_parts(
    work: Callable[[Part], Result],
    parts: Sequence[Part],
    done: Callable[[Result], None],
    *,
    address: str | None,
    without_ray: bool,
) -> None:
    """Do as ``experiments.protocol.MapParts`` says; a single part needs no Ray.

    Raises:
        SpecError: if an address is given for work without Ray.
        ExecutionError: if no cluster answers, or workers die again and again.
    """
    if without_ray and address is not None:
        raise SpecError(["--without-ray: goes without --address; leave one out"])
    with resumable():
        if without_ray or len(parts) <= 1:
            for part in parts:
                done(work(part))
        else:
            from s2hand_platform.execution.mapping import map_with_ray

            map_with_ray(work, parts, done, address=address)
