"""Commands that other packages add: entry points of the group ``s2hand_platform.commands``.

Help is shown from their modules, so these import nothing slow.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

from s2hand_platform.cli.endings import complain

GROUP = "s2hand_platform.commands"


def added_commands() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield name and function of each command; one that cannot be imported is told of."""
    for entry in sorted(entry_points(group=GROUP)):
        try:
            yield entry.name, entry.load()
        except (ImportError, AttributeError) as error:
            complain(f"the command '{entry.name}' ({entry.value}) cannot be added: {error}")
