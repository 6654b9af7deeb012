"""Every seed as a dot, joined over the rows: what pairing by seed uses."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from s2hand_dashboards.contents import TableContents
from s2hand_dashboards.figures.style import (
    OURS,
    PAPER,
    Figure,
    colour,
    in_unit,
    layout,
    short,
    symbol,
    text,
)
from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.tables.layout import format_interval
from s2hand_platform.tables.parts import TableColumn, TableRow

_ROW_PX = 64


def seed_plots(contents: TableContents) -> Iterator[Figure]:
    """Yield a plot per column in which anything was measured, the leading column's first."""
    columns = sorted(contents.table.columns, key=lambda each: each.label != contents.lead.label)
    for column in columns:
        rows = [row for row in contents.measured_rows if row.cells[column.label].values]
        if rows:
            yield _plot(column, rows, contents)


def _plot(column: TableColumn, rows: Sequence[TableRow], contents: TableContents) -> Figure:
    seeds = sorted({seed for row in rows for seed in row.cells[column.label].values})
    joined = [
        _seed(seed, colour(number + 1), symbol(number), column, rows)
        for number, seed in enumerate(seeds)
    ]
    return Figure(
        title=f"Seeds in {column.label}",
        says="; ".join(
            f"{row.label}: {', '.join(short(v) for v in row.cells[column.label].values.values())}"
            for row in rows
        ),
        data=[*joined, _means(column, rows), *_printed(_comparable(column, rows, contents))],
        layout=layout(
            110 + _ROW_PX * len(rows),
            x_title=text(
                in_unit(column.label, column.unit)
                + ("; less is better" if column.direction == "lower" else "; more is better")
            ),
            yaxis={
                "range": [len(rows) - 0.4, -0.6], "zeroline": False,
                "tickvals": list(range(len(rows))),
                "ticktext": [text(row.label, 15) for row in rows],
            },
        ),
        is_first=column.label == contents.lead.label,
    )  # fmt: skip


def _seed(
    seed: int, colour: str, symbol: str, column: TableColumn, rows: Sequence[TableRow]
) -> dict[str, Any]:
    values = [row.cells[column.label].values.get(seed) for row in rows]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"seed {seed}",
        "x": values,
        "y": list(range(len(rows))),
        "line": {"color": colour, "width": 1},
        "marker": {"color": colour, "size": 9, "symbol": symbol},
        "hovertemplate": f"seed {seed}: %{{x}}<extra></extra>",
    }


def _means(column: TableColumn, rows: Sequence[TableRow]) -> dict[str, Any]:
    known = [
        (place + 0.24, interval)
        for place, row in enumerate(rows)
        if (interval := row.cells[column.label].interval) is not None
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "mean, with its 95 % interval",
        "x": [interval.mean for _, interval in known],
        "y": [place for place, _ in known],
        "error_x": {
            "array": [interval.half_width or 0.0 for _, interval in known],
            "color": OURS,
            "thickness": 2,
            "width": 5,
        },
        "marker": {"color": OURS, "size": 9, "symbol": "diamond"},
        "text": [text(format_interval(interval, 3)) for _, interval in known],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _comparable(
    column: TableColumn, rows: Sequence[TableRow], contents: TableContents
) -> dict[int, PublishedCell | None]:
    """Return the printed cells by their row's place: those of other data would stretch the axis."""
    planned = [contents.planned(row.id) for row in rows]
    return {
        place: row.cells[column.label].published
        for place, (row, plan) in enumerate(zip(rows, planned, strict=True))
        if plan is not None and not plan.why_not_comparable
    }


def _printed(cells: Mapping[int, PublishedCell | None]) -> Iterator[dict[str, Any]]:
    known = [(place - 0.24, cell) for place, cell in cells.items() if cell is not None]
    if known:
        yield {
            "type": "scatter",
            "mode": "markers",
            "name": "printed in the paper, within its rounding",
            "x": [cell.value for _, cell in known],
            "y": [place for place, _ in known],
            "error_x": {
                "array": [cell.half_width for _, cell in known],
                "color": PAPER,
                "thickness": 6,
                "width": 0,
            },
            "marker": {"color": PAPER, "size": 9, "symbol": "line-ns-open"},
            "text": [str(cell) for _, cell in known],
            "hovertemplate": "the paper: %{text}<extra></extra>",
        }
