"""From the cells of tables and the points of searches to trials, each with its reason and cost."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.identity import (
    CodeFingerprint,
    TrainingIdentity,
    config_hash,
    evaluation_contents,
)
from s2hand_platform.planning.cost import Costs
from s2hand_platform.planning.plan import Member, Plan, PlannedRow, PlannedTrial
from s2hand_platform.planning.reasons import Reasons
from s2hand_platform.spec.expansion import expand_point, expand_table
from s2hand_platform.spec.schema import SweepSpec, TableSpec
from s2hand_platform.store.results import ResultStore


def plan_table(
    spec: TableSpec,
    experiment: Experiment,
    store: ResultStore,
    seeds: Sequence[int],
    *,
    device_type: str = "cpu",
) -> Plan:
    """Plan one table; see ``plan_tables``."""
    return plan_tables([spec], experiment, store, seeds, device_type=device_type)


def plan_tables(
    specs: Sequence[TableSpec],
    experiment: Experiment,
    store: ResultStore,
    seeds: Sequence[int],
    *,
    device_type: str = "cpu",
) -> Plan:
    """Resolve the cells of several tables into distinct trials.

    One trial of every seed comes first, then the rest seed by seed: the first ones train the
    stages that a seed's trials share, side by side, and nobody has to wait for a stage.

    Args:
        specs: tables with scale and data laid over their bases.
        experiment: what is trained.
        store: what is known already.
        seeds: the seeds of every row.
        device_type: ``cpu`` or ``cuda``: where the trials are to run.
    """
    rows = [(spec, row) for spec in specs for row in expand_table(spec, experiment)]
    subjects = Subjects(experiment, device_type)
    wanted = [
        (
            subjects.of(row.config, row.dump),
            Member(kind="row", group=spec.name, name=row.row.id, label=row.row.label),
        )
        for spec, row in rows
    ]
    known = _Known(experiment, store, [subject for subject, _ in wanted])
    before = _previous_settings(store, specs, device_type)
    trials: dict[tuple[str, str | None], PlannedTrial] = {}
    planned_rows = []
    for subject, member in wanted:
        planned = [known.trial(subject, seed, member, before) for seed in seeds]
        for trial in planned:
            same = trials.get(trial.key)
            trials[trial.key] = _also_fills(same, trial) if same else trial
        planned_rows.append(
            PlannedRow(
                table=member.group,
                row=member.name,
                label=member.label,
                trials={trial.seed: trial for trial in planned},
            )
        )
    ordered = _in_order(trials.values())
    return Plan(
        trials=ordered,
        rows=tuple(planned_rows),
        estimated_hours=known.costs.of(ordered),
        left_out=tuple(spec.left_out for spec in specs if spec.left_out),
    )


def plan_points(
    spec: SweepSpec,
    experiment: Experiment,
    store: ResultStore,
    seed: int,
    *,
    device_type: str = "cpu",
) -> Callable[[Sequence[Mapping[str, Any]]], tuple[PlannedTrial, ...]]:
    """Return what plans points of a search's space; the code is hashed once for all of them.

    Args:
        spec: the search with scale and data laid over its base.
        experiment: what is trained.
        store: what is known already.
        seed: of every trial.
        device_type: ``cpu`` or ``cuda``: where the trials are to run.
    """
    subjects = Subjects(experiment, device_type)

    def plan(points: Sequence[Mapping[str, Any]]) -> tuple[PlannedTrial, ...]:
        wanted = []
        for point in points:
            config = expand_point(spec, point, experiment)
            subject = subjects.of(config, experiment.dump_config(config))
            member = Member(
                kind="point", group=spec.name, name=spec.describe(point), label=spec.title
            )
            wanted.append((subject, member))
        known = _Known(experiment, store, [subject for subject, _ in wanted])
        return tuple(known.trial(subject, seed, member, {}) for subject, member in wanted)

    return plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A configuration with its fingerprints: what a trial is of, but for the seed."""

    config: Mapping[str, Any]
    config_hash: str
    data: str | None
    code: CodeFingerprint | None
    evaluation: CodeFingerprint | None
    device_type: str
    _ids: dict[int, tuple[TrainingIdentity, str]] = field(default_factory=dict)

    def identify(self, seed: int) -> tuple[TrainingIdentity, str]:
        """Return the identity of a seed's trial, and its id: the same at each call."""
        if seed not in self._ids:
            identity = TrainingIdentity(
                config_hash=self.config_hash,
                seed=seed,
                data=self.data,
                code=self.code.sha256 if self.code else None,
                device_type=self.device_type,
            )
            self._ids[seed] = (identity, identity.trial_id())
        return self._ids[seed]


