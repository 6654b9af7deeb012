"""Looks: against simulations without a difference, and closed forms where there is one look."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from jaxtyping import Bool, Float
from scipy import special, stats

from s2hand_platform.spec.schema import Look
from s2hand_platform.statistics import sequential
from s2hand_platform.statistics.intervals import MeanInterval, mean_interval
from s2hand_platform.statistics.sequential import judge_at_looks, planned_looks, spent_levels
from s2hand_platform.statistics.significance import ALPHA, p_of_equivalence
from s2hand_platform.statistics.verdicts import Decision

DRAWS = 200_000
FIVE, EIGHT, TWELVE = planned_looks(12, 4)


def monte_carlo_error(share: float) -> float:
    """Four standard errors of a simulated share."""
    return 4 * math.sqrt(share * (1 - share) / DRAWS)


def t_of(values: Float[np.ndarray, "draws seeds"]) -> Float[np.ndarray, " draws"]:
    sd = values.std(axis=1, ddof=1)
    return values.mean(axis=1) / sd * math.sqrt(values.shape[1])


def rejects(
    seeds: Sequence[int], levels: Sequence[float], seed: int
) -> list[Bool[np.ndarray, " draws"]]:
    """Which of many simulated contrasts without a difference each look claims."""
    values = np.random.default_rng(seed).standard_normal((DRAWS, seeds[-1]))
    return [
        np.abs(t_of(values[:, :n])) >= stats.t.isf(level / 2, n - 1)
        for n, level in zip(seeds, levels, strict=True)
    ]


@pytest.mark.parametrize(
    ("max_seeds", "num_contrasts", "seed"), [(12, 1, 0), (12, 5, 1), (7, 2, 2), (20, 1, 3)]
)
def test_all_looks_together_claim_as_often_as_one_test(
    max_seeds: int, num_contrasts: int, seed: int
) -> None:
    looks = planned_looks(max_seeds, num_contrasts)
    alpha = ALPHA / num_contrasts
    seeds = [look.seeds for look in looks]
    claimed = np.zeros(DRAWS, dtype=bool)
    for look, rejected, before in zip(
        looks,
        rejects(seeds, [look.level for look in looks], seed),
        [0, *seeds],
        strict=False,
    ):
        spent = alpha * (look.seeds - before) / max_seeds
        first = float((rejected & ~claimed).mean())
        assert first == pytest.approx(spent, abs=monte_carlo_error(spent))
        claimed |= rejected
    assert claimed.mean() <= alpha + monte_carlo_error(alpha)


def test_the_naive_repeated_test_claims_too_often() -> None:
    alpha = ALPHA / 5
    claimed = np.any(rejects([5, 8, 12], [alpha] * 3, seed=4), axis=0).mean()
    assert claimed > 1.8 * alpha
    assert claimed - alpha > 5 * monte_carlo_error(alpha)


def test_bounds_of_normal_theory_spend_all_at_the_first_look() -> None:
    """Pocock's for three looks, taken for t, are why the levels are those of t."""
    values = np.random.default_rng(5).standard_normal((DRAWS, 5))
    assert (np.abs(t_of(values)) > 2.289).mean() > ALPHA + 5 * monte_carlo_error(ALPHA)


def test_equivalence_is_not_claimed_more_often_either() -> None:
    """At the edge of the tolerance, where the other side is far: one one-sided test."""
    levels = spent_levels([5, 8, 12], ALPHA)
    values = np.random.default_rng(6).standard_normal((DRAWS, 12))
    claimed = np.any(
        [
            t_of(values[:, :n]) >= stats.t.isf(level, n - 1)
            for n, level in zip([5, 8, 12], levels, strict=True)
        ],
        axis=0,
    ).mean()
    assert 0.8 * ALPHA < claimed <= ALPHA + monte_carlo_error(ALPHA)


