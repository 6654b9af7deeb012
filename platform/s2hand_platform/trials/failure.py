"""Why an attempt failed: one word for the machine, a line for people, and whether to try again."""

from collections.abc import Iterable
from dataclasses import dataclass

from s2hand_platform.errors import (
    ExecutionError,
    FailureCause,
    SpecError,
    StoreError,
    without_passwords,
)
from s2hand_platform.experiments.protocol import Experiment

TRIED_AGAIN: frozenset[FailureCause] = frozenset({"lost_process", "start", "storage", "other"})
"""What may pass by itself. All else would fail the same way again: a number that is not finite,
data, a configuration or code that cannot be used, a model too large for its device."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A cause, and what to tell of it."""

    cause: FailureCause
    reason: str
    """One line."""

    @property
    def may_pass(self) -> bool:
        """Whether another try is worth it."""
        return self.cause in TRIED_AGAIN

    def may_pass_after(self, before: "Failure | None") -> bool:
        """Whether another try is worth it after the one before failed too, or came to no failure.

        What nobody knows, and has come twice in the same words, would come again.
        """
        return self.may_pass and not (self.cause == "other" and self == before)


LOST = Failure("lost_process", "the trial's process was lost")
"""Whoever notices it says it so."""


def failure_of(error: BaseException, experiment: Experiment) -> Failure:
    """Find the cause of an error: the experiment knows its own, the platform the others."""
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
    if kinds & _LOST_IN_RAY:
        return LOST
    if kinds & _KILLED_IN_RAY:
        return Failure("lost_process", f"{LOST.reason}: its machine ran out of memory")
    if kinds & _NOT_STARTED_IN_RAY:
        return Failure("start", f"the training workers could not be started: {_line(error)}")
    cause = experiment.cause(error) or _named_cause(kinds) or _cause(error)
    return Failure(cause, f"{type(error).__name__}: {_line(error)}")


def decisive(failures: Iterable[Failure]) -> Failure:
    """Choose among what several workers met: what would come again, then who was lost.

    When one worker ends, the others fail too, for no reason of their own.
    """
    return min(failures, key=lambda each: (each.may_pass, each.cause != "lost_process"))


def _line(error: BaseException) -> str:
    lines = (line.strip() for line in without_passwords(str(error)).splitlines())
    return "; ".join(line for line in lines if line)


# Errors of Ray and torch are known by name, so that nobody imports either for it.
_LOST_IN_RAY = {
    ("ray", "ActorPlacementGroupRemoved"),
    ("ray", "CollectiveTimeoutError"),
    ("ray", "LocalRayletDiedError"),
    ("ray", "NodeDiedError"),
    ("ray", "ObjectLostError"),
    ("ray", "PreemptionError"),
    ("ray", "RayActorError"),
    ("ray", "WorkerCrashedError"),
    ("ray", "WorkerHealthCheckFailedError"),
    ("ray", "WorkerHealthCheckTimeoutError"),
}
_KILLED_IN_RAY = {("ray", "OutOfMemoryError")}
"""Killed because its machine, not its GPU, ran low on memory; later there may be more."""
_NOT_STARTED_IN_RAY = {
    ("ray", "ActorUnschedulableError"),
    ("ray", "InsufficientClusterResourcesError"),
    ("ray", "RuntimeEnvSetupError"),
    ("ray", "WorkerGroupStartupFailedError"),
    ("ray", "WorkerGroupStartupTimeoutError"),
}


def _named_cause(kinds: set[tuple[str, str]]) -> FailureCause | None:
    if ("torch", "OutOfMemoryError") in kinds:
        return "out_of_memory"
    if ("torch", "DistError") in kinds:  # another worker, or the way to it
        return "lost_process"
    return None


_CAUSES: tuple[tuple[tuple[type[BaseException], ...], FailureCause], ...] = (
    ((StoreError,), "storage"),
    ((SpecError,), "configuration"),
    ((FloatingPointError,), "non_finite"),
    ((MemoryError,), "out_of_memory"),
    ((ConnectionError, TimeoutError), "lost_process"),
    ((FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError), "configuration"),
    ((OSError,), "storage"),
    (
        (
            ArithmeticError,
            AssertionError,
            AttributeError,
            ImportError,
            LookupError,
            NameError,
            NotImplementedError,
            TypeError,
            ValueError,
        ),
        "code",
    ),
)
"""The first kind that an error belongs to decides."""


def _cause(error: BaseException) -> FailureCause:
    if isinstance(error, ExecutionError):
        return error.cause
    return next((cause for kinds, cause in _CAUSES if isinstance(error, kinds)), "other")
