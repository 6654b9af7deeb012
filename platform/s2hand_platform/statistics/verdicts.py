"""What a measurement says about a printed cell, and about a declared contrast."""

from typing import Literal

from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.schema import Expected
from s2hand_platform.statistics.intervals import (
    MeanInterval,
    is_consistent,
    is_equivalent,
    mean_interval,
)

Direction = Literal["lower", "higher"]

CellVerdict = Literal[
    "reproduced",
    "consistent but imprecise",
    "better",
    "worse",
    "undecided",
    "not comparable",
    "not run",
]

ContrastVerdict = Literal["reproduced", "reversed", "undecided", "not run"]


def judge_contrast(
    difference: MeanInterval | None, direction: Direction, expected: Expected
) -> ContrastVerdict:
    """Judge a paired difference (row minus baseline) against what the paper says of it.

    ``reproduced`` when its 95 % interval excludes zero in the paper's direction, ``reversed``
    when it does in the other one, ``undecided`` otherwise, and always for one seed.
    """
    if difference is None:
        return "not run"
    sign = 1 if (direction == "higher") == (expected == "better") else -1
    low, high = sorted((sign * difference.low, sign * difference.high))
    if low > 0:
        return "reproduced"
    return "reversed" if high < 0 else "undecided"


def judge_cell(
    values: list[float],
    printed: PublishedCell | None,
    direction: Direction,
    *,
    comparable: bool,
    tolerance: float = 0.0,
) -> CellVerdict:
    """Judge a measured cell against the printed one.

    Args:
        values: one per seed.
        printed: the paper's cell, or None where it has none.
        direction: whether lower or higher values are better.
        comparable: whether both were measured on the same data.
        tolerance: difference, beyond the printed rounding, that is declared not to matter.

    Returns:
        ``reproduced`` when our mean is equivalent to the printed number; ``consistent but
        imprecise`` when the printed number could be one more run of ours; otherwise ``better``
        or ``worse``. ``undecided`` for one seed, whose spread is unknown.
    """
    if not values:
        return "not run"
    if printed is None or not comparable:
        return "not comparable"
    interval = mean_interval(values)
    if interval.n == 1:
        return "undecided"
    if is_equivalent(interval, printed.value, printed.half_width, tolerance):
        return "reproduced"
    if is_consistent(interval, printed.value, printed.half_width):
        return "consistent but imprecise"
    is_higher = interval.mean > printed.value
    return "better" if is_higher == (direction == "higher") else "worse"
