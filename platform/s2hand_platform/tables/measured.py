"""The measured table: each cell with its interval, the printed cell, and what both say."""

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from rich.console import RenderableType

from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.statistics.verdicts import Decision
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables import building, layout
from s2hand_platform.tables.building import OTHER_CODE_MARK
from s2hand_platform.tables.contrasts import contrasts
from s2hand_platform.tables.layout import Grid, GridCell, format_interval
from s2hand_platform.tables.parts import (
    RowKind,
    TableCell,
    TableColumn,
    TableContrast,
    TableMargin,
    TableRow,
)
from s2hand_platform.tables.selection import select_results
from s2hand_platform.tables.units import about_units

_MARKS: dict[str, str] = {
    "reproduced": " =", "consistent but imprecise": " ≈", "better": " ▲", "worse": " ▼",
    "undecided": " ?",
}  # fmt: skip
_DEFAULT_DECIMALS = 3


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
        plan: TablePlan,
        store: ResultStore,
        *,
        seeds: Collection[int] | None = None,
        other_code: bool = False,
    ) -> "MeasuredTable":
        """Gather a table from the store alone.

        Args:
            plan: the table as it was planned, from ``store.latest_table_plan``.
            store: where results are.
            seeds: the seeds to take; None takes all that are there.
            other_code: fill what is not measured as planned with results of the same settings
                and seed that are of other code, data or evaluation, marked.
        """
        chosen = select_results(plan, store, seeds=seeds, other_code=other_code)
        columns = tuple(building.column(column, plan.primary_column) for column in plan.columns)
        rows = (
            *building.baseline_rows(chosen, columns),
            *(building.measured_row(plan, row, columns) for row in chosen.rows),
            *building.imported_rows(chosen.imported, columns),
            *building.printed_rows(plan, columns),
        )
        return cls(
            name=plan.name,
            title=plan.title,
            data=plan.measured_on,
            columns=columns,
            rows=rows,
            contrasts=contrasts(plan.contrasts, rows, columns, plan.looks),
            margins=tuple(building.margins(rows, plan.primary_column)),
            footnotes=(
                *building.footnotes(plan, chosen),
                *about_units(plan, chosen, store),
            ),
        )

    @property
    def compared_columns(self) -> tuple[TableColumn, ...]:
        """The columns in which a contrast is declared."""
        compared = {contrast.column for contrast in self.contrasts}
        return tuple(column for column in self.columns if column.label in compared)

    def frame(self) -> pd.DataFrame:
        """Return one line per cell."""
        return pd.DataFrame([self._line(row, column) for row, column in self._cells()])

    def verdicts(self) -> pd.DataFrame:
        """Return one line per declared contrast and column; only the primary one has verdicts."""
        return pd.DataFrame([_contrast_line(contrast) for contrast in self.contrasts])

    def summaries(self) -> dict[str, dict[str, float]]:
        """Return mean, spread, interval and the published value of every measured row's cells.

        Returns:
            Row id → ``split/metric.what`` → value; of the primary column also ``what`` alone.
        """
        found: dict[str, dict[str, float]] = {}
        for row, column in self._cells():
            cell = row.cells[column.label]
            if row.kind == "measured" and cell.interval is not None:
                numbers = _summary(cell, cell.interval)
                of_row = found.setdefault(row.id, {})
                of_row |= {f"{column.metric}.{name}": value for name, value in numbers.items()}
                if column.is_primary:
                    of_row |= numbers
        return found

    def grids(self) -> list[Grid]:
        """Return what is shown, as texts: the cells, then the contrasts and margins, if any."""
        header = (f"measured on {self.data}", *(column.header for column in self.columns))
        rows = tuple(
            (
                GridCell(text=f"{row.label} (imported)" if row.kind == "imported" else row.label),
                *(_shown(row.cells[c.label], row.kind, len(row.failed)) for c in self.columns),
            )
            for row in self.rows
        )
        grids = [Grid(title=f"{self.name}: {self.title}", header=header, rows=rows)]
        if self.contrasts:
            grids.append(self._contrast_grid())
        if self.margins:
            grids.append(self._margin_grid())
        return grids

    def to_markdown(self) -> str:
        """Write the table, its contrasts and footnotes as Markdown."""
        return layout.to_markdown(self.grids(), self.footnotes)

    def to_latex(self) -> str:
        """Write booktabs tables."""
        return layout.to_latex(self.grids(), self.footnotes)

    def to_csv(self) -> str:
        """Write one line per cell, numbers unrounded."""
        return str(self.frame().to_csv(index=False, lineterminator="\n"))

    def to_rich(self) -> RenderableType:
        """Draw the table for the terminal."""
        return layout.to_rich(self.grids(), self.footnotes)

    def to_html(self) -> str:
        """Write plain HTML tables."""
        return layout.to_html(self.grids(), self.footnotes)

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

    def _contrast_grid(self) -> Grid:
        lines: dict[tuple[str, str, str], dict[str, GridCell]] = {}
        heads: dict[tuple[str, str, str], tuple[GridCell, ...]] = {}
        for contrast in self.contrasts:
            key = (contrast.row, contrast.expected, contrast.baseline)
            lines.setdefault(key, {})[contrast.column] = _shown_difference(contrast)
            if contrast.decision is not None:
                heads[key] = (_shown_verdict(contrast), _shown_printed(contrast))
        primary = next((column.label for column in self.columns if column.is_primary), "")
        return Grid(
            title="Declared contrasts (row minus baseline, paired by seed)",
            header=(
                "contrast",
                f"verdict ({primary})",
                f"the paper ({primary})",
                *(column.header for column in self.compared_columns),
            ),
            rows=tuple(
                (
                    GridCell(text=f"{row} {expected} than {baseline}"),
                    *heads[row, expected, baseline],
                    *(
                        cells.get(column.label, GridCell(text="–"))
                        for column in self.compared_columns
                    ),
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


def _shown(cell: TableCell, kind: RowKind, failed: int) -> GridCell:
    printed = str(cell.published) if cell.published else ""
    if cell.interval is None:
        text = "quoted" if kind == "quoted" else f"failed ({failed})" if failed else "not run"
        return GridCell(text=text, aside=printed)
    decimals = cell.published.decimals if cell.published else _DEFAULT_DECIMALS
    if kind in {"baseline", "imported"}:
        return GridCell(text=f"{cell.interval.mean:.{_DEFAULT_DECIMALS}f}")
    mark = OTHER_CODE_MARK if cell.of_other_code else _MARKS.get(cell.verdict, "")
    text = format_interval(cell.interval, decimals)
    if failed:
        text = f"{text.removesuffix(')')}, {failed} failed)"
    return GridCell(text=text + mark, aside=printed)


def _shown_difference(contrast: TableContrast) -> GridCell:
    if contrast.difference is None:
        return GridCell(text="not run")
    return GridCell(text=format_interval(contrast.difference, 0, signed=True))


def _shown_verdict(contrast: TableContrast) -> GridCell:
    decision, tests = contrast.decision, contrast.by_symmetry
    if decision is None:
        return GridCell(text="")
    needed = f" (≈ {contrast.seeds_to_decide} seeds)" if contrast.seeds_to_decide else ""
    asides = []
    if decision.p is not None:
        asides.append(f"p {decision.p:.2g}{_against(decision)}")
    if decision.p_equivalence is not None:
        asides.append(f"equal {decision.p_equivalence:.2g}")
    if tests is not None:
        asides.append(
            f"ranks {tests.signed_rank_p:.2g}, signs {tests.sign_flip_p:.2g} "
            f"(smallest {tests.smallest_p:.2g})"
        )
    return GridCell(text=f"{decision}{needed}", aside="; ".join(asides))


def _against(decision: Decision) -> str:
    """Write what the raw p is held against."""
    if decision.look is not None:
        return f" at {decision.look.seeds} seeds (level {decision.look.level:.2g})"
    return f", Holm {decision.p_adjusted:.2g}"


def _shown_printed(contrast: TableContrast) -> GridCell:
    printed = contrast.printed
    if printed is None:
        return GridCell(text="not printed")
    text = f"{printed.value:+.4g} ({printed.low:+.4g} to {printed.high:+.4g})".replace("-", "−")
    return GridCell(text=text, aside="" if printed.is_decided else "not decided by the digits")


def _contrast_line(contrast: TableContrast) -> dict[str, Any]:
    decision, printed, tests = contrast.decision, contrast.printed, contrast.by_symmetry
    return {
        "row": contrast.row,
        "baseline": contrast.baseline,
        "expected": contrast.expected,
        "column": contrast.column,
        **_interval_fields(contrast.difference, "difference"),
        "verdict": str(decision) if decision else "",
        "p": decision.p if decision else None,
        "p_adjusted": decision.p_adjusted if decision else None,
        "p_equivalence": decision.p_equivalence if decision else None,
        "look_seeds": decision.look.seeds if decision and decision.look else None,
        "look_level": decision.look.level if decision and decision.look else None,
        "signed_rank_p": tests.signed_rank_p if tests else None,
        "sign_flip_p": tests.sign_flip_p if tests else None,
        "printed_low": printed.low if printed else None,
        "printed_high": printed.high if printed else None,
        "seeds_to_decide": contrast.seeds_to_decide,
    }


def _summary(cell: TableCell, interval: MeanInterval) -> dict[str, float]:
    numbers = {
        "mean": interval.mean,
        "sd": interval.sd,
        "n": float(interval.n),
        "published": cell.published.value if cell.published else None,
        "delta": interval.mean - cell.published.value if cell.published else None,
    }
    if interval.half_width is not None:
        numbers |= {"ci_low": interval.low, "ci_high": interval.high}
    return {name: value for name, value in numbers.items() if value is not None}


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
