"""What becomes of a claim, of its readings and of their parts."""

from collections.abc import Collection
from typing import Literal, get_args

Outcome = Literal[
    "contradicted",
    "not printed",
    "not run",
    "not comparable",
    "not decided",
    "ambiguous",
    "holds",
    "not checkable",
]
"""``contradicted``: impossible, even with what rounding leaves open, or at the level of the test.
``not printed``, ``not run``: a cell is missing. ``not comparable``: the claim states a number, and
the cells are of other data or another training than the paper's. ``not decided``: the digits, or
the seeds, do not tell. ``ambiguous``: a stated number that the printed digits do not give and that
their rounding allows; or a sentence whose readings come out differently."""

_OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_MISSING: tuple[Outcome, ...] = ("not printed", "not run", "not comparable")


def of_all(outcomes: Collection[Outcome]) -> Outcome:
    """Return what becomes of a reading, all of whose parts must be true.

    One part that is contradicted contradicts all; what is missing comes before what is not told.
    """
    return min(outcomes, key=_OUTCOMES.index)


def of_readings(outcomes: Collection[Outcome]) -> Outcome:
    """Return what becomes of a claim that can be read in several ways.

    Where the readings agree, that; where one of them could not be checked, why; else it is
    ambiguous.
    """
    if len(set(outcomes)) == 1:
        return next(iter(outcomes))
    missing = [outcome for outcome in _MISSING if outcome in outcomes]
    return missing[0] if missing else "ambiguous"
