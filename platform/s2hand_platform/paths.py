"""Paths of the user's: on a disk, never an address of something else."""

import re
from pathlib import Path

from s2hand_platform.errors import SpecError

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
"""Also what ``Path`` makes of one, which drops a slash. A single letter is a drive."""


def local_path(path: str | Path, source: str) -> Path:
    """Return a path as it was given, but for ``~``.

    Args:
        path: as the user gave it.
        source: the option, variable or field that holds it, for messages.

    Raises:
        SpecError: if it is the address of something that is not a disk, or needs a home that is
            not there.
    """
    address = _ADDRESS.match(str(path))
    if address:
        fault = (
            f"{source}: must be a path on a disk, got {str(path)!r}; {address[1]}: addresses are"
        )
        raise SpecError([f"{fault} not supported: mount or copy what is there, and give its path"])
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise SpecError(
            [f"{source}: {str(path)!r} needs a home, and there is none; give the whole path"]
        ) from error
