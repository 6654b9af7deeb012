"""From selected results to the parts of a table."""

from collections.abc import Collection, Iterator, Mapping

from s2hand_platform.experiments.protocol import MetricInfo
from s2hand_platform.spec.schema import ColumnSpec, ContrastSpec, TableSpec
from s2hand_platform.statistics.intervals import mean_interval, paired_difference
from s2hand_platform.statistics.verdicts import judge_cell, judge_contrast
from s2hand_platform.tables.parts import (
    RowKind,
    TableCell,
    TableColumn,
    TableContrast,
    TableMargin,
    TableRow,
)
from s2hand_platform.tables.selection import RowResults, Selection

_LEGEND = "= reproduced, ≈ consistent but imprecise, ▲ better, ▼ worse, ? undecided (one seed)"


def column(column: ColumnSpec, metrics: Mapping[str, MetricInfo]) -> TableColumn:
    """Give a column its metric's unit and direction."""
    info = metrics[column.metric.partition("/")[2]]
    return TableColumn(
        label=column.label, metric=column.metric, unit=info.unit, direction=info.direction
    )


def measured_row(
    spec: TableSpec,
    results: RowResults,
    columns: Collection[TableColumn],
    *,
    on_same_data: bool,
) -> TableRow:
    """Make the row of a recipe; its cells are judged only where the paper's are comparable."""
    cells = {}
    for column in columns:
        values = results.values.get(column.metric, {})
        printed = spec.published.cell(results.row.id, column.label) if spec.published else None
        cells[column.label] = TableCell(
            values=values,
            interval=mean_interval(list(values.values())) if values else None,
            published=printed,
            verdict=judge_cell(
                list(values.values()),
                printed,
                column.direction,
                comparable=on_same_data and results.row.comparable,
            ),
        )
    return TableRow(
        id=results.row.id,
        label=results.row.label,
        kind="measured",
        trial_ids=results.trial_ids,
        cells=cells,
    )


def baseline_rows(chosen: Selection, columns: Collection[TableColumn]) -> Iterator[TableRow]:
    """Yield the rows of what needs no training."""
    for label, metrics in sorted(chosen.baselines.items()):
        cells = {}
        for column in columns:
            value = metrics.get(column.metric)
            cells[column.label] = TableCell(
                values={},
                interval=None if value is None else mean_interval([value]),
                published=None,
                verdict="not run" if value is None else "not comparable",
            )
        yield TableRow(id=label, label=label, kind="baseline", trial_ids={}, cells=cells)


def printed_rows(spec: TableSpec, columns: Collection[TableColumn]) -> Iterator[TableRow]:
    """Yield the paper's rows that have no recipe."""
    measured = {row.id for row in spec.rows}
    for row in spec.published.rows if spec.published else ():
        if row.id not in measured:
            cells = {
                column.label: TableCell(
                    values={},
                    interval=None,
                    published=row.cells.get(column.label),
                    verdict="not run",
                )
                for column in columns
            }
            kind: RowKind = "quoted" if row.quoted else "published"
            yield TableRow(id=row.id, label=row.label, kind=kind, trial_ids={}, cells=cells)


def contrasts(
    specs: Collection[ContrastSpec],
    rows: Collection[TableRow],
    columns: Collection[TableColumn],
) -> Iterator[TableContrast]:
    """Yield every declared contrast, column by column."""
    cells = {row.id: row.cells for row in rows if row.kind == "measured"}
    for spec in specs:
        for column in columns:
            if column.label in spec.columns:
                difference = paired_difference(
                    cells[spec.row][column.label].values,
                    cells[spec.baseline][column.label].values,
                )
                yield TableContrast(
                    row=spec.row,
                    baseline=spec.baseline,
                    expected=spec.expected,
                    column=column.label,
                    difference=difference,
                    verdict=judge_contrast(difference, column.direction, spec.expected),
                )


def margins(rows: Collection[TableRow], label: str) -> Iterator[TableMargin]:
    """Compare measured rows with baselines in one column; none where ``label`` is empty."""
    baselines = [row for row in rows if row.kind == "baseline" and label in row.cells]
    for baseline in baselines:
        reference = baseline.cells[label].interval
        for row in rows:
            values = row.cells[label].values
            if row.kind == "measured" and values and reference and reference.mean > 0:
                change = mean_interval([value / reference.mean - 1 for value in values.values()])
                yield TableMargin(row=row.id, baseline=baseline.id, column=label, change=change)


def footnotes(
    spec: TableSpec, chosen: Selection, data: str, *, on_same_data: bool
) -> Iterator[str]:
    """Yield what a reader must know to read the cells right."""
    yield (
        "Cells: measured mean ± half of the 95 % t interval (number of seeds) / printed in the "
        "paper."
    )
    if on_same_data:
        yield f"Marks: {_LEGEND}; no mark: the recipe differs from the paper's row, not comparable."
    elif spec.published:
        yield (
            f"Measured on {data}, printed values on {spec.published.dataset}: shown side by side, "
            "never judged as equal or unequal."
        )
    if spec.contrasts:
        yield (
            "A direction is reproduced (reversed) when the 95 % interval of the paired difference "
            "excludes zero on the paper's (the other) side; not corrected for their number."
        )
    yield from spec.notes
    if chosen.seeds:
        yield f"Seeds: {', '.join(map(str, chosen.seeds))}."
        yield f"Evaluator: {', '.join(chosen.evaluator_ids)}."
        yield f"Environment: {'; '.join(chosen.environments)}."
    yield from chosen.remarks
