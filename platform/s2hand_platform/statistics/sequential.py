"""Looking at a table while its seeds accumulate, without more wrong claims than one look makes.

Testing again after every few seeds at the level of one test claims too much: each look is another
chance to be wrong. Here the chance of a contrast is spent in portions, one per look, in proportion
to the seeds that the look adds; what a look may claim follows exactly from what the looks before
it have claimed. The bounds are on the p of the t test: those of normal theory, taken for t, spend
more than all at a first look at so few seeds.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy import optimize, special, stats

from s2hand_platform.spec.schema import Expected, Look
from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.statistics.power import POWER, power
from s2hand_platform.statistics.significance import ALPHA, p_of_difference, p_of_equivalence
from s2hand_platform.statistics.verdicts import Decision, Direction, contrast_verdict

LOOKS = (5, 8, 12)
"""Numbers of seeds at which a table is looked at."""

_MIN_ADDED = 2
"""Seeds that the last look adds at least: one more tells hardly more."""

_CELLS, _SHARES, _KNOTS = 200, 128, 4096
"""Of the integration; twice as many change no level by more than 0.1 %."""


def planned_looks(max_seeds: int, num_contrasts: int) -> tuple[Look, ...]:
    """Return the looks at a table up to a number of seeds, each with its level.

    A contrast whose p is at most the level at any look is wrong by chance in 5 % divided by
    ``num_contrasts`` of cases, over all looks together, and any contrast of the table in 5 %.

    Raises:
        ValueError: for fewer than two seeds, or without contrasts.
    """
    if max_seeds < 2 or num_contrasts < 1:
        raise ValueError(f"expected two seeds and a contrast, got {max_seeds} and {num_contrasts}")
    seeds = [*(each for each in LOOKS if each <= max_seeds - _MIN_ADDED), max_seeds]
    levels = spent_levels(seeds, ALPHA / num_contrasts)
    # Written down to six digits, so that a plan is the same whatever computed it.
    return tuple(
        Look(seeds=each, level=float(f"{level:.6g}"))
        for each, level in zip(seeds, levels, strict=True)
    )


def spent_levels(seeds: Sequence[int], alpha: float) -> list[float]:
    """Return the level of the two-sided paired t test at each look.

    Without a difference, the probability that a look is the first whose p is at most its level is
    ``alpha`` times the share of all seeds that the look adds.

    Let r be the cosine of the angle between the pairs' differences, as one vector, and the vector
    of ones: t is a function of r and the number of pairs. Without a difference the vector points
    anywhere alike, whatever its length (Basu), so that r of a look depends on the looks before
    through r of the last one alone. The density of r among the tables that go on is carried from
    look to look in cells.

    Args:
        seeds: of each look, rising, each at least two more than the one before; the first of five
            or more, for with fewer the cells are too wide near r = 1.
        alpha: to be spent over all looks.

    References:
        Armitage, McPherson and Rowe (1969), for the recursion; Lan and DeMets (1983), for
        spending, here in proportion to the seeds.
    """
    first = seeds[0]
    levels = [alpha * first / seeds[-1]]
    bound = math.sqrt(stats.beta.isf(levels[0], 0.5, (first - 1) / 2))
    edges = np.linspace(-bound, bound, _CELLS + 1)
    going_on = np.diff(_cosine_below(edges, first))
    for before, now in pairwise(seeds):
        step = _Step(before, now, edges, going_on)
        bound = step.bound(alpha * (now - before) / seeds[-1])
        levels.append(float(stats.beta.sf(bound**2, 0.5, (now - 1) / 2)))
        if now < seeds[-1]:
            edges = np.linspace(-bound, bound, _CELLS + 1)
            going_on = np.diff(step.below(edges))
    return levels


def judge_at_looks(
    taken: Sequence[tuple[Look, MeanInterval | None]],
    difference: MeanInterval | None,
    expected: Expected,
    direction: Direction,
    *,
    last: Look,
    tolerance: float = 0.0,
) -> Decision:
    """Judge one declared contrast by the looks that were taken at it.

    Args:
        taken: row minus baseline over the paired seeds of each look, in order; None where no seed
            has both.
        difference: the same over all pairs that there are.
        expected: what the paper says.
        direction: whether lower or higher values are better.
        last: the last look that is planned.
        tolerance: the difference that is declared not to matter, in the column's unit.

    Returns:
        The verdict of the first look that decides, with its p: it stays what it was there,
        whatever later seeds say. The levels are those of the difference; at the same ones two
        one-sided tests for the tolerance are not more often wrong.
    """
    differing = _first(taken, p_of_difference)
    within = _first(taken, lambda each: p_of_equivalence(each, tolerance))
    latest = taken[-1] if taken else (None, None)
    look, judged = differing or within or latest
    equal_to = (within or latest)[1]
    is_decided = differing is not None or within is not None
    return Decision(
        verdict=contrast_verdict(
            judged or difference,
            expected,
            direction,
            differs=differing is not None,
            is_within=within is not None,
        ),
        is_within_tolerance=within is not None,
        p=p_of_difference(judged) if judged else None,
        p_adjusted=None,
        p_equivalence=p_of_equivalence(equal_to, tolerance) if equal_to else None,
        look=look,
        is_open=not is_decided
        and look != last
        and (look is None or _could_decide(judged, last, tolerance)),
    )


def _first(
    taken: Sequence[tuple[Look, MeanInterval | None]],
    p_of: Callable[[MeanInterval], float | None],
) -> tuple[Look, MeanInterval] | None:
    for look, difference in taken:
        p = p_of(difference) if difference is not None else None
        if difference is not None and p is not None and p <= look.level:
            return look, difference
    return None


def _could_decide(difference: MeanInterval | None, last: Look, tolerance: float) -> bool:
    """Say whether the last look could decide what is undecided, at the measured spread.

    It could where its test would find, in 80 % of cases, a difference as large as any in the 95 %
    interval; or where it would call a mean of zero equivalent. What differs in no seed, and what
    has no pair at all, is not worth more seeds. Stopping here claims nothing, and costs no level.
    """
    if difference is None or difference.sd == 0:
        return False
    if difference.sd is None:
        return True
    largest = max(abs(difference.low), abs(difference.high))
    error = difference.sd / math.sqrt(last.seeds)
    return power(largest, difference.sd, last.seeds, last.level) >= POWER or bool(
        stats.t.isf(last.level, last.seeds - 1) * error < tolerance
    )


class _Step:
    """From r at one look to r at the next.

    With the share q of the squared length that lies in the pairs of before, and the cosine e of
    the added ones: r' √n' = r √(q n) + e √((1 - q) m), q of a beta distribution, e as r of m pairs.
    """

    def __init__(
        self,
        before: int,
        now: int,
        edges: Float[np.ndarray, " edges"],
        masses: Float[np.ndarray, " cells"],
    ) -> None:
        added = now - before
        share = stats.beta.ppf((np.arange(_SHARES) + 0.5) / _SHARES, before / 2, added / 2)
        centres = (edges[1:] + edges[:-1]) / 2
        self._kept = centres[:, None] * np.sqrt(share * before)
        self._reach = np.sqrt((1 - share) * added)
        self._now, self._masses = now, masses
        self._knots = np.sin(np.linspace(-np.pi / 2, np.pi / 2, _KNOTS))
        self._below_knots = _cosine_below(self._knots, added)

    def below(self, r: Float[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
        """Return the mass that goes on to below each r."""
        return np.array([self._below(float(each)) for each in r])

    def bound(self, mass: float) -> float:
        """Return the r beyond which, on either side, so much mass goes on to."""
        going_on = self._masses.sum()

        def too_much(r: float) -> float:
            return float(going_on - self._below(r) + self._below(-r) - mass)

        return float(optimize.brentq(too_much, 0.0, 1.0))

    def _below(self, r: float) -> float:
        needed = (r * math.sqrt(self._now) - self._kept) / self._reach
        shares = np.interp(needed, self._knots, self._below_knots)
        return float(self._masses @ shares.mean(axis=1))


def _cosine_below(r: Float[np.ndarray, " r"], n: int) -> Float[np.ndarray, " r"]:
    """Return how probably a direction in n dimensions has a cosine below r with a fixed one."""
    return 0.5 + 0.5 * np.sign(r) * special.betainc(0.5, (n - 1) / 2, np.minimum(r * r, 1.0))
