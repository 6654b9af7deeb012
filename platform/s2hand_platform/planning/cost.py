"""What trials cost, by what earlier seeds of the same configurations took."""

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd

from s2hand_platform.planning.plan import PlannedTrial, Status
from s2hand_platform.store.documents import stages_of
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan

_EVALUATION = "evaluation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A trial that is to run."""

    key: Hashable
    """What tells it from others of its seed."""
    config_hash: str
    seed: int
    status: Status = "missing"


class Costs:
    """Wall-clock times of stages and evaluations, as the store has them.

    A stage that configurations had in common at an earlier seed is one that they will have in
    common at a later one, where it will be trained once.
    """

    def __init__(self, attempts: pd.DataFrame) -> None:
        """Learn from finished attempts."""
        self._seconds: dict[tuple[str, str], list[float]] = {}
        owners: dict[str, str] = {}
        self._owner: dict[tuple[str, str], str] = {}
        finished = attempts[attempts["status"] == "finished"]
        for line in finished.sort_values("config_hash").itertuples():
            for name, stage_id, seconds in _parts(line):
                key = (str(line.config_hash), name)
                self._seconds.setdefault(key, []).append(seconds)
                self._owner[key] = owners.setdefault(stage_id, self._owner.get(key, key[0]))

    def of_one(self, config_hash: str, status: Status) -> float | None:
        """Return the hours of one trial that shares nothing; None if its like was never run."""
        parts = self._medians(config_hash, status)
        return None if parts is None else sum(parts.values()) / 3600

    def of(self, trials: Iterable[PlannedTrial]) -> float | None:
        """Return the hours of what is to run of ``trials``; None if one was never run."""
        return self.of_work(
            Work(
                key=trial.key,
                config_hash=trial.identity.config_hash,
                seed=trial.seed,
                status=trial.status,
            )
            for trial in trials
            if trial.status != "cached"
        )

    def of_work(self, work: Iterable[Work]) -> float | None:
        """Return the hours of trials that are to run; None if the like of one was never run."""
        total: dict[tuple[Hashable, str, int], float] = {}
        for each in work:
            parts = self._medians(each.config_hash, each.status)
            if parts is None:
                return None
            for name, seconds in parts.items():
                own = name == _EVALUATION
                owner = each.key if own else self._owner[each.config_hash, name]
                total[owner, name, each.seed] = seconds
        return sum(total.values()) / 3600

    def _medians(self, config_hash: str, status: Status) -> Mapping[str, float] | None:
        parts = {
            name: median(seconds)
            for (owner, name), seconds in self._seconds.items()
            if owner == config_hash and (status != "evaluate" or name == _EVALUATION)
        }
        return parts or None


def hours_by_seeds(
    plan: TablePlan,
    store: ResultStore,
    *,
    has: Mapping[str, Collection[int]],
    seeds: Collection[int],
) -> dict[int, float | None]:
    """Return what numbers of seeds of a whole table cost more than what there is.

    Args:
        plan: the table as it was planned.
        store: tells how long earlier seeds took.
        has: row → seeds that it has.
        seeds: the numbers of seeds.

    Returns:
        Number of seeds → wall-clock hours, one trial after the other; None where a row that would
        run never did.
    """
    attempts = store.attempts(config_hashes={row.config_hash for row in plan.rows})
    costs = Costs(attempts[attempts["device_type"] == plan.device_type])
    return {
        number: costs.of_work(
            Work(key=(row.config_hash, row.evaluation), config_hash=row.config_hash, seed=seed)
            for row in plan.rows
            for seed in range(number)
            if seed not in has[row.id]
        )
        for number in seeds
    }


def _parts(line: Any) -> Iterable[tuple[str, str, float]]:
    """Yield the stages of a finished attempt, and its evaluation: name, id, seconds."""
    if pd.notna(line.stages_json):
        for stage in stages_of(line.trial_id, line.attempt, line.stages_json):
            yield stage.name, stage.stage_id, stage.training_s
    if pd.notna(line.evaluation_s):
        yield _EVALUATION, line.trial_id, line.evaluation_s
