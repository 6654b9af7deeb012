"""Shows a run in the terminal: trials done, running, and the time that remains."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from s2hand_platform.planning.plan import Plan, PlannedTrial
from s2hand_platform.store.records import StoredAttempt


class ProgressSink:
    """A live display on a terminal; one line per finished trial elsewhere."""

    def __init__(
        self,
        console: Console,
        *,
        num_trials: int | None = None,
    ) -> None:
        """Show on ``console``.

        Args:
            console: where to; not a terminal means plain lines.
            num_trials: how many trials will run, where the plan does not know (a search).
        """
        self._console = console
        self._total = num_trials or 0
        self._known_total = num_trials is not None
        self._ended: set[str] = set()
        self._running: dict[str, TaskID | None] = {}
        self._start = time.monotonic()
        self._live: Progress | None = None
        self._overall: TaskID | None = None

    def begin(self, plan: Plan) -> None:
        """Say what is reused and what will run, and start the display."""
        self._start = time.monotonic()
        if not self._known_total:
            self._total = len(plan.to_run)
            reused = len(plan.trials) - len(plan.to_run)
            self._console.print(f"{self._total} trials to run, {reused} reused", highlight=False)
        if self._console.is_terminal and self._total:
            self._live = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", style="dim"),
                console=self._console,
            )
            self._overall = self._live.add_task("trials", total=self._total, note="")
            self._live.start()

    def started(self, trial: PlannedTrial, attempt: int) -> None:
        """Show a trial as running."""
        self._ended.discard(trial.trial_id)
        again = f", attempt {attempt}" if attempt else ""
        if self._live is None:
            self._running[trial.trial_id] = None
            self._print(f"started {_name(trial)}{again}")
        elif trial.trial_id not in self._running:
            self._running[trial.trial_id] = self._live.add_task(
                f"  {_name(trial)}{again}", total=None, note="workers are starting"
            )
        self._refresh()

    def reported(
        self, trial: PlannedTrial, attempt: int, epoch: int, metrics: Mapping[str, float]
    ) -> None:
        """Show a trial's epoch and its first metric."""
        del attempt
        task = self._running.get(trial.trial_id)
        if self._live is not None and task is not None:
            name, value = next(iter(metrics.items()), ("", float("nan")))
            self._live.update(task, note=f"epoch {epoch}, {name} {value:.4g}")

    def ended(
        self, trial: PlannedTrial, outcome: StoredAttempt, *, tried_again: bool = False
    ) -> None:
        """Count a trial as done, or say why it is tried again."""
        task = self._running.pop(trial.trial_id, None)
        if self._live is not None and task is not None:
            self._live.remove_task(task)
        if tried_again:
            why = f"attempt {outcome.attempt} failed: {outcome.reason}"
            self._print(f"{_name(trial)} {why}; trying again")
        else:
            self._ended.add(trial.trial_id)
            self._print(self._end_of(trial, outcome))
        self._refresh()

    def close(self) -> None:
        """End the display."""
        if self._live is not None:
            for task in self._running.values():
                if task is not None:
                    self._live.remove_task(task)
            self._live.stop()
            self._live = None

    def _end_of(self, trial: PlannedTrial, outcome: StoredAttempt) -> str:
        name, value = next(iter(outcome.metrics.items()), ("", 0.0))
        result = f": {name} {value:.4g}" if name else f" ({outcome.reason})"
        status = outcome.status.replace("_", " ")
        return (
            f"[{len(self._ended)}/{self._total}] {_name(trial)} {status} "
            f"in {_duration(_total_s(outcome))}{result}{self._remaining(', ')}"
        )

    def _refresh(self) -> None:
        if self._live is not None and self._overall is not None:
            note = f"{len(self._running)} running{self._remaining(', ')}"
            self._live.update(self._overall, completed=len(self._ended), note=note)

    def _remaining(self, before: str) -> str:
        done = len(self._ended)
        left = self._total - done
        if not done or left <= 0:
            return ""
        estimate = (time.monotonic() - self._start) / done * left
        return f"{before}about {_duration(estimate)} left"

    def _print(self, line: str) -> None:
        console = self._live.console if self._live is not None else self._console
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _total_s(outcome: StoredAttempt) -> float:
    """Return what a result took over all attempts, or what an attempt without one took."""
    if outcome.training_s is None:
        return outcome.duration_s
    return outcome.training_s + (outcome.evaluation_s or 0.0)


def _name(trial: PlannedTrial) -> str:
    first, *others = trial.members
    if first.kind == "point":
        return str(first)
    shared = f" (+{len(others)} rows)" if others else ""
    return f"{first}{shared} seed {trial.seed}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
