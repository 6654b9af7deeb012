"""What runs inside Ray: the Tune trial that starts a trainer, and the trainer's workers."""

import json
import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray import cloudpickle, tune
from ray.train import UserCallback

from s2hand.files import whole_file
from s2hand_platform.errors import StopTrial
from s2hand_platform.execution import QUIET_RAY
from s2hand_platform.execution.session import WorkerResources
from s2hand_platform.experiments.protocol import Experiment, Scalars
from s2hand_platform.planning.plan import PlannedTrial
from s2hand_platform.store.records import StoredAttempt
from s2hand_platform.store.results import ResultStore
from s2hand_platform.trials.attempt import record_failure, run_trial
from s2hand_platform.trials.context import WorkerContext, checkpoint_folder
from s2hand_platform.trials.failure import Failure, decisive, failure_of
from s2hand_platform.trials.lock import first_free
from s2hand_platform.trials.outcome import finished_as_planned, outcome_of
from s2hand_platform.workspace import Workspace

STOP_FILE = "stop"
"""A search writes it into a trial's checkpoint folder; the trial ends at its next report."""
ATTEMPT = "attempt"
"""Key under which every report carries its attempt."""
EPOCH = "epoch"
"""Key under which every report carries its epoch."""
REPORTED = "reported"
"""Key under which every report names its own metrics, among all that Tune adds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialJob:
    """All that a trial needs on the machine where it runs."""

    trial: PlannedTrial
    experiment: Experiment
    workspace: Workspace
    worker: WorkerResources
    num_workers: int
    run: str
    """Names the use of Tune that the job belongs to."""

    @property
    def store(self) -> ResultStore:
        """The store that the trial writes to."""
        return ResultStore(self.workspace.store_dir)

    @property
    def folder(self) -> Path:
        """The trial's checkpoint folder."""
        return checkpoint_folder(self.workspace, self.trial.trial_id)

    @property
    def stop_file(self) -> Path:
        """Where a search asks this trial to end."""
        return self.folder / STOP_FILE


def run_in_tune(config: Mapping[str, Any], *, lean: bool) -> None:
    """Run one trial as Tune's function: start a Ray Train trainer and wait for it.

    Tune calls this once more after a failure that may pass. A failure that would come again is
    in the store and ends the trial quietly.

    Args:
        config: ``trial.job`` holds the pickled ``TrialJob``: only the processes that need the
            experiment import it.
        lean: leave out the trainer's helper processes that our own Ray has no use for.

    Raises:
        Exception: for a failure that is worth another try.
    """
    for name, value in QUIET_RAY.items():
        os.environ.setdefault(name, value)
    pickled = config["trial"]["job"]
    job: TrialJob = cloudpickle.loads(pickled)
    # This process holds the lock, and not a worker: who waits for it takes up no CPU.
    with first_free(job.workspace, [job.trial.trial_id]):
        known = finished_as_planned(job.store, job.trial)
        if known is not None:
            _repeat_result(job, known)
        else:
            _try(job, pickled, lean=lean)


def _try(job: TrialJob, pickled: bytes, *, lean: bool) -> None:
    """Make one attempt; what befell it is in the store when this ends."""
    attempt, started = job.store.next_attempt(job.trial.trial_id), datetime.now(UTC)
    job.stop_file.unlink(missing_ok=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            reports = ReportFile(Path(folder) / "reports.jsonl")
            _fit(_trainer(pickled, job, reports, lean=lean), reports)
    except Exception as error:
        if job.store.next_attempt(job.trial.trial_id) > attempt:
            return  # it had come to its end, and is recorded
        failure = decisive(failure_of(each, job.experiment) for each in _causes(error))
        before = _failure_before(job)
        record_failure(job.trial, job.experiment, job.store, job.folder, failure, started)
        if failure.may_pass_after(before):
            raise


def _failure_before(job: TrialJob) -> Failure | None:
    """Return what ended the last attempt that is in the store; None if it is no failure."""
    known = job.store.attempts(trial_ids=[job.trial.trial_id], columns=("failure", "reason"))
    last = next(known.tail(1).itertuples(), None)
    return Failure(last.failure, last.reason) if last is not None and last.failure else None


def _repeat_result(job: TrialJob, known: StoredAttempt) -> None:
    """Report what the store knows of a finished trial, for a search to learn from."""
    curve = job.store.curves([job.trial.trial_id])
    curve = curve[curve["epoch"] == curve["epoch"].max()]
    last = dict(zip(curve["metric"], curve["value"], strict=True))
    epoch = int(curve["epoch"].max()) if len(curve) else 0
    tune.report({**last, **known.metrics, EPOCH: epoch, ATTEMPT: known.attempt, REPORTED: []})


class ReportFile(UserCallback):
    """Brings the workers' reports from the trainer's controller to the Tune trial on its node.

    Ray's own ``TuneReportCallback`` does it with one more process and a queue that can block for
    good: when the trainer ends before Tune has taken its last report.
    """

    def __init__(self, path: Path) -> None:
        """Write to ``path``, which only these two processes know."""
        self._path = path
        self._read = 0

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any
    ) -> None:
        """Write rank 0's report; called in the controller."""
        with self._path.open("a") as file:
            file.write(f"{json.dumps(metrics[0])}\n")

    def new_reports(self) -> list[dict[str, Any]]:
        """Read what was written since the last call; called in the Tune trial."""
        if not self._path.exists():
            return []
        with self._path.open() as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        self._read += len(whole.encode())
        return [json.loads(line) for line in whole.splitlines()]


