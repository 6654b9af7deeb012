"""What is printed arrives, or the command says in one message that it did not."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from s2hand_platform.cli.endings import EXIT_USER_ERROR, complain

_EXIT_NOBODY_READS = 1


class _Output(io.FileIO):
    """The standard output, which remembers why it could not be written to."""

    fault: OSError | None = None

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self.fault = error
            raise


@contextmanager
def checked_output() -> Iterator[None]:
    """Print characters that the output's encoding lacks as escapes, and check that all is written.

    An output that the shell has closed is one that nobody wants. Where a reader goes away before
    the end, as ``head`` does, the command ends without a word.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    before = sys.stdout
    try:
        output = _Output(before.fileno(), "wb", closefd=False)
    except OSError:  # captured in memory
        yield
        return
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding=before.encoding,
        errors="backslashreplace",
        line_buffering=before.isatty(),
    )
    try:
        yield
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        sys.stdout = before
        if output.fault is not None:
            _give_up(output.fault)


def _give_up(fault: OSError) -> None:
    if isinstance(fault, BrokenPipeError):
        sys.exit(_EXIT_NOBODY_READS)
    complain(
        f"the output cannot be written ({fault.strerror}); free space there, or send it "
        "elsewhere, and run the same command again"
    )
    sys.exit(EXIT_USER_ERROR)
