"""Errors that a user of the platform can meet, and the signal that ends a trial early."""

import difflib
from collections.abc import Collection, Sequence
from typing import Literal

FailureCause = Literal[
    "non_finite",
    "data",
    "configuration",
    "code",
    "out_of_memory",
    "lost_process",
    "start",
    "storage",
    "other",
]
"""Why an attempt failed, for a machine to act on; a reason says it to people.

``non_finite``: a loss or weight became NaN or infinite. ``data``, ``configuration``, ``code``: what
the trial was given cannot be used, or is not what it was planned with. ``out_of_memory``: of the
device. ``lost_process``: a worker ended without a word. ``start``: the workers could not be
started. ``storage``: a disk or file system failed. ``other``: none of these.
"""


def nearest(word: str, known: Collection[str]) -> str:
    """Say which known word was probably meant, or which are known."""
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known here: {', '.join(known) or 'none'}"


class PlatformError(Exception):
    """Base of every error that this package raises on purpose."""


class SpecError(PlatformError, ValueError):
    """A spec file or a configuration with faults; carries all of them."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type, tuple[list[str]]]:
        """Keep the faults when the error crosses a process border."""
        return (type(self), (self.faults,))


class StoreError(PlatformError, OSError):
    """A result store that cannot be read or written."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)

    def __reduce__(self) -> tuple[type, tuple[str]]:
        """Keep the message when the error crosses a process border."""
        return (type(self), (self.message,))


class ExecutionError(PlatformError, RuntimeError):
    """A trial that cannot be run where it was sent, or as it was planned."""

    def __init__(self, message: str, cause: FailureCause = "configuration") -> None:
        self.message = message
        self.cause = cause
        super().__init__(message)

    def __reduce__(self) -> tuple[type, tuple[str, FailureCause]]:
        """Keep the cause when the error crosses a process border."""
        return (type(self), (self.message, self.cause))


class StopTrial(Exception):  # noqa: N818 - a signal, not a fault
    """Raised inside ``TrialContext.report`` when a scheduler ends the trial early."""
