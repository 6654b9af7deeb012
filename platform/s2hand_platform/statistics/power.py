"""How many seeds a paired difference needs until it is decided."""

import math

from scipy import stats

from s2hand_platform.statistics.intervals import CONFIDENCE, MeanInterval
from s2hand_platform.statistics.significance import ALPHA

POWER = 0.8
"""Probability with which a difference is to be decided."""

MAX_SEEDS = 1000
"""Nobody trains more; a difference that needs more is none that seeds decide."""


def power(effect: float, sd: float, seeds: int, alpha: float = ALPHA) -> float:
    """Return how probably so many paired seeds find a difference on the side where it is.

    Args:
        effect: the true mean difference.
        sd: standard deviation of the differences of pairs, in the same unit.
        seeds: how many pairs.
        alpha: the level of the two-sided t test.

    Raises:
        ValueError: if the spread is not positive, or for fewer than two seeds.
    """
    if sd <= 0 or seeds < 2:
        raise ValueError(f"expected a spread and two seeds, got {sd} and {seeds}")
    shift = abs(effect) / sd * math.sqrt(seeds)
    return float(stats.nct.sf(stats.t.isf(alpha / 2, seeds - 1), seeds - 1, shift))


def spread_interval(sd: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a standard deviation that ``n`` values were measured to have.

    By the chi-square distribution of n - 1 degrees: with three values 0.52 to 6.3 times ``sd``.

    Raises:
        ValueError: for fewer than two values.
    """
    if n < 2:
        raise ValueError(f"expected two values at least, got {n}")
    tail = (1 - CONFIDENCE) / 2
    high, low = (math.sqrt((n - 1) / stats.chi2.ppf(q, n - 1)) for q in (tail, 1 - tail))
    return low * sd, high * sd


def seeds_to_decide(difference: MeanInterval, alpha: float = ALPHA) -> int | None:
    """Say how many paired seeds decide a difference as large as the measured one.

    That is the fewest at which the two-sided t test at ``alpha`` finds it in 80 % of cases, if the
    spread is the measured one. With three seeds the spread itself is known to a factor of
    0.5 to 6 only, so that the number is an order of magnitude.

    Returns:
        None where more than :data:`MAX_SEEDS` are needed, where the spread is not known (one
        seed), and where all pairs agree.
    """
    effect, sd = difference.mean, difference.sd
    if not sd or not effect:
        return None
    # Student's t needs more than the normal distribution does.
    needed = (stats.norm.isf(alpha / 2) + stats.norm.ppf(POWER)) * sd
    fewest = max(2.0, (needed / effect) ** 2)
    if fewest > MAX_SEEDS:
        return None
    candidates = range(math.floor(fewest), MAX_SEEDS + 1)
    return next((seeds for seeds in candidates if power(effect, sd, seeds, alpha) >= POWER), None)
