"""What all figures share: colours, texts, layout. The page adds the colours of its theme."""

import html
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OURS = "#2f7fc1"
PAPER = "#b3791a"
QUIET = "#767c86"
"""These three and the palette stand out (3:1) from white and from near-black."""

_PALETTE = ("#2f7fc1", "#d1701f", "#27976b", "#b8559b", "#8a7a2f", "#6a6fd8", "#c8504f", "#3f93a3")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "hexagon")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure of Plotly's."""

    title: str
    says: str
    """What it shows, for who cannot see it."""
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    is_first: bool = True
    """Whether it is seen at once; others are folded away."""


def colour(number: int) -> str:
    """Return a colour for the number-th of some things."""
    return _PALETTE[number % len(_PALETTE)]


def symbol(number: int) -> str:
    """Return a marker, so that colours are not all that tells things apart."""
    return _SYMBOLS[number % len(_SYMBOLS)]


def dash(number: int) -> str:
    """Return a line's pattern, for the same reason."""
    return _DASHES[number % len(_DASHES)]


def shade(colour: str, opacity: float) -> str:
    """Make a colour transparent."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def text(words: str, width: int = 0) -> str:
    """Escape words for Plotly, which reads a few tags in any text, and break them into lines."""
    lines = textwrap.wrap(words, width) if width else [words]
    return "<br>".join(html.escape(line, quote=False) for line in lines)


def short(value: object) -> str:
    """Write a value with as many digits as anyone reads."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def in_unit(words: str, unit: str) -> str:
    """Add a unit to what an axis shows; the unit of ratios is none."""
    return words if unit in {"", "1"} else f"{words} [{unit}]"


def layout(height_px: int, *, x_title: str, **more: Any) -> dict[str, Any]:
    """Make a layout for narrow screens too: a legend above, and no dragging, which is scrolling."""
    x_axis = {"title": {"text": x_title, "standoff": 8}, "automargin": True, "fixedrange": True}
    return {
        "height": height_px,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "dragmode": False,
        "hovermode": "closest",
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom",
        },
        **more,
        "xaxis": {**x_axis, **more.get("xaxis", {})},
        "yaxis": {"automargin": True, "fixedrange": True, **more.get("yaxis", {})},
    }  # fmt: skip
