"""From a recipe's name to results: plan, run what is missing, measure."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rich.console import Console

from s2hand_platform.devices import DeviceType, choose_device_type
from s2hand_platform.errors import SpecError
from s2hand_platform.execution.local import run_in_process
from s2hand_platform.execution.settings import RunSettings, RunSummary
from s2hand_platform.experiments import default_experiment
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.planning.persist import persisted_table
from s2hand_platform.planning.plan import Plan, PlannedTrial
from s2hand_platform.planning.planner import plan_points, plan_table
from s2hand_platform.progress import ProgressSink
from s2hand_platform.spec.expansion import expand_table, grid_points
from s2hand_platform.spec.loader import load_scale, load_sweep, load_table
from s2hand_platform.spec.schema import ScaleSpec, SweepSpec, TableSpec
from s2hand_platform.store.records import StoredAttempt
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import SearchPlan, TablePlan
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tracking.sink import Sinks
from s2hand_platform.tracking.writer import SpoolingSink
from s2hand_platform.trials.outcome import outcome_of
from s2hand_platform.workspace import Workspace

FULL = "full"
SYNTHETIC = "synthetic"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a run works with: the experiment, the data, the size, the folder."""

    experiment: Experiment
    workspace: Workspace
    data: str = SYNTHETIC
    scale: ScaleSpec
    device_type: DeviceType
    """Where trials are to run; part of their identity."""

    @classmethod
    def choose(
        cls,
        *,
        data: str = SYNTHETIC,
        scale: str | None = None,
        workspace: str | Path | None = None,
        experiment: Experiment | None = None,
        device: Literal["auto", "cpu", "cuda"] = "auto",
    ) -> "Place":
        """Fill in what was not asked for.

        Args:
            data: ``synthetic``, a dataset's name, or a folder.
            scale: a name in ``sweeps/scales``; None is ``demo`` on synthetic data, else ``full``.
            workspace: None is ``S2HAND_WORKSPACE``, or else ``./workspace``.
            experiment: None is the one that the command line runs.
            device: what trials train on; ``auto`` is CUDA where this machine has it.
        """
        experiment = experiment or default_experiment()
        return cls(
            experiment=experiment,
            workspace=Workspace.resolve(workspace),
            data=data,
            scale=load_scale(scale or _usual_scale(data), experiment),
            device_type=choose_device_type(device),
        )

    @property
    def store(self) -> ResultStore:
        """The result store of the workspace."""
        return ResultStore(self.workspace.store_dir)

    @property
    def label(self) -> str:
        """What is measured on, and at which scale."""
        return label_of(self.data, self.scale.name)

    def table(self, name_or_path: str | Path) -> TableSpec:
        """Read a table's recipe, with scale and data laid over its base."""
        spec = load_table(name_or_path, self.experiment).at(self.scale)
        return replace(spec.over(self._data(spec.dataset)), label=self.label)

    def sweep(self, name_or_path: str | Path) -> SweepSpec:
        """Read a search's recipe, with scale and data laid over its base."""
        spec = load_sweep(name_or_path, self.experiment).at(self.scale)
        return replace(spec.over(self._data(spec.dataset)), label=self.label)

    def seeds(self, count: int | None) -> range:
        """Return the first ``count`` seeds, or as many as the scale takes."""
        return range(count if count is not None else self.scale.seeds)

    def _data(self, dataset: str) -> Mapping[str, Any]:
        return self.experiment.data_overrides(self.data, dataset, self.workspace, self.scale.data)


def label_of(data: str | None, scale: str | None) -> str:
    """Say in the words of the command what is measured on, and at which scale."""
    data = data or SYNTHETIC
    scale = scale or _usual_scale(data)
    return data if scale == FULL else f"{data} ({scale})"


def _usual_scale(data: str) -> str:
    return "demo" if data == SYNTHETIC else FULL


