"""What opens behind a number: parts with lines, as the platform's own cards have them."""

from collections.abc import Iterator, Sequence

from s2hand_dashboards.contents import TableContents
from s2hand_dashboards.figures.style import short
from s2hand_dashboards.searches import SearchContents, TriedPoint
from s2hand_platform.cards.shown import Part, parts
from s2hand_platform.spec.published import PrintedDifference
from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.tables.layout import format_interval
from s2hand_platform.tables.parts import TableColumn, TableContrast, TableMargin, TableRow

Card = Sequence[Part]
Lines = Iterator[tuple[str, str]]


def cell_card(contents: TableContents, row: TableRow, column: TableColumn) -> Card:
    """Say where a cell's number comes from."""
    return parts(contents.cards.cell(row.id, column.label))


def contrast_card(contents: TableContents, contrast: TableContrast) -> Card:
    """Say what a contrast's number and verdict rest on."""
    return (
        *_card(_contrast(contents, contrast)),
        *_card(_pairs(contrast), "Pairs by seed"),
        *_card(_tests(contrast), "Tests"),
    )


def margin_card(contents: TableContents, margin: TableMargin) -> Card:
    """Say what the distance from a predictor without a training is."""
    change = margin.change
    return _card(
        iter(
            (
                ("row", contents.labels[margin.row]),
                ("against", margin.baseline),
                ("column", margin.column),
                ("change", f"{100 * change.mean:+.3g} %, mean of {change.n} seeds"),
                ("95 % interval", "excludes zero" if margin.excludes_zero else "includes zero"),
            )
        )
    )


def point_card(contents: SearchContents, point: TriedPoint) -> Card:
    """Say what became of a search's point."""
    value = "none" if point.value is None else f"{point.value:.6g}"
    lines = (
        (contents.plan.metric, value),
        ("status", point.status.replace("_", " ")),
        ("because", point.reason),
        ("measured on", contents.plan.data.title),
        ("trial", point.trial_id),
    )
    return (
        *_card(iter(lines)),
        *_card(((path, short(value)) for path, value in point.point.items()), "Point"),
    )


def _card(lines: Lines, heading: str = "") -> tuple[Part, ...]:
    told = tuple((name, text) for name, text in lines if text)
    return (Part(heading, told),) if told else ()


def _contrast(contents: TableContents, contrast: TableContrast) -> Lines:
    row, baseline = (contents.labels[name] for name in (contrast.row, contrast.baseline))
    yield "the paper says", f"{row} is {contrast.expected} than {baseline}"
    yield "in column", contrast.column
    yield "difference", _interval(contrast.difference)
    yield "printed difference", _printed(contrast.printed)
    yield "verdict", str(contrast.decision or "none: decided in the primary column alone")
    seeds = contrast.seeds_to_decide
    yield "seeds that would decide", f"about {seeds}" if seeds else ""


def _pairs(contrast: TableContrast) -> Lines:
    for seed, value in contrast.pairs.items():
        yield f"seed {seed}", f"{value:+.6g}"


def _tests(contrast: TableContrast) -> Lines:
    decision, tests = contrast.decision, contrast.by_symmetry
    if decision is not None:
        yield "p, paired t test", _p(decision.p)
        yield "p, by Holm's procedure", _p(decision.p_adjusted)
        yield "p of equivalence", _p(decision.p_equivalence)
    if tests is not None:
        yield "p, signed ranks", _p(tests.signed_rank_p)
        yield "p, flipped signs", _p(tests.sign_flip_p)
        yield "smallest p of so many seeds", _p(tests.smallest_p)


def _interval(interval: MeanInterval | None) -> str:
    if interval is None:
        return "not known: no seed has both rows"
    if interval.sd is None:
        return f"{interval.mean:+.6g}, of one seed: nothing is known about the spread"
    return f"{format_interval(interval, 0, signed=True)}, standard deviation {interval.sd:.3g}"


def _printed(printed: PrintedDifference | None) -> str:
    if printed is None:
        return "the paper does not print both cells"
    text = f"{printed.value:+.4g} ({printed.low:+.4g} to {printed.high:+.4g} by rounding)"
    return text if printed.is_decided else f"{text}: the digits do not tell which is larger"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
