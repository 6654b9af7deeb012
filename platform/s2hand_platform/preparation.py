"""Shows long work that everything else waits for: a line as it begins, on a terminal a bar too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeRemainingColumn

PreparationProgress = Callable[[str, int, int], None]
"""Is told what is done, how much of it is done, and of how much; first with nothing done."""


@contextmanager
def preparation_shown(console: Console) -> Iterator[PreparationProgress]:
    """Give what is to be told of work in the block; shows nothing where nothing is told."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                console.print(what, highlight=False, markup=False, soft_wrap=True)
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, visible=done < total)

        yield progress
