"""A grid of texts, and how it is written: Markdown, LaTeX, HTML, the terminal."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from s2hand_platform.statistics.intervals import MeanInterval

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "−": r"$-$", "²": r"$^2$", "↓": r"$\downarrow$", "↑": r"$\uparrow$",
    "≈": r"$\approx$", "▲": r"$\blacktriangle$", "▼": r"$\blacktriangledown$", "–": "--",
}  # fmt: skip

_STYLES = {"reproduced": "green", "reversed": "red", "not run": "dim", "quoted": "dim"}


_DECIMALS_WITHOUT_INTERVAL = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class GridCell:
    """One cell: what was measured, and what is printed in the paper."""

    text: str
    aside: str = ""
    """Shown beside, less prominently."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Rows of cells under a header."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[GridCell, ...], ...]


def format_interval(interval: MeanInterval, decimals: int, *, signed: bool = False) -> str:
    """Write ``mean ± half-width (n)`` with two significant digits of the half-width.

    Args:
        interval: what to write.
        decimals: shown at least; those of the printed cell, for instance.
        signed: write a plus before positive means.
    """
    shown = decimals or _DECIMALS_WITHOUT_INTERVAL
    if interval.half_width:
        shown = max(decimals, min(6, 1 - math.floor(math.log10(interval.half_width))))
    mean = f"{interval.mean:+.{shown}f}" if signed else f"{interval.mean:.{shown}f}"
    mean = mean.replace("-", "−")
    if interval.half_width is None:
        return f"{mean} ({interval.n})"
    return f"{mean} ± {interval.half_width:.{shown}f} ({interval.n})"


def to_markdown(grids: Sequence[Grid], footnotes: Sequence[str]) -> str:
    """Write grids as Markdown tables, the footnotes as a list below."""
    blocks = []
    for grid in grids:
        lines = [[_inline(cell) for cell in row] for row in grid.rows]
        texts = [list(grid.header), *lines]
        escaped = [[text.replace("|", "\\|") for text in line] for line in texts]
        widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
        padded = [_pipes(line, widths) for line in escaped]
        rule = _pipes(["-" * width for width in widths], widths)
        blocks.append("\n".join([f"**{grid.title}**", "", padded[0], rule, *padded[1:]]))
    blocks.append("\n".join(f"- {note}" for note in footnotes))
    return "\n\n".join(blocks) + "\n"


def _pipes(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
    return f"| {' | '.join(cells)} |"


def _inline(cell: GridCell) -> str:
    return f"{cell.text} / {cell.aside}" if cell.aside else cell.text


def to_latex(grids: Sequence[Grid], footnotes: Sequence[str]) -> str:
    """Write each grid as a booktabs table; needs the packages booktabs and amssymb."""
    blocks = []
    for number, grid in enumerate(grids):
        lines = [[_inline(cell) for cell in row] for row in grid.rows]
        body = [_latex_line(line) for line in lines]
        notes = footnotes if number == len(grids) - 1 else ()
        blocks += [
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{_latex(grid.title)}}}",
            f"  \\begin{{tabular}}{{l{'r' * (len(grid.header) - 1)}}}",
            r"    \toprule",
            _latex_line(grid.header),
            r"    \midrule",
            *body,
            r"    \bottomrule",
            r"  \end{tabular}",
            *(f"  \\par\\footnotesize {_latex(note)}" for note in notes),
            r"\end{table}",
        ]
    return "\n".join(blocks) + "\n"


def _latex_line(line: Sequence[str]) -> str:
    return f"    {' & '.join(_latex(text) for text in line)} \\\\"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def to_html(grids: Sequence[Grid], footnotes: Sequence[str]) -> str:
    """Write grids as plain HTML tables, for notebooks and reports."""
    blocks = []
    for grid in grids:
        head = "".join(f"<th>{html.escape(text)}</th>" for text in grid.header)
        body = "".join(f"<tr>{''.join(_html_cell(cell) for cell in row)}</tr>" for row in grid.rows)
        blocks.append(
            f"<table><caption>{html.escape(grid.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in footnotes)
    return "\n".join([*blocks, f"<ul>{notes}</ul>"])


def _html_cell(cell: GridCell) -> str:
    aside = f"<br><small>{html.escape(cell.aside)}</small>" if cell.aside else ""
    return f"<td>{html.escape(cell.text)}{aside}</td>"


def to_rich(grids: Sequence[Grid], footnotes: Sequence[str]) -> RenderableType:
    """Draw grids for the terminal, the paper's values dim below ours."""
    parts: list[RenderableType] = []
    for grid in grids:
        table = Table(
            title=Text(grid.title), title_justify="left", show_lines=True, box=box.HORIZONTALS
        )
        for number, name in enumerate(grid.header):
            table.add_column(Text(name), justify="right" if number else "left", overflow="fold")
        for row in grid.rows:
            table.add_row(*(_rich_cell(cell) for cell in row))
        parts.append(table)
    parts += [Text(f"· {note}", style="dim") for note in footnotes]
    return Group(*parts)


def _rich_cell(cell: GridCell) -> Text:
    """Break before the half-width, so that six columns fit into a terminal."""
    text = Text(cell.text.replace(" ± ", "\n± "), style=_STYLES.get(cell.text, ""))
    if cell.aside:
        text.append(f"\n{cell.aside}".replace(" ± ", "\n± "), style="dim")
    return text
