"""From the cells of tables to the trials that are missing, each with its reason and cost."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any, Literal

from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.identity import code_fingerprint, config_hash, trial_id
from s2hand_platform.spec.expansion import ExpandedRow, expand_table
from s2hand_platform.spec.schema import TableSpec
from s2hand_platform.store.results import ResultStore

Status = Literal["cached", "stale", "missing", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTrial:
    """One training, and why it is to be run or reused."""

    trial_id: str
    seed: int
    config: Mapping[str, Any]
    """The whole dumped configuration."""
    config_hash: str
    data_fingerprint: str | None
    code_fingerprint: str | None
    rows: tuple[tuple[str, str], ...]
    """(table, row id) that this trial fills; several where rows have equal configurations."""
    status: Status
    """``cached`` is reused; the others are run."""
    reason: str
    estimated_hours: float | None
    """Median wall-clock hours of finished trials of this configuration, or None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRow:
    """How far a row is."""

    table: str
    row: str
    label: str
    trial_ids: tuple[str, ...]
    cached: int
    """How many of them are in the store."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Distinct trials in the order to run them, and the rows that they fill."""

    trials: tuple[PlannedTrial, ...]
    rows: tuple[PlannedRow, ...]

    @property
    def to_run(self) -> tuple[PlannedTrial, ...]:
        """The trials that are not in the store."""
        return tuple(trial for trial in self.trials if trial.status != "cached")

    @property
    def estimated_hours(self) -> float | None:
        """Wall-clock hours of what is to run, one after the other; None if one is unknown."""
        hours = [trial.estimated_hours for trial in self.to_run]
        return None if None in hours else sum(hour for hour in hours if hour is not None)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for programs."""
        return {
            "trials": [asdict(trial) for trial in self.trials],
            "rows": [asdict(row) for row in self.rows],
            "num_to_run": len(self.to_run),
            "estimated_hours": self.estimated_hours,
        }


def plan_table(
    spec: TableSpec, experiment: Experiment, store: ResultStore, seeds: Sequence[int]
) -> Plan:
    """Plan one table; see ``plan_tables``."""
    return plan_tables([spec], experiment, store, seeds)


def plan_tables(
    specs: Sequence[TableSpec],
    experiment: Experiment,
    store: ResultStore,
    seeds: Sequence[int],
) -> Plan:
    """Resolve the cells of several tables into distinct trials.

    One trial of every seed comes first, then the rest seed by seed: the first ones train the
    stages that a seed's trials share, side by side, and nobody has to wait for a stage.

    Args:
        specs: tables with scale and data laid over their bases.
        experiment: what is trained.
        store: what is known already.
        seeds: the seeds of every row.
    """
    planner = _Planner(experiment, store)
    trials: dict[str, PlannedTrial] = {}
    rows = []
    for spec in specs:
        for row in expand_table(spec, experiment):
            planned = planner.row(spec.name, row, seeds)
            for trial in planned:
                known = trials.get(trial.trial_id)
                trials[trial.trial_id] = _also_fills(known, trial) if known else trial
            rows.append(
                PlannedRow(
                    table=spec.name,
                    row=row.row.id,
                    label=row.row.label,
                    trial_ids=tuple(trial.trial_id for trial in planned),
                    cached=sum(trial.status == "cached" for trial in planned),
                )
            )
    return Plan(trials=_in_order(trials.values()), rows=tuple(rows))


def _in_order(trials: Collection[PlannedTrial]) -> tuple[PlannedTrial, ...]:
    leaders: dict[int, str] = {}
    for trial in trials:
        leaders.setdefault(trial.seed, trial.trial_id)

    def place(trial: PlannedTrial) -> tuple[bool, int]:
        leads = trial.trial_id == leaders[trial.seed]
        return (not leads, 0 if leads else trial.seed)

    return tuple(sorted(trials, key=place))


def _also_fills(known: PlannedTrial, again: PlannedTrial) -> PlannedTrial:
    rows = (*known.rows, *(row for row in again.rows if row not in known.rows))
    return replace(known, rows=rows)


class _Planner:
    """Looks trials up in one reading of the store."""

    def __init__(self, experiment: Experiment, store: ResultStore) -> None:
        self._experiment = experiment
        code = code_fingerprint(experiment)
        self._code = code.sha256 if code else None
        self._known = store.trials()
        self._ids: dict[tuple[str, int], str] = {}

    def row(self, table: str, row: ExpandedRow, seeds: Sequence[int]) -> list[PlannedTrial]:
        configuration = config_hash(self._experiment, row.dump)
        data = self._experiment.fingerprint_data(row.config)
        return [self._trial((table, row.row.id), row, configuration, data, seed) for seed in seeds]

    def _trial(
        self,
        fills: tuple[str, str],
        row: ExpandedRow,
        configuration: str,
        data: str | None,
        seed: int,
    ) -> PlannedTrial:
        key = (configuration, seed)
        if key not in self._ids:
            self._ids[key] = trial_id(self._experiment, row.dump, seed, data, self._code)
        name = self._ids[key]
        status, reason = self._status(name, configuration, data, seed)
        return PlannedTrial(
            trial_id=name,
            seed=seed,
            config=row.dump,
            config_hash=configuration,
            data_fingerprint=data,
            code_fingerprint=self._code,
            rows=(fills,),
            status=status,
            reason=reason,
            estimated_hours=self._hours(configuration),
        )

    def _status(
        self, name: str, configuration: str, data: str | None, seed: int
    ) -> tuple[Status, str]:
        attempts = self._known[self._known["trial_id"] == name]
        if (attempts["status"] == "finished").any():
            return "cached", "finished with the same configuration, seed, data and code"
        if len(attempts):
            last = attempts.iloc[-1]
            if last["status"] == "failed":
                return "failed", f"attempt {last['attempt']} failed: {last['reason']}"
            return "missing", "only ended early by a search so far"
        unknown = [what for what, known in (("data", data), ("code", self._code)) if known is None]
        if unknown:
            return "missing", f"the {' and '.join(unknown)} cannot be fingerprinted: never reused"
        return self._stale(configuration, data, seed)

    def _stale(self, configuration: str, data: str | None, seed: int) -> tuple[Status, str]:
        table = self._known
        same = table[
            (table["config_hash"] == configuration)
            & (table["seed"] == seed)
            & (table["status"] == "finished")
        ]
        if same.empty:
            return "missing", "never run with this configuration and seed"
        last = same.iloc[-1]
        changed = [
            what
            for what, before, now in (
                ("data", last["data_fingerprint"], data),
                ("code", last["code_fingerprint"], self._code),
            )
            if before != now
        ]
        return "stale", f"finished before, but the {' and '.join(changed)} changed since"

    def _hours(self, configuration: str) -> float | None:
        table = self._known
        same = table[(table["config_hash"] == configuration) & (table["status"] == "finished")]
        return median(same["duration_s"]) / 3600 if len(same) else None
