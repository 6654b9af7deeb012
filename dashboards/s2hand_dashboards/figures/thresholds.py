"""PCK and its kin: the share of points or frames whose error is within each threshold."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from s2hand_dashboards.contents import TableContents
from s2hand_dashboards.figures.style import (
    QUIET,
    Figure,
    colour,
    dash,
    in_unit,
    layout,
    shade,
    text,
)

_HEIGHT_PX = 360
_DIGITS = 5


def threshold_plots(contents: TableContents) -> Iterator[Figure]:
    """Yield the evaluations' curves, the leading column's split first.

    Those whose areas stand in the table are seen at once; if none does, the first figure is.
    """
    points = contents.threshold_curves
    metrics = [column.metric for column in contents.table.columns]
    splits = dict.fromkeys(metric.partition("/")[0] for metric in (contents.lead.metric, *metrics))
    found = [
        (split, str(title), lines)
        for split in splits
        for title, lines in points[points["split"] == split].groupby("figure", sort=False)
    ]
    in_table = [set(f"{split}/" + lines["area_of"]) & set(metrics) for split, _, lines in found]
    for place, (split, title, lines) in enumerate(found):
        is_first = bool(in_table[place]) or (place == 0 and not any(in_table))
        yield _plot(f"{title} ({split} set)", lines, contents, is_first=is_first)


def _plot(title: str, lines: pd.DataFrame, contents: TableContents, *, is_first: bool) -> Figure:
    curves = list(lines.groupby("curve", sort=False))
    traces: list[dict[str, Any]] = []
    areas = []
    for place, (_, of_curve) in enumerate(curves):
        says = of_curve["says"].iloc[0]
        for number, label, spread in _drawn(of_curve, contents):
            name = says if not label else f"{label}: {says}" if len(curves) > 1 else label
            style = {
                "color": colour(number) if label else QUIET,
                "dash": dash(place if len(curves) > 1 else number),
            }
            traces += _traces(spread, name, style, group=f"{place} {number}")
            area = np.trapezoid(spread["mean"], spread.index) / np.ptp(spread.index)
            areas.append(f"{name} {area:.3g}")
    return Figure(
        title=title,
        says=f"Share within each threshold; areas below the means: {', '.join(areas)}",
        data=traces,
        layout=layout(
            _HEIGHT_PX + 12 * len(areas),
            x_title=text(in_unit("threshold", lines["unit"].iloc[0])),
            xaxis={"zeroline": False},
            yaxis={
                "title": {"text": "share within"}, "tickformat": ".0%", "range": [0, 1.02],
                "zeroline": False,
            },
        ),
        is_first=is_first,
    )  # fmt: skip


def _drawn(
    of_curve: pd.DataFrame, contents: TableContents
) -> Iterator[tuple[int, str, pd.DataFrame]]:
    """Yield number, label, and mean, min, max over seeds of each row.

    What does not depend on the training, as the detections' errors, is yielded once, without a
    label.
    """
    rows = {row.id: (number, row.label) for number, row in enumerate(contents.measured_rows)}
    present = [row for row in rows if (of_curve["row"] == row).any()]
    whole = _spread(of_curve)
    if len(present) > 1 and (whole["max"] == whole["min"]).all():
        yield 0, "", whole
        return
    for row in present:
        yield *rows[row], _spread(of_curve[of_curve["row"] == row])


def _spread(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.groupby("threshold")["value"].agg(["mean", "min", "max"])


def _traces(
    spread: pd.DataFrame, name: str, style: dict[str, str], *, group: str
) -> list[dict[str, Any]]:
    thresholds = _rounded(spread.index)
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": text(name),
        "legendgroup": group,
        "x": thresholds,
        "y": _rounded(spread["mean"]),
        "line": {**style, "width": 2},
        "hovertemplate": "%{y:.1%} within %{x:.3g}",
    }
    if (spread["max"] == spread["min"]).all():
        return [line]
    band = {
        "type": "scatter",
        "mode": "lines",
        "x": [*thresholds, *reversed(thresholds)],
        "y": _rounded([*spread["max"], *spread["min"][::-1]]),
        "fill": "toself",
        "fillcolor": shade(style["color"], 0.15),
        "line": {"width": 0},
        "legendgroup": group,
        "showlegend": False,
        "hoverinfo": "skip",
    }
    return [band, line]


def _rounded(values: "Sequence[float] | pd.Series[float] | pd.Index[float]") -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
