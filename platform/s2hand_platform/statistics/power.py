"""How many seeds a paired difference needs until it is decided."""

import math

from scipy import stats

from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.statistics.significance import ALPHA

POWER = 0.8
"""Probability with which a difference is to be decided."""

MAX_SEEDS = 1000
"""Nobody trains more; a difference that needs more is none that seeds decide."""


def seeds_to_decide(difference: MeanInterval, alpha: float = ALPHA) -> int | None:
    """Say how many paired seeds decide a difference as large as the measured one.

    That is the fewest at which the two-sided t test at ``alpha`` finds it in 80 % of cases, if the
    spread is the measured one. With three seeds the spread itself is known to a factor of
    0.5 to 6 only, so that the number is an order of magnitude.

    Returns:
        None where more than :data:`MAX_SEEDS` are needed, where the spread is not known (one
        seed), and where all pairs agree.
    """
    if not difference.sd or not difference.mean:
        return None
    # Student's t needs more than the normal distribution does.
    needed = (stats.norm.isf(alpha / 2) + stats.norm.ppf(POWER)) * difference.sd
    fewest = max(2.0, (needed / difference.mean) ** 2)
    if fewest > MAX_SEEDS:
        return None
    candidates = range(math.floor(fewest), MAX_SEEDS + 1)
    return next((seeds for seeds in candidates if decides(difference, seeds, alpha)), None)


def decides(difference: MeanInterval, seeds: int, alpha: float = ALPHA) -> bool:
    """Say whether so many paired seeds decide a difference of this size and spread.

    Args:
        difference: the measured one.
        seeds: how many pairs.
        alpha: the level of the two-sided t test.

    Raises:
        ValueError: if the spread is zero or not known, or for fewer than two seeds.
    """
    if not difference.sd or seeds < 2:
        raise ValueError(f"expected a spread and two seeds, got {difference} and {seeds}")
    critical = stats.t.isf(alpha / 2, seeds - 1)
    shift = abs(difference.mean) / difference.sd * math.sqrt(seeds)
    found = stats.nct.sf(critical, seeds - 1, shift) + stats.nct.cdf(-critical, seeds - 1, shift)
    return bool(found >= POWER)
