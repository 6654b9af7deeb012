"""A judged claim: its outcomes, and the cells that they rest on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from s2hand_platform.claims.measured import MeasuredFinding
from s2hand_platform.claims.outcomes import Outcome
from s2hand_platform.claims.printed import PrintedFinding
from s2hand_platform.spec.claim_checks import Part
from s2hand_platform.spec.claims import ClaimSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class PartVerdict:
    """One comparison of two cells, judged."""

    part: Part
    printed: PrintedFinding
    measured: MeasuredFinding

    def to_json(self) -> dict[str, Any]:
        """Return plain data for programs; numbers are in the part's unit."""
        printed, interval = self.printed, self.measured.interval
        possible = printed.possible
        return {
            "row": str(self.part.row),
            "baseline": str(self.part.baseline),
            "quantity": self.part.quantity,
            "unit": self.part.unit,
            "claimed": self.part.region.text,
            "printed": {
                "outcome": printed.outcome,
                "value": None if printed.value is None else _number(printed.value),
                "low": _number(possible.low) if possible else None,
                "high": _number(possible.high) if possible else None,
                "reason": printed.reason,
            },
            "measured": {
                "outcome": self.measured.outcome,
                "mean": interval.mean if interval else None,
                "half_width": interval.half_width if interval else None,
                "pairs": {str(seed): value for seed, value in self.measured.pairs.items()},
                "reason": self.measured.reason,
            },
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingVerdict:
    """One way to read a claim, judged: all of its parts must hold."""

    parts: tuple[PartVerdict, ...]
    printed: Outcome
    measured: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimVerdict:
    """A claim, judged."""

    spec: ClaimSpec
    printed: Outcome
    """By the paper's own cells."""
    measured: Outcome
    """By the cells that were measured here."""
    readings: Mapping[str, ReadingVerdict] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for programs."""
        return {
            "id": self.spec.id,
            "section": self.spec.section,
            "table": self.spec.table,
            "sentence": self.spec.sentence,
            "says": self.spec.says,
            "quote": self.spec.quote,
            "not_checkable": self.spec.not_checkable,
            "printed": self.printed,
            "measured": self.measured,
            "readings": [
                {
                    "reading": name,
                    "printed": reading.printed,
                    "measured": reading.measured,
                    "parts": [part.to_json() for part in reading.parts],
                }
                for name, reading in self.readings.items()
            ],
        }


def _number(exact: Decimal) -> float:
    return float(exact) + 0.0  # of a zero the sign goes