@dataclass(frozen=True, kw_only=True, slots=True)
class HowToRun:
    """Where trials run, and who is told."""

    settings: RunSettings = field(default_factory=RunSettings)
    without_ray: bool = False
    """One trial after the other in this process."""
    tracking_uri: str | None = None
    """None: the MLflow database in the workspace."""
    console: Console = field(default_factory=lambda: Console(stderr=True))


def reproduce(
    table: str | Path,
    *,
    data: str = SYNTHETIC,
    seeds: int | None = None,
    scale: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workspace: str | Path | None = None,
    experiment: Experiment | None = None,
    how: HowToRun | None = None,
) -> MeasuredTable:
    """Measure a table; only what is missing from the store is run.

    Args:
        table: a name in ``sweeps/tables``, or the path of a TOML file.
        data: ``synthetic``, a dataset's name, or a folder in its layout.
        seeds: how many; None is what the scale takes.
        scale: a name in ``sweeps/scales``; None is ``demo`` on synthetic data, else ``full``.
        device: what trials train on; ``auto`` is CUDA where this machine has it.
        workspace: None is ``S2HAND_WORKSPACE``, or else ``./workspace``.
        experiment: None is the one that the command line runs.
        how: where trials run; None is a Ray on this machine.

    Raises:
        SpecError: for a recipe, configuration or data that cannot be used.
        ExecutionError: if trials cannot be run.
    """
    place = Place.choose(
        data=data, scale=scale, workspace=workspace, experiment=experiment, device=device
    )
    measured, _ = run_table(place, table, seeds=seeds, how=how or HowToRun())
    return measured


def run_table(
    place: Place, table: str | Path, *, seeds: int | None, how: HowToRun
) -> tuple[MeasuredTable, RunSummary]:
    """Run what a table is missing, tell the tracker, and measure the table."""
    spec, plan = _plan_table(place, table, seeds=seeds)
    kept = _persisted_table(spec, plan, place)
    place.store.write_plan(kept)
    with _tracker(place, how) as tracker:
        summary = _run_plan(plan, place, tracker, how)
        _measure_baselines(spec, plan, place)
        measured = MeasuredTable.build(kept, place.store, seeds=place.seeds(seeds))
        for row, values in measured.summaries().items():
            tracker.summarise("row", spec.name, row, values)
    return measured, summary


def plan_to_show(place: Place, table: str | Path, *, seeds: int | None) -> Plan:
    """Plan a table without running it.

    The plan is kept for ``show_table`` only where there is none yet: what was run is what a table
    shows, and what a later plan tells changes from.
    """
    spec, plan = _plan_table(place, table, seeds=seeds)
    store = place.store
    known = store.latest_table_plan(spec.name, label=spec.label, device_type=place.device_type)
    if known is None:
        store.write_plan(_persisted_table(spec, plan, place))
    return plan


def _plan_table(place: Place, table: str | Path, *, seeds: int | None) -> tuple[TableSpec, Plan]:
    spec = place.table(table)
    plan = plan_table(
        spec, place.experiment, place.store, place.seeds(seeds), device_type=place.device_type
    )
    return spec, plan


def _persisted_table(spec: TableSpec, plan: Plan, place: Place) -> TablePlan:
    experiment = place.experiment
    return persisted_table(
        spec,
        plan,
        experiment=experiment.name,
        metrics=experiment.metrics,
        data={
            row.row.id: experiment.describe_data(row.config)
            for row in expand_table(spec, experiment)
        },
    )


