"""What a search found: the response to each of its values, and the map of a grid of two."""

from collections.abc import Iterator, Sequence
from typing import Any

from s2hand_dashboards.figures.style import OURS, PAPER, QUIET, Figure, layout, short, text
from s2hand_dashboards.searches import SearchContents, TriedPoint

_FRAME = "#e0342b"
"""No colour of the map."""
_WIDE = 20.0
"""Values whose largest is so many times the smallest are shown by their logarithm."""


def search_plots(contents: SearchContents) -> Iterator[Figure]:
    """Yield the map, where there is one, and the response of each axis."""
    known = [point for point in contents.points if point.value is not None]
    if not known:
        return
    if contents.is_grid:
        yield _map(contents, known)
    for path, name in contents.plan.axes.items():
        yield _response(contents, known, path, name)


def described(point: TriedPoint, contents: SearchContents) -> str:
    """Name a point by its values."""
    return ", ".join(f"{name} {short(point.point[path])}" for path, name in _axes(contents))


def _axes(contents: SearchContents) -> Sequence[tuple[str, str]]:
    return list(contents.plan.axes.items())


def _response(
    contents: SearchContents, known: Sequence[TriedPoint], path: str, name: str
) -> Figure:
    plan = contents.plan
    values = [point.point[path] for point in known]
    numbers = all(isinstance(value, int | float) for value in values)
    is_wide = numbers and min(values) > 0 and max(values) / min(values) >= _WIDE
    best = "lowest" if plan.mode == "min" else "highest"
    return Figure(
        title=f"Response to {name}",
        says=f"{plan.metric} over {name} of {len(known)} trials; {best} at {short(values[0])}",
        data=[
            _dots("finished", known, contents, path, OURS, "circle"),
            _dots("stopped_early", known, contents, path, QUIET, "circle-open"),
        ],
        layout=layout(
            340,
            x_title=text(name),
            xaxis={"type": "log" if is_wide else "linear" if numbers else "category",
                   "zeroline": False, "exponentformat": "power",
                   **({"dtick": 1} if is_wide else {})},
            yaxis={"title": {"text": text(plan.metric)}, "zeroline": False},
            shapes=_chosen(contents, path),
        ),
    )  # fmt: skip


def _dots(
    status: str,
    known: Sequence[TriedPoint],
    contents: SearchContents,
    path: str,
    colour: str,
    symbol: str,
) -> dict[str, Any]:
    points = [point for point in known if point.status == status]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": status.replace("_", " "),
        "x": [point.point[path] for point in points],
        "y": [point.value for point in points],
        "text": [text(described(point, contents)) for point in points],
        "marker": {"color": colour, "size": 9, "symbol": symbol},
        "hovertemplate": "%{y:.4g} with %{text}<extra></extra>",
    }


def _chosen(contents: SearchContents, path: str) -> list[dict[str, Any]]:
    """Mark the values that the paper chose."""
    values = dict.fromkeys(point[path] for point in contents.plan.paper.values())
    return [
        {
            "type": "line", "yref": "paper", "x0": value, "x1": value, "y0": 0, "y1": 1,
            "line": {"color": PAPER, "width": 2, "dash": "dash"},
            "name": "the paper's value", "showlegend": number == 0,
        }
        for number, value in enumerate(values)
    ]  # fmt: skip


def _map(contents: SearchContents, known: Sequence[TriedPoint]) -> Figure:
    (x_path, x_name), (y_path, y_name) = _axes(contents)
    columns, rows = (
        sorted({point.point[path] for point in contents.points}) for path in (x_path, y_path)
    )
    found = {(point.point[y_path], point.point[x_path]): point.value for point in known}
    values = [[found.get((row, column)) for column in columns] for row in rows]
    return Figure(
        title=f"{x_name} × {y_name}",
        says="; ".join(f"{described(point, contents)}: {point.value:.4g}" for point in known),
        data=[
            {
                "type": "heatmap", "z": values,
                "x": [str(column) for column in columns], "y": [str(row) for row in rows],
                "text": [["" if v is None else f"{v:.4g}" for v in line] for line in values],
                "texttemplate": "%{text}", "xgap": 2, "ygap": 2, "hoverongaps": False,
                "colorscale": "Viridis", "reversescale": contents.plan.mode == "min",
                "colorbar": {"title": {"text": text(contents.plan.metric), "side": "right"}},
                "hovertemplate": f"{text(x_name)} %{{x}}, {text(y_name)} %{{y}}: %{{z:.4g}}"
                "<extra></extra>",
            }
        ],
        layout=layout(
            140 + 58 * len(rows),
            x_title=text(x_name),
            xaxis={"type": "category", "showgrid": False},
            yaxis={"type": "category", "title": {"text": text(y_name)}, "showgrid": False},
            shapes=[
                _frame(columns.index(point[x_path]), rows.index(point[y_path]), is_first=place == 0)
                for place, point in enumerate(contents.plan.paper.values())
                if point[x_path] in columns and point[y_path] in rows
            ],
        ),
    )  # fmt: skip


def _frame(column: int, row: int, *, is_first: bool) -> dict[str, Any]:
    """Frame the cell of a point that the paper chose."""
    return {
        "type": "rect",
        "x0": column - 0.47, "x1": column + 0.47, "y0": row - 0.46, "y1": row + 0.46,
        "line": {"color": _FRAME, "width": 4}, "name": "in the paper", "showlegend": is_first,
    }  # fmt: skip
