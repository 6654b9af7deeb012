"""Claims against the paper's own printed cells: what their rounding makes possible."""

from dataclasses import dataclass
from decimal import Decimal

from s2hand_platform.claims.outcomes import Outcome
from s2hand_platform.spec.claim_checks import Part, Region
from s2hand_platform.spec.rounding import Span


@dataclass(frozen=True, kw_only=True, slots=True)
class PrintedFinding:
    """What the printed cells say of one part of a claim."""

    outcome: Outcome
    value: Decimal | None = None
    """The quantity of the digits as they stand."""
    possible: Span | None = None
    """All values of the quantity that print as these digits."""
    reason: str = ""
    """Why nothing could be computed."""


def judge_printed(part: Part) -> PrintedFinding:
    """Compare what the printed digits allow with what is claimed.

    A stated number holds when the digits as they stand give it, to its own decimals; it is
    contradicted when no numbers that print as these digits do, and ambiguous in between. An order
    or a bound holds when all such numbers fulfil it, is contradicted when none do, and is not
    decided in between: cells that are equal, or apart by one unit of the last digit, have no order.
    One number is printed in one way: of cells that are said to be the same the digits are compared.
    """
    row, baseline = part.row.printed, part.baseline.printed
    if row is None or baseline is None:
        missing = part.row if row is None else part.baseline
        return PrintedFinding(outcome="not printed", reason=f"the paper does not print {missing}")
    digits = str(row), str(baseline)
    exact = [Span(Decimal(text), Decimal(text)) for text in digits]
    rounded = [Span.of(text) for text in digits]
    try:
        value, possible = _quantity(part, *exact), _quantity(part, *rounded)
    except ZeroDivisionError as error:
        return PrintedFinding(outcome="not decided", reason=f"{part.baseline}: {error}")
    outcome = _outcome(part.region, value, possible)
    if part.region.is_point and outcome != "contradicted" and row.decimals == baseline.decimals:
        outcome = "holds" if digits[0] == digits[1] else "contradicted"
    return PrintedFinding(outcome=outcome, value=value.low, possible=possible)


def _quantity(part: Part, row: Span, baseline: Span) -> Span:
    lower_is_better = part.row.direction == "lower"
    if part.quantity == "percent":
        change = row.percent_above(baseline)
        return -change if lower_is_better else change
    difference = row - baseline
    return -difference if part.quantity == "gain" and lower_is_better else difference


def _outcome(region: Region, value: Span, possible: Span) -> Outcome:
    if possible.misses(region.low, region.high):
        return "contradicted"
    if region.is_stated:
        return "ambiguous" if value.misses(region.low, region.high) else "holds"
    return "holds" if _fulfils(region, possible) else "not decided"


def _fulfils(region: Region, possible: Span) -> bool:
    """Say whether all values do; a bound on one side is not reached by the value itself."""
    if region.low is not None and region.high is not None:
        return possible.is_within(region.low, region.high)
    if region.low is not None:
        return possible.low > region.low
    return region.high is not None and possible.high < region.high
