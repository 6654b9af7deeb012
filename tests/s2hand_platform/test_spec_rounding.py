"""Printed numbers as spans, against exact fractions."""

from decimal import ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.rounding import Span

ROUNDINGS = (ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_HALF_EVEN)


@st.composite
def numbers(draw: st.DrawFn, *, smallest: int = -(10**7)) -> tuple[Decimal, str]:
    """A number with two more digits than are printed, and how it is printed."""
    decimals = draw(st.integers(0, 4))
    number = Decimal(draw(st.integers(smallest, 10**7))).scaleb(-decimals - 2)
    unit = Decimal(1).scaleb(-decimals)
    return number, str(number.quantize(unit, draw(st.sampled_from(ROUNDINGS))))


def holds(span: Span, number: Fraction) -> bool:
    return Fraction(span.low) <= number <= Fraction(span.high)


def corners(one: Span, other: Span) -> list[tuple[Fraction, Fraction]]:
    pairs = product((one.low, one.high), (other.low, other.high))
    return [(Fraction(a), Fraction(b)) for a, b in pairs]


@given(numbers())
def test_a_number_lies_in_the_span_of_its_print(number: tuple[Decimal, str]) -> None:
    exact, printed = number
    span = Span.of(printed)
    assert holds(span, Fraction(exact))
    assert span.high - span.low == Decimal(1).scaleb(-len(printed.partition(".")[2]))


@given(numbers(), numbers())
def test_a_difference_lies_in_the_difference_of_spans(
    one: tuple[Decimal, str], other: tuple[Decimal, str]
) -> None:
    spans = Span.of(one[1]), Span.of(other[1])
    difference = spans[0] - spans[1]
    assert holds(difference, Fraction(one[0]) - Fraction(other[0]))
    exact = [a - b for a, b in corners(*spans)]
    assert (Fraction(difference.low), Fraction(difference.high)) == (min(exact), max(exact))
    assert -difference == spans[1] - spans[0]


@given(numbers(), numbers(smallest=10**4))
def test_percents_are_as_wide_as_the_rounding_and_no_wider(
    one: tuple[Decimal, str], other: tuple[Decimal, str]
) -> None:
    spans = Span.of(one[1]), Span.of(other[1])
    if spans[1].low <= 0:
        return
    percent = spans[0].percent_above(spans[1])
    assert holds(percent, 100 * (Fraction(one[0]) / Fraction(other[0]) - 1))
    exact = [100 * (a / b - 1) for a, b in corners(*spans)]
    assert Fraction(percent.low) <= min(exact)
    assert max(exact) <= Fraction(percent.high)
    assert min(exact) - Fraction(percent.low) < Fraction(1, 10**30)
    assert Fraction(percent.high) - max(exact) < Fraction(1, 10**30)


@pytest.mark.parametrize("printed", ["0.0", "0", "-1.5"])
def test_there_are_no_percents_of_what_may_be_zero(printed: str) -> None:
    with pytest.raises(ZeroDivisionError, match="is not above zero"):
        Span.of("1.0").percent_above(Span.of(printed))


@given(numbers(), numbers())
def test_tables_and_claims_take_the_same_differences(
    one: tuple[Decimal, str], other: tuple[Decimal, str]
) -> None:
    span = Span.of(one[1]) - Span.of(other[1])
    of_table = PublishedCell.parse(one[1]).minus(PublishedCell.parse(other[1]))
    assert (of_table.low, of_table.high) == (float(span.low), float(span.high))


@pytest.mark.parametrize(
    ("low", "high", "within", "misses"),
    [
        (None, None, True, False),
        ("1.05", "1.15", True, False),
        ("1.06", None, False, False),
        (None, "1.14", False, False),
        ("1.15", None, False, False),  # both ends are included
        (None, "1.05", False, False),
        ("1.151", None, False, True),
        (None, "1.049", False, True),
    ],
)
def test_spans_and_bounds(low: str | None, high: str | None, *, within: bool, misses: bool) -> None:
    bounds = [None if text is None else Decimal(text) for text in (low, high)]
    span = Span.of("1.1")
    assert (span.is_within(*bounds), span.misses(*bounds)) == (within, misses)
