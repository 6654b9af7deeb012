"""All claims with what becomes of them: by the paper's own cells, and by what was measured."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.console import RenderableType

from s2hand_platform.claims import shown
from s2hand_platform.claims.measured import MeasuredRow, judge_measured
from s2hand_platform.claims.outcomes import of_all, of_readings
from s2hand_platform.claims.printed import judge_printed
from s2hand_platform.claims.verdict import ClaimVerdict, PartVerdict, ReadingVerdict
from s2hand_platform.spec.claim_checks import Part
from s2hand_platform.spec.claims import ClaimSpec, LedgerSpec

_OF_PRINTED = (
    "By the paper's cells: a stated number holds if the printed digits give it, is ambiguous if "
    "only their rounding allows it, and contradicted if nothing that prints so does. An order is "
    "not decided where the digits are equal or apart by one unit of the last."
)
_OF_MEASURED = (
    "By what is measured: each claim is tested alone at 5 %, over differences paired by seed; all "
    "its comparisons must hold, and one is enough to contradict it, by Holm's procedure over them. "
    "Of many claims one in twenty may be wrong by chance. A stated number is compared on the "
    "paper's data, release and training only."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimLedger:
    """The ledger of claims, judged."""

    claims: tuple[ClaimVerdict, ...]
    measured_on: str
    """Data and scale of everything that is measured here, as it was run; empty for nothing."""
    device_type: str
    notes: tuple[str, ...]
    """What is odd in the text without being a claim."""
    remarks: tuple[str, ...]
    """What a reader must know of the outcomes, and which commands measure what is missing."""

    @classmethod
    def judge(
        cls,
        spec: LedgerSpec,
        tables: Mapping[str, Mapping[str, MeasuredRow]],
        *,
        measured_on: str = "",
        device_type: str = "",
        remarks: tuple[str, ...] = (),
    ) -> "ClaimLedger":
        """Judge every claim.

        Args:
            spec: the claims.
            tables: table → row → what was measured; all on the same data, at the same scale.
            measured_on: what that is, in the words of the command.
            device_type: where it was trained.
            remarks: what else a reader must know.
        """
        return cls(
            claims=tuple(_judge(claim, tables) for claim in spec.claims),
            measured_on=measured_on,
            device_type=device_type,
            notes=spec.notes,
            remarks=remarks,
        )

    def claim(self, claim_id: str) -> ClaimVerdict:
        """Return a claim by its id.

        Raises:
            KeyError: if there is none.
        """
        for claim in self.claims:
            if claim.spec.id == claim_id:
                return claim
        raise KeyError(claim_id)

    def counts(self) -> dict[str, dict[str, int]]:
        """Count outcomes: ``printed`` or ``measured`` → outcome → claims."""
        return {
            "printed": dict(Counter(claim.printed for claim in self.claims)),
            "measured": dict(Counter(claim.measured for claim in self.claims)),
        }

    def frame(self) -> pd.DataFrame:
        """Return one line per claim."""
        return pd.DataFrame(
            [
                {
                    "id": claim.spec.id,
                    "section": claim.spec.section,
                    "table": claim.spec.table,
                    "says": claim.spec.says,
                    "printed": claim.printed,
                    "measured": claim.measured,
                }
                for claim in self.claims
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for programs."""
        return {
            "measured_on": self.measured_on,
            "device_type": self.device_type,
            "claims": [claim.to_json() for claim in self.claims],
            "counts": self.counts(),
            "notes": list(self.notes),
            "remarks": list(self.remarks),
        }

    def to_rich(self) -> RenderableType:
        """Draw the claims for the terminal, a table for each section of the paper."""
        return shown.to_rich(
            self.claims,
            self.counts(),
            f"{self.measured_on}, {self.device_type}" if self.measured_on else "nothing yet",
            (_OF_PRINTED, _OF_MEASURED, *self.remarks, *self.notes),
        )


def _judge(claim: ClaimSpec, tables: Mapping[str, Mapping[str, MeasuredRow]]) -> ClaimVerdict:
    if claim.not_checkable:
        return ClaimVerdict(spec=claim, printed="not checkable", measured="not checkable")
    readings = {name: _read(parts, tables) for name, parts in claim.readings.items()}
    return ClaimVerdict(
        spec=claim,
        printed=of_readings([reading.printed for reading in readings.values()]),
        measured=of_readings([reading.measured for reading in readings.values()]),
        readings=readings,
    )


def _read(
    parts: tuple[Part, ...], tables: Mapping[str, Mapping[str, MeasuredRow]]
) -> ReadingVerdict:
    findings = judge_measured(parts, tables)
    verdicts = tuple(
        PartVerdict(part=part, printed=judge_printed(part), measured=finding)
        for part, finding in zip(parts, findings, strict=True)
    )
    return ReadingVerdict(
        parts=verdicts,
        printed=of_all([verdict.printed.outcome for verdict in verdicts]),
        measured=of_all([verdict.measured.outcome for verdict in verdicts]),
    )
