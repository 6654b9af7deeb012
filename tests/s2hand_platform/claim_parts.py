"""Cells and parts of claims, made without a file."""

from decimal import Decimal
from typing import Any

from s2hand_platform.spec.claim_cells import ClaimCell
from s2hand_platform.spec.claim_checks import Part, Quantity, Region
from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.rounding import Span

BETTER = Region(text="better", low=Decimal(0))
THE_SAME = Region(text="the same", low=Decimal(0), high=Decimal(0))


def cell(printed: str = "", row: str = "a", **changes: Any) -> ClaimCell:
    fields: dict[str, Any] = {
        "table": "t",
        "row": row,
        "column": "error",
        "unit": "cm",
        "direction": "lower",
        "printed": PublishedCell.parse(printed) if printed else None,
    }
    return ClaimCell(**{**fields, **changes})


def part(
    quantity: Quantity, region: Region, printed: tuple[str, str] = ("", ""), **changes: Any
) -> Part:
    """Compare row ``a`` with row ``b``."""
    return Part(
        quantity=quantity,
        row=cell(printed[0], "a", **changes),
        baseline=cell(printed[1], "b", **changes),
        region=region,
    )


def stated(text: str) -> Region:
    rounding = Span.of(text)
    return Region(text=text, low=rounding.low, high=rounding.high, is_stated=True)


def between(low: str | None, high: str | None) -> Region:
    bounds = [None if text is None else Decimal(text) for text in (low, high)]
    return Region(text=f"{low} to {high}", low=bounds[0], high=bounds[1])
