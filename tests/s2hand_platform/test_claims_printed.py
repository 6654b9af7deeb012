"""Claims against printed digits."""

from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import floor

import pytest
from claim_parts import BETTER, THE_SAME, between, part, stated
from hypothesis import given
from hypothesis import strategies as st

from s2hand_platform.claims.outcomes import Outcome, of_all, of_readings
from s2hand_platform.claims.printed import judge_printed
from s2hand_platform.spec.claim_checks import Region
from s2hand_platform.spec.published import PublishedCell

Pair = tuple[str, str]


@pytest.mark.parametrize(
    ("printed", "claimed", "outcome"),
    [
        (("1.24", "1.54"), "19.5", "holds"),  # 19.48
        (("1.26", "1.58"), "19.5", "contradicted"),  # 19.68 at least
        (("1.09", "1.12"), "3.5", "ambiguous"),  # 2.68, up to 3.56
        (("1.09", "1.12"), "3.6", "ambiguous"),  # 3.55 is below 3.556
        (("1.09", "1.12"), "3.61", "contradicted"),
        (("1.26", "1.20"), "-5", "holds"),
        (("1.26", "1.20"), "5", "contradicted"),
    ],
)
def test_a_stated_percentage(printed: Pair, claimed: str, outcome: Outcome) -> None:
    assert judge_printed(part("percent", stated(claimed), printed)).outcome == outcome


def test_percents_say_how_much_better_the_row_is() -> None:
    lower = judge_printed(part("percent", stated("20"), ("0.80", "1.00")))
    higher = judge_printed(part("percent", stated("-20"), ("0.80", "1.00"), direction="higher"))
    assert (lower.value, higher.value) == (20, -20)
    assert lower.possible is not None
    assert higher.possible == -lower.possible
    assert {lower.outcome, higher.outcome} == {"holds"}


@pytest.mark.parametrize(
    ("printed", "claimed", "outcome"),
    [
        (("0.780", "0.779"), "0.001", "holds"),
        (("0.780", "0.779"), "-0.001", "contradicted"),
        (("0.780", "0.779"), "0.002", "ambiguous"),
        (("0.780", "0.779"), "0.004", "contradicted"),
        (("0.034", "0.035"), "-0.001", "holds"),  # row minus baseline, whatever is better
    ],
)
def test_a_stated_difference(printed: Pair, claimed: str, outcome: Outcome) -> None:
    assert judge_printed(part("difference", stated(claimed), printed)).outcome == outcome


@pytest.mark.parametrize(
    ("printed", "outcome"),
    [
        (("1.10", "1.12"), "holds"),
        (("1.11", "1.12"), "not decided"),  # both may be 1.115
        (("1.12", "1.12"), "not decided"),
        (("1.13", "1.12"), "not decided"),
        (("1.14", "1.12"), "contradicted"),
        (("1.1", "1.12"), "not decided"),
    ],
)
def test_an_order_of_errors(printed: Pair, outcome: Outcome) -> None:
    assert judge_printed(part("gain", BETTER, printed)).outcome == outcome
    higher = part("gain", BETTER, (printed[1], printed[0]), direction="higher")
    assert judge_printed(higher).outcome == outcome


@pytest.mark.parametrize(
    ("printed", "region", "outcome"),
    [
        (("1.12", "1.12"), between(None, "1"), "holds"),  # at most 0.889 %
        (("1.11", "1.12"), between(None, "1"), "not decided"),
        (("1.00", "1.12"), between(None, "1"), "contradicted"),
        (("1.00", "1.12"), between("10", None), "not decided"),  # from 9.87 %
        (("1.00", "1.12"), between("9", None), "holds"),
        (("1.00", "1.12"), between("12", None), "contradicted"),
    ],
)
def test_bounds_of_percentages(printed: Pair, region: Region, outcome: Outcome) -> None:
    assert judge_printed(part("percent", region, printed)).outcome == outcome


@pytest.mark.parametrize(
    ("printed", "by", "outcome"),
    [
        (("0.77", "0.77"), "0.01", "holds"),  # the ends are within
        (("0.77", "0.76"), "0.01", "not decided"),
        (("0.77", "0.76"), "0.02", "holds"),
        (("0.76", "0.77"), "0.02", "holds"),
        (("0.77", "0.74"), "0.01", "contradicted"),
        (("0.74", "0.77"), "0.01", "contradicted"),
    ],
)
def test_within(printed: Pair, by: str, outcome: Outcome) -> None:
    assert judge_printed(part("difference", between(f"-{by}", by), printed)).outcome == outcome


