"""What trainings reported over their epochs: the mean over seeds, within their spread."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from s2hand_dashboards.contents import TableContents
from s2hand_dashboards.figures.style import Figure, colour, dash, layout, shade, text

_HEIGHT_PX = 330
_MOST_TICKS = 8


def curve_plots(contents: TableContents) -> Iterator[Figure]:
    """Yield a plot per reported metric; losses as a whole and validation come first."""
    metrics = sorted(
        contents.curves["metric"].unique(), key=lambda each: (not _leads(each), str(each))
    )
    leading = [metric for metric in metrics if _leads(metric)] or metrics[:1]
    for metric in metrics:
        of_metric = contents.curves[contents.curves["metric"] == metric]
        yield _plot(str(metric), of_metric, contents, is_first=metric in leading)


def _leads(metric: str) -> bool:
    return metric.startswith("validation/") or metric.endswith(("total", "/loss"))


def _plot(metric: str, lines: pd.DataFrame, contents: TableContents, *, is_first: bool) -> Figure:
    traces: list[dict[str, Any]] = []
    ends = []
    for number, row in enumerate(contents.measured_rows):
        by_epoch = lines[lines["row"] == row.id].groupby("epoch")["value"]
        if len(by_epoch):
            spread = by_epoch.agg(["mean", "min", "max"])
            traces += _traces(spread, row.label, number)
            ends.append(f"{row.label} {spread['mean'].iloc[-1]:.4g}")
    return Figure(
        title=metric,
        says=f"{metric} over the epochs; at the last: {', '.join(ends)}",
        data=traces,
        layout=layout(
            _HEIGHT_PX + 12 * len(ends),
            x_title="epoch",
            xaxis={"tickvals": _ticks(lines["epoch"]), "zeroline": False},
            yaxis={"zeroline": False},
        ),
        is_first=is_first,
    )


def _ticks(epochs: "pd.Series[int]") -> list[int]:
    """Choose whole epochs to write below the axis: no more than a narrow screen has room for."""
    last = int(epochs.max())
    return list(range(0, last + 1, max(1, -(-last // _MOST_TICKS))))


def _traces(spread: pd.DataFrame, label: str, number: int) -> list[dict[str, Any]]:
    epochs = [int(epoch) for epoch in spread.index]
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": text(label),
        "legendgroup": str(number),
        "x": epochs,
        "y": [float(value) for value in spread["mean"]],
        "line": {"color": colour(number), "dash": dash(number), "width": 2},
        "marker": {"size": 5},
        "hovertemplate": "epoch %{x}: %{y:.4g}",
    }
    band = {
        "type": "scatter",
        "mode": "lines",
        "x": [*epochs, *reversed(epochs)],
        "y": [float(value) for value in (*spread["max"], *spread["min"][::-1])],
        "fill": "toself",
        "fillcolor": shade(colour(number), 0.15),
        "line": {"width": 0},
        "legendgroup": str(number),
        "showlegend": False,
        "hoverinfo": "skip",
    }
    return [band, line]
