"""Run trials one after the other in this process, without Ray."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution.settings import RunSummary
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.planning.plan import Plan, PlannedTrial
from s2hand_platform.store.records import StoredAttempt
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tracking.sink import Sink
from s2hand_platform.trials.attempt import record_failure, run_trial
from s2hand_platform.trials.context import WorkerContext, checkpoint_folder
from s2hand_platform.trials.failure import failure_of
from s2hand_platform.trials.lock import first_free
from s2hand_platform.trials.outcome import finished_as_planned, outcome_of
from s2hand_platform.trials.verification import verify_device
from s2hand_platform.workspace import Workspace

_LOG = logging.getLogger(__name__)


def run_in_process(
    plan: Plan, experiment: Experiment, workspace: Workspace, sink: Sink
) -> RunSummary:
    """Run what a plan is missing; a failed trial does not keep the others from it.

    A trial that another command runs is left for later, and reused if it is finished then.

    Raises:
        ExecutionError: if a trial asks for more than one worker, or for a device that is not here.
    """
    for trial in plan.to_run:
        verify_device(trial.identity.device_type, _device(trial))
        workers = experiment.world_size(experiment.build_config(dict(trial.config)))
        if workers != 1:
            raise ExecutionError(
                f"without Ray a trial has one worker, this one asks for {workers}; run it with Ray"
            )
    sink.begin(plan)
    outcomes = []
    pending = {trial.trial_id: trial for trial in plan.to_run}
    if pending:
        runner = _Runner(experiment, workspace, sink)
        with _one_thread():
            while pending:
                with first_free(workspace, pending) as trial_id:
                    outcomes.append(runner.run(pending.pop(trial_id)))
    return RunSummary(outcomes=tuple(outcomes), reused=len(plan.trials) - len(plan.to_run))


def _device(trial: PlannedTrial) -> str:
    import torch

    has_gpu = trial.identity.device_type == "cuda" and torch.cuda.is_available()
    return "cuda:0" if has_gpu else "cpu"


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread, as a worker of a Ray run does unless told otherwise."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Runner:
    """Runs trials whose locks this process holds."""

    def __init__(self, experiment: Experiment, workspace: Workspace, sink: Sink) -> None:
        self._experiment = experiment
        self._workspace = workspace
        self._store = ResultStore(workspace.store_dir)
        self._sink = sink

    def run(self, trial: PlannedTrial) -> StoredAttempt:
        outcome = finished_as_planned(self._store, trial) or self._try(trial)
        self._sink.ended(trial, outcome)
        return outcome

    def _try(self, trial: PlannedTrial) -> StoredAttempt:
        attempt = self._store.next_attempt(trial.trial_id)
        started = datetime.now(UTC)
        folder = checkpoint_folder(self._workspace, trial.trial_id)
        context = WorkerContext(
            checkpoint_dir=folder,
            stage_dir=self._workspace.stages_dir,
            attempt=attempt,
            device=_device(trial),
            on_report=lambda epoch, metrics: self._sink.reported(trial, attempt, epoch, metrics),
        )
        self._sink.started(trial, attempt)
        try:
            run_trial(trial, self._experiment, context, self._store)
        except Exception as error:  # noqa: BLE001 - it ends this trial, not the others
            _LOG.debug("trial %s failed", trial.trial_id, exc_info=True)
            failure = failure_of(error, self._experiment)
            record_failure(trial, self._experiment, self._store, folder, failure, started)
        outcome = outcome_of(self._store, trial)
        if outcome is None:
            raise ExecutionError(f"the attempt at trial {trial.trial_id} must be in the store")
        return outcome
