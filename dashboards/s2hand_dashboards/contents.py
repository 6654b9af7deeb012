"""What a page shows of a table, read from the store."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from s2hand_dashboards.judgements import TableClaims, read_claims, read_power
from s2hand_platform.cards import Cards
from s2hand_platform.store.measured import measured_attempts
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanRow, TablePlan
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.parts import TableColumn, TableRow
from s2hand_platform.tables.power import TablePower

_OF_POINT = ("split", "curve", "figure", "says", "area_of", "unit", "threshold")


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
    threshold_curves: pd.DataFrame
    """A line per point of the evaluations' curves: ``row``, ``seed``, ``split``, ``curve``,
    ``figure``, ``says``, ``area_of``, ``unit``, ``threshold``, ``value``: the share."""
    without_curves: frozenset[str]
    """Ids of rows with results of a program that kept none."""
    claims: TableClaims
    power: TablePower | None
    """Of the undecided contrasts."""

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
    lead = next(
        (each for each in plan.columns if each.label == plan.primary_column), plan.columns[0]
    )
    split, _, metric = lead.metric.partition("/")
    curves = store.curves(trial_ids)
    last = curves["attempt"] == curves.groupby("trial_id")["attempt"].transform("max")
    samples = store.samples(trial_ids, split=split, metric=metric)
    counted = _counted(plan, store, trial_ids)
    samples = samples.merge(counted, on=["trial_id", "attempt"])
    points = store.threshold_curves(counted).rename(columns={"share": "value"})
    without = store.without_threshold_curves(counted)["trial_id"]
    return TableContents(
        plan=plan,
        table=table,
        cards=Cards(plan, store),
        curves=_owned(owners, curves[last], "epoch", "metric"),
        samples=_owned(owners, samples, "sample_id"),
        threshold_curves=_owned(owners, points, *_OF_POINT),
        without_curves=frozenset(owners[owners["trial_id"].isin(without)]["row"]),
        claims=read_claims(plan, store),
        power=read_power(plan, table, store),
    )


def _counted(plan: TablePlan, store: ResultStore, trial_ids: Collection[str]) -> pd.DataFrame:
    """Return trial and attempt of what the cells hold: a trial can be evaluated more than once."""
    attempts = store.attempts(
        trial_ids=trial_ids, columns=("trial_id", "attempt", "status", "evaluation_fingerprint")
    )
    known = {row.evaluation for row in plan.rows if row.evaluation is not None}
    found = [measured_attempts(attempts, evaluation) for evaluation in known]
    return pd.concat([attempts.iloc[:0], *found])[["trial_id", "attempt"]]


def _owned(owners: pd.DataFrame, lines: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Tell of each line whose value is a finite number its row and seed."""
    finite = lines[pd.to_numeric(lines["value"]).abs().lt(float("inf"))]
    return owners.merge(finite, on="trial_id")[["row", "seed", *keys, "value"]]
