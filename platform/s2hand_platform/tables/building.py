"""From selected results to the parts of a table."""

from collections.abc import Collection, Iterator

from s2hand_platform.statistics.intervals import mean_interval
from s2hand_platform.statistics.power import MAX_SEEDS, POWER
from s2hand_platform.statistics.significance import ALPHA, MIN_SEEDS_BY_SYMMETRY
from s2hand_platform.statistics.verdicts import judge_cell
from s2hand_platform.store.imported import ImportedRow
from s2hand_platform.store.table_plan import PlanColumn, TablePlan
from s2hand_platform.tables.parts import (
    RowKind,
    TableCell,
    TableColumn,
    TableMargin,
    TableRow,
)
from s2hand_platform.tables.selection import RowResults, Selection

OTHER_CODE_MARK = "†"
_LEGEND = "= reproduced, ≈ consistent but imprecise, ▲ better, ▼ worse, ? undecided (one seed)"


def column(column: PlanColumn, primary: str) -> TableColumn:
    """Make the column of a planned one."""
    return TableColumn(
        label=column.label,
        metric=column.metric,
        unit=column.unit,
        direction=column.direction,
        tolerance=column.tolerance,
        is_primary=column.label == primary,
    )


def measured_row(
    plan: TablePlan, results: RowResults, columns: Collection[TableColumn]
) -> TableRow:
    """Make the row of a recipe; its cells are judged only where the paper's are comparable."""
    cells = {}
    for column in columns:
        values = results.values.get(column.metric, {})
        others = tuple(sorted(results.of_other_code & set(values)))
        printed = plan.printed_cell(results.row.id, column.label)
        cells[column.label] = TableCell(
            values=values,
            interval=mean_interval(list(values.values())) if values else None,
            published=printed,
            verdict=judge_cell(
                list(values.values()),
                printed,
                column.direction,
                comparable=not results.row.why_not_comparable and not others,
                tolerance=column.tolerance,
            ),
            of_other_code=others,
        )
    return TableRow(
        id=results.row.id,
        label=results.row.label,
        kind="measured",
        dataset=results.row.measured_on.dataset,
        trial_ids=results.trial_ids,
        cells=cells,
        failed=results.failed,
    )


def baseline_rows(chosen: Selection, columns: Collection[TableColumn]) -> Iterator[TableRow]:
    """Yield the rows of what needs no training; a table of several sets has them of each."""
    several = len({dataset for dataset, _ in chosen.baselines}) > 1
    for (dataset, name), metrics in sorted(chosen.baselines.items()):
        label = f"{name} ({dataset})" if several else name
        cells = {}
        for column in columns:
            value = metrics.get(column.metric)
            cells[column.label] = TableCell(
                values={},
                interval=None if value is None else mean_interval([value]),
                published=None,
                verdict="not run" if value is None else "not comparable",
            )
        yield TableRow(
            id=label, label=label, kind="baseline", dataset=dataset, trial_ids={}, cells=cells
        )


def imported_rows(
    imported: Collection[ImportedRow], columns: Collection[TableColumn]
) -> Iterator[TableRow]:
    """Yield the rows of somebody's predictions: one set each, so that nothing is judged."""
    for row in imported:
        cells = {}
        for column in columns:
            value = row.metrics.get(column.metric)
            cells[column.label] = TableCell(
                values={},
                interval=None if value is None else mean_interval([value]),
                published=None,
                verdict="not run" if value is None else "not comparable",
            )
        yield TableRow(
            id=row.id,
            label=row.label,
            kind="imported",
            dataset=row.dataset,
            trial_ids={},
            cells=cells,
        )


def printed_rows(plan: TablePlan, columns: Collection[TableColumn]) -> Iterator[TableRow]:
    """Yield the paper's rows that have no recipe."""
    measured = {row.id for row in plan.rows}
    for row in plan.printed:
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


def margins(rows: Collection[TableRow], label: str) -> Iterator[TableMargin]:
    """Compare measured rows with baselines of their dataset in one column.

    None where ``label`` is empty.
    """
    baselines = [row for row in rows if row.kind == "baseline" and label in row.cells]
    for baseline in baselines:
        reference = baseline.cells[label].interval
        for row in rows:
            values = row.cells[label].planned_values
            is_comparable = row.kind == "measured" and row.dataset == baseline.dataset
            if is_comparable and values and reference and reference.mean > 0:
                change = mean_interval([value / reference.mean - 1 for value in values.values()])
                yield TableMargin(row=row.id, baseline=baseline.id, column=label, change=change)


