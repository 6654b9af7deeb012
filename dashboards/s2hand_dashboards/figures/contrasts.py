"""Forest plots: every declared contrast with its interval, and the paper's with its rounding."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from s2hand_dashboards.contents import TableContents
from s2hand_dashboards.figures.style import OURS, PAPER, QUIET, Figure, in_unit, layout, shade, text
from s2hand_platform.tables.layout import format_interval
from s2hand_platform.tables.parts import TableColumn, TableContrast

_SLOT_PX = 84
_TEXT_WIDTH = 46


def forest_plots(contents: TableContents) -> Iterator[Figure]:
    """Yield a plot per column that has contrasts, the primary column's first."""
    columns = sorted(contents.table.columns, key=lambda column: not column.is_primary)
    for column in columns:
        found = [each for each in contents.table.contrasts if each.column == column.label]
        if found:
            yield _forest(column, found, contents)


def _said(contrast: TableContrast, contents: TableContents) -> tuple[str, str]:
    """Say in words what the paper says of two rows, and the verdict; "" where there is none."""
    row, baseline = (contents.labels[name] for name in (contrast.row, contrast.baseline))
    verdict = str(contrast.decision or "")
    return f"{row} {contrast.expected} than {baseline}", verdict or (
        "" if contrast.difference else "not run"
    )


def _forest(
    column: TableColumn, contrasts: Sequence[TableContrast], contents: TableContents
) -> Figure:
    sentences = [_said(contrast, contents) for contrast in contrasts]
    better = "left" if column.direction == "lower" else "right"
    return Figure(
        title=f"Declared contrasts in {column.label}",
        says="; ".join(
            f"{said}: {verdict} {_shown(each)}".rstrip()
            for (said, verdict), each in zip(sentences, contrasts, strict=True)
        ),
        data=[*_printed(contrasts), _measured(contrasts)],
        layout=layout(
            120 + _SLOT_PX * len(contrasts),
            x_title=text(in_unit("row minus baseline", column.unit) + f"; better is {better}"),
            annotations=[_annotation(*said, place) for place, said in enumerate(sentences)],
            shapes=_tolerance(column),
            xaxis={"zeroline": True, "zerolinewidth": 2, "rangemode": "tozero"},
            yaxis={
                "range": [len(contrasts) - 0.6, -0.85], "showticklabels": False,
                "showgrid": False, "zeroline": False,
            },
        ),
        is_first=column.label == contents.lead.label,
    )  # fmt: skip


def _measured(contrasts: Sequence[TableContrast]) -> dict[str, Any]:
    known = [(at, each.difference) for at, each in enumerate(contrasts) if each.difference]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "measured, with its 95 % interval",
        "x": [interval.mean for _, interval in known],
        "y": [place for place, _ in known],
        "error_x": {
            "array": [interval.half_width or 0.0 for _, interval in known],
            "color": OURS,
            "thickness": 2,
            "width": 6,
        },
        "marker": {
            "color": OURS,
            "size": 11,
            "symbol": [
                "circle" if interval.half_width is not None else "circle-open"
                for _, interval in known
            ],
        },
        "text": [text(format_interval(interval, 0, signed=True)) for _, interval in known],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _printed(contrasts: Sequence[TableContrast]) -> Iterator[dict[str, Any]]:
    known = [(place, each.printed) for place, each in enumerate(contrasts) if each.printed]
    if known:
        yield {
            "type": "bar",
            "orientation": "h",
            "name": "the paper's, within its rounding",
            "y": [place for place, _ in known],
            "base": [printed.low for _, printed in known],
            "x": [printed.high - printed.low for _, printed in known],
            "width": 0.34,
            "marker": {"color": shade(PAPER, 0.35), "line": {"color": PAPER, "width": 1}},
            "text": [f"{printed.low:+.4g} to {printed.high:+.4g}" for _, printed in known],
            "textposition": "none",
            "hovertemplate": "the paper: %{text}<extra></extra>",
        }


def _tolerance(column: TableColumn) -> list[dict[str, Any]]:
    if not column.tolerance:
        return []
    return [
        {
            "type": "rect", "yref": "paper", "x0": -column.tolerance, "x1": column.tolerance,
            "y0": 0, "y1": 1, "layer": "below", "line": {"width": 0},
            "fillcolor": shade(QUIET, 0.18), "showlegend": True, "name": "declared not to matter",
        }
    ]  # fmt: skip


def _shown(contrast: TableContrast) -> str:
    difference = contrast.difference
    return "" if difference is None else format_interval(difference, 0, signed=True)


def _in_lines(said: str, verdict: str) -> str:
    """Stress the verdict, on the sentence's last line where there is room."""
    if not verdict:
        return text(said, _TEXT_WIDTH)
    last = textwrap.wrap(f"{said}:", _TEXT_WIDTH)[-1]
    room = _TEXT_WIDTH - len(last)
    between = " " if len(verdict) < room else "<br>"
    return f"{text(f'{said}:', _TEXT_WIDTH)}{between}<b>{text(verdict, _TEXT_WIDTH)}</b>"


def _annotation(said: str, verdict: str, place: int) -> dict[str, Any]:
    return {
        "text": _in_lines(said, verdict), "align": "left", "showarrow": False,
        "xref": "paper", "x": 0, "xanchor": "left", "y": place - 0.24, "yanchor": "bottom",
    }  # fmt: skip
