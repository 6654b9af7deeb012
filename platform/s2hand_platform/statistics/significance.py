"""Tests of paired differences over seeds, and what several of them at once may claim."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from s2hand_platform.statistics.intervals import MeanInterval

ALPHA = 0.05
"""The probability, for a whole table, of a claim that is wrong."""

MIN_SEEDS_BY_SYMMETRY = 6
"""With fewer, no test by signs or ranks can reach 5 %: the smallest p of n seeds is 2^(1 - n)."""

_MAX_SIGN_FLIPS = 2**16


@dataclass(frozen=True, kw_only=True, slots=True)
class SymmetryTests:
    """Two-sided p of paired differences, by tests that assume no more than symmetry."""

    signed_rank_p: float
    """Wilcoxon's."""
    sign_flip_p: float
    """Of the mean, over all choices of signs (up to 16 seeds, a fixed sample of them beyond)."""
    smallest_p: float
    """Which so many seeds can reach: 2^(1 - n)."""


def p_of_difference(difference: MeanInterval) -> float | None:
    """Test by the paired t test, two-sided, whether a mean difference is zero.

    Returns:
        None for one seed, about whose spread nothing is known. Where all pairs agree, 1 if they
        are zero and 0 otherwise.
    """
    if difference.sd is None:
        return None
    if difference.sd == 0:
        return float(difference.mean == 0)
    t = difference.mean / (difference.sd / math.sqrt(difference.n))
    return float(2 * stats.t.sf(abs(t), difference.n - 1))


def p_of_equivalence(difference: MeanInterval, tolerance: float) -> float | None:
    """Test by two one-sided t tests whether a mean difference is within a tolerance of zero.

    Returns:
        The larger p of both (Schuirmann 1987); None for one seed, or without a tolerance.
    """
    if difference.sd is None or tolerance <= 0:
        return None
    margin = tolerance - abs(difference.mean)
    if difference.sd == 0:
        return float(margin <= 0)
    return float(stats.t.sf(margin / (difference.sd / math.sqrt(difference.n)), difference.n - 1))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values so that the chance of any false claim among them stays below the level.

    Holm's step-down procedure (1979). What is not measured yet, None, counts as if its p were 1:
    so a claim does not become weaker when the rest is measured.
    """
    known = [1.0 if p is None else p for p in p_values]
    adjusted = [1.0] * len(known)
    reached = 0.0
    for rank, place in enumerate(np.argsort(known, kind="stable")):
        reached = max(reached, min(1.0, (len(known) - rank) * known[place]))
        adjusted[place] = reached
    return [None if p is None else value for p, value in zip(p_values, adjusted, strict=True)]


def by_symmetry(differences: Sequence[float]) -> SymmetryTests | None:
    """Test paired differences by signed ranks and by flipped signs.

    Returns:
        None for fewer than :data:`MIN_SEEDS_BY_SYMMETRY` seeds, and where all are zero.
    """
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < MIN_SEEDS_BY_SYMMETRY or not values.any():
        return None
    flipped = stats.permutation_test(
        (values,),
        np.mean,
        permutation_type="samples",
        n_resamples=_MAX_SIGN_FLIPS,
        rng=np.random.default_rng(0),
    )
    return SymmetryTests(
        signed_rank_p=float(stats.wilcoxon(values).pvalue),
        sign_flip_p=float(flipped.pvalue),
        smallest_p=2.0 ** (1 - len(values)),
    )
