"""A page as one HTML file that needs nothing else: styles, script and Plotly lie in it."""

import base64
import gzip
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from s2hand_dashboards.pages import Page

_TEMPLATES = Path(__file__).parent / "page"


def render(page: Page) -> str:
    """Write a page as HTML."""
    # In the order in which the template takes them: of a section, what is seen at once comes first.
    drawn = [
        figure
        for section in page.sections
        for figure in sorted(section.figures, key=lambda each: not each.is_first)
    ]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            figures=[{"data": figure.data, "layout": figure.layout} for figure in drawn],
            plotly=_packed_plotly() if drawn else "",
            style=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
            script=Markup((_TEMPLATES / "page.js").read_text(encoding="utf-8")),
        )
    )


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _packed_plotly() -> str:
    """Compress Plotly's script, 4.8 MB, to about 2 MB of text that the page unpacks."""
    packed = gzip.compress(get_plotlyjs().encode(), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode()
