"""The rows of all planned tables, and which have trainings or stages in common."""

from typing import NamedTuple

import pandas as pd

from s2hand_platform.store.documents import stages_of
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanRow, TablePlan
from s2hand_platform.tables.selection import attempts_of_row


class RowPlace(NamedTuple):
    """A row of a planned table."""

    plan: TablePlan
    row: PlanRow


class Places:
    """Every row that the store has a plan of; the attempts at all of them are read once."""

    def __init__(self, plan: TablePlan, store: ResultStore) -> None:
        """Look around from ``plan``, which is taken in the place of a later one of its kind."""
        self._plan = plan
        others = [
            each
            for each in store.table_plans()
            if each.experiment == plan.experiment and _key(each) != _key(plan)
        ]
        self._places = [RowPlace(each, row) for each in (plan, *others) for row in each.rows]
        hashes = {place.row.config_hash for place in self._places}
        self.attempts: pd.DataFrame = store.attempts(config_hashes=hashes)
        self._stages: dict[int, set[tuple[str, str]]] = {}

    def attempts_at(self, place: RowPlace) -> pd.DataFrame:
        """Return the attempts at a row's trials."""
        return attempts_of_row(self.attempts, place.plan, place.row)

    def with_same_trainings(self, own: RowPlace) -> dict[str, tuple[str, ...]]:
        """Return the columns that a row's trainings fill, here and elsewhere, by ``table.row``."""
        return {
            self._name(place): tuple(column.label for column in place.plan.columns)
            for place in self._places
            if _have_same_trainings(own, place)
        }

    def sharing_stages(self, own: RowPlace) -> dict[str, tuple[str, ...]]:
        """Return which rows with other trainings share stages with a row: stage → ``table.row``."""
        stages = self._stages_of(own)
        sharing: dict[str, dict[str, None]] = {}
        for place in self._places:
            if not _have_same_trainings(own, place):
                for name, _ in sorted(stages & self._stages_of(place)):
                    sharing.setdefault(name, {})[self._name(place)] = None
        return {name: tuple(rows) for name, rows in sharing.items()}

    def _stages_of(self, place: RowPlace) -> set[tuple[str, str]]:
        key = id(place.row)
        if key not in self._stages:
            attempts = self.attempts_at(place)
            finished = attempts[attempts["status"] == "finished"]
            self._stages[key] = {
                (stage.name, stage.stage_id)
                for line in finished.itertuples()
                if pd.notna(line.stages_json)
                for stage in stages_of(line.trial_id, line.attempt, line.stages_json)
            }
        return self._stages[key]

    def _name(self, place: RowPlace) -> str:
        name = f"{place.plan.name}.{place.row.id}"
        same = place.plan.label == self._plan.label
        return name if same else f"{name}, {place.plan.label}"


def _key(plan: TablePlan) -> tuple[str, str, str]:
    return plan.name, plan.label, plan.device_type


def _have_same_trainings(one: RowPlace, other: RowPlace) -> bool:
    return not set(one.row.trial_ids.values()).isdisjoint(other.row.trial_ids.values())
