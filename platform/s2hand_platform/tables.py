"""The measured table: each cell with its interval, the printed cell, and what both say."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd
from rich.console import RenderableType

from s2hand_platform import table_layout
from s2hand_platform.experiments.protocol import Experiment, MetricInfo
from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.schema import ColumnSpec, ContrastSpec, Expected, TableSpec
from s2hand_platform.statistics.intervals import MeanInterval, mean_interval, paired_difference
from s2hand_platform.statistics.verdicts import (
    CellVerdict,
    ContrastVerdict,
    Direction,
    judge_cell,
    judge_contrast,
)
from s2hand_platform.store.results import ResultStore
from s2hand_platform.table_layout import Grid, GridCell, format_interval
from s2hand_platform.table_selection import RowResults, Selection, select_results

RowKind = Literal["measured", "baseline", "published", "quoted"]

_MARKS: dict[str, str] = {
    "reproduced": " =", "consistent but imprecise": " ≈", "better": " ▲", "worse": " ▼",
    "undecided": " ?",
}  # fmt: skip
_LEGEND = "= reproduced, ≈ consistent but imprecise, ▲ better, ▼ worse, ? undecided (one seed)"
_DEFAULT_DECIMALS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class TableColumn:
    """A column and what its numbers are."""

    label: str
    metric: str
    unit: str
    direction: Direction

    @property
    def header(self) -> str:
        """The label with its unit, and an arrow to where better values lie."""
        unit = "" if self.unit == "1" or self.label.endswith(f"_{self.unit}") else f" [{self.unit}]"
        return f"{self.label}{unit} {'↓' if self.direction == 'lower' else '↑'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TableCell:
    """Row × column."""

    values: Mapping[int, float]
    """Seed → value. A baseline, which has no seed, stands under seed -1."""
    interval: MeanInterval | None
    """None where nothing was measured."""
    published: PublishedCell | None
    verdict: CellVerdict


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """A row of the table; ``cells`` is by the column's label."""

    id: str
    label: str
    kind: RowKind
    """``measured`` has a recipe; ``published`` and ``quoted`` stand in the paper only."""
    trial_ids: Mapping[int, str]
    cells: Mapping[str, TableCell]


@dataclass(frozen=True, kw_only=True, slots=True)
class TableContrast:
    """A declared contrast in one column."""

    row: str
    baseline: str
    expected: Expected
    column: str
    difference: MeanInterval | None
    """Row minus baseline over paired seeds; None where no seed has both."""
    verdict: ContrastVerdict


