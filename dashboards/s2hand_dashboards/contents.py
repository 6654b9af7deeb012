"""What a page shows of a table, read from the store."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from s2hand_platform.cards import Cards
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanRow, TablePlan
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.parts import TableColumn, TableRow


@dataclass(frozen=True, kw_only=True, slots=True)
class TableContents:
    """A measured table, with the details behind its numbers."""

    plan: TablePlan
    table: MeasuredTable
    cards: Cards
    """What stands behind the cells of its rows."""
    curves: pd.DataFrame
    """A line per value that a training reported: ``row``, ``seed``, ``epoch``, ``metric``,
    ``value``."""
    samples: pd.DataFrame
    """A line per held-out sample: ``row``, ``seed``, ``sample_id``, ``value`` of the metric of
    ``lead``."""

    @property
    def lead(self) -> TableColumn:
        """The column that is shown first: the primary one, or else the first."""
        columns = self.table.columns
        return next((each for each in columns if each.is_primary), columns[0])

    @property
    def measured_rows(self) -> tuple[TableRow, ...]:
        """The rows that have a recipe."""
        return tuple(row for row in self.table.rows if row.kind == "measured")

    @property
    def labels(self) -> Mapping[str, str]:
        """Row id → label."""
        return {row.id: row.label for row in self.table.rows}

    def planned(self, row: str) -> PlanRow | None:
        """Return a row of the plan; None for one that only the paper or a baseline has."""
        return next((each for each in self.plan.rows if each.id == row), None)

    @property
    def baseline(self) -> str | None:
        """Id of the row that most contrasts compare with, or else the first; None without rows."""
        names = [contrast.baseline for contrast in self.plan.contrasts]
        if names:
            return max(dict.fromkeys(names), key=names.count)
        return self.measured_rows[0].id if self.measured_rows else None


def read_contents(plan: TablePlan, store: ResultStore) -> TableContents:
    """Gather what the page of a planned table shows."""
    table = MeasuredTable.build(plan, store)
    owners = pd.DataFrame(
        [
            {"trial_id": trial_id, "row": row.id, "seed": seed}
            for row in table.rows
            for seed, trial_id in row.trial_ids.items()
        ],
        columns=["trial_id", "row", "seed"],
    )
    trial_ids = set(owners["trial_id"])
    metric = next(
        (each.metric for each in plan.columns if each.label == plan.primary_column),
        plan.columns[0].metric,
    )
    split, _, name = metric.partition("/")
    curves = _latest(store.curves(trial_ids))
    samples = _latest(store.samples(trial_ids, split=split, metric=name))
    return TableContents(
        plan=plan,
        table=table,
        cards=Cards(plan, store),
        curves=owners.merge(curves, on="trial_id")[["row", "seed", "epoch", "metric", "value"]],
        samples=owners.merge(samples, on="trial_id")[["row", "seed", "sample_id", "value"]],
    )


def _latest(lines: pd.DataFrame) -> pd.DataFrame:
    """Keep the lines of each trial's last attempt that has any, which are finite numbers."""
    last = lines.groupby("trial_id")["attempt"].transform("max")
    values = pd.to_numeric(lines["value"])
    return lines[(lines["attempt"] == last) & values.abs().lt(float("inf"))]
