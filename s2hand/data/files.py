"""Reading annotation files and image folders, with errors that say what to repair."""

import json
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from s2hand.data.packing import stored_size_px
from s2hand.errors import DataError
from s2hand.files import broken_link, is_folder, what_lies_at
from s2hand.geometry.cameras import project
from s2hand.keypoints.openpose import Detections, read_detections
from s2hand.layouts import Split

SPLITS: tuple[Split, Split] = ("train", "test")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_LAYOUT = "docs/datasets.md shows the layout"


def is_present(path: Path) -> bool:
    """Say whether an optional file or folder is there.

    Raises:
        DataError: If it is a symbolic link, or lies behind one, that leads nowhere: then somebody
            meant it to be there. If nobody may look.
    """
    try:
        if path.exists():
            return True
    except OSError as error:
        raise DataError(f"{path}: there is {what_lies_at(path)}") from error
    refuse_dangling(path)
    return False


def refuse_dangling(path: Path) -> None:
    """Name the first symbolic link on the way to a path that leads nowhere, if there is one.

    Raises:
        DataError: If there is.
    """
    link = broken_link(path)
    if link is not None:
        place, trouble = link
        raise DataError(f"{place}: is {trouble}")


def read_json_array(
    path: Path, shape: tuple[int, ...], *, count: int | None = None
) -> Float32[np.ndarray, "n ..."]:
    """Read a JSON list of arrays that all have one shape.

    Args:
        path: The file.
        shape: Shape of each entry.
        count: How many entries there must be; None: any number.

    Raises:
        DataError: If the file is missing, truncated, of another length or shape, or not finite.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(f"{path}: must hold a list of arrays, got a {type(content).__name__}")
    if count is not None and len(content) != count:
        raise DataError(
            f"{path}: must hold one entry per frame ({count}), got {len(content)}; "
            "the files of a split must come from the same release"
        )
    try:
        values = np.asarray(content, np.float64)
    except (TypeError, ValueError, OverflowError):
        values = None
    if values is None or values.shape[1:] != shape:
        index, found = _first_misfit(content, shape)
        raise DataError(f"{path}: entry {index} must have shape {shape}, got {found}")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        values = values.astype(np.float32)
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        raise DataError(
            f"{path}: entry {int(np.argmin(finite))} must hold finite numbers, got NaN or infinity"
        )
    return values


def finite_numbers(
    content: object, shape: tuple[int, ...], what: str
) -> Float32[np.ndarray, "..."]:
    """Take an array of numbers out of a document that was read.

    Args:
        content: Nested lists, or whatever stands in their place.
        shape: The array's.
        what: What it is and where, for the error.

    Raises:
        DataError: If it is of another shape, or a number is not finite as float32.
    """
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            numbers = np.asarray(content, np.float64).astype(np.float32)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty(0, np.float32)
    if numbers.shape != shape or not np.isfinite(numbers).all():
        wanted = " times ".join(map(str, shape))
        raise DataError(f"{what} must be {wanted} finite numbers, got shape {numbers.shape}")
    return numbers


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Return the image files of a folder by their name without ending.

    Raises:
        DataError: If the folder cannot be listed, or two images have one name.
    """
    try:
        files = sorted(folder.iterdir(), key=lambda file: file.name)
    except OSError as error:
        refuse_dangling(folder)
        raise DataError(
            f"{folder}: folder of images is missing or cannot be listed ({error.strerror}); there "
            f"is {what_lies_at(folder)}; {_LAYOUT}"
        ) from error
    images: dict[str, Path] = {}
    for file in files:
        if file.suffix.lower() in IMAGE_SUFFIXES:
            first = images.setdefault(file.stem, file)
            if first != file:
                raise DataError(
                    f"{folder}: an image must be there once, got {first.name} and {file.name}; "
                    "keep the one of the release that the annotations are of"
                )
    return images


def listable_images(folder: Path) -> dict[str, Path]:
    """Return what ``images_by_stem`` does; nothing where that refuses the folder."""
    try:
        return images_by_stem(folder)
    except DataError:
        return {}


def find_images(folder: Path, stems: list[str]) -> tuple[Path, ...]:
    """Return the image files of the given names, or say which is missing."""
    present = images_by_stem(folder) if stems else {}
    missing = [stem for stem in stems if stem not in present]
    if missing:
        raise DataError(
            f"{folder / missing[0]}: image (.jpg or .png) is missing, with {len(missing) - 1} more "
            f"of {len(stems)} that the annotations list; complete the download"
        )
    images = tuple(present[stem] for stem in stems)
    for image in images:
        if image.is_symlink():
            refuse_dangling(image)
    return images


def number_in(stem: str, where: str) -> int:
    """Return the frame number that a file name consists of."""
    if not re.fullmatch(r"\d+", stem):
        raise DataError(f"{where}: a frame's name must be its number, got {stem!r}")
    return int(stem)


def project_truth(
    joints: Float32[np.ndarray, "n 21 3"], intrinsics_px: Float32[np.ndarray, "n 3 3"]
) -> Float32[np.ndarray, "n 21 2"]:
    """Project true joints into the stored image."""
    return project(torch.from_numpy(joints), torch.from_numpy(intrinsics_px)).numpy()


def require_folder(path: Path) -> None:
    """Refuse a dataset folder that does not exist."""
    if not is_folder(path):
        refuse_dangling(path)
        raise DataError(
            f"{path}: folder of the dataset is missing, there is {what_lies_at(path)}; {_LAYOUT}"
        )


def read_json(path: Path) -> Any:
    """Read a whole JSON file.

    Raises:
        DataError: If it is missing or cut short.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        refuse_dangling(path)
        raise DataError(f"{path}: annotation file is missing; {_LAYOUT}") from error
    except (OSError, ValueError, RecursionError) as error:
        refuse_dangling(path)
        raise DataError(
            f"{path}: must be a complete JSON file, could not be read: {error}; there is "
            f"{what_lies_at(path)}: download it again"
        ) from error


def _first_misfit(content: list[Any], shape: tuple[int, ...]) -> tuple[int, object]:
    for index, entry in enumerate(content):
        try:
            found: object = np.asarray(entry, np.float64).shape
        except (TypeError, ValueError, OverflowError):
            return index, "ragged or non-numeric values"
        if found != shape:
            return index, found
    return 0, "no entry at all"


def read_folder_detections(path: Path, images: Sequence[Path], others: Sequence[Path]) -> None:
    """Read a folder's detections to see whether they can be, as images that open need them.

    Raises:
        DataError: As :func:`read_detections`.
    """
    sizes_px = {}
    for image in images:
        with suppress(DataError):
            sizes_px[image.name] = stored_size_px(image)
    read_detections(path, sizes_px, others=[image.name for image in others])


def detection_notes(read: Collection[Detections]) -> dict[str, str]:
    """Say what was passed over in a set's files of detections; nothing where they are whole."""
    images = sum(map(len, read))
    counts = {
        f"of {images:,} images have no entry and count as not found": "num_missing",
        "entries are of images that the set does not have and are left out": "num_unknown",
        "confidences above 1 count as 1": "num_clipped",
    }
    totals = {text: sum(getattr(each, name) for each in read) for text, name in counts.items()}
    told = [f"{total:,} {text}" for text, total in totals.items() if total]
    return {"detections": "; ".join(told)} if told else {}
