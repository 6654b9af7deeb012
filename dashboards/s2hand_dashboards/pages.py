"""Pages as plain data: what stands where, before it is written as HTML."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from s2hand_dashboards.cards import Card, cell_card, contrast_card, margin_card, point_card
from s2hand_dashboards.contents import TableContents
from s2hand_dashboards.figures.contrasts import forest_plots
from s2hand_dashboards.figures.curves import curve_plots
from s2hand_dashboards.figures.responses import search_plots
from s2hand_dashboards.figures.samples import sample_plots
from s2hand_dashboards.figures.seeds import seed_plots
from s2hand_dashboards.figures.style import Figure, short
from s2hand_dashboards.figures.thresholds import threshold_plots
from s2hand_dashboards.missing import (
    Missing,
    missing_of_search,
    missing_of_table,
)
from s2hand_dashboards.pictures import PictureGallery
from s2hand_dashboards.searches import SearchContents, TriedPoint
from s2hand_platform.claims.shown import measured_lines, printed_lines
from s2hand_platform.statistics.power import POWER
from s2hand_platform.tables.kept import command_of, options_of
from s2hand_platform.tables.layout import GridCell
from s2hand_platform.tables.power import TablePower
from s2hand_platform.tables.power_layout import needed_grid


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A cell of a page's table: what is shown, and what opens behind it."""

    text: str
    aside: str = ""
    title: str = ""
    """Heads the card."""
    card: Card | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A table of a page; the first cell of a line names it."""

    caption: str
    header: Sequence[str]
    lines: Sequence[Sequence[Number]]
    kind: Literal["", "cells", "sentences"] = ""
    """``cells``: the measured table itself, with what the paper prints below each number.
    ``sentences``: of words more than of numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading with what stands below it."""

    title: str
    about: str = ""
    grid: Grid | None = None
    figures: Sequence[Figure] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page."""

    name: str
    title: str
    summary: Sequence[str]
    missing: Sequence[Missing]
    sections: Sequence[Section]
    gallery: PictureGallery = field(default_factory=PictureGallery)
    notes: Sequence[str]
    command: str
    """Makes what the page shows, or what it lacks."""
    content: Mapping[str, Any]
    """All of it for programs."""


def table_page(contents: TableContents, gallery: PictureGallery) -> Page:
    """Lay out the page of a table."""
    table = contents.table
    sections = [Section(title="Measured and printed", grid=_cells(contents))]
    if table.contrasts:
        sections.append(
            Section(
                title="Declared contrasts",
                grid=_contrasts(contents),
                figures=list(forest_plots(contents)),
            )
        )
    if contents.power is not None:
        sections.append(_power(contents, contents.power))
    if table.margins:
        sections.append(
            Section(title="Against predictors without a training", grid=_margins(contents))
        )
    drawn = (
        ("Seeds", "A line joins what one seed gave in each row.", seed_plots),
        (
            "Training curves",
            "Mean over seeds; the band goes from the lowest to the highest.",
            curve_plots,
        ),
        ("Errors over the held-out samples", "", sample_plots),
        (
            "Curves over thresholds",
            (
                "The share whose error is within each threshold. Mean over seeds; the band goes "
                "from the lowest to the highest."
            ),
            threshold_plots,
        ),
    )
    for title, about, plots in drawn:
        figures = list(plots(contents))
        if figures:
            sections.append(Section(title=title, about=about, figures=figures))
    if contents.claims.claims or contents.claims.fault:
        sections.append(_claims(contents))
    return Page(
        name=table.name,
        title=table.title,
        summary=list(_summary(contents)),
        missing=list(missing_of_table(contents)),
        sections=sections,
        gallery=gallery,
        notes=table.footnotes,
        command=command_of(contents.plan),
        content=table.to_json(),
    )


def search_page(contents: SearchContents) -> Page:
    """Lay out the page of a search."""
    plan = contents.plan
    figures = list(search_plots(contents))
    header = ["rank", *plan.axes.values(), plan.metric, "status"]
    lines = [
        [
            Number(text=str(rank), aside="; ".join(_names(contents, point))),
            *(Number(text=short(point.point[path])) for path in plan.axes),
            Number(
                text="–" if point.value is None else f"{point.value:.4g}",
                title=f"{plan.name}, trial {point.trial_id[:12]}",
                card=point_card(contents, point),
            ),
            Number(text=point.status.replace("_", " ")),
        ]
        for rank, point in enumerate(contents.points, 1)
    ]
    sections = [Section(title="Response", figures=figures)] if figures else []
    caption = "A number opens its card; what was stopped early has its last reported value."
    ranked = Grid(caption=caption, header=header, lines=lines)
    return Page(
        name=plan.name,
        title=plan.title,
        summary=list(_search_summary(contents)),
        missing=list(missing_of_search(contents)),
        sections=[*sections, Section(title="Trials, the best first", grid=ranked)],
        notes=plan.notes,
        command=command_of(plan),
        content={**plan.to_plain(), "values": {p.trial_id: p.value for p in contents.points}},
    )


def _names(contents: SearchContents, point: TriedPoint) -> Iterator[str]:
    """Yield what a point is called that the paper chose too."""
    for name, chosen in contents.plan.paper.items():
        if dict(chosen) == dict(point.point):
            yield name