class Subjects:
    """Fingerprints configurations, each once."""

    def __init__(self, experiment: Experiment, device_type: str) -> None:
        """Fingerprint for ``device_type``."""
        self._experiment = experiment
        self._device_type = device_type
        self._known: dict[tuple[str | None, ...], Subject] = {}

    def of(self, config: Any, dump: Mapping[str, Any]) -> Subject:
        """Return a configuration's fingerprints."""
        experiment = self._experiment
        evaluation = self._evaluation(config, dump)
        configuration = config_hash(experiment, dump)
        data = experiment.fingerprint_training_data(config)
        key = (configuration, data, evaluation.sha256 if evaluation else None)
        if key not in self._known:
            code = experiment.training_code(config, self._device_type)
            self._known[key] = Subject(
                config=dump,
                config_hash=configuration,
                data=data,
                code=None if code is None else CodeFingerprint.of(code),
                evaluation=evaluation,
                device_type=self._device_type,
            )
        return self._known[key]

    def _evaluation(self, config: Any, dump: Mapping[str, Any]) -> CodeFingerprint | None:
        code = self._experiment.evaluation_code(config, self._device_type)
        data = self._experiment.fingerprint_evaluation_data(config)
        if code is None or data is None:
            return None
        return CodeFingerprint.of(evaluation_contents(self._experiment, dump, data, code))


_Settings = Mapping[tuple[str, str], Mapping[str, Any]]
"""(Table, row) → dotted configuration path → value."""


class _Known:
    """What the store knows of some subjects, in one reading."""

    def __init__(
        self, experiment: Experiment, store: ResultStore, subjects: Sequence[Subject]
    ) -> None:
        hashes = {subject.config_hash for subject in subjects}
        self._attempts: pd.DataFrame = store.attempts(config_hashes=hashes)
        self._reasons = Reasons(store, self._attempts, experiment.operational_fields)
        self.costs = Costs(self._attempts)

    def trial(self, subject: Subject, seed: int, member: Member, before: _Settings) -> PlannedTrial:
        identity, trial_id = subject.identify(seed)
        evaluation = subject.evaluation
        status, reason = self._reasons.of(identity, trial_id, subject.code, evaluation)
        previous = before.get((member.group, member.name))
        if status == "missing" and previous is not None:
            reason = self._reasons.with_changed_settings(reason, previous, subject.config)
        return PlannedTrial(
            trial_id=trial_id,
            identity=identity,
            config=subject.config,
            code=subject.code,
            evaluation=evaluation,
            members=(member,),
            status=status,
            reason=reason,
            estimated_hours=self.costs.of_one(subject.config_hash, status),
        )


def _previous_settings(
    store: ResultStore, specs: Sequence[TableSpec], device_type: str
) -> _Settings:
    """Return the settings that tables' rows had when they were last run on this data."""
    settings = {}
    for spec in specs:
        plan = store.latest_table_plan(spec.name, label=spec.label, device_type=device_type)
        for row in plan.rows if plan is not None else ():
            settings[spec.name, row.id] = row.settings
    return settings


def _in_order(trials: Collection[PlannedTrial]) -> tuple[PlannedTrial, ...]:
    leaders: dict[int, str] = {}
    for trial in trials:
        leaders.setdefault(trial.seed, trial.trial_id)

    def place(trial: PlannedTrial) -> tuple[bool, int]:
        leads = trial.trial_id == leaders[trial.seed]
        return (not leads, 0 if leads else trial.seed)

    return tuple(sorted(trials, key=place))


def _also_fills(known: PlannedTrial, again: PlannedTrial) -> PlannedTrial:
    fresh = (member for member in again.members if member not in known.members)
    return replace(known, members=(*known.members, *fresh))