@dataclass(frozen=True, kw_only=True, slots=True)
class TableMargin:
    """How far a row's error lies from a predictor that needs no training."""

    row: str
    baseline: str
    column: str
    change: MeanInterval
    """(row - baseline) / baseline over seeds; -0.25 is a quarter less."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the 95 % interval does."""
        return self.change.low > 0 or self.change.high < 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredTable:
    """A table with everything that is known about its cells."""

    name: str
    title: str
    data: str
    """What was measured on."""
    columns: tuple[TableColumn, ...]
    rows: tuple[TableRow, ...]
    contrasts: tuple[TableContrast, ...]
    margins: tuple[TableMargin, ...]
    footnotes: tuple[str, ...]

    @classmethod
    def build(
        cls,
        spec: TableSpec,
        store: ResultStore,
        experiment: Experiment,
        *,
        data: str,
        seeds: Collection[int] | None = None,
        mix_environments: bool = False,
    ) -> "MeasuredTable":
        """Gather a table from the store.

        Args:
            spec: the table with scale and data laid over its base, as it was planned.
            store: where results are.
            experiment: builds the rows' configurations, knows units and directions.
            data: what was measured on; the dataset's own name means the published data.
            seeds: the seeds to take; None takes all that are there.
            mix_environments: let values from different kinds of environments share a cell.
        """
        chosen = select_results(
            spec, store, experiment, seeds=seeds, mix_environments=mix_environments
        )
        columns = tuple(_column(column, experiment.metrics) for column in spec.columns)
        on_same_data = data == spec.dataset
        rows = (
            *_baseline_rows(chosen, columns),
            *(_measured_row(spec, row, columns, on_same_data) for row in chosen.rows),
            *_printed_rows(spec, columns),
        )
        return cls(
            name=spec.name,
            title=spec.title,
            data=data,
            columns=columns,
            rows=rows,
            contrasts=tuple(_contrasts(spec.contrasts, rows, columns)),
            margins=tuple(_margins(rows, columns)),
            footnotes=tuple(_footnotes(spec, chosen, data, on_same_data=on_same_data)),
        )

    def frame(self) -> pd.DataFrame:
        """Return one line per cell."""
        return pd.DataFrame([self._line(row, column) for row, column in self._cells()])

    def verdicts(self) -> pd.DataFrame:
        """Return one line per declared contrast and column."""
        return pd.DataFrame(
            [
                {
                    "row": contrast.row,
                    "baseline": contrast.baseline,
                    "expected": contrast.expected,
                    "column": contrast.column,
                    **_interval_fields(contrast.difference, "difference"),
                    "verdict": contrast.verdict,
                }
                for contrast in self.contrasts
            ]
        )

    def to_markdown(self) -> str:
        """Write the table, its contrasts and footnotes as Markdown."""
        return table_layout.to_markdown(self._grids(), self.footnotes)

    def to_latex(self) -> str:
        """Write booktabs tables."""
        return table_layout.to_latex(self._grids(), self.footnotes)

    def to_csv(self) -> str:
        """Write one line per cell, numbers unrounded."""
        return str(self.frame().to_csv(index=False, lineterminator="\n"))

    def to_rich(self) -> RenderableType:
        """Draw the table for the terminal."""
        return table_layout.to_rich(self._grids(), self.footnotes)

    def to_html(self) -> str:
        """Write plain HTML tables."""
        return table_layout.to_html(self._grids(), self.footnotes)

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_json(self) -> dict[str, Any]:
        """Return plain data for programs."""
        return {
            "name": self.name,
            "title": self.title,
            "data": self.data,
            "columns": [asdict(column) for column in self.columns],
            "rows": [asdict(row) for row in self.rows],
            "contrasts": [asdict(contrast) for contrast in self.contrasts],
            "margins": [
                {**asdict(margin), "excludes_zero": margin.excludes_zero} for margin in self.margins
            ],
            "footnotes": list(self.footnotes),
        }

    def _cells(self) -> Iterator[tuple[TableRow, TableColumn]]:
        return ((row, column) for row in self.rows for column in self.columns)

    def _line(self, row: TableRow, column: TableColumn) -> dict[str, Any]:
        cell = row.cells[column.label]
        return {
            "table": self.name,
            "row": row.id,
            "label": row.label,
            "kind": row.kind,
            "column": column.label,
            "metric": column.metric,
            "unit": column.unit,
            "direction": column.direction,
            **_interval_fields(cell.interval, "mean"),
            "published": str(cell.published) if cell.published else None,
            "verdict": cell.verdict,
        }

    def _grids(self) -> list[Grid]:
        header = (f"measured on {self.data}", *(column.header for column in self.columns))
        rows = tuple(
            (
                GridCell(text=row.label),
                *(_shown(row.cells[c.label], row.kind) for c in self.columns),
            )
            for row in self.rows
        )
        grids = [Grid(title=f"{self.name}: {self.title}", header=header, rows=rows)]
        if self.contrasts:
            grids.append(self._contrast_grid())
        if self.margins:
            grids.append(self._margin_grid())
        return grids

    def _contrast_grid(self) -> Grid:
        lines: dict[tuple[str, str, str], dict[str, GridCell]] = {}
        for contrast in self.contrasts:
            key = (contrast.row, contrast.expected, contrast.baseline)
            difference = contrast.difference
            shown = format_interval(difference, 0, signed=True) if difference else ""
            cell = GridCell(text=contrast.verdict, aside=shown)
            lines.setdefault(key, {})[contrast.column] = cell
        return Grid(
            title="Directions that the paper concludes (row minus baseline, paired by seed)",
            header=("contrast", *(column.header for column in self.columns)),
            rows=tuple(
                (
                    GridCell(text=f"{row} {expected} than {baseline}"),
                    *(cells.get(column.label, GridCell(text="–")) for column in self.columns),
                )
                for (row, expected, baseline), cells in lines.items()
            ),
        )

    def _margin_grid(self) -> Grid:
        return Grid(
            title="Against predictors without a training",
            header=("row", "baseline", "column", "difference in %", "95 % interval"),
            rows=tuple(
                (
                    GridCell(text=margin.row),
                    GridCell(text=margin.baseline),
                    GridCell(text=margin.column),
                    GridCell(text=format_interval(_percent(margin.change), 1, signed=True)),
                    GridCell(
                        text="excludes zero" if margin.excludes_zero else "does not exclude zero"
                    ),
                )
                for margin in self.margins
            ),
        )


