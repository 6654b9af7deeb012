"""How errors are distributed over the held-out samples."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from s2hand_dashboards.contents import TableContents
from s2hand_dashboards.figures.style import Figure, colour, dash, in_unit, layout, text

_SHARES = np.linspace(0.0, 1.0, 201)
"""Enough for a smooth line, whatever the number of samples."""
_SEEN = 0.99
"""Share of a row's samples that the axis reaches to: a few have errors many times as large."""


def sample_plots(contents: TableContents) -> Iterator[Figure]:
    """Yield the leading column's distribution, a line per row; nothing without samples."""
    lines, medians, ends = [], [], []
    for number, row in enumerate(contents.measured_rows):
        of_row = contents.samples[contents.samples["row"] == row.id]
        if len(of_row):
            values = of_row.groupby("sample_id")["value"].mean()
            lines.append(_line(values, row.label, number))
            ends.append((float(values.min()), float(values.quantile(_SEEN))))
            medians.append(f"{row.label} {values.median():.4g}")
    if lines:
        column = contents.lead
        yield Figure(
            title=f"{column.label} over the samples",
            says=f"Share of samples below each value, to 99 %; medians: {', '.join(medians)}",
            data=lines,
            layout=layout(
                360 + 12 * len(lines),
                x_title=text(in_unit(f"{column.label} of a sample, mean over seeds", column.unit)),
                xaxis={
                    "zeroline": False,
                    "range": [min(low for low, _ in ends), max(high for _, high in ends)],
                },
                yaxis={"title": {"text": "share of samples below"}, "tickformat": ".0%"},
            ),
        )


def _line(values: "pd.Series[float]", label: str, number: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": text(label),
        "x": [float(value) for value in np.quantile(values, _SHARES)],
        "y": [float(share) for share in _SHARES],
        "line": {"color": colour(number), "dash": dash(number), "width": 2},
        "hovertemplate": "%{y:.0%} below %{x:.4g}",
    }
