"""Searches: run and ranked."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from s2hand_platform.errors import SpecError
from s2hand_platform.execution.settings import RunSummary
from s2hand_platform.planning.plan import Plan, PlannedTrial
from s2hand_platform.planning.planner import plan_points
from s2hand_platform.progress import ProgressSink
from s2hand_platform.runs.place import HowToRun, Place
from s2hand_platform.runs.running import Stamp, prepare_data, run_plan, tracker_of
from s2hand_platform.spec.expansion import grid_points
from s2hand_platform.spec.schema import SweepSpec
from s2hand_platform.store.records import StoredAttempt
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import SearchPlan
from s2hand_platform.tracking.sink import Sinks
from s2hand_platform.tracking.writer import SpoolingSink
from s2hand_platform.trials.outcome import outcome_of


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
    if how.without_ray and spec.search != "grid":
        raise SpecError([f"{spec.name}: this search needs Ray; only grids can do without"])
    outside = sorted(set(spec.space) & place.experiment.evaluation_fields)
    if outside:
        raise SpecError(
            [f"{spec.name}: space.{path}: changes no training; measure it" for path in outside]
        )
    place.workspace.require_writable()
    tried: dict[tuple[str, str | None], _Tried] = {}
    plan_of = plan_points(spec, place.experiment, place.store, seed, device_type=place.device_type)

    stamped = Stamp(place.store)

    def plan_point(point: Mapping[str, Any]) -> PlannedTrial:
        (trial,) = map(stamped, plan_of([point]))
        tried.setdefault(trial.key, _Tried(trial, point))
        return trial

    with tracker_of(place, how) as tracker:
        try:
            if spec.search == "grid":
                grid = grid_points(spec)
                trials = plan_of(grid)
                for trial, point in zip(trials, grid, strict=True):
                    tried.setdefault(trial.key, _Tried(trial, point))
                plan = Plan(trials=tuple(each.trial for each in tried.values()))
                summary = run_plan(plan, place, tracker, how)
            else:
                summary = _run_drawn(spec, plan_point, place, tracker, how, seed)
        finally:
            if tried:
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
        paper=spec.paper,
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


def _run_drawn(
    spec: SweepSpec,
    plan_point: Callable[[Mapping[str, Any]], PlannedTrial],
    place: Place,
    tracker: SpoolingSink,
    how: HowToRun,
    seed: int,
) -> RunSummary:
    """Run a search whose points are drawn while it runs."""
    from s2hand_platform.execution.tuner import run_search as run_with_tune

    prepare_data([spec.base], place, how)
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