@pytest.mark.parametrize(
    ("printed", "outcome"),
    [
        (("0.780", "0.780"), "holds"),
        (("0.780", "0.779"), "contradicted"),  # one number is printed in one way
        (("0.78", "0.779"), "not decided"),
        (("0.78", "0.774"), "contradicted"),
        (("0.78", "0.780"), "not decided"),
    ],
)
def test_the_same_number(printed: Pair, outcome: Outcome) -> None:
    assert judge_printed(part("difference", THE_SAME, printed)).outcome == outcome


def test_what_is_not_printed_is_named() -> None:
    for printed, missing in ((("", "1.0"), "t.a.error"), (("1.0", ""), "t.b.error")):
        found = judge_printed(part("gain", BETTER, printed))
        assert (found.outcome, found.reason) == (
            "not printed",
            f"the paper does not print {missing}",
        )
        assert (found.value, found.possible) == (None, None)


def test_percents_of_what_may_be_zero_are_not_decided() -> None:
    found = judge_printed(part("percent", stated("3"), ("0.1", "0.0")))
    assert found.outcome == "not decided"
    assert "t.b.error: " in found.reason
    assert "not above zero" in found.reason


@st.composite
def printed_pairs(draw: st.DrawFn) -> tuple[tuple[Fraction, Fraction], Pair]:
    """Two numbers, and how both are printed with the same decimals."""
    decimals = draw(st.integers(0, 3))
    exact = [Decimal(draw(st.integers(10**3, 10**6))).scaleb(-decimals - 2) for _ in range(2)]
    unit = Decimal(1).scaleb(-decimals)
    one, other = (str(number.quantize(unit)) for number in exact)
    return (Fraction(exact[0]), Fraction(exact[1])), (one, other)


def rounded(number: Fraction, decimals: int) -> str:
    units = floor(number * 10**decimals + Fraction(1, 2))
    return f"{Decimal(units).scaleb(-decimals):.{decimals}f}"


@given(printed_pairs(), st.integers(0, 2), st.sampled_from(["lower", "higher"]))
def test_what_is_true_is_never_contradicted(
    pair: tuple[tuple[Fraction, Fraction], Pair], decimals: int, direction: str
) -> None:
    (one, other), printed = pair
    gain = other - one if direction == "lower" else one - other
    judged = [part("difference", stated(rounded(one - other, decimals)), printed)]
    if gain > 0:
        judged.append(part("gain", BETTER, printed, direction=direction))
    if float(printed[1]) > 0.5 * 10 ** -len(printed[1].partition(".")[2]):
        percent = stated(rounded(100 * gain / other, decimals))
        judged.append(part("percent", percent, printed, direction=direction))
    assert "contradicted" not in [judge_printed(each).outcome for each in judged]


@given(printed_pairs())
def test_an_order_is_decided_where_the_table_says_so(
    pair: tuple[tuple[Fraction, Fraction], Pair],
) -> None:
    _, printed = pair
    one, other = (PublishedCell.parse(text) for text in printed)
    decided = judge_printed(part("gain", BETTER, printed)).outcome in {"holds", "contradicted"}
    assert decided == one.minus(other).is_decided


RANKS: tuple[Outcome, ...] = (
    "contradicted", "not printed", "not run", "not comparable", "not decided", "ambiguous", "holds",
)  # fmt: skip


def test_all_parts_must_hold() -> None:
    for one, other in product(RANKS, RANKS):
        assert of_all([one, other]) == RANKS[min(RANKS.index(one), RANKS.index(other))]
    assert of_all(["holds"]) == "holds"


@pytest.mark.parametrize(
    ("readings", "outcome"),
    [
        (["holds"], "holds"),
        (["contradicted", "contradicted"], "contradicted"),
        (["holds", "contradicted"], "ambiguous"),
        (["holds", "not decided", "not decided"], "ambiguous"),
        (["holds", "not run"], "not run"),
        (["not comparable", "contradicted"], "not comparable"),
        (["not printed", "not printed"], "not printed"),
    ],
)
def test_readings_that_differ_are_ambiguous(readings: list[Outcome], outcome: Outcome) -> None:
    assert of_readings(readings) == outcome
