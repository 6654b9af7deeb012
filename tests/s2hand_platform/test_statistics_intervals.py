import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from s2hand_platform.statistics.intervals import (
    is_consistent,
    is_equivalent,
    mean_interval,
    paired_differences,
    prediction_half_width,
)

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12).filter(lambda x: np.std(x) > 1e-6)


def test_textbook_interval() -> None:
    # 1..5: m = 3, s = sqrt(2.5), t(4, 0.975) = 2.776 in printed tables
    interval = mean_interval([1, 2, 3, 4, 5])
    assert (interval.mean, interval.n) == (3, 5)
    assert interval.half_width == pytest.approx(2.776 * math.sqrt(2.5 / 5), abs=1e-3)


def test_textbook_sleep_data() -> None:
    """Student (1908), extra hours of sleep under two drugs: 95 % interval 0.70 to 2.46."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    pairs = paired_differences(dict(enumerate(second)), dict(enumerate(first)))
    difference = mean_interval(list(pairs.values()))
    assert difference.mean == pytest.approx(1.58)
    assert (difference.low, difference.high) == pytest.approx((0.7001142, 2.4598858))


@given(VALUES)
def test_interval_agrees_with_scipy(values: list[float]) -> None:
    interval = mean_interval(values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-9)


@given(VALUES, st.integers(0, 2**32 - 1))
def test_pairing_agrees_with_scipy(values: list[float], seed: int) -> None:
    other = np.asarray(values) + np.random.default_rng(seed).normal(size=len(values))
    pairs = paired_differences(dict(enumerate(values)), dict(enumerate(other)))
    difference = mean_interval(list(pairs.values()))
    expected = stats.ttest_rel(values, other).confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx(tuple(expected), rel=1e-6, abs=1e-9)


def test_other_confidences_agree_with_scipy() -> None:
    values = [1.0, 2.5, 2.0, 4.0]
    interval = mean_interval(values, 0.8)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.8)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected))
    assert interval.sd == pytest.approx(np.std(values, ddof=1))
    # t(3, 0.9) = 1.638 in printed tables
    one_more = prediction_half_width(interval, 0.8)
    assert one_more == pytest.approx(1.638 * np.std(values, ddof=1) * math.sqrt(1.25), abs=1e-3)


def test_pairs_are_seeds_that_both_have() -> None:
    assert paired_differences({1: 2.0, 0: 1.0, 5: 9.0}, {1: 1.5, 0: 0.0, 7: 3.0}) == {
        0: 1.0,
        1: 0.5,
    }
    assert paired_differences({0: 1.0}, {1: 1.0}) == {}


def test_one_seed_has_no_interval() -> None:
    interval = mean_interval([1.5])
    assert (interval.mean, interval.n, interval.half_width) == (1.5, 1, None)
    assert (interval.low, interval.high) == (-math.inf, math.inf)
    assert prediction_half_width(interval) is None


@given(st.floats(-1e9, 1e9), st.integers(2, 9))
def test_equal_values_have_no_spread(value: float, n: int) -> None:
    interval = mean_interval([value] * n)
    assert (interval.mean, interval.sd, interval.half_width) == (value, 0.0, 0.0)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_nothing_and_nan_have_no_mean(values: list[float]) -> None:
    with pytest.raises(ValueError, match="expected at least one finite value"):
        mean_interval(values)


def test_prediction_interval_covers_the_next_run() -> None:
    """Of 4000 experiments of 4 runs, the fifth falls into the 95 % prediction interval in 95 %."""
    runs = np.random.default_rng(0).normal(3.0, 0.2, size=(4000, 5))
    covered = [is_consistent(mean_interval(list(row[:4])), row[4], 0.0) for row in runs]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)


def test_prediction_interval_by_hand() -> None:
    half_width = prediction_half_width(mean_interval([1, 2, 3, 4, 5]))
    assert half_width == pytest.approx(2.776 * math.sqrt(2.5) * math.sqrt(1.2), abs=2e-3)


def test_consistency_counts_the_printed_rounding() -> None:
    interval = mean_interval([1.0, 1.2])  # prediction interval: 1.1 ± 2.2
    edge = prediction_half_width(interval) or 0
    assert is_consistent(interval, 1.1 + edge + 0.004, 0.005)
    assert not is_consistent(interval, 1.1 + edge + 0.006, 0.005)
    assert not is_consistent(mean_interval([1.0]), 1.0, 0.005)


def test_what_touches_a_printed_interval_is_in_it() -> None:
    interval = mean_interval([1.5, 1.5])  # without a spread only the printed rounding is left
    for printed in (1.0, 2.0):
        assert is_consistent(interval, printed, 0.5)
        assert not is_consistent(interval, printed, 0.499)
        assert is_equivalent(interval, printed, 0.25, 0.25)
        assert not is_equivalent(interval, printed, 0.25, 0.249)


@given(VALUES, st.floats(-10, 10), st.floats(0.01, 10))
def test_equivalence_is_two_one_sided_tests(
    values: list[float], printed: float, bound: float
) -> None:
    printed += float(np.mean(values))
    lower = stats.ttest_1samp(values, printed - bound, alternative="greater").pvalue
    upper = stats.ttest_1samp(values, printed + bound, alternative="less").pvalue
    p = max(lower, upper)
    if abs(p - 0.05) > 1e-9:
        assert is_equivalent(mean_interval(values), printed, bound / 4, bound * 3 / 4) == (p < 0.05)


def test_equivalence_ends_where_a_one_sided_test_has_five_percent() -> None:
    values = [1.0, 1.2, 1.1, 1.4]
    furthest = float(np.mean(values) + stats.t.isf(0.05, 3) * stats.sem(values))
    for bound, equivalent in ((furthest * 1.001, True), (furthest * 0.999, False)):
        assert is_equivalent(mean_interval(values), 0.0, 0.0, bound) == equivalent


def test_one_seed_is_never_equivalent() -> None:
    assert not is_equivalent(mean_interval([1.0]), 1.0, 0.5, 0.5)
