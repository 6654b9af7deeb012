"""Student's intervals over seeds, and equivalence with a printed number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class MeanInterval:
    """A mean over seeds with its Student interval."""

    mean: float
    sd: float | None
    """Standard deviation over seeds (n - 1); None for one seed."""
    half_width: float | None
    """Half the 95 % interval of the mean; None for one seed."""
    n: int

    @property
    def low(self) -> float:
        """Lower end; minus infinity for one seed, about which nothing is known."""
        return self.mean - self.half_width if self.half_width is not None else -math.inf

    @property
    def high(self) -> float:
        """Upper end; infinity for one seed."""
        return self.mean + self.half_width if self.half_width is not None else math.inf


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> MeanInterval:
    """Estimate a mean with its t interval: m ± t(n-1)·s/√n.

    Raises:
        ValueError: if there are no values, or one of them is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"expected at least one finite value, got {list(values)!r}")
    if array.size == 1:
        return MeanInterval(mean=float(array[0]), sd=None, half_width=None, n=1)
    if array.min() == array.max():  # the mean's rounding would pass for a spread
        return MeanInterval(mean=float(array[0]), sd=0.0, half_width=0.0, n=array.size)
    sd = float(array.std(ddof=1))
    half_width = _quantile(confidence, array.size) * sd / math.sqrt(array.size)
    return MeanInterval(mean=float(array.mean()), sd=sd, half_width=half_width, n=array.size)


def paired_differences(row: Mapping[int, float], baseline: Mapping[int, float]) -> dict[int, float]:
    """Return ``row - baseline`` for every seed that both have, in the order of seeds."""
    return {seed: row[seed] - baseline[seed] for seed in sorted(set(row) & set(baseline))}


def prediction_half_width(interval: MeanInterval, confidence: float = CONFIDENCE) -> float | None:
    """Return half the interval in which one further run is expected: t·s·√(1 + 1/n).

    Returns:
        None for one seed.
    """
    if interval.sd is None:
        return None
    return _quantile(confidence, interval.n) * interval.sd * math.sqrt(1 + 1 / interval.n)


def is_consistent(interval: MeanInterval, printed: float, printed_half_width: float) -> bool:
    """Say whether a printed number could be one further run of ours.

    The printed number stands for an interval of its rounding; it is consistent when that meets
    the 95 % prediction interval. One seed is never consistent: its spread is unknown.
    """
    half_width = prediction_half_width(interval)
    return (
        half_width is not None and abs(interval.mean - printed) <= half_width + printed_half_width
    )


def is_equivalent(
    interval: MeanInterval, printed: float, printed_half_width: float, tolerance: float
) -> bool:
    """Test by two one-sided tests at 5 % whether our mean equals a printed number.

    Equivalent means that the 90 % interval of our mean lies within ``printed`` plus or minus its
    rounding and ``tolerance``, which is to be declared before measuring.
    """
    if interval.sd is None:
        return False
    half_width = _quantile(0.90, interval.n) * interval.sd / math.sqrt(interval.n)
    return abs(interval.mean - printed) + half_width <= printed_half_width + tolerance


def _quantile(confidence: float, n: int) -> float:
    return float(stats.t.ppf(0.5 + confidence / 2, n - 1))
