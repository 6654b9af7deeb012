import pytest

from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.statistics.intervals import mean_interval
from s2hand_platform.statistics.verdicts import judge_cell, judge_contrast

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
def test_contrasts(difference, direction, expected, verdict) -> None:  # type: ignore[no-untyped-def]
    assert judge_contrast(difference, direction, expected) == verdict


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