def _fit(trainer: Any, reports: ReportFile) -> None:
    """Train, and pass reports on to Tune while the trainer runs."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        training = pool.submit(trainer.fit)
        while True:
            wait([training], timeout=_POLL_INTERVAL_S)
            ended = training.done()
            for report in reports.new_reports():
                tune.report(report)
            if ended:
                break
        training.result()


def _trainer(pickled: bytes, job: TrialJob, reports: ReportFile, *, lean: bool) -> Any:
    from ray.train.torch import TorchTrainer

    class LeanTrainer(TorchTrainer):
        """A trainer with two processes less to start: a third of a short trial's time."""

        def _create_default_callbacks(self) -> list[Any]:
            return [
                callback
                for callback in super()._create_default_callbacks()
                if type(callback).__name__ not in _SPARED
            ]

    resources = {"CPU": job.worker.cpus, "GPU": job.worker.gpus}
    variables = {name: str(job.worker.threads) for name in _THREAD_VARIABLES} | _REPEATABLE
    return (LeanTrainer if lean else TorchTrainer)(
        run_in_worker,
        train_loop_config={"job": pickled},
        scaling_config=ray.train.ScalingConfig(
            num_workers=job.num_workers,
            use_gpu=job.worker.gpus > 0,
            resources_per_worker={name: value for name, value in resources.items() if value},
        ),
        run_config=ray.train.RunConfig(
            name=job.trial.trial_id,
            storage_path=str(job.workspace.root / "ray" / "train"),
            callbacks=[reports],
            failure_config=ray.train.FailureConfig(max_failures=0, controller_failure_limit=0),
            worker_runtime_env={"env_vars": variables},
        ),
    )


_POLL_INTERVAL_S = 0.1

_SPARED = ("DatasetsCallback", "PlacementGroupCleanerCallback")
"""No trial uses Ray's datasets; and the cleaner asks the dashboard, which our own Ray lacks."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

_REPEATABLE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Without it products of matrices on CUDA may differ from run to run in older versions of torch."""


def run_in_worker(config: Mapping[str, Any]) -> None:
    """Run one rank of a trial inside a Ray Train worker."""
    import torch
    from ray.train.torch import get_device

    job: TrialJob = cloudpickle.loads(config["job"])
    torch.set_num_threads(job.worker.threads)
    surroundings = ray.train.get_context()
    rank, world_size = surroundings.get_world_rank(), surroundings.get_world_size()
    if rank == 0:
        note_resources(job.workspace, job.trial.trial_id, job.run)

    attempt = job.store.next_attempt(job.trial.trial_id)
    last: dict[str, float] = {}
    epochs = [0]

    def report(epoch: int, metrics: Scalars) -> None:
        last.update(metrics)
        epochs.append(epoch)
        place = {EPOCH: epoch, ATTEMPT: attempt, REPORTED: list(metrics)}
        ray.train.report({**metrics, **place})
        if _told_to_stop(job.stop_file, world_size):
            raise StopTrial("ended early by the search")

    context = WorkerContext(
        checkpoint_dir=job.folder,
        stage_dir=job.workspace.stages_dir,
        attempt=attempt,
        device=str(get_device()) if job.worker.gpus else "cpu",
        rank=rank,
        world_size=world_size,
        on_report=report,
    )
    if run_trial(job.trial, job.experiment, context, job.store):
        outcome = outcome_of(job.store, job.trial) if rank == 0 else None
        metrics = outcome.metrics if outcome is not None else {}
        place = {EPOCH: epochs[-1], ATTEMPT: attempt, REPORTED: []}
        ray.train.report({**last, **metrics, **place})


def note_resources(workspace: Workspace, trial_id: str, run: str) -> None:
    """Write down what this trial's workers hold, for ``free_orphaned_resources``."""
    group = ray.util.get_current_placement_group()
    with whole_file(_group_file(workspace, trial_id, run)) as file:
        file.write(cloudpickle.dumps(group))


def free_orphaned_resources(workspace: Workspace, trial_id: str, run: str) -> None:
    """Free what the workers of a lost trial held: nobody else does when its process was killed.

    Args:
        workspace: of the run.
        trial_id: the lost trial.
        run: the use of Tune that the workers belong to; those of others are not touched.
    """
    file = _group_file(workspace, trial_id, run)
    if file.exists():
        group = cloudpickle.loads(file.read_bytes())
        file.unlink()
        if group is not None:
            ray.util.remove_placement_group(group)


def _group_file(workspace: Workspace, trial_id: str, run: str) -> Path:
    """Name the file that tells which resources a trial's workers hold, for the driver to free."""
    return checkpoint_folder(workspace, trial_id) / f"placement_group-{run}"


def _told_to_stop(stop_file: Path, world_size: int) -> bool:
    """Look for the search's wish; all ranks see what rank 0 saw."""
    wished = stop_file.exists()
    if world_size == 1:
        return wished
    from ray.train.collective import broadcast_from_rank_zero

    return broadcast_from_rank_zero(wished)


def _causes(error: Exception) -> list[BaseException]:
    """Return what the workers raised, or what befell their controller, out of Ray's wrappers."""
    failures = getattr(error, "worker_failures", None) or {0: error}
    return [_unwrapped(failure) for failure in failures.values()]


def _unwrapped(error: BaseException) -> BaseException:
    for wrapper in ("controller_failure", "health_check_failure", "_base_exc"):
        inner = getattr(error, wrapper, None)
        if isinstance(inner, BaseException):
            return inner
    return error
