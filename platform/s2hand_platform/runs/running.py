"""Running a plan, with everybody told who listens."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from s2hand_platform.execution.local import run_in_process
from s2hand_platform.execution.settings import RunSummary
from s2hand_platform.planning.plan import Plan, PlannedTrial
from s2hand_platform.preparation import preparation_shown
from s2hand_platform.progress import ProgressSink
from s2hand_platform.revision import Revision, find_revision
from s2hand_platform.runs.place import HowToRun, Place
from s2hand_platform.settings import TRACKING_URI
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tracking.sink import Sinks
from s2hand_platform.tracking.writer import SpoolingSink


def run_plan(plan: Plan, place: Place, tracker: SpoolingSink, how: HowToRun) -> RunSummary:
    """Run what a plan is missing, and tell the terminal and the tracker."""
    place.store.remove_leftovers()
    place.store.compact_if_useful()
    stamped = Stamp(place.store)
    plan = replace(
        plan,
        trials=tuple(each if each.status == "cached" else stamped(each) for each in plan.trials),
    )
    prepare_data([trial.config for trial in plan.to_run], place, how)
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


def prepare_data(configs: Iterable[Mapping[str, Any]], place: Place, how: HowToRun) -> None:
    """Make what trials would each wait for, where the terminal shows it."""
    built = [place.experiment.build_config(dict(config)) for config in configs]
    with preparation_shown(how.console) as progress:
        place.experiment.prepare_data(built, progress)


def _run_turn(plan: Plan, place: Place, sink: Sinks, how: HowToRun) -> RunSummary:
    if how.without_ray or not plan.to_run:
        return run_in_process(plan, place.experiment, place.workspace, sink)
    from s2hand_platform.execution.tuner import run_plan as run_with_tune

    return run_with_tune(plan, place.experiment, place.workspace, sink, how.settings)


class Stamp:
    """Notes on trials that are to run which revision their code is of: looked up once."""

    def __init__(self, store: ResultStore) -> None:
        """Keep in ``store`` what differs from the commit."""
        self._store = store
        self._found: Revision | None = None

    def __call__(self, trial: PlannedTrial) -> PlannedTrial:
        """Return the trial with the revision of its code."""
        if self._found is None:
            self._found, patch = find_revision(trial.code.paths.values() if trial.code else ())
            if patch:
                self._store.write_patch(patch)
        return replace(trial, revision=self._found)


@contextmanager
def tracker_of(place: Place, how: HowToRun) -> Iterator[SpoolingSink]:
    """Open MLflow's sink, and say what MLflow could not be told."""
    from s2hand_platform.tracking.mlflow_sink import mlflow_sink

    def say(text: str) -> None:
        how.console.print(text, highlight=False, markup=False, soft_wrap=True)

    uri = TRACKING_URI.choose(how.tracking_uri).value or None
    tracker = mlflow_sink(place.workspace, data=place.label, uri=uri, say=say)
    try:
        yield tracker
    finally:
        try:
            tracker.close()
        finally:  # also after an interruption
            _tell_what_waits(tracker, say)


def _tell_what_waits(tracker: SpoolingSink, say: Callable[[str], None]) -> None:
    if tracker.num_spooled:
        say(
            f"{tracker.num_spooled} entries wait for MLflow in {tracker.spool_path}; "
            "the next run tells them"
        )
    if tracker.num_unwritten:
        say(
            f"{tracker.num_unwritten} entries for MLflow could not be kept; what is in the "
            "result store is told when the table is run again"
        )
