"""The command line: ``s2hand …``, also ``python -m s2hand_platform.cli …``.

Help is shown without the tools that the commands need: a command imports them when it is run.
"""

from s2hand_platform.cli.application import main

__all__ = ["main"]