def _summary(contents: TableContents) -> Iterator[str]:
    table = contents.table
    cells = [cell for row in contents.measured_rows for cell in row.cells.values()]
    measured = sum(cell.interval is not None for cell in cells)
    yield f"{measured} of {len(cells)} cells measured on {table.data}."
    verdicts = Counter(str(each.decision) for each in table.contrasts if each.decision)
    if verdicts:
        counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
        yield f"Contrasts in {contents.lead.label}: {counts}."
    judged = Counter(
        cell.verdict for cell in cells if cell.verdict not in {"not comparable", "not run"}
    )
    if judged:
        counts = ", ".join(f"{count} {verdict}" for verdict, count in judged.items())
        yield f"Cells against the printed ones: {counts}."


def _search_summary(contents: SearchContents) -> Iterator[str]:
    plan, best = contents.plan, contents.best
    states = Counter(point.status.replace("_", " ") for point in contents.points)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    yield f"{len(contents.points)} trials on {plan.data.title}: {counts or 'none'}."
    if best is not None and best.value is not None:
        where = ", ".join(f"{name} {short(best.point[path])}" for path, name in plan.axes.items())
        yield f"Best {plan.metric}: {best.value:.4g} with {where}."


def _cells(contents: TableContents) -> Grid:
    table = contents.table
    shown = table.grids()[0]
    lines = []
    for row, texts in zip(table.rows, shown.rows, strict=True):
        numbers = [
            _number(text, f"{row.label}, {column.label}", cell_card(contents, row, column))
            for column, text in zip(table.columns, texts[1:], strict=True)
        ]
        lines.append([Number(text=row.label, aside=_kind(row.kind)), *numbers])
    caption = "Mean ± half of its 95 % interval (seeds); below, as the paper prints it. "
    return Grid(
        caption=f"{caption}A number opens its card.",
        header=shown.header,
        lines=lines,
        kind="cells",
    )


def _kind(kind: str) -> str:
    words = {"baseline": "no training", "published": "the paper's alone"}
    return words.get(kind, "" if kind == "measured" else kind)


def _contrasts(contents: TableContents) -> Grid:
    table = contents.table
    shown = table.grids()[1]
    by_line: dict[tuple[str, str, str], dict[str, Card]] = {}
    for contrast in table.contrasts:
        line = (contrast.row, contrast.expected, contrast.baseline)
        by_line.setdefault(line, {})[contrast.column] = contrast_card(contents, contrast)
    primary = contents.lead.label
    lines = []
    for ((row, says, baseline), cards), texts in zip(by_line.items(), shown.rows, strict=True):
        said = f"{contents.labels[row]} {says} than {contents.labels[baseline]}"
        heads = [_number(text, said, cards.get(primary)) for text in texts[1:3]]
        numbers = [
            _number(text, f"{said}, in {column.label}", cards.get(column.label))
            for column, text in zip(table.compared_columns, texts[3:], strict=True)
        ]
        lines.append([Number(text=said), *heads, *numbers])
    return Grid(caption=shown.title, header=shown.header, lines=lines)


def _power(contents: TableContents, power: TablePower) -> Section:
    shown = needed_grid(power)
    lines = []
    for contrast, texts in zip(power.contrasts, shown.rows, strict=True):
        row, baseline = (contents.labels[name] for name in (contrast.row, contrast.baseline))
        said = Number(text=f"{row} {contrast.expected} than {baseline}")
        lines.append([said, *(Number(text=each.text, aside=each.aside) for each in texts[1:])])
    about = (
        f"The fewest of {min(power.hours)} to {max(power.hours)} seeds that find the effect, "
        f"{power.effect}, in {100 * POWER:.0f} % of cases; below, what the ends of the spread's "
        f"95 % interval make of it. More: s2hand power {contents.plan.name} "
        f"{options_of(contents.plan.label)}"
    )
    grid = Grid(caption=shown.title, header=shown.header, lines=lines)
    return Section(title="What would decide the undecided", about=about, grid=grid)


def _claims(contents: TableContents) -> Section:
    """Show the paper's sentences that cells of the table decide."""
    title, found = "The paper's sentences about it", contents.claims
    if found.fault:
        return Section(title=title, about=f"They cannot be read: {found.fault}")
    lines = []
    for claim in found.claims:
        spec = claim.spec
        quote = f" “{spec.quote}”" if spec.quote else ""
        place = f"{spec.id}: section {spec.section}, {spec.sentence}".removesuffix(", ")
        sides = (printed_lines(claim), measured_lines(claim))
        lines.append(
            [
                Number(text=f"{spec.says}{quote}", aside=place),
                *(Number(text=side[0], aside="; ".join(side[1:])) for side in sides),
            ]
        )
    return Section(
        title=title,
        about="Each is tested alone at 5 %; what that rests on, and all sentences: s2hand claims",
        grid=Grid(
            caption="Judged by the paper's own cells within their rounding, and by measured ones",
            header=("claim", "the paper's cells", f"measured on {contents.plan.label}"),
            lines=lines,
            kind="sentences",
        ),
    )


def _margins(contents: TableContents) -> Grid:
    shown = contents.table.grids()[-1]
    lines = []
    for margin, texts in zip(contents.table.margins, shown.rows, strict=True):
        row = contents.labels[margin.row]
        said = f"{row} against {margin.baseline}"
        number = _number(texts[3], said, margin_card(contents, margin))
        rest = [Number(text=text.text) for text in (*texts[1:3], texts[4])]
        lines.append([Number(text=row), rest[0], rest[1], number, rest[2]])
    caption = "(row minus baseline) / baseline, over seeds"
    return Grid(caption=caption, header=shown.header, lines=lines)


def _number(cell: GridCell, title: str, card: Card | None) -> Number:
    return Number(text=cell.text, aside=cell.aside, title=title, card=card)
