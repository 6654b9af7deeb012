"""Makes the cards of a table's cells, from the store alone."""

from collections.abc import Iterator

from s2hand_platform.cards.arithmetic import about_contrast, about_interval, about_verdict
from s2hand_platform.cards.card import CellCard, PrintedNumber, RowOrigin
from s2hand_platform.cards.origin import origin_of
from s2hand_platform.cards.places import Places, RowPlace
from s2hand_platform.cards.untrained import baseline_name, what_it_is
from s2hand_platform.errors import SpecError, nearest
from s2hand_platform.experiments import describe_evaluator
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanRow, TablePlan
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.kept import command_of
from s2hand_platform.tables.parts import TableCell, TableColumn, TableRow


def explain_cell(plan: TablePlan, store: ResultStore, row_id: str, column_label: str) -> CellCard:
    """Make the card of one cell.

    Args:
        plan: the table as it was planned, from ``store.latest_table_plan``.
        store: where results are.
        row_id: of any row of the table, a baseline and the paper's own rows included.
        column_label: as it stands in the table's head.

    Raises:
        SpecError: if the table has no such row or column, with the nearest that it has.
    """
    return Cards(plan, store).cell(row_id, column_label)


class Cards:
    """The cards of a planned table."""

    def __init__(self, plan: TablePlan, store: ResultStore) -> None:
        """Read what all cells have in common."""
        self._plan = plan
        self._store = store
        self._table = MeasuredTable.build(plan, store)
        self._rows = {row.id: row for row in self._table.rows}
        self._places = Places(plan, store)
        self._origins: dict[str, RowOrigin] = {}

    @property
    def row_ids(self) -> tuple[str, ...]:
        """The rows that have cards: with a recipe, a baseline's, and the paper's alone."""
        return tuple(self._rows)

    def cell(self, row_id: str, column_label: str) -> CellCard:
        """Make the card of a cell; see ``explain_cell``."""
        plan = self._plan
        row = self.row(row_id)
        check_column(plan, column_label)
        column = next(each for each in self._table.columns if each.label == column_label)
        cell = row.cells[column_label]
        planned = next((each for each in plan.rows if each.id == row.id), None)
        trained = self._origin(planned) if planned else None
        return CellCard(
            table=plan.name,
            title=plan.title,
            measured_on=_measured_on(plan, row),
            label=plan.label,
            device_type=plan.device_type,
            row=row.id,
            row_label=row.label,
            kind=row.kind,
            what=what_it_is(row),
            column=column.label,
            metric=column.metric,
            unit=column.unit,
            direction=column.direction,
            values=cell.values,
            failed=row.failed,
            interval=cell.interval,
            verdict=cell.verdict,
            arithmetic=tuple(self._arithmetic(planned, row, column, cell)) if planned else (),
            published=self._published(row_id, column_label),
            remedy=_remedy(plan, row, cell),
            evaluators={
                name: describe_evaluator(name)
                for name in (trained.evaluator_ids if trained else self._evaluator_ids(row))
            },
            trained=trained,
        )

    def row(self, row_id: str) -> TableRow:
        """Return a row of the table.

        Raises:
            SpecError: if there is none, with the nearest that the table has.
        """
        if row_id not in self._rows:
            fault = f"there is no row '{row_id}'; {nearest(row_id, self._rows)}"
            raise SpecError([f"{self._plan.name}: {fault}"])
        return self._rows[row_id]

    def _evaluator_ids(self, row: TableRow) -> list[str]:
        """Return who measured a row without a training; nobody did a row of the paper."""
        plan, store = self._plan, self._store
        if row.kind == "imported":
            imported = store.imported(plan.experiment, plan.name)
            return sorted({each.evaluator_id for each in imported if each.id == row.id})
        found: set[str] = set()
        for planned in plan.rows:
            is_of_set = planned.measured_on.dataset == row.dataset
            if row.kind == "baseline" and planned.evaluation and is_of_set:
                lines = store.baselines(plan.experiment, planned.evaluation)
                found |= set(lines[lines["label"] == baseline_name(row)]["evaluator_id"].dropna())
        return sorted(found)

    def _origin(self, row: PlanRow) -> RowOrigin:
        if row.id not in self._origins:
            place = RowPlace(self._plan, row)
            self._origins[row.id] = origin_of(place, self._places, self._store)
        return self._origins[row.id]

    def _arithmetic(
        self, planned: PlanRow, row: TableRow, column: TableColumn, cell: TableCell
    ) -> Iterator[str]:
        if cell.interval is not None:
            yield from about_interval(cell.interval, column.unit)
        yield from about_verdict(cell, column, planned.why_not_comparable)
        for contrast in self._table.contrasts:
            if contrast.column == column.label and row.id in {contrast.row, contrast.baseline}:
                yield about_contrast(contrast, len(self._plan.contrasts), self._plan.primary_column)

    def _published(self, row_id: str, column_label: str) -> PrintedNumber | None:
        printed = self._plan.printed_cell(row_id, column_label)
        if printed is None:
            return None
        row = next(each for each in self._plan.printed if each.id == row_id)
        return PrintedNumber(
            text=str(printed),
            decimals=printed.decimals,
            low=printed.value - printed.half_width,
            high=printed.value + printed.half_width,
            table=self._plan.title,
            row=row.label,
        )


def check_column(plan: TablePlan, label: str) -> None:
    """Check that a table has a column.

    Raises:
        SpecError: if not, with the nearest that it has.
    """
    labels = [column.label for column in plan.columns]
    if label not in labels:
        raise SpecError([f"{plan.name}: there is no column '{label}'; {nearest(label, labels)}"])


def _measured_on(plan: TablePlan, row: TableRow) -> str:
    """Say on what a row is measured, which a row of the paper never is."""
    own = [each for each in plan.rows if row.id == each.id]
    same = own or [each for each in plan.rows if each.measured_on.dataset == row.dataset]
    return "; ".join(dict.fromkeys(each.measured_on.title for each in same))


def _remedy(plan: TablePlan, row: TableRow, cell: TableCell) -> str:
    is_ever_measured = row.kind in {"measured", "baseline"}
    return command_of(plan) if is_ever_measured and cell.interval is None else ""
