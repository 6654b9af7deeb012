"""Pictures that detections are of: names, sizes, and what a detector is shown of them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from s2hand.errors import DataError
from s2hand.files import what_lies_at

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_WIDE_MODES = ("I", "F")
"""How the names of Pillow's modes begin that have more than 8 bits a channel."""


def list_pictures(place: Path) -> list[Path]:
    """Return a folder's pictures in the order of their names, or the one picture that is named.

    Raises:
        DataError: If there is none.
    """
    if place.is_file():
        return [place]
    paths = sorted(place.iterdir()) if place.is_dir() else []
    pictures = [path for path in paths if path.suffix.lower() in ENDINGS]
    if not pictures:
        raise DataError(
            f"{place}: must be a picture or a folder of pictures ({', '.join(ENDINGS)}), there is "
            f"{what_lies_at(place)}{' without any' if place.is_dir() else ''}"
        )
    return pictures


def named_pictures(places: Sequence[Path]) -> dict[str, Path]:
    """Return the pictures of several places by name, in the order of the places.

    A place is what :func:`list_pictures` takes, or a folder without pictures of its own: then those
    of all folders below it are meant. A picture's name is its path below the folder that all
    places share, with ``/``: of one folder of pictures the file names alone.

    Args:
        places: Absolute paths.

    Raises:
        DataError: If a place holds no picture.
    """
    shared = os.path.commonpath([place.parent if place.is_file() else place for place in places])
    found = (path for place in places for path in _nested_pictures(place) or list_pictures(place))
    return {path.relative_to(shared).as_posix(): path for path in found}


def _nested_pictures(place: Path) -> list[Path]:
    """Return the pictures in folders below one that has none of its own; links are followed."""
    if not place.is_dir() or any(path.suffix.lower() in ENDINGS for path in place.iterdir()):
        return []
    return [
        path for folder in _folders_below(place, {place.resolve()})
        for path in sorted(folder.iterdir()) if path.suffix.lower() in ENDINGS
    ]  # fmt: skip


def _folders_below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield all folders below one in the order of their names, hidden ones left out, each once."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith(".") and path.resolve() not in seen:
            seen.add(path.resolve())
            yield path
            yield from _folders_below(path, seen)


def picture_sizes(paths: list[Path]) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Return width and height by file name, from the files' headers, and what is no picture.

    Returns:
        Sizes; and of each file that is none, what is the matter with it.

    Raises:
        DataError: If none is a picture.
    """
    sizes, faults = {}, []
    for path in paths:
        try:
            with Image.open(path) as image:
                sizes[path.name] = image.size
        except (OSError, Image.DecompressionBombError) as error:
            faults.append(str(_unreadable(path, error)))
    if not sizes:
        raise DataError(faults[0])
    return sizes, faults


def read_picture(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Read a picture as RGB, as it is stored: a turn that its EXIF asks for is not made.

    Raises:
        DataError: If it cannot be read, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            mode = image.mode
            picture = None if mode.startswith(_WIDE_MODES) else np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error
    if picture is None:
        raise DataError(
            f"{path}: a picture must have 8 bits a channel, got the mode {mode}; convert it"
        )
    return picture


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: must be a picture, could not be read: {error}; there is {what_lies_at(path)}"
    )