def show_table(
    workspace: Workspace,
    name: str,
    *,
    label: str | None = None,
    device_type: DeviceType | None = None,
    seeds: Collection[int] | None = None,
    other_code: bool = False,
) -> MeasuredTable:
    """Gather a table that was planned before, from the store alone.

    Args:
        workspace: whose store.
        name: the table's name.
        label: what was measured on, as ``Place.label`` says it; None where there is only one.
        device_type: where its trials ran; None is the latest.
        seeds: the seeds to take; None takes all that are there.
        other_code: show results of other code, data, device or evaluation too, marked.

    Raises:
        SpecError: if it was never planned, or on several kinds of data and none is named.
    """
    store = ResultStore(workspace.store_dir)
    labels = tuple(dict.fromkeys(each for each, _ in store.table_labels(name)))
    wanted = label if label is not None or len(labels) != 1 else labels[0]
    plan = (
        store.latest_table_plan(name, label=wanted, device_type=device_type)
        if wanted in labels
        else None
    )
    if plan is None:
        known = ", ".join(f"'{each}'" for each in labels)
        what = f"{name} on '{wanted}'" if wanted else name
        remedy = (
            f"it was planned on {known}; name one by --data and --scale"
            if known and wanted not in labels
            else f"plan it with: s2hand plan {name}"
        )
        raise SpecError([f"{what}: the store at {store.path} has no plan of it; {remedy}"])
    return MeasuredTable.build(plan, store, seeds=seeds, other_code=other_code)


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchTrial:
    """A trial of a search."""

    point: Mapping[str, Any]
    """Dotted configuration path → value."""
    trial_id: str
    status: str
    value: float | None
    """The search's metric, of finished trials."""
    notes: Mapping[str, str]
    """What the experiment wants to be known about the result: subject → text."""


def run_search(
    place: Place, spec: SweepSpec, *, seed: int, how: HowToRun
) -> tuple[Sequence[SearchTrial], RunSummary]:
    """Run a search; its trials are the same as those of tables, in the same store.

    Args:
        place: what to work with.
        spec: from ``place.sweep``.
        seed: of every trial, and of the search's suggestions.
        how: where trials run.

    Returns:
        The trials, best first, and what ran.

    Raises:
        SpecError: if a search that Ray must run is to run without it.
    """
    tried: dict[tuple[str, str | None], _Tried] = {}
    plan_of = plan_points(spec, place.experiment, place.store, seed, device_type=place.device_type)

    def plan_point(point: Mapping[str, Any]) -> PlannedTrial:
        (trial,) = plan_of([point])
        tried.setdefault(trial.key, _Tried(trial, point))
        return trial

    with _tracker(place, how) as tracker:
        try:
            if spec.search == "grid":
                grid = grid_points(spec)
                trials = plan_of(grid)
                for trial, point in zip(trials, grid, strict=True):
                    tried.setdefault(trial.key, _Tried(trial, point))
                plan = Plan(trials=tuple(each.trial for each in tried.values()))
                summary = _run_plan(plan, place, tracker, how)
            else:
                summary = _run_drawn(spec, plan_point, place, tracker, how, seed)
        finally:
            place.store.write_plan(_persisted_search(spec, place, tried.values()))
        ranked = _ranked(spec, tried.values(), place.store)
        if ranked and ranked[0].value is not None:
            best = {f"{spec.metric}.best": ranked[0].value, "num_trials": float(len(ranked))}
            tracker.summarise("point", spec.name, spec.describe(ranked[0].point), best)
    return ranked, summary


class _Tried(NamedTuple):
    trial: PlannedTrial
    point: Mapping[str, Any]


def _persisted_search(spec: SweepSpec, place: Place, tried: Collection[_Tried]) -> SearchPlan:
    config = place.experiment.build_config(dict(spec.base))
    return SearchPlan(
        name=spec.name,
        title=spec.title,
        experiment=place.experiment.name,
        label=spec.label,
        device_type=place.device_type,
        data=place.experiment.describe_data(config),
        metric=spec.metric,
        mode=spec.mode,
        axes=spec.axes,
        points={trial.trial_id: point for trial, point in tried},
        notes=spec.notes,
    )