def test_levels_that_are_known_without_integration() -> None:
    assert spent_levels([12], 0.01) == [0.01]
    first, second = spent_levels([5, 12], 0.012)
    assert first == pytest.approx(0.012 * 5 / 12, rel=1e-12)
    # At least what is spent there, as some of what it would claim is claimed already; at most all.
    assert 0.012 * 7 / 12 < second < 0.012


def claimed_at_the_second_look(seeds: tuple[int, int], levels: Sequence[float]) -> float:
    """How probably the second look is the first to claim: by Gauss's rules, and Student's t.

    Given the first t and the share q of the squared length that its seeds have, what the added
    seeds must reach is a bound on their own t.
    """
    (first, second), added = seeds, seeds[1] - seeds[0]
    bounds = [stats.t.isf(level / 2, n - 1) for level, n in zip(levels, seeds, strict=True)]
    nodes, weights = np.polynomial.legendre.leggauss(400)
    angle = math.atan(bounds[0] / math.sqrt(first - 1)) * nodes  # t = √(n - 1) tan(angle)
    t = math.sqrt(first - 1) * np.tan(angle)
    density = angle[-1] / nodes[-1] * weights * stats.t.pdf(t, first - 1)
    density *= math.sqrt(first - 1) / np.cos(angle) ** 2
    cosine = np.sin(angle)
    roots, shares = special.roots_jacobi(400, added / 2 - 1, first / 2 - 1)
    q = (1 + roots) / 2
    needed = bounds[1] / math.sqrt(bounds[1] ** 2 + second - 1) * math.sqrt(second)
    of_added = (needed - cosine[:, None] * np.sqrt(q * first)) / np.sqrt((1 - q) * added)
    inside = np.clip(of_added, -1 + 1e-15, 1 - 1e-15)
    t_of_added = inside * math.sqrt(added - 1) / np.sqrt(1 - inside**2)
    above = np.where(of_added >= 1, 0.0, stats.t.sf(t_of_added, added - 1))
    return float(2 * density @ above @ shares / shares.sum())  # either side


@pytest.mark.parametrize(
    ("seeds", "alpha"),
    [((5, 8), 0.05), ((5, 12), 0.01), ((5, 7), 0.002), ((8, 10), 0.0125)],
)
def test_the_second_look_spends_its_share_exactly(seeds: tuple[int, int], alpha: float) -> None:
    share = alpha * (seeds[1] - seeds[0]) / seeds[1]
    found = claimed_at_the_second_look(seeds, spent_levels(seeds, alpha))
    assert found == pytest.approx(share, rel=5e-3)


def test_levels_do_not_hang_on_the_integration(monkeypatch: pytest.MonkeyPatch) -> None:
    rough = spent_levels([5, 8, 12], 0.05)
    for name, number in (("_CELLS", 320), ("_SHARES", 256), ("_KNOTS", 8192)):
        monkeypatch.setattr(sequential, name, number)
    assert spent_levels([5, 8, 12], 0.05) == pytest.approx(rough, rel=1e-3)


@pytest.mark.parametrize(
    ("max_seeds", "seeds"),
    [
        (2, [2]),
        (5, [5]),
        (6, [6]),
        (7, [5, 7]),
        (9, [5, 9]),
        (10, [5, 8, 10]),
        (12, [5, 8, 12]),
        (15, [5, 8, 12, 15]),
    ],
)
def test_looks_are_cut_at_the_most_seeds(
    max_seeds: int, seeds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequential, "spent_levels", lambda seeds, alpha: [alpha] * len(seeds))
    assert [look.seeds for look in planned_looks(max_seeds, 1)] == seeds


def test_the_levels_that_the_docs_print() -> None:
    assert [f"{look.level:.2g}" for look in planned_looks(12, 1)] == ["0.021", "0.018", "0.025"]
    assert [f"{look.level:.2g}" for look in planned_looks(12, 5)] == ["0.0042", "0.0031", "0.0042"]


def test_looks_need_two_seeds_and_a_contrast() -> None:
    for wrong in ((1, 4), (12, 0)):
        with pytest.raises(ValueError, match="expected two seeds and a contrast"):
            planned_looks(*wrong)


