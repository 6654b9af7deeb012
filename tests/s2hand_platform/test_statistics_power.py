import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from s2hand_platform.statistics.intervals import MeanInterval, mean_interval
from s2hand_platform.statistics.power import (
    POWER,
    power,
    seeds_to_decide,
    spread_interval,
)
from s2hand_platform.statistics.significance import ALPHA, p_of_difference


def difference(mean: float, sd: float | None, n: int = 3) -> MeanInterval:
    return MeanInterval(mean=mean, sd=sd, half_width=None, n=n)


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_cohens_effects_need_the_textbooks_pairs(effect: float, pairs: int) -> None:
    """Paired t test, two-sided, 5 %, power 80 %: printed in every table of sample sizes."""
    assert seeds_to_decide(difference(-3 * effect, 3.0)) == pairs
    assert seeds_to_decide(difference(effect, 1.0, n=7)) == pairs
    assert seeds_to_decide(difference(effect / 5, 0.2)) == pairs


def test_a_difference_without_doubt_needs_two() -> None:
    assert seeds_to_decide(difference(100.0, 1.0)) == 2


def test_a_thousand_seeds_may_decide_and_no_more() -> None:
    low, high = 0.08, 0.1  # of which a thousand decide the second
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, 1.0, 1000) >= POWER else (middle, high)
    assert seeds_to_decide(difference(high, 1.0)) == 1000
    assert power(low, 1.0, 1001) >= POWER
    assert seeds_to_decide(difference(low, 1.0)) is None


@pytest.mark.parametrize("alpha", [0.05, 0.0125])
def test_a_simulation_decides_as_often(alpha: float) -> None:
    generator = np.random.default_rng(0)
    seeds = seeds_to_decide(difference(1.4, 1.0), alpha=alpha)
    assert seeds is not None
    shares = []
    for n in (seeds - 1, seeds):
        p = stats.ttest_1samp(generator.normal(1.4, 1.0, (20_000, n)), 0.0, axis=1).pvalue
        shares.append(float((p < alpha).mean()))
    error = 4 * math.sqrt(0.8 * 0.2 / 20_000)
    assert shares[0] < 0.8 + error
    assert shares[1] > 0.8 - error
    assert shares[1] - shares[0] > 0.02


@settings(deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=2, max_size=9).filter(lambda x: np.std(x) > 1e-3))
def test_what_is_undecided_needs_more_seeds_than_it_has(values: list[float]) -> None:
    found = mean_interval(values)
    needed = seeds_to_decide(found)
    p = p_of_difference(found)
    if p is not None and p > ALPHA and needed is not None:
        assert needed > found.n
    if needed is not None and found.sd is not None:
        assert power(found.mean, found.sd, needed) >= POWER
        assert needed == 2 or power(found.mean, found.sd, needed - 1) < POWER


def test_where_no_number_of_seeds_is_known() -> None:
    assert seeds_to_decide(difference(0.5, None, n=1)) is None
    assert seeds_to_decide(difference(0.5, 0.0)) is None
    assert seeds_to_decide(difference(0.0, 1.0)) is None
    assert seeds_to_decide(difference(0.01, 1.0)) is None


def test_one_seed_decides_nothing() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        power(1.0, 1.0, 1)
    with pytest.raises(ValueError, match="a spread"):
        power(1.0, 0.0, 3)
    with pytest.raises(ValueError, match="two values"):
        spread_interval(1.0, 1)


@pytest.mark.parametrize(("effect", "seeds"), [(5.0, 4), (20.0, 3), (1e4, 2)])
def test_a_large_effect_needs_the_fewest_seeds(effect: float, seeds: int) -> None:
    """Where the far tail of the noncentral t cannot be computed, and must not be asked for."""
    assert seeds_to_decide(difference(effect, 1.0), alpha=0.01) == seeds
    assert power(effect, 1.0, 6) == pytest.approx(1.0, abs=1e-6)
    assert power(-effect, 1.0, 4) == power(effect, 1.0, 4)


@pytest.mark.parametrize(("effect", "seeds"), [(1.0, 3), (-1.5, 4), (0.7, 9)])
def test_power_is_that_of_a_normal_mean_over_all_deviations(effect: float, seeds: int) -> None:
    """Given the deviation, the mean is normal; the deviation's square is a chi-square's share."""
    degrees, bound = seeds - 1, stats.t.isf(0.025, seeds - 1)
    shift = abs(effect) / 2 * math.sqrt(seeds)
    expected = stats.chi2(degrees).expect(
        lambda square: stats.norm.sf(bound * np.sqrt(square / degrees) - shift)
    )
    assert power(effect, 2.0, seeds) == pytest.approx(expected, rel=1e-6)


def test_three_values_know_their_spread_to_a_factor() -> None:
    """With two degrees of freedom chi-square is exponential: in closed form."""
    low, high = spread_interval(2.0, 3)
    assert low == pytest.approx(2 * math.sqrt(1 / -math.log(0.025)), rel=1e-12)
    assert high == pytest.approx(2 * math.sqrt(1 / -math.log(0.975)), rel=1e-12)
    assert (round(low / 2, 2), round(high / 2, 1)) == (0.52, 6.3)


def test_two_values_know_little_of_their_spread() -> None:
    """With one degree of freedom chi-square is the square of a normal variable."""
    low, high = spread_interval(2.0, 2)
    assert low == pytest.approx(2 / stats.norm.ppf(0.9875), rel=1e-9)
    assert high == pytest.approx(2 / stats.norm.ppf(0.5125), rel=1e-9)


def test_intervals_of_the_spread_cover_as_often_as_they_say() -> None:
    draws = 20_000
    sds = np.random.default_rng(4).normal(0.0, 0.7, (draws, 5)).std(axis=1, ddof=1)
    low, high = spread_interval(1.0, 5)
    covered = float(((low * sds <= 0.7) & (high * sds >= 0.7)).mean())
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / draws))
