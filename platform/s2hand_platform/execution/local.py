"""Run trials one after the other in this process, without Ray."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution.settings import RunSummary
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.identity import code_fingerprint
from s2hand_platform.planning import Plan
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tracking.sink import Sink
from s2hand_platform.trial import (
    LocalContext,
    TrialOutcome,
    TrialRequest,
    last_outcome,
    run_trial,
    trial_folders,
)
from s2hand_platform.workspace import Workspace

_LOG = logging.getLogger(__name__)


def run_in_process(
    plan: Plan, experiment: Experiment, workspace: Workspace, sink: Sink
) -> RunSummary:
    """Run what a plan is missing, on one CPU; a failed trial does not keep the others from it.

    Raises:
        ExecutionError: if a trial asks for more than one worker.
    """
    store = ResultStore(workspace.store_dir)
    for trial in plan.to_run:
        workers = experiment.world_size(experiment.build_config(dict(trial.config)))
        if workers != 1:
            raise ExecutionError(
                f"without Ray a trial has one worker, this one asks for {workers}; run it with Ray"
            )
    sink.begin(plan)
    outcomes = []
    if plan.to_run:
        code = code_fingerprint(experiment)
        with _one_thread():
            for trial in plan.to_run:
                request = TrialRequest(trial=trial, code=code)
                outcomes.append(_run(request, experiment, workspace, store, sink))
    return RunSummary(outcomes=tuple(outcomes), reused=len(plan.trials) - len(plan.to_run))


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


def _run(
    request: TrialRequest,
    experiment: Experiment,
    workspace: Workspace,
    store: ResultStore,
    sink: Sink,
) -> TrialOutcome:
    trial = request.trial
    attempt = store.next_attempt(trial.trial_id)
    checkpoints, stages = trial_folders(workspace, trial.trial_id)
    context = LocalContext(
        checkpoint_dir=checkpoints,
        stage_dir=stages,
        on_report=lambda epoch, metrics: sink.reported(trial, attempt, epoch, metrics),
    )
    sink.started(trial, attempt)
    try:
        outcome = run_trial(request, experiment, context, store)
    except Exception:
        _LOG.debug("trial %s failed", trial.trial_id, exc_info=True)
        recorded = last_outcome(store, trial.trial_id)
        if recorded is None or recorded.attempt != attempt:
            raise  # not even the failure could be recorded
        outcome = recorded
    sink.ended(trial, outcome)
    return outcome
