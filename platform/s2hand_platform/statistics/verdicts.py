"""What a measurement says about a printed cell, and about a declared contrast."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.schema import Expected, Look
from s2hand_platform.statistics.intervals import (
    MeanInterval,
    is_consistent,
    is_equivalent,
    mean_interval,
)
from s2hand_platform.statistics.significance import (
    ALPHA,
    holm,
    p_of_difference,
    p_of_equivalence,
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

ContrastVerdict = Literal["reproduced", "reversed", "equivalent", "undecided", "not run"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a family of tests says about one declared contrast of it."""

    verdict: ContrastVerdict
    is_within_tolerance: bool
    """Whether the difference is smaller than the tolerance, be there one or not."""
    p: float | None
    """Of the two-sided paired t test; None for fewer than two seeds."""
    p_adjusted: float | None
    """The same by Holm's procedure, over the declared contrasts; None under looks."""
    p_equivalence: float | None
    """Of two one-sided tests for the tolerance, by Holm's procedure too where ``p`` has it; None
    without a tolerance."""
    look: Look | None = None
    """Under looks, the one whose p this is: that which decided, or the last one that was taken."""
    is_open: bool = False
    """Under looks, whether a later one may still decide what is undecided."""

    def __str__(self) -> str:
        """Name the verdict as a reader sees it."""
        if self.is_within_tolerance and self.verdict in {"reproduced", "reversed"}:
            return f"{self.verdict}, but differs by less than the tolerance"
        return self.verdict


def judge_contrasts(
    differences: Sequence[MeanInterval | None],
    expected: Sequence[Expected],
    direction: Direction,
    *,
    tolerance: float = 0.0,
) -> list[Decision]:
    """Judge the declared contrasts of a table, in its primary column, as one family.

    Args:
        differences: row minus baseline over paired seeds; None where no seed has both.
        expected: what the paper says of each.
        direction: whether lower or higher values are better.
        tolerance: the difference that is declared not to matter, in the column's unit.

    Returns:
        For each ``reproduced`` when it differs from zero in the paper's direction, ``reversed``
        when it does in the other one, at 5 % for the whole family by Holm's procedure;
        ``equivalent`` when it does not and is, at 5 % for the family, within the tolerance;
        ``undecided`` otherwise, and always for one seed.
    """
    p_values = [None if each is None else p_of_difference(each) for each in differences]
    equivalence = [
        None if each is None else p_of_equivalence(each, tolerance) for each in differences
    ]
    decisions = []
    for difference, says, p, p_adjusted, p_equivalence in zip(
        differences, expected, p_values, holm(p_values), holm(equivalence), strict=True
    ):
        differs = p_adjusted is not None and p_adjusted <= ALPHA
        is_within = p_equivalence is not None and p_equivalence <= ALPHA
        decisions.append(
            Decision(
                verdict=contrast_verdict(
                    difference, says, direction, differs=differs, is_within=is_within
                ),
                is_within_tolerance=is_within,
                p=p,
                p_adjusted=p_adjusted,
                p_equivalence=p_equivalence,
            )
        )
    return decisions


def contrast_verdict(
    difference: MeanInterval | None,
    expected: Expected,
    direction: Direction,
    *,
    differs: bool,
    is_within: bool,
) -> ContrastVerdict:
    """Put into a word what tests of a difference, and of its equivalence with zero, have shown."""
    if difference is None:
        return "not run"
    if differs:
        is_better = (difference.mean > 0) == (direction == "higher")
        return "reproduced" if is_better == (expected == "better") else "reversed"
    return "equivalent" if is_within else "undecided"


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
