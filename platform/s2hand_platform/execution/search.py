"""Searches: which trials a sweep runs, and which of them end early."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution.worker import EPOCH, REPORTED, STOP_FILE
from s2hand_platform.spec.schema import Choices, Domain, LogUniform, SweepSpec, Uniform
from s2hand_platform.workspace import Workspace

GRACE_EPOCHS = 3
"""No trial is ended before it has reported this many epochs."""
REDUCTION_FACTOR = 3
"""Of the trials that reach a rung, one in so many goes on."""
_NO_LAST_EPOCH = 1_000_000

MakeJob = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Point of the space → config of a Tune trial."""


class PlannedSearch(Searcher):
    """Optuna's suggestions, turned into planned trials."""

    def __init__(self, spec: SweepSpec, seed: int, make_job: MakeJob) -> None:
        """Search ``spec``'s space; ``seed`` makes the suggestions repeatable."""
        super().__init__(metric=spec.metric, mode=spec.mode)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space = {path: _distribution(domain) for path, domain in spec.space.items()}
        self._inner = OptunaSearch(space=space, metric=spec.metric, mode=spec.mode, seed=seed)
        self._make_job = make_job

    def __getstate__(self) -> dict[str, Any]:
        """Leave everything behind: Tune saves its search, but none is restored from there."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Draw a point and plan its trial."""
        point = self._inner.suggest(trial_id)
        return self._make_job(point) if point is not None else None

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Show Optuna an epoch that reported the metric."""
        if self._metric in result:
            self._inner.on_trial_result(trial_id, result)

    def on_trial_complete(
        self,
        trial_id: str,
        result: Mapping[str, Any] | None = None,
        error: bool = False,  # noqa: FBT001, FBT002 - the signature is Tune's
    ) -> None:
        """Tell Optuna the last value; a trial that reported none counts as failed."""
        known = result is not None and self._metric in result
        self._inner.on_trial_complete(trial_id, result if known else None, error or not known)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: what is finished is in the store, and the seed repeats the rest."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, as nothing is saved."""


class AskingScheduler(FIFOScheduler):
    """Lets another scheduler decide, and asks a trial to end instead of killing it.

    The trial ends at its next report, records itself as stopped early, and leaves no workers or
    placement groups behind.
    """

    def __init__(self, inner: TrialScheduler, metric: str, workspace: Workspace) -> None:
        """Obey ``inner``, which needs ``metric`` in every report."""
        super().__init__()
        self._inner = inner
        self._required = metric
        self._workspace = workspace
        self._asked: set[str] = set()

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Pass a new trial on."""
        self._inner.on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Let the inner scheduler judge, unless the trial has been asked to end already."""
        if self._required not in result:
            raise ExecutionError(
                f"the sweep's metric '{self._required}' must be in every report of a training for "
                f"trials to be ended early; reported: {', '.join(result.get(REPORTED, []))}"
            )
        if trial.trial_id in self._asked:
            return TrialScheduler.CONTINUE
        if self._inner.on_trial_result(tune_controller, trial, result) == TrialScheduler.STOP:
            self._asked.add(trial.trial_id)
            _stop_file(self._workspace, trial).touch()
        return TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Pass the end of a trial on, if the inner scheduler does not know of it."""
        if trial.trial_id not in self._asked and self._required in result:
            self._inner.on_trial_complete(tune_controller, trial, result)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Pass a failure on."""
        self._inner.on_trial_error(tune_controller, trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Pass a removal on."""
        self._inner.on_trial_remove(tune_controller, trial)


def scheduler_for(spec: SweepSpec, workspace: Workspace) -> TrialScheduler:
    """Build the scheduler that a sweep names."""
    match spec.scheduler:
        case "none":
            return FIFOScheduler()
        case "asha":
            asha = ASHAScheduler(
                time_attr=EPOCH,
                metric=spec.metric,
                mode=spec.mode,
                max_t=_NO_LAST_EPOCH,
                grace_period=GRACE_EPOCHS,
                reduction_factor=REDUCTION_FACTOR,
            )
            return AskingScheduler(asha, spec.metric, workspace)


def _distribution(domain: Domain) -> Any:
    match domain:
        case Choices(values=values):
            return optuna.distributions.CategoricalDistribution(values)
        case LogUniform(low=low, high=high):
            return optuna.distributions.FloatDistribution(low, high, log=True)
        case Uniform(low=low, high=high):
            return optuna.distributions.FloatDistribution(low, high)


def _stop_file(workspace: Workspace, trial: Trial) -> Path:
    return workspace.checkpoints_dir / str(trial.config["trial"]["trial_id"]) / STOP_FILE