def _column(column: ColumnSpec, metrics: Mapping[str, MetricInfo]) -> TableColumn:
    info = metrics[column.metric.partition("/")[2]]
    return TableColumn(
        label=column.label, metric=column.metric, unit=info.unit, direction=info.direction
    )


def _measured_row(
    spec: TableSpec,
    results: RowResults,
    columns: Collection[TableColumn],
    on_same_data: bool,  # noqa: FBT001
) -> TableRow:
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


def _baseline_rows(chosen: Selection, columns: Collection[TableColumn]) -> Iterator[TableRow]:
    for label, metrics in sorted(chosen.baselines.items()):
        cells = {}
        for column in columns:
            values = {-1: metrics[column.metric]} if column.metric in metrics else {}
            cells[column.label] = TableCell(
                values=values,
                interval=mean_interval(list(values.values())) if values else None,
                published=None,
                verdict="not comparable" if values else "not run",
            )
        yield TableRow(id=label, label=label, kind="baseline", trial_ids={}, cells=cells)


def _printed_rows(spec: TableSpec, columns: Collection[TableColumn]) -> Iterator[TableRow]:
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


def _contrasts(
    specs: Collection[ContrastSpec],
    rows: Collection[TableRow],
    columns: Collection[TableColumn],
) -> Iterator[TableContrast]:
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


def _margins(rows: Collection[TableRow], columns: Collection[TableColumn]) -> Iterator[TableMargin]:
    """Compare measured rows with baselines in the table's first error column."""
    errors = [column for column in columns if column.direction == "lower"][:1]
    baselines = [row for row in rows if row.kind == "baseline"]
    for column in errors:
        for baseline in baselines:
            reference = baseline.cells[column.label].values.get(-1, 0.0)
            for row in rows:
                values = row.cells[column.label].values
                if row.kind == "measured" and values and reference > 0:
                    change = mean_interval([value / reference - 1 for value in values.values()])
                    yield TableMargin(
                        row=row.id, baseline=baseline.id, column=column.label, change=change
                    )


def _footnotes(
    spec: TableSpec, chosen: Selection, data: str, *, on_same_data: bool
) -> Iterator[str]:
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


def _shown(cell: TableCell, kind: RowKind) -> GridCell:
    printed = str(cell.published) if cell.published else ""
    if cell.interval is None:
        return GridCell(text="quoted" if kind == "quoted" else "not run", aside=printed)
    decimals = cell.published.decimals if cell.published else _DEFAULT_DECIMALS
    if kind == "baseline":
        return GridCell(text=f"{cell.interval.mean:.{_DEFAULT_DECIMALS}f}")
    text = format_interval(cell.interval, decimals) + _MARKS.get(cell.verdict, "")
    return GridCell(text=text, aside=printed)


def _percent(interval: MeanInterval) -> MeanInterval:
    scaled = {
        name: None if value is None else 100 * value
        for name, value in (("sd", interval.sd), ("half_width", interval.half_width))
    }
    return MeanInterval(mean=100 * interval.mean, n=interval.n, **scaled)


def _interval_fields(interval: MeanInterval | None, name: str) -> dict[str, Any]:
    return {
        name: interval.mean if interval else None,
        "half_width": interval.half_width if interval else None,
        "n": interval.n if interval else 0,
    }
