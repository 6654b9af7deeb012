"""What a sink is told while trials run."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from s2hand_platform.planning.plan import Plan, PlannedTrial
from s2hand_platform.store.records import StoredAttempt


class Sink(Protocol):
    """Listens to a run: a tracker, or a progress display. It may neither block nor fail."""

    def begin(self, plan: Plan) -> None:
        """Told once, before the first trial."""

    def started(self, trial: PlannedTrial, attempt: int) -> None:
        """Told when an attempt begins."""

    def reported(
        self, trial: PlannedTrial, attempt: int, epoch: int, metrics: Mapping[str, float]
    ) -> None:
        """Told of every epoch."""

    def ended(
        self, trial: PlannedTrial, outcome: StoredAttempt, *, tried_again: bool = False
    ) -> None:
        """Told when an attempt has ended and is in the store, and whether another follows."""

    def close(self) -> None:
        """Told last, also when the run is interrupted."""


class Sinks:
    """Several sinks as one."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        """Tell ``sinks`` everything, in their order."""
        self._sinks = tuple(sinks)

    def begin(self, plan: Plan) -> None:
        """Tell all."""
        for sink in self._sinks:
            sink.begin(plan)

    def started(self, trial: PlannedTrial, attempt: int) -> None:
        """Tell all."""
        for sink in self._sinks:
            sink.started(trial, attempt)

    def reported(
        self, trial: PlannedTrial, attempt: int, epoch: int, metrics: Mapping[str, float]
    ) -> None:
        """Tell all."""
        for sink in self._sinks:
            sink.reported(trial, attempt, epoch, metrics)

    def ended(
        self, trial: PlannedTrial, outcome: StoredAttempt, *, tried_again: bool = False
    ) -> None:
        """Tell all."""
        for sink in self._sinks:
            sink.ended(trial, outcome, tried_again=tried_again)

    def close(self) -> None:
        """Tell all."""
        for sink in self._sinks:
            sink.close()