def footnotes(plan: TablePlan, chosen: Selection) -> Iterator[str]:
    """Yield what a reader must know to read the cells right."""
    yield (
        "Cells: measured mean ± half of the 95 % t interval (number of seeds) / printed in the "
        "paper."
    )
    yield f"Measured on {plan.measured_on}, as '{plan.label}'; trained on {plan.device_type}."
    yield from _comparability(plan)
    if plan.contrasts:
        yield from _about_contrasts(plan, len(chosen.seeds))
    yield from plan.notes
    if chosen.seeds:
        yield f"Seeds: {', '.join(map(str, chosen.seeds))}."
        yield f"Evaluator: {', '.join(chosen.evaluator_ids)}."
        yield f"Environment: {'; '.join(chosen.environments)}."
    for row in chosen.imported:
        yield (
            f"Imported: '{row.label}' is {row.file_name} (SHA-256 {row.file_sha256[:12]}…), scored "
            f"here on {row.data_title} by the evaluator {row.evaluator_id}; one set of "
            "predictions, so no interval and no verdict."
        )
    yield from _empty_columns(plan, chosen)
    if any(row.of_other_code for row in chosen.rows):
        yield f"{OTHER_CODE_MARK} of other code, data, device or evaluation than planned."
    yield from chosen.remarks


def _empty_columns(plan: TablePlan, chosen: Selection) -> Iterator[str]:
    """Say which columns no row fills, where rows were run: their models lack what is measured."""
    measured = {metric for row in chosen.rows for metric, values in row.values.items() if values}
    empty = [each for each in plan.columns if each.metric not in measured]
    if measured and empty:
        listed = ", ".join(f"{each.label} ({each.metric})" for each in empty)
        yield f"Not measured, as no row's model or data have what it takes: {listed}."


def _about_contrasts(plan: TablePlan, num_seeds: int) -> Iterator[str]:
    """Say what a contrast's verdict rests on, and what is controlled."""
    primary = next(each for each in plan.columns if each.label == plan.primary_column)
    rule = "at the same looks and levels" if plan.looks else "Holm's procedure"
    yield (
        f"Contrasts are decided in one column, {primary.label}: reproduced (reversed) where the "
        "paired difference over seeds is on the side that the paper says (the other one). The "
        f"chance of any wrong one among the {len(plan.contrasts)} declared contrasts is at most "
        f"{100 * ALPHA:.0f} % ({_procedure(plan)}); undecided means that these "
        "seeds do not tell. Intervals are 95 % each, and those of other columns claim nothing."
    )
    if plan.looks:
        yield (
            "A contrast is decided at the first of these looks where its p is at most the level, "
            "and stays so; its interval is of all seeds that were run, and is not corrected for "
            "looking. A look is taken when all its seeds have run."
        )
    if primary.tolerance:
        unit = "" if primary.unit == "1" else f" {primary.unit}"
        share = (
            "within that of the differences"
            if plan.looks
            else f"of at most {100 * ALPHA:.0f} % again"
        )
        yield (
            f"A difference of less than {primary.tolerance:g}{unit} was declared not to "
            f"matter: equivalent is what is shown to be smaller (two one-sided tests, {rule}), "
            f"with a chance of any wrong one {share}."
        )
    if num_seeds >= MIN_SEEDS_BY_SYMMETRY:
        yield (
            "Beside stand tests without the normal distribution, Wilcoxon's signed ranks and "
            "flipped signs, with the smallest p that so many seeds can reach; they decide nothing."
        )
    yield (
        "An undecided contrast names the seeds that find a difference of the measured size in "
        f"{100 * POWER:.0f} % of cases, if the spread is as measured, which few seeds tell "
        f"roughly; without a number they are more than {MAX_SEEDS}, or the spread is not known."
    )


def _procedure(plan: TablePlan) -> str:
    """Name the procedure that keeps the chance of wrong claims."""
    if not plan.looks:
        return "two-sided t tests, Holm's procedure"
    looks = ", ".join(f"{look.seeds} seeds at level {look.level:.2g}" for look in plan.looks)
    return (
        f"two-sided t tests, looked at with {looks}, so that over all looks each contrast has "
        f"{100 * ALPHA:.0f} % / {len(plan.contrasts)}: Bonferroni in the place of Holm"
    )


def _comparability(plan: TablePlan) -> Iterator[str]:
    """Say which cells are judged against the printed ones, and why the others are not."""
    if not plan.printed:
        return
    reasons: dict[str, list[str]] = {}
    for row in plan.rows:
        if row.why_not_comparable:
            reasons.setdefault(row.why_not_comparable, []).append(f"'{row.id}'")
    if any(not row.why_not_comparable for row in plan.rows):
        yield f"Marks: {_LEGEND}; no mark: not comparable."
    for reason, rows in reasons.items():
        which = "No row is" if len(rows) == len(plan.rows) else f"{', '.join(rows)}: not"
        yield f"{which} judged against the printed cells: {reason}."
