"""Errors that a user of the platform can meet, and the signal that ends a trial early.

Their texts are shown, logged and stored, and so hold no password, whatever address they name.
"""

import difflib
import re
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


_USER_INFORMATION = re.compile(r"://(?:[^\s/:@]*:\S*|[^\s/@]*)@")
"""What stands before the host in an address; a password may hold any character."""


def without_passwords(text: str) -> str:
    """Hide who logs in with which password from a text that names addresses.

    Examples:
        >>> without_passwords("nothing answers at http://me:secret@host:5000/")
        'nothing answers at http://***@host:5000/'
    """
    return _USER_INFORMATION.sub("://***@", text)


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
        self.faults = [without_passwords(fault) for fault in faults]
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type, tuple[list[str]]]:
        """Keep the faults when the error crosses a process border."""
        return (type(self), (self.faults,))


class StoreError(PlatformError, OSError):
    """A result store that cannot be read or written."""

    def __init__(self, message: str) -> None:
        self.message = without_passwords(message)
        super().__init__(self.message)

    def __reduce__(self) -> tuple[type, tuple[str]]:
        """Keep the message when the error crosses a process border."""
        return (type(self), (self.message,))


class ExecutionError(PlatformError, RuntimeError):
    """A trial that cannot be run where it was sent, or as it was planned."""

    def __init__(self, message: str, cause: FailureCause = "configuration") -> None:
        self.message = without_passwords(message)
        self.cause = cause
        super().__init__(self.message)

    def __reduce__(self) -> tuple[type, tuple[str, FailureCause]]:
        """Keep the cause when the error crosses a process border."""
        return (type(self), (self.message, self.cause))


class StopTrial(Exception):  # noqa: N818 - a signal, not a fault
    """Raised inside ``TrialContext.report`` when a scheduler ends the trial early."""
