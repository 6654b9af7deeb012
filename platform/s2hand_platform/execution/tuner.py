"""Run the trials of a plan or of a search with Ray Tune over Ray Train workers."""

import functools
import logging
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.exceptions import RayTaskError
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback

from s2hand_platform.execution.search import PlannedSearch, scheduler_for
from s2hand_platform.execution.session import SLOT, Cluster, WorkerResources, connect
from s2hand_platform.execution.settings import RunSettings, RunSummary
from s2hand_platform.execution.worker import (
    ATTEMPT,
    EPOCH,
    REPORTED,
    TrialJob,
    free_orphaned_resources,
    run_in_tune,
)
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.planning.plan import Plan, PlannedTrial
from s2hand_platform.spec.schema import SweepSpec
from s2hand_platform.store.records import StoredAttempt
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tracking.sink import Sink
from s2hand_platform.trials.attempt import record_failure
from s2hand_platform.trials.context import checkpoint_folder
from s2hand_platform.trials.failure import LOST, failure_of
from s2hand_platform.trials.outcome import outcome_of
from s2hand_platform.workspace import Workspace

PlanPoint = Callable[[Mapping[str, Any]], PlannedTrial]
"""Point of a search space (dotted overrides) → the trial that it stands for."""


def run_plan(
    plan: Plan,
    experiment: Experiment,
    workspace: Workspace,
    sink: Sink,
    settings: RunSettings,
) -> RunSummary:
    """Run what a plan is missing; what is finished when the run is interrupted stays finished.

    Args:
        plan: distinct trials; those in the store are not run again.
        experiment: what they are trials of.
        workspace: store, checkpoints and stages, on a disk that all workers see.
        sink: told of everything; the caller closes it.
        settings: where and how.

    Raises:
        ExecutionError: if no cluster answers, or a trial does not fit on it.
    """
    reused = len(plan.trials) - len(plan.to_run)
    sink.begin(plan)
    if not plan.to_run:
        return RunSummary(outcomes=(), reused=reused)
    run = _Run(experiment, workspace, sink, settings)
    world_size = max(run.world_size(trial) for trial in plan.to_run)
    with connect(settings.address, cpus=run.cpus_wanted(world_size)) as cluster:
        run.use(cluster, world_size, plan.to_run[0].identity.device_type)
        jobs = [run.job(trial) for trial in plan.to_run]
        run.fit(tune.TuneConfig(), param_space={"trial": tune.grid_search(jobs)})
    return RunSummary(outcomes=tuple(run.outcomes.values()), reused=reused)


def run_search(
    spec: SweepSpec,
    plan_point: PlanPoint,
    experiment: Experiment,
    workspace: Workspace,
    sink: Sink,
    settings: RunSettings,
    *,
    seed: int,
    device_type: str,
) -> RunSummary:
    """Let Optuna draw the trials of a sweep; a point whose trial is in the store is not run again.

    Args:
        spec: space, metric, number of trials, scheduler.
        plan_point: turns a point into a planned trial.
        experiment: what they are trials of.
        workspace: store, checkpoints and stages, on a disk that all workers see.
        sink: told of everything; the caller closes it.
        settings: where and how.
        seed: seed of the suggestions.
        device_type: what the trials are planned for, ``cpu`` or ``cuda``.

    Raises:
        ExecutionError: if no cluster answers, or a trial does not fit on it.
    """
    sink.begin(Plan(trials=(), rows=()))
    run = _Run(experiment, workspace, sink, settings)
    world_size = experiment.world_size(experiment.build_config(dict(spec.base)))
    with connect(settings.address, cpus=run.cpus_wanted(world_size)) as cluster:
        run.use(cluster, world_size, device_type)
        config = tune.TuneConfig(
            num_samples=spec.num_trials,
            search_alg=PlannedSearch(
                spec, seed, lambda point: {"trial": run.job(plan_point(point))}
            ),
            scheduler=scheduler_for(spec, workspace),
        )
        run.fit(config)
    return RunSummary(outcomes=tuple(run.outcomes.values()), reused=run.reused)


