"""What opens behind a number: plain nested mappings, shown as lists of terms."""

from collections.abc import Iterator, Mapping
from typing import Any

from s2hand_dashboards.contents import TableContents
from s2hand_dashboards.figures.style import short
from s2hand_dashboards.searches import SearchContents, TriedPoint
from s2hand_platform.spec.published import PrintedDifference
from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.tables.layout import format_interval
from s2hand_platform.tables.parts import (
    TableCell,
    TableColumn,
    TableContrast,
    TableMargin,
    TableRow,
)

Card = Mapping[str, Any]
"""Term → text, number, or a mapping of the same kind."""

_DIGITS = 6


def cell_card(contents: TableContents, row: TableRow, column: TableColumn) -> Card:
    """Say where a cell's number comes from."""
    cell = row.cells[column.label]
    return _without_empty(
        {
            "Metric": column.metric,
            "Unit": "none" if column.unit == "1" else column.unit,
            "Better": column.direction,
            "Measured": _measured(cell, row),
            "Seeds": {str(seed): _number(value) for seed, value in cell.values.items()},
            "Failed seeds": {str(seed): reason for seed, reason in row.failed.items()},
            "Printed in the paper": _printed(cell),
            "Verdict": cell.verdict if cell.interval is not None else "",
            "Contrasts": dict(_contrasts_of(contents, row, column)),
            **_provenance(contents, row),
            "Explained by": f"s2hand explain {contents.plan.name}.{row.id}.{column.label}"
            if row.kind == "measured"
            else "",
        }
    )


def contrast_card(contents: TableContents, contrast: TableContrast) -> Card:
    """Say what a contrast's number and verdict rest on."""
    decision, tests, printed = contrast.decision, contrast.by_symmetry, contrast.printed
    return _without_empty(
        {
            "Column": contrast.column,
            "The paper says": f"{contents.labels[contrast.row]} is {contrast.expected} than "
            f"{contents.labels[contrast.baseline]}",
            "Difference": _interval(contrast.difference) or "no seed has both",
            "Pairs by seed": {str(seed): _number(value) for seed, value in contrast.pairs.items()},
            "Printed difference": _printed_difference(printed),
            "Printed digits": ""
            if printed is None or printed.is_decided
            else "do not tell which is larger",
            "Verdict": str(decision) if decision else "decided in the primary column alone",
            "p, two-sided t test": _number(decision.p) if decision else "",
            "p by Holm's procedure": _number(decision.p_adjusted) if decision else "",
            "p of equivalence": _number(decision.p_equivalence) if decision else "",
            "Signed ranks": _number(tests.signed_rank_p) if tests else "",
            "Flipped signs": _number(tests.sign_flip_p) if tests else "",
            "Seeds that would decide": str(contrast.seeds_to_decide or ""),
        }
    )


def margin_card(contents: TableContents, margin: TableMargin) -> Card:
    """Say what the distance from a predictor without a training is."""
    return {
        "Row": contents.labels[margin.row],
        "Against": margin.baseline,
        "Column": margin.column,
        "Change": f"{100 * margin.change.mean:+.3g} %",
        "Seeds": str(margin.change.n),
        "95 % interval": "excludes zero" if margin.excludes_zero else "does not exclude zero",
    }


def point_card(contents: SearchContents, point: TriedPoint) -> Card:
    """Say what became of a search's point."""
    return _without_empty(
        {
            "Point": {path: short(value) for path, value in point.point.items()},
            contents.plan.metric: _number(point.value),
            "Status": point.status.replace("_", " "),
            "Reason": point.reason,
            "Data": contents.plan.data.title,
            "Trial": point.trial_id,
        }
    )


def _measured(cell: TableCell, row: TableRow) -> str:
    if cell.interval is not None:
        return _interval(cell.interval)
    return "quoted by the paper from elsewhere: never run" if row.kind == "quoted" else "not run"


def _interval(interval: MeanInterval | None) -> str:
    if interval is None:
        return ""
    if interval.sd is None:
        return f"{_number(interval.mean)}, of one value: nothing is known about the spread"
    return (
        f"{format_interval(interval, 0)}: mean ± half of the 95 % interval; standard deviation "
        f"{interval.sd:.3g}"
    )


def _printed(cell: TableCell) -> str:
    if cell.published is None:
        return "not printed"
    printed = cell.published
    low, high = printed.value - printed.half_width, printed.value + printed.half_width
    return f"{printed} ({low:.{printed.decimals + 1}f} to {high:.{printed.decimals + 1}f})"


def _printed_difference(printed: PrintedDifference | None) -> str:
    if printed is None:
        return "not printed"
    return f"{printed.value:+.4g} ({printed.low:+.4g} to {printed.high:+.4g})"


def _contrasts_of(
    contents: TableContents, row: TableRow, column: TableColumn
) -> Iterator[tuple[str, str]]:
    for contrast in contents.table.contrasts:
        if contrast.column == column.label and row.id in {contrast.row, contrast.baseline}:
            shown = contrast.difference
            yield (
                f"{contents.labels[contrast.row]} minus {contents.labels[contrast.baseline]}",
                format_interval(shown, 0, signed=True) if shown else "no seed has both",
            )


def _provenance(contents: TableContents, row: TableRow) -> dict[str, Any]:
    planned = contents.planned(row.id)
    if planned is None:
        return {}
    return {
        "Measured on": planned.measured_on.title,
        "Not judged because": planned.why_not_comparable,
        "Settings that differ from the other rows": {
            path: str(value)
            for path, value in planned.settings.items()
            if any(other.settings.get(path) != value for other in contents.plan.rows)
        },
        "Trials": {str(seed): name for seed, name in row.trial_ids.items()},
        "Fingerprints": {
            name: value
            for name, value in (
                ("configuration", planned.config_hash),
                ("data", planned.data),
                ("code", planned.code),
                ("evaluation", planned.evaluation),
            )
            if value
        },
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.{_DIGITS}g}"


def _without_empty(card: Mapping[str, Any]) -> dict[str, Any]:
    return {term: value for term, value in card.items() if value not in ("", {}, None)}