def _ranked(spec: SweepSpec, tried: Collection[_Tried], store: ResultStore) -> list[SearchTrial]:
    outcomes = ((point, outcome_of(store, trial)) for trial, point in tried)
    trials = [
        SearchTrial(
            point=point,
            trial_id=outcome.trial_id,
            status=outcome.status,
            value=_value(outcome, spec.metric, store),
            notes=outcome.notes,
        )
        for point, outcome in outcomes
        if outcome is not None
    ]
    sign = 1 if spec.mode == "min" else -1
    return sorted(trials, key=lambda t: (t.value is None, sign * (t.value or 0.0)))


def _value(outcome: StoredAttempt, metric: str, store: ResultStore) -> float | None:
    """Return a finished trial's metric: of its evaluation, or else of its last report."""
    if outcome.status != "finished" or metric in outcome.metrics:
        return outcome.metrics.get(metric)
    curve = store.curves([outcome.trial_id])
    points = curve[curve["metric"] == metric].sort_values("epoch")
    return float(points["value"].iloc[-1]) if len(points) else None


def _run_plan(plan: Plan, place: Place, tracker: SpoolingSink, how: HowToRun) -> RunSummary:
    place.store.remove_leftovers()
    place.store.compact_if_useful()
    summaries = []
    for turn in plan.in_turns():
        progress = ProgressSink(how.console)
        sink = Sinks([progress, tracker])
        try:
            summaries.append(_run_turn(turn, place, sink, how))
        finally:
            progress.close()
    return RunSummary(
        outcomes=tuple(each for summary in summaries for each in summary.outcomes),
        reused=sum(summary.reused for summary in summaries),
    )


def _run_turn(plan: Plan, place: Place, sink: Sinks, how: HowToRun) -> RunSummary:
    if how.without_ray or not plan.to_run:
        return run_in_process(plan, place.experiment, place.workspace, sink)
    from s2hand_platform.execution.tuner import run_plan

    return run_plan(plan, place.experiment, place.workspace, sink, how.settings)


def _run_drawn(
    spec: SweepSpec,
    plan_point: Callable[[Mapping[str, Any]], PlannedTrial],
    place: Place,
    tracker: SpoolingSink,
    how: HowToRun,
    seed: int,
) -> RunSummary:
    """Run a search whose points are drawn while it runs."""
    if how.without_ray:
        raise SpecError([f"{spec.name}: this search needs Ray; only grids can do without"])
    from s2hand_platform.execution.tuner import run_search as run_with_tune

    progress = ProgressSink(how.console, num_trials=spec.num_trials)
    sink = Sinks([progress, tracker])
    try:
        return run_with_tune(
            spec,
            plan_point,
            place.experiment,
            place.workspace,
            sink,
            how.settings,
            seed=seed,
            device_type=place.device_type,
        )
    finally:
        progress.close()


@contextmanager
def _tracker(place: Place, how: HowToRun) -> Iterator[SpoolingSink]:
    """Open MLflow's sink, and say so if MLflow could not be told everything."""
    from s2hand_platform.tracking.mlflow_sink import mlflow_sink

    tracker = mlflow_sink(place.workspace, data=place.label, uri=how.tracking_uri)
    try:
        yield tracker
    finally:
        tracker.close()
        if tracker.num_spooled:
            how.console.print(
                f"{tracker.num_spooled} entries wait for MLflow, which did not answer; "
                "the next run tells them"
            )


def _measure_baselines(spec: TableSpec, plan: Plan, place: Place) -> None:
    """Evaluate what needs no training, once per evaluation."""
    experiment, store = place.experiment, place.store
    units = {name: info.unit for name, info in experiment.metrics.items()}
    evaluations = {
        row.row: next(iter(row.trials.values())).evaluation_fingerprint for row in plan.rows
    }
    for row in expand_table(spec, experiment):
        evaluation = evaluations[row.row.id]
        if evaluation is not None and store.baselines(experiment.name, evaluation).empty:
            for label, measured in experiment.baselines(row.config).items():
                store.write_baseline(experiment.name, label, evaluation, measured, units)
