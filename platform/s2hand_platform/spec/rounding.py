"""Arithmetic with printed numbers: what their rounding leaves open, without another rounding."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

_DOWN, _UP = (Context(prec=50, rounding=rounding) for rounding in (ROUND_FLOOR, ROUND_CEILING))
_PERCENT = Decimal(100)


@dataclass(frozen=True, slots=True)
class Span:
    """All numbers from ``low`` to ``high``, both included: a half may be rounded either way."""

    low: Decimal
    high: Decimal

    @classmethod
    def of(cls, printed: str) -> "Span":
        """Return the numbers that are printed as ``1.10``: within half a unit of its last digit."""
        decimals = len(printed.partition(".")[2])
        half = Decimal(5).scaleb(-decimals - 1)
        value = Decimal(printed)
        return cls(_DOWN.subtract(value, half), _UP.add(value, half))

    def __neg__(self) -> "Span":
        return Span(self.high.copy_negate(), self.low.copy_negate())

    def __sub__(self, other: "Span") -> "Span":
        return Span(_DOWN.subtract(self.low, other.high), _UP.subtract(self.high, other.low))

    def percent_above(self, base: "Span") -> "Span":
        """Return 100·(self - base)/base.

        What cannot be divided exactly is rounded outwards, in the 50th digit.

        Raises:
            ZeroDivisionError: if the base may be zero or below.
        """
        if base.low <= 0:
            raise ZeroDivisionError(f"{base.low} to {base.high} is not above zero")
        smallest = base.high if self.low >= 0 else base.low
        largest = base.low if self.high >= 0 else base.high
        return Span(
            _percent_above(self.low, smallest, _DOWN), _percent_above(self.high, largest, _UP)
        )

    def is_within(self, low: Decimal | None, high: Decimal | None) -> bool:
        """Say whether all of it lies between two bounds; None is no bound."""
        return (low is None or self.low >= low) and (high is None or self.high <= high)

    def misses(self, low: Decimal | None, high: Decimal | None) -> bool:
        """Say whether none of it lies between two bounds."""
        return (low is not None and self.high < low) or (high is not None and self.low > high)


def _percent_above(value: Decimal, base: Decimal, context: Context) -> Decimal:
    percent = context.divide(context.multiply(_PERCENT, value), base)
    return context.subtract(percent, _PERCENT)
