"""Run one trial: train, evaluate, record. A plain function that knows no Ray and no MLflow."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from s2hand_platform.errors import ExecutionError, PlatformError, StopTrial
from s2hand_platform.experiments.protocol import Evaluation, Experiment, Scalars
from s2hand_platform.identity import CodeFingerprint, check_same_code, code_fingerprint
from s2hand_platform.pictures import write_picture
from s2hand_platform.planning import PlannedTrial
from s2hand_platform.store.records import AttemptRecord, AttemptStatus, Environment
from s2hand_platform.store.results import ResultStore
from s2hand_platform.workspace import Workspace

CURVE_FILE = "curve.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRequest:
    """A planned trial with all that a worker needs to run it."""

    trial: PlannedTrial
    code: CodeFingerprint | None
    """The code that it was planned with; None where that cannot be known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialOutcome:
    """How an attempt ended."""

    trial_id: str
    attempt: int
    status: AttemptStatus
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """``split/metric`` → value; empty unless finished."""
    duration_s: float = 0.0
    notes: Mapping[str, str] = field(default_factory=dict)
    """What the experiment wants to be known about the result: subject → text."""


@dataclass(frozen=True, kw_only=True)
class LocalContext:
    """Where a worker runs and writes; each report goes to ``on_report``."""

    checkpoint_dir: Path
    stage_dir: Path
    device: str = "cpu"
    rank: int = 0
    world_size: int = 1
    on_report: Callable[[int, Scalars], None] = field(default=lambda _epoch, _metrics: None)

    def report(self, epoch: int, metrics: Scalars) -> None:
        """Hand the metrics of an epoch on; ``on_report`` may raise ``StopTrial``."""
        self.on_report(epoch, metrics)


def trial_folders(workspace: Workspace, trial_id: str) -> tuple[Path, Path]:
    """Make and return a trial's checkpoint folder, and the folder of shared stages."""
    checkpoints = workspace.checkpoints_dir / trial_id
    checkpoints.mkdir(exist_ok=True)
    return checkpoints, workspace.stages_dir


def run_trial(
    request: TrialRequest, experiment: Experiment, context: LocalContext, store: ResultStore
) -> TrialOutcome:
    """Train (or go on training), evaluate and record one trial; every rank calls it.

    Rank 0 evaluates and writes. An attempt that is killed leaves no record: the next one goes on
    from its checkpoints, under the same number.

    Args:
        request: what to run.
        experiment: what it is a trial of.
        context: rank, device, folders, and where reports go.
        store: where the attempt is recorded.

    Returns:
        The outcome: finished, or stopped early.

    Raises:
        ExecutionError: if this process imports other code than the trial was planned with.
        Exception: whatever the experiment raised, after rank 0 recorded it with its cause.
    """
    attempt = _Attempt(request, experiment, context, store)
    try:
        if request.code is not None:
            check_same_code(request.code, _code_here(experiment))
        return attempt.run()
    except StopTrial as stop:
        return attempt.record("stopped_early", str(stop) or "ended early by the search")
    except Exception as error:
        attempt.record("failed", cause(error))
        raise


def record_lost_attempt(
    request: TrialRequest,
    experiment: Experiment,
    store: ResultStore,
    started: datetime,
    reason: str,
) -> None:
    """Record an attempt whose process was lost, so that it could not record itself."""
    environment = Environment(framework="", device="", precision="", threads=0)
    number = store.next_attempt(request.trial.trial_id)
    store.write_attempt(
        _record(request, experiment, number, "failed", reason, environment, started)
    )


def _code_here(experiment: Experiment) -> CodeFingerprint:
    here = code_fingerprint(experiment)
    if here is None:
        raise ExecutionError(
            f"the source of '{experiment.name}' must be readable where its trials run; "
            "give the workers the source files, not compiled modules alone"
        )
    return here