class _Run:
    """One use of Tune: its jobs, and what became of them."""

    def __init__(
        self, experiment: Experiment, workspace: Workspace, sink: Sink, settings: RunSettings
    ) -> None:
        self.outcomes: dict[str, StoredAttempt] = {}
        self.reused = 0
        self._name = f"run-{uuid.uuid4().hex[:12]}"
        self._experiment = experiment
        self._workspace = workspace
        self._store = ResultStore(workspace.store_dir)
        self._sink = sink
        self._settings = settings
        self._trials: dict[str, PlannedTrial] = {}
        self._attempts: dict[str, int] = {}
        self._started: dict[str, datetime] = {}
        self._worker = WorkerResources()
        self._num_workers = 1
        self._slots: int | None = None
        self._at_once = 1

    def world_size(self, trial: PlannedTrial) -> int:
        return self._experiment.world_size(self._experiment.build_config(dict(trial.config)))

    def cpus_wanted(self, world_size: int) -> int:
        """Return the CPUs that our own Ray must claim for the largest trial to start at all."""
        return int(world_size * (self._settings.cpus_per_worker or 1))

    def use(self, cluster: Cluster, world_size: int, device_type: str) -> None:
        settings = self._settings
        self._worker = cluster.worker_resources(
            device_type, settings.cpus_per_worker, settings.gpus_per_worker
        )
        at_once = cluster.trials_at_once(self._worker, world_size)
        self._at_once = min(at_once, settings.max_concurrent or at_once)
        self._slots = cluster.slots

    def job(self, trial: PlannedTrial) -> dict[str, Any]:
        """Make what Tune hands to a trial's process."""
        self._trials[trial.trial_id] = trial
        self.reused += trial.status == "cached"
        job = TrialJob(
            trial=trial,
            experiment=self._experiment,
            workspace=self._workspace,
            worker=self._worker,
            num_workers=self.world_size(trial),
            run=self._name,
        )
        return {"trial_id": trial.trial_id, "job": cloudpickle.dumps(job)}

    def fit(self, config: tune.TuneConfig, param_space: dict[str, Any] | None = None) -> None:
        for name in ("ray", "ray.tune", "ray.train"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # failures are told by the sinks
        config.reuse_actors = True
        config.max_concurrent_trials = self._at_once
        config.trial_name_creator = _trial_id
        config.trial_dirname_creator = _trial_id
        folder = self._workspace.root / "ray" / "tune"
        # The outer trial may take no CPU, or workers would wait for it; Tune wants it to take
        # something: one byte of memory on a cluster that has no slots.
        resources = {"cpu": 0, SLOT: 1} if self._slots else {"cpu": 0, "memory": 1}
        tuner = tune.Tuner(
            tune.with_resources(
                functools.partial(run_in_tune, lean=self._slots is not None), resources
            ),
            param_space=param_space,
            tune_config=config,
            run_config=tune.RunConfig(
                name=self._name,
                storage_path=str(folder),
                callbacks=[_Telling(self)],
                failure_config=tune.FailureConfig(max_failures=self._settings.max_failures),
                progress_reporter=_Silent(),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        finally:
            shutil.rmtree(folder / self._name, ignore_errors=True)

    def started(self, trial_id: str) -> None:
        self._started[trial_id] = datetime.now(UTC)
        self._attempts[trial_id] = self._store.next_attempt(trial_id)
        self._sink.started(self._trials[trial_id], self._attempts[trial_id])

    def reported(self, trial_id: str, result: Mapping[str, Any]) -> None:
        metrics = {name: float(result[name]) for name in result.get(REPORTED, [])}
        if metrics:
            # Not that of the start: another command may have tried while this trial waited.
            self._attempts[trial_id] = int(result[ATTEMPT])
            trial, attempt = self._trials[trial_id], self._attempts[trial_id]
            self._sink.reported(trial, attempt, int(result[EPOCH]), metrics)

    def failed(self, trial_id: str, error: BaseException | None, *, tried_again: bool) -> None:
        """Record a failure whose process could not, and tell of it."""
        free_orphaned_resources(self._workspace, trial_id, self._name)
        if self._store.next_attempt(trial_id) == self._attempts[trial_id]:
            failure = failure_of(error, self._experiment) if error else LOST
            folder = checkpoint_folder(self._workspace, trial_id)
            trial, started = self._trials[trial_id], self._started[trial_id]
            record_failure(trial, self._experiment, self._store, folder, failure, started)
        self.ended(trial_id, tried_again=tried_again)

    def ended(self, trial_id: str, *, tried_again: bool = False) -> None:
        outcome = outcome_of(self._store, self._trials[trial_id])
        if outcome is not None:
            self.outcomes[trial_id] = outcome
            self._sink.ended(self._trials[trial_id], outcome, tried_again=tried_again)


class _Telling(TrialProgressCallback):
    """Tells a run what Tune sees, in the place of Tune's own that prints to the standard output."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run

    def __getstate__(self) -> dict[str, Any]:
        """Leave the run behind: Tune saves its callbacks, but no run is restored from there."""
        return {}

    def on_trial_start(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, **_info: Any
    ) -> None:
        self._run.started(_trial_id(trial))

    def on_trial_result(
        self,
        iteration: int,
        trials: Sequence[Trial],
        trial: Trial,
        result: Mapping[str, Any],
        **_info: Any,
    ) -> None:
        self._run.reported(_trial_id(trial), result)

    def on_trial_recover(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, **_info: Any
    ) -> None:
        self._run.failed(_trial_id(trial), _take_error(trial), tried_again=True)

    def on_trial_complete(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, **_info: Any
    ) -> None:
        self._run.ended(_trial_id(trial))

    def on_trial_error(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, **_info: Any
    ) -> None:
        self._run.failed(_trial_id(trial), _take_error(trial), tried_again=False)


class _Silent(tune.ProgressReporter):
    """Prints nothing: progress is a sink's affair."""

    def should_report(self, _trials: Sequence[Trial], done: bool = False) -> bool:  # noqa: FBT001, FBT002
        return False

    def report(self, _trials: Sequence[Trial], _done: bool, *_info: Any) -> None:  # noqa: FBT001
        return


def _trial_id(trial: Trial) -> str:
    return str(trial.config["trial"]["trial_id"])


def _take_error(trial: Trial) -> BaseException | None:
    """Take what ended an attempt; Tune itself would give it again as that of a later attempt."""
    file = trial.pickled_error_file
    if file is None or not Path(file).exists():
        return None
    error = cloudpickle.loads(Path(file).read_bytes())
    Path(file).unlink()
    return error.cause if isinstance(error, RayTaskError) else error
