"""Pictures of a training: files in its checkpoint folder, which a tracker picks up."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from s2hand.files import whole_file

FOLDER = "pictures"
_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""No slash: not every MLflow can show a picture that has one in its name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureFile:
    """A picture that lies on the disk."""

    name: str
    epoch: int
    path: Path


def write_picture(
    checkpoint_dir: Path,
    attempt: int,
    name: str,
    epoch: int,
    picture: UInt8[np.ndarray, "height width 3"],
) -> None:
    """Write a picture as PNG; a reader sees the whole file or none, and the last one written.

    Args:
        checkpoint_dir: the trial's folder.
        attempt: the try at the trial that it was made in.
        name: what it shows: letters, digits, ``_`` and ``-``.
        epoch: when it was made; with the name, what tells it from others.
        picture: RGB.

    Raises:
        ValueError: if the name has other characters.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"a picture's name must consist of letters, digits, '_' and '-', got {name!r}"
        )
    path = _folder(checkpoint_dir, attempt) / f"{name}-{epoch}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        Image.fromarray(picture).save(file, format="PNG")


def read_pictures(checkpoint_dir: Path, attempt: int) -> list[PictureFile]:
    """List what an attempt has drawn so far, epoch by epoch."""
    found = []
    for path in _folder(checkpoint_dir, attempt).glob("*.png"):
        name, _, epoch = path.stem.rpartition("-")
        found.append(PictureFile(name=name, epoch=int(epoch), path=path))
    return sorted(found, key=lambda picture: (picture.epoch, picture.name))


def _folder(checkpoint_dir: Path, attempt: int) -> Path:
    return checkpoint_dir / FOLDER / str(attempt)
