import pytest

from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.statistics.intervals import mean_interval
from s2hand_platform.statistics.verdicts import judge_cell, judge_contrasts

CLEARLY_LOWER = mean_interval([-1.0, -1.1, -0.9])
CLEARLY_HIGHER = mean_interval([1.0, 1.1, 0.9])
UNCLEAR = mean_interval([-1.0, 1.1, 0.2])


@pytest.mark.parametrize(
    ("difference", "direction", "expected", "verdict"),
    [
        (CLEARLY_LOWER, "lower", "better", "reproduced"),
        (CLEARLY_LOWER, "lower", "worse", "reversed"),
        (CLEARLY_LOWER, "higher", "better", "reversed"),
        (CLEARLY_LOWER, "higher", "worse", "reproduced"),
        (CLEARLY_HIGHER, "higher", "better", "reproduced"),
        (CLEARLY_HIGHER, "lower", "better", "reversed"),
        (UNCLEAR, "lower", "better", "undecided"),
        (mean_interval([-5.0]), "lower", "better", "undecided"),
        (mean_interval([0.0, 0.0]), "lower", "better", "undecided"),
        (None, "lower", "better", "not run"),
    ],
)
def test_one_contrast(difference, direction, expected, verdict) -> None:  # type: ignore[no-untyped-def]
    (decision,) = judge_contrasts([difference], [expected], direction)
    assert decision.verdict == str(decision) == verdict
    assert not decision.is_within_tolerance
    assert decision.p_adjusted == decision.p
    assert (decision.p is None) == (difference is None or difference.n == 1)
    assert decision.p_equivalence is None


def test_contrasts_of_a_table_are_one_family() -> None:
    edge = mean_interval([-1.0, -1.5, -0.3, -0.9])  # p 0.034: decided alone, not among two
    alone, together = (
        judge_contrasts([edge, *more], ["better"] * (1 + len(more)), "lower")
        for more in ([], [UNCLEAR])
    )
    assert alone[0].verdict == "reproduced"
    assert together[0].verdict == "undecided"
    assert together[0].p == alone[0].p
    assert together[0].p_adjusted == pytest.approx(2 * alone[0].p)
    beside_what_was_not_run = judge_contrasts([edge, None], ["better", "better"], "lower")
    assert [each.verdict for each in beside_what_was_not_run] == ["undecided", "not run"]


def test_a_tolerance_tells_what_is_equivalent() -> None:
    nothing = mean_interval([0.01, -0.02, 0.0, 0.01])
    small = mean_interval([0.10, 0.11, 0.09, 0.10])
    large = mean_interval([1.0, 1.1, 0.9, 1.0])
    decisions = judge_contrasts(
        [nothing, small, large, UNCLEAR], ["worse"] * 4, "lower", tolerance=0.2
    )
    assert [str(decision) for decision in decisions] == [
        "equivalent",
        "reproduced, but differs by less than the tolerance",
        "reproduced",
        "undecided",
    ]
    (other_way,) = judge_contrasts([small], ["better"], "lower", tolerance=0.2)
    assert str(other_way) == "reversed, but differs by less than the tolerance"
    assert judge_contrasts([nothing], ["worse"], "lower")[0].verdict == "undecided"
    # Two that would each be equivalent alone at 5 % are not so both in one family of two.
    edge = mean_interval([0.0, 0.1, -0.1, 0.05])
    tolerance = 0.12
    assert (
        judge_contrasts([edge], ["worse"], "lower", tolerance=tolerance)[0].verdict == "equivalent"
    )
    both = judge_contrasts([edge, UNCLEAR], ["worse"] * 2, "lower", tolerance=tolerance)
    assert [each.verdict for each in both] == ["undecided", "undecided"]


PRINTED = PublishedCell.parse("1.10")


@pytest.mark.parametrize(
    ("values", "direction", "verdict"),
    [
        ([], "lower", "not run"),
        ([1.1], "lower", "undecided"),
        ([1.100, 1.101, 1.099], "lower", "reproduced"),
        ([1.05, 1.12, 1.16], "lower", "consistent but imprecise"),
        ([1.00, 1.001, 0.999], "lower", "better"),
        ([1.00, 1.001, 0.999], "higher", "worse"),
        ([1.20, 1.201, 1.199], "lower", "worse"),
        ([1.20, 1.201, 1.199], "higher", "better"),
    ],
)
def test_cells(values, direction, verdict) -> None:  # type: ignore[no-untyped-def]
    assert judge_cell(values, PRINTED, direction, comparable=True) == verdict


def test_a_declared_tolerance_widens_what_is_equal() -> None:
    values = [1.14, 1.141, 1.139]
    assert judge_cell(values, PRINTED, "lower", comparable=True) == "worse"
    assert judge_cell(values, PRINTED, "lower", comparable=True, tolerance=0.05) == "reproduced"


def test_other_data_is_never_judged() -> None:
    assert judge_cell([1.1, 1.1], PRINTED, "lower", comparable=False) == "not comparable"
    assert judge_cell([1.1, 1.1], None, "lower", comparable=True) == "not comparable"
