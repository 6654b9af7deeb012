"""One try at a trial: train, evaluate, record. Plain functions."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from s2hand_platform.errors import StopTrial
from s2hand_platform.experiments.protocol import Experiment, StageReport
from s2hand_platform.planning.plan import PlannedTrial
from s2hand_platform.store.records import AttemptRecord
from s2hand_platform.store.results import ResultStore
from s2hand_platform.trials.context import WorkerContext
from s2hand_platform.trials.curve import read_curve
from s2hand_platform.trials.environment import (
    describe_environment,
    note_environment,
    noted_environment,
)
from s2hand_platform.trials.failure import Failure
from s2hand_platform.trials.verification import verify


def run_trial(
    trial: PlannedTrial, experiment: Experiment, context: WorkerContext, store: ResultStore
) -> bool:
    """Train (or go on training), evaluate and record one trial; every rank calls it.

    Rank 0 evaluates and writes. An attempt that is killed leaves no record: the next one goes on
    from its checkpoints. One that raises leaves none either: whoever started it knows what befell
    all its workers, and records that (``record_failure``).

    Args:
        trial: what to run; a training that is finished already is only evaluated.
        experiment: what it is a trial of.
        context: rank, device, folders, and where reports go.
        store: where the attempt is recorded.

    Returns:
        Whether it was trained to its end; False if a search ended it early.

    Raises:
        ExecutionError: if this process has other code, data or another device than planned.
        Exception: whatever the experiment raises.
    """
    return _Attempt(trial, experiment, context, store).run()


def record_failure(
    trial: PlannedTrial,
    experiment: Experiment,
    store: ResultStore,
    checkpoint_dir: Path,
    failure: Failure,
    started: datetime,
) -> None:
    """Record an attempt that failed, or whose process was lost, with what it left on the disk."""
    attempt = store.next_attempt(trial.trial_id)
    record = AttemptRecord(
        **_identity(trial, experiment),
        attempt=attempt,
        status="failed",
        failure=failure.cause,
        reason=failure.reason,
        environment=noted_environment(checkpoint_dir, attempt),
        started=started,
        finished=datetime.now(UTC),
    )
    store.write_attempt(record, curve=read_curve(checkpoint_dir))


class _Attempt:
    def __init__(
        self,
        trial: PlannedTrial,
        experiment: Experiment,
        context: WorkerContext,
        store: ResultStore,
    ) -> None:
        self._trial = trial
        self._experiment = experiment
        self._context = context
        self._store = store
        self._started = datetime.now(UTC)
        self._config = experiment.build_config(dict(trial.config))

    def run(self) -> bool:
        context = self._context
        verify(self._trial, self._experiment, self._config, context)
        if context.rank == 0:
            environment = describe_environment(context.device)
            note_environment(context.checkpoint_dir, context.attempt, environment)
        try:
            stages = self._experiment.train(self._config, self._trial.seed, context)
        except StopTrial as stop:
            if context.rank == 0:
                self._record_stop(str(stop) or "ended early by the search")
            return False
        if context.rank == 0:
            self._evaluate(stages)
        return True

    def _evaluate(self, stages: Sequence[StageReport]) -> None:
        start = perf_counter()
        evaluation = self._experiment.evaluate(self._config, self._trial.seed, self._context)
        record = self._record(
            status="finished",
            evaluation_fingerprint=self._trial.evaluation_fingerprint,
            training_s=sum(stage.training_s for stage in stages if stage.trained_here),
            evaluation_s=perf_counter() - start,
            stages=stages,
        )
        _write_code(self._trial, self._store)
        self._store.write_attempt(record, evaluation, read_curve(self._context.checkpoint_dir))

    def _record_stop(self, reason: str) -> None:
        record = self._record(status="stopped_early", reason=reason)
        self._store.write_attempt(record, curve=read_curve(self._context.checkpoint_dir))

    def _record(self, **fields: Any) -> AttemptRecord:
        return AttemptRecord(
            **_identity(self._trial, self._experiment),
            attempt=self._context.attempt,
            data_record=self._experiment.describe_data(self._config),
            environment=noted_environment(self._context.checkpoint_dir, self._context.attempt),
            started=self._started,
            finished=datetime.now(UTC),
            **fields,
        )


def _identity(trial: PlannedTrial, experiment: Experiment) -> dict[str, Any]:
    """Return the fields of a record that are known before anything runs."""
    return {
        "trial_id": trial.trial_id,
        "experiment": experiment.name,
        "config": trial.config,
        "config_hash": trial.identity.config_hash,
        "seed": trial.seed,
        "device_type": trial.identity.device_type,
        "data_fingerprint": trial.identity.data,
        "code_fingerprint": trial.identity.code,
        "revision": trial.revision,
        "units": {name: info.unit for name, info in experiment.metrics.items()},
    }


def _write_code(trial: PlannedTrial, store: ResultStore) -> None:
    """Keep which modules the fingerprints are of, for a later plan to name what changed."""
    for fingerprint in (trial.code, trial.evaluation):
        if fingerprint is not None:
            store.write_code(fingerprint.sha256, fingerprint.digests)
