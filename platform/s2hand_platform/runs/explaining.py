"""From a cell's name, ``TABLE.ROW.COLUMN``, to its card."""

from collections.abc import Collection, Sequence

from s2hand_platform.cards import Cards, CellCard
from s2hand_platform.cards.explaining import check_column
from s2hand_platform.devices import DeviceType
from s2hand_platform.errors import SpecError
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables.kept import how_to_plan, stored_plan
from s2hand_platform.workspace import Workspace


def explain(
    workspace: Workspace,
    cell: str,
    *,
    data: str | Sequence[str] | None = None,
    scale: str | None = None,
    device: DeviceType | None = None,
) -> CellCard:
    """Make the card of a cell of a table that was planned before, from the store alone.

    Args:
        workspace: whose store.
        cell: ``TABLE.ROW.COLUMN``; each may hold dots.
        data: what it was measured on, as it was run; None where that is clear.
        scale: the scale, as it was run; None where that is clear.
        device: where its trials ran; None is the latest.

    Raises:
        SpecError: if there is no such cell, with the nearest word.
    """
    store = ResultStore(workspace.store_dir)
    table = _table_of(cell, {plan.name for plan in store.table_plans()}, store)
    plan = stored_plan(store, table, data=data, scale=scale, device=device)
    cards = Cards(plan, store)
    row, column = _cell_of(plan, cards, cell.removeprefix(f"{table}."))
    return cards.cell(row, column)


def _table_of(cell: str, known: Collection[str], store: ResultStore) -> str:
    """Return the longest name of a table that a cell's name begins with."""
    tables = [name for name in known if cell.startswith(f"{name}.")]
    if tables:
        return max(tables, key=len)
    name = cell.partition(".")[0]
    if name in known:
        raise SpecError([f"{_must_be(cell)}; rows and columns: s2hand table {name}"])
    hint = how_to_plan(name, known)
    fault = f"{cell}: the store at {store.path} has no plan of a table '{name}'; {hint}"
    raise SpecError([fault, *store.remarks])


def _cell_of(plan: TablePlan, cards: Cards, rest: str) -> tuple[str, str]:
    """Divide ``ROW.COLUMN`` where both are known, the longest row first."""
    labels = [column.label for column in plan.columns]
    named = (each for each in cards.row_ids if rest.startswith(f"{each}."))
    rows = sorted(named, key=len, reverse=True)
    for row in rows:
        if rest.removeprefix(f"{row}.") in labels:
            return row, rest.removeprefix(f"{row}.")
    if not rows:
        cards.row(rest.partition(".")[0])  # a fault, but for a row without a column
        known = ", ".join(labels)
        raise SpecError([f"{_must_be(f'{plan.name}.{rest}')}; columns: {known}"])
    column = rest.removeprefix(f"{rows[0]}.")
    check_column(plan, column)
    return rows[0], column


def _must_be(cell: str) -> str:
    return f"a cell must be named TABLE.ROW.COLUMN, got '{cell}'"