def values_with(p: float, n: int, sign: float = 1.0) -> MeanInterval:
    """Differences whose two-sided p is as asked for, with a standard deviation of 1."""
    mean = sign * stats.t.isf(p / 2, n - 1) / math.sqrt(n)
    spread = np.linspace(-1, 1, n)
    return mean_interval(list(mean + spread / spread.std(ddof=1)))


def judged(*taken: tuple[Look, MeanInterval | None], tolerance: float = 0.0) -> Decision:
    difference = taken[-1][1] if taken else None
    return judge_at_looks(
        list(taken), difference, "better", "lower", last=TWELVE, tolerance=tolerance
    )


def test_a_look_decides_at_its_own_level() -> None:
    for look in (FIVE, EIGHT, TWELVE):
        before = [(each, values_with(0.5, each.seeds)) for each in (FIVE, EIGHT, TWELVE)]
        before = [each for each in before if each[0].seeds < look.seeds]
        just = judged(*before, (look, values_with(0.999 * look.level, look.seeds, -1.0)))
        assert (just.verdict, just.look, just.is_open) == ("reproduced", look, False)
        assert just.p == pytest.approx(0.999 * look.level, rel=1e-6)
        assert just.p_adjusted is None
        not_quite = judged(*before, (look, values_with(1.001 * look.level, look.seeds)))
        assert (not_quite.verdict, not_quite.look) == ("undecided", look)
        assert not_quite.is_open == (look != TWELVE)


def test_what_an_earlier_look_decided_stays() -> None:
    found = judged(
        (FIVE, values_with(0.001, 5)),
        (EIGHT, values_with(0.9, 8)),
        (TWELVE, values_with(1e-5, 12, -1.0)),
    )
    assert (found.verdict, found.look) == ("reversed", FIVE)
    assert found.p == pytest.approx(0.001)


def test_equivalence_is_looked_at_too_and_stays() -> None:
    small = values_with(0.6, 5)
    found = judged((FIVE, small), (EIGHT, values_with(0.9, 8)), tolerance=4.0)
    assert (str(found), found.look, found.is_open) == ("equivalent", FIVE, False)
    assert found.p_equivalence == p_of_equivalence(small, 4.0)  # of the look that decided
    both = judged((FIVE, small), (EIGHT, values_with(1e-4, 8, -1.0)), tolerance=4.0)
    assert str(both) == "reproduced, but differs by less than the tolerance"
    assert both.look == EIGHT


def test_nothing_is_equivalent_where_no_tolerance_was_declared() -> None:
    small = MeanInterval(mean=0.0, sd=1e-3, half_width=1e-3, n=12)
    found = judge_at_looks([(TWELVE, small)], small, "better", "lower", last=TWELVE)
    assert (found.verdict, found.p_equivalence) == ("undecided", None)


def test_what_no_more_seeds_would_decide_is_not_open() -> None:
    nothing = MeanInterval(mean=0.0, sd=1.0, half_width=0.84, n=8)
    assert not judged((EIGHT, nothing)).is_open
    assert judged((EIGHT, nothing), tolerance=0.91).is_open  # 12 seeds can show 0.89
    assert not judged((EIGHT, nothing), tolerance=0.87).is_open
    assert judged((FIVE, mean_interval([-1.0, 0.5, 1.0, -0.5, 0.5]))).is_open
    assert not judged((FIVE, mean_interval([0.0] * 5))).is_open
    assert judged((FIVE, mean_interval([0.5]))).is_open  # the other seeds failed


def test_before_a_look_is_complete_nothing_is_decided() -> None:
    found = judge_at_looks([], mean_interval([9.0, 9.1]), "better", "lower", last=TWELVE)
    assert (found.verdict, found.p, found.look, found.is_open) == ("undecided", None, None, True)
    never = judged((FIVE, None))
    assert (never.verdict, never.is_open) == ("not run", False)
