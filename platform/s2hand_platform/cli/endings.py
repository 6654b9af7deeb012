"""How a command ends: messages and exit codes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from s2hand_platform.execution.termination import termination_interrupts

if TYPE_CHECKING:
    from s2hand_platform.execution.settings import RunSummary

EXIT_USER_ERROR = 2
EXIT_FAILED_TRIALS = 1
EXIT_INTERRUPTED = 128 + signal.SIGINT


def complain(message: str) -> None:
    """Write an error to the terminal."""
    Console(stderr=True).print(
        f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True
    )


@contextmanager
def resumable() -> Iterator[None]:
    """Say after Ctrl-C, or a request to terminate, that nothing is lost."""
    try:
        with termination_interrupts():
            yield
    except KeyboardInterrupt:
        complain("interrupted; run the same command again to go on")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def exit_if_failed(summary: "RunSummary") -> None:
    """Name the trials that failed."""
    for outcome in summary.failed:
        complain(f"trial {outcome.trial_id[:12]} failed: {outcome.reason}")
    if summary.failed:
        raise typer.Exit(EXIT_FAILED_TRIALS)
