"""How judged claims are written on the terminal."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from s2hand_platform.claims.outcomes import Outcome
from s2hand_platform.claims.verdict import ClaimVerdict, PartVerdict, ReadingVerdict
from s2hand_platform.tables.layout import format_interval

_STYLES: Mapping[Outcome, str] = {
    "holds": "green",
    "contradicted": "red",
    "ambiguous": "yellow",
    "not run": "dim",
    "not printed": "dim",
    "not checkable": "dim",
}
_MAX_SHOWN = 3
_DECIMALS = 2


def to_rich(
    claims: Sequence[ClaimVerdict],
    counts: Mapping[str, Mapping[str, int]],
    measured_on: str,
    remarks: Collection[str],
) -> RenderableType:
    """Draw a table for each section, then the counts of outcomes and the remarks."""
    parts: list[RenderableType] = []
    for section, found in groupby(claims, key=lambda claim: claim.spec.section):
        table = Table(
            title=Text(f"Section {section}"),
            title_justify="left",
            show_lines=True,
            box=box.HORIZONTALS,
            expand=True,
        )
        for header in ("claim", "the paper's cells", f"measured on {measured_on}"):
            table.add_column(Text(header), ratio=1, overflow="fold")
        for claim in found:
            table.add_row(_claim(claim), _printed(claim), _measured(claim))
        parts.append(table)
    for side, numbers in counts.items():
        listed = ", ".join(f"{count} {outcome}" for outcome, count in sorted(numbers.items()))
        what = "By the paper's cells" if side == "printed" else "By what is measured"
        parts.append(Text(f"{what}: {listed}."))
    parts += [Text(f"· {remark}", style="dim") for remark in remarks]
    return Group(*parts)


def printed_lines(claim: ClaimVerdict) -> list[str]:
    """Say what becomes of a claim by the paper's cells, then what that rests on."""
    return _printed(claim).plain.split("\n")


def measured_lines(claim: ClaimVerdict) -> list[str]:
    """Say what becomes of a claim by what was measured, then what that rests on."""
    return _measured(claim).plain.split("\n")


def _claim(claim: ClaimVerdict) -> Text:
    spec = claim.spec
    text = Text(spec.says)
    if spec.quote:
        text.append(f" “{spec.quote}”")
    place = ", ".join(word for word in (spec.table, spec.sentence) if word)
    return text.append(f"\n{spec.id}: {place}", style="dim")


def _printed(claim: ClaimVerdict) -> Text:
    text = _outcome(claim.printed)
    if claim.spec.not_checkable:
        return text.append(f"\n{claim.spec.not_checkable}", style="dim")
    return _with_readings(
        text,
        claim.readings,
        outcome=lambda reading: reading.printed,
        of_part=lambda part: part.printed.outcome,
        shown=_printed_part,
    )


def _measured(claim: ClaimVerdict) -> Text:
    return _with_readings(
        _outcome(claim.measured),
        claim.readings,
        outcome=lambda reading: reading.measured,
        of_part=lambda part: part.measured.outcome,
        shown=_measured_part,
    )


def _outcome(outcome: Outcome) -> Text:
    return Text(outcome, style=_STYLES.get(outcome, ""))


def _with_readings(
    text: Text,
    readings: Mapping[str, ReadingVerdict],
    *,
    outcome: Callable[[ReadingVerdict], Outcome],
    of_part: Callable[[PartVerdict], Outcome],
    shown: Callable[[PartVerdict], str],
) -> Text:
    """Add what the outcome of every reading rests on: the parts that have it."""
    for name, reading in readings.items():
        if name:
            text.append(f"\n{name}: {outcome(reading)}")
        lines = dict.fromkeys(
            shown(part) for part in reading.parts if of_part(part) == outcome(reading)
        )
        for line in list(lines)[:_MAX_SHOWN]:
            text.append(f"\n{line}", style="dim")
        if len(lines) > _MAX_SHOWN:
            text.append(f"\nand {len(lines) - _MAX_SHOWN} more", style="dim")
    return text


def _printed_part(verdict: PartVerdict) -> str:
    found = verdict.printed
    if found.value is None or found.possible is None:
        return found.reason
    unit = f" {verdict.part.unit}" if verdict.part.unit else ""
    low, value, high = (
        f"{number:+z.3g}".replace("-", "−")
        for number in (found.possible.low, found.value, found.possible.high)
    )
    return f"{_name(verdict)}: {value}{unit} ({low} to {high})"


def _measured_part(verdict: PartVerdict) -> str:
    found = verdict.measured
    if found.interval is None:
        return found.reason
    unit = f" {verdict.part.unit}" if verdict.part.unit else ""
    shown = f"{_name(verdict)}: {format_interval(found.interval, _DECIMALS, signed=True)}{unit}"
    return f"{shown}; {found.reason}" if found.reason else shown


def _name(verdict: PartVerdict) -> str:
    """Name what is compared, without what both cells share."""
    row, baseline = verdict.part.row, verdict.part.baseline
    if (row.table, row.row) == (baseline.table, baseline.row):
        return f"{row.row}, {row.column} to {baseline.column}"
    other = baseline.row if row.table == baseline.table else f"{baseline.table}.{baseline.row}"
    return f"{row.row} to {other}, {row.column}"