class _Attempt:
    """One try: the context that the experiment sees, and what has been reported."""

    def __init__(
        self,
        request: TrialRequest,
        experiment: Experiment,
        context: LocalContext,
        store: ResultStore,
    ) -> None:
        self._request = request
        self._experiment = experiment
        self._store = store
        self._number = store.next_attempt(request.trial.trial_id)
        self._context = _Recording(context, self._number)
        self._started = datetime.now(UTC)

    def run(self) -> TrialOutcome:
        trial = self._request.trial
        config = self._experiment.build_config(dict(trial.config))
        self._experiment.train(config, trial.seed, self._context)
        if self._context.rank != 0:
            return self._outcome("finished", "", None)
        evaluation = self._experiment.evaluate(config, trial.seed, self._context)
        return self.record("finished", "", evaluation)

    def record(
        self, status: AttemptStatus, reason: str, evaluation: Evaluation | None = None
    ) -> TrialOutcome:
        if self._context.rank == 0:
            environment = describe_environment(self._context.device)
            record = _record(
                self._request,
                self._experiment,
                self._number,
                status,
                reason,
                environment,
                self._started,
            )
            self._store.write_attempt(record, evaluation, self._context.curve())
        return self._outcome(status, reason, evaluation)

    def _outcome(
        self, status: AttemptStatus, reason: str, evaluation: Evaluation | None
    ) -> TrialOutcome:
        return TrialOutcome(
            trial_id=self._request.trial.trial_id,
            attempt=self._number,
            status=status,
            reason=reason,
            metrics=dict(evaluation.metrics) if evaluation else {},
            duration_s=(datetime.now(UTC) - self._started).total_seconds(),
            notes=dict(evaluation.notes) if evaluation else {},
        )


class _Recording:
    """What the experiment sees; keeps what is reported in files that outlive a killed process."""

    def __init__(self, context: LocalContext, attempt: int) -> None:
        self._context = context
        self._attempt = attempt
        self.rank = context.rank
        self.world_size = context.world_size
        self.device = context.device
        self.checkpoint_dir = context.checkpoint_dir
        self.stage_dir = context.stage_dir
        self._file = context.checkpoint_dir / CURVE_FILE

    def report(self, epoch: int, metrics: Scalars) -> None:
        if self.rank == 0:
            line = json.dumps({"epoch": epoch, "metrics": dict(metrics)})
            with self._file.open("a") as file:
                file.write(f"\n{line}\n")  # behind a line that a killed process did not finish
        self._context.report(epoch, metrics)

    def log_picture(
        self, name: str, epoch: int, picture: UInt8[np.ndarray, "height width 3"]
    ) -> None:
        write_picture(self.checkpoint_dir, self._attempt, name, epoch, picture)

    def curve(self) -> list[tuple[int, dict[str, float]]]:
        """Return the last report of every epoch; an epoch that was trained again counts once."""
        epochs: dict[int, dict[str, float]] = {}
        if self._file.exists():
            for line in self._file.read_text().splitlines():
                try:
                    point = json.loads(line)
                except json.JSONDecodeError:
                    continue  # empty, or cut off
                epochs[int(point["epoch"])] = point["metrics"]
        return sorted(epochs.items())


def describe_environment(device: str) -> Environment:
    """Describe what this process computes with."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else ""
    return Environment(
        framework=f"torch {torch.__version__.partition('+')[0]}",
        device=f"cuda {name}" if name else device,
        precision=f"float32 matmul {torch.get_float32_matmul_precision()}",
        threads=torch.get_num_threads(),
    )


def _record(
    request: TrialRequest,
    experiment: Experiment,
    attempt: int,
    status: AttemptStatus,
    reason: str,
    environment: Environment,
    started: datetime,
) -> AttemptRecord:
    trial = request.trial
    return AttemptRecord(
        trial_id=trial.trial_id,
        attempt=attempt,
        experiment=experiment.name,
        config=trial.config,
        config_hash=trial.config_hash,
        seed=trial.seed,
        data_fingerprint=trial.data_fingerprint,
        code_fingerprint=trial.code_fingerprint,
        status=status,
        reason=reason,
        environment=environment,
        started=started,
        finished=datetime.now(UTC),
        units={name: info.unit for name, info in experiment.metrics.items()},
    )


def last_outcome(store: ResultStore, trial_id: str) -> TrialOutcome | None:
    """Read from the store how the last attempt at a trial ended; None if there was none."""
    last = store.last_attempt(trial_id)
    if last is None:
        return None
    return TrialOutcome(
        trial_id=trial_id,
        attempt=last.attempt,
        status=last.status,
        reason=last.reason,
        metrics=last.metrics,
        duration_s=last.duration_s,
        notes=last.notes,
    )


def cause(error: BaseException) -> str:
    """Say in one line what went wrong."""
    lines = (line.strip() for line in str(error).splitlines())
    return f"{type(error).__name__}: {'; '.join(line for line in lines if line)}"


_NEVER_PASSES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    PlatformError,
    TypeError,
    ValueError,
)


def would_fail_again(error: BaseException) -> bool:
    """Say whether trying again is in vain: a non-finite number, bad data or a fault of the code.

    What remains may pass: a lost machine, memory, a disk or a network.
    """
    return isinstance(error, _NEVER_PASSES)
