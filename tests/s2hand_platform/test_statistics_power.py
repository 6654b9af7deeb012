import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from s2hand_platform.statistics.intervals import MeanInterval, mean_interval
from s2hand_platform.statistics.power import decides, seeds_to_decide
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
        low, high = (low, middle) if decides(difference(middle, 1.0), 1000) else (middle, high)
    assert seeds_to_decide(difference(high, 1.0)) == 1000
    assert decides(difference(low, 1.0), 1001)
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


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=9).filter(lambda x: np.std(x) > 1e-3))
def test_what_is_undecided_needs_more_seeds_than_it_has(values: list[float]) -> None:
    found = mean_interval(values)
    needed = seeds_to_decide(found)
    p = p_of_difference(found)
    if p is not None and p > ALPHA and needed is not None:
        assert needed > found.n
    if needed is not None:
        assert decides(found, needed)
        assert needed == 2 or not decides(found, needed - 1)


def test_where_no_number_of_seeds_is_known() -> None:
    assert seeds_to_decide(difference(0.5, None, n=1)) is None
    assert seeds_to_decide(difference(0.5, 0.0)) is None
    assert seeds_to_decide(difference(0.0, 1.0)) is None
    assert seeds_to_decide(difference(0.01, 1.0)) is None


def test_one_seed_decides_nothing() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        decides(difference(1.0, 1.0), 1)
