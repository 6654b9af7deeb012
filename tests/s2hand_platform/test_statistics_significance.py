"""Tests of tests: against SciPy, printed examples, and simulations whose truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from s2hand_platform.statistics.intervals import MeanInterval, mean_interval
from s2hand_platform.statistics.significance import (
    ALPHA,
    by_symmetry,
    holm,
    p_of_difference,
    p_of_equivalence,
)
from s2hand_platform.statistics.verdicts import judge_contrasts

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12).filter(lambda x: np.std(x) > 1e-6)
NUM_TABLES = 1500


def monte_carlo_error(share: float, draws: int) -> float:
    """Four standard errors of a simulated share."""
    return 4 * math.sqrt(share * (1 - share) / draws)


@given(VALUES)
def test_p_agrees_with_scipy(values: list[float]) -> None:
    expected = stats.ttest_1samp(values, 0.0).pvalue
    assert p_of_difference(mean_interval(values)) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(VALUES, st.floats(0.01, 1e3))
def test_p_of_equivalence_agrees_with_scipy(values: list[float], tolerance: float) -> None:
    lower = stats.ttest_1samp(values, -tolerance, alternative="greater").pvalue
    upper = stats.ttest_1samp(values, tolerance, alternative="less").pvalue
    found = p_of_equivalence(mean_interval(values), tolerance)
    assert found == pytest.approx(max(lower, upper), rel=1e-6, abs=1e-12)


def test_where_there_is_no_p() -> None:
    one = mean_interval([1.0])
    assert p_of_difference(one) is None
    assert p_of_equivalence(one, 9.0) is None
    assert p_of_equivalence(mean_interval([0.0, 1.0]), 0.0) is None


def test_pairs_that_all_agree() -> None:
    none, some = mean_interval([0.0, 0.0]), mean_interval([0.5, 0.5])
    assert (p_of_difference(none), p_of_difference(some)) == (1.0, 0.0)
    assert (p_of_equivalence(some, 0.6), p_of_equivalence(some, 0.5)) == (0.0, 1.0)


def test_holm_of_his_textbook_steps() -> None:
    """0.01, 0.04, 0.03, 0.005: times 4, 3, 2, 1 from the smallest on, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_was_not_measured_counts_in_the_family() -> None:
    assert holm([0.01, None, 0.02]) == [pytest.approx(0.03), None, pytest.approx(0.04)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_order_and_lies_between_none_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert q is not None
        assert p <= q <= min(1.0, len(p_values) * p) + 1e-12
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.asarray(adjusted, dtype=float)[order]) >= 0)


def test_darwins_maize() -> None:
    """Fisher (1935) on Darwin's 15 pairs: 1726 of 2^15 signs give a sum as large: p 0.0527."""
    eighths = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    found = by_symmetry([value / 8 for value in eighths])
    assert found is not None
    assert found.sign_flip_p == pytest.approx(2 * 863 / 2**15)
    assert found.signed_rank_p == pytest.approx(stats.wilcoxon(eighths).pvalue)
    assert found.smallest_p == 2**-14


def test_tests_by_symmetry_begin_where_they_can_reach_five_percent() -> None:
    assert by_symmetry([1.0, 1.1, 1.2, 1.3, 1.4]) is None
    assert by_symmetry([0.0] * 6) is None
    found = by_symmetry([1.0, 1.1, 1.2, 1.3, 1.4, 1.5])
    assert found is not None
    assert found.signed_rank_p == found.sign_flip_p == found.smallest_p == 2**-5 < ALPHA


@pytest.mark.parametrize(("seeds", "signs"), [(16, 2**16), (17, 2**16 + 1)])
def test_up_to_sixteen_seeds_all_signs_are_flipped_and_a_sample_beyond(
    seeds: int, signs: int
) -> None:
    """Of a sample the signs that were measured are one more."""
    found = by_symmetry(list(np.random.default_rng(4).normal(0.3, 1.0, seeds)))
    assert found is not None
    as_large = found.sign_flip_p / 2 * signs  # on one side
    assert as_large == pytest.approx(round(as_large), abs=1e-6)
    assert 0.01 < found.sign_flip_p < 0.99


def test_a_table_is_wrong_in_five_percent() -> None:
    assert ALPHA == 0.05


def test_many_seeds_give_every_reader_the_same_p() -> None:
    values = list(np.random.default_rng(1).normal(0.4, 1.0, 30))
    first, second = by_symmetry(values), by_symmetry(values)
    assert first == second
    assert first is not None
    assert first.sign_flip_p == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue, rel=0.15)


def test_intervals_cover_as_often_as_they_say() -> None:
    runs = np.random.default_rng(2).normal(0.3, 0.7, size=(NUM_TABLES, 3))
    covered = np.mean(
        [abs(found.mean - 0.3) <= (found.half_width or 0) for found in map(mean_interval, runs)]
    )
    assert covered == pytest.approx(0.95, abs=monte_carlo_error(0.95, NUM_TABLES))


def simulated(effects: list[float], *, seeds: int, correlation: float) -> list[list[MeanInterval]]:
    """Paired differences of tables whose contrasts share a row, as those of Table 4 do."""
    generator = np.random.default_rng(3)
    shape = (NUM_TABLES, seeds, len(effects))
    shared = generator.normal(size=(NUM_TABLES, seeds, 1)) * math.sqrt(correlation)
    own = generator.normal(size=shape) * math.sqrt(1 - correlation)
    differences = shared + own + np.asarray(effects)
    return [
        [mean_interval(table[:, place]) for place in range(len(effects))] for table in differences
    ]


@pytest.mark.parametrize("seeds", [3, 6])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_a_table_claims_a_wrong_difference_in_at_most_five_percent(
    seeds: int, correlation: float
) -> None:
    effects = [0.0, 0.0, 0.0, 5.0]
    wrong = 0
    for table in simulated(effects, seeds=seeds, correlation=correlation):
        decisions = judge_contrasts(table, ["better"] * 4, "lower")
        wrong += any(each.verdict in {"reproduced", "reversed"} for each in decisions[:3])
    assert wrong / NUM_TABLES <= ALPHA + monte_carlo_error(ALPHA, NUM_TABLES)
    assert wrong / NUM_TABLES > ALPHA / 3  # the procedure is not merely silent


@pytest.mark.parametrize("seeds", [4, 8])
def test_a_table_claims_a_wrong_equivalence_in_at_most_five_percent(seeds: int) -> None:
    tolerance = 2.0
    effects = [tolerance, -tolerance, 0.0]  # at the edge, where it is most often wrong
    wrong = 0
    for table in simulated(effects, seeds=seeds, correlation=0.3):
        decisions = judge_contrasts(table, ["better"] * 3, "lower", tolerance=tolerance)
        wrong += any(each.is_within_tolerance for each in decisions[:2])
    assert wrong / NUM_TABLES <= ALPHA + monte_carlo_error(ALPHA, NUM_TABLES)
    assert wrong / NUM_TABLES > ALPHA / 3
