"""Files of detected keypoints, in the layout that the S2HAND code reads."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from s2hand.errors import DataError
from s2hand.files import what_lies_at, whole_file
from s2hand.keypoints.rules import image_key, require_ones

_DECIMALS_PX, _DECIMALS_CONFIDENCE = 2, 4
_NUM_KEYPOINTS = 21


@dataclass(frozen=True, kw_only=True, slots=True)
class Detections:
    """A detector's output for the images of one folder.

    Convention:
        OpenPose hand order; pixels of the stored image. A keypoint that was not found is (0, 0)
        with confidence 0.
    """

    keypoints_px: Float32[np.ndarray, "n 21 2"]
    confidence: Float32[np.ndarray, "n 21"]
    """0 to 1."""
    filenames: tuple[str, ...]
    num_clipped: int = 0
    """Confidences that the file has above 1; OpenPose's maps can rise above it. They are 1 here."""
    num_missing: int = 0
    """Images that the file has no entry of: nothing is found in them here."""
    num_unknown: int = 0
    """Entries of the file that found something in an image that is not there; left out here."""

    def __len__(self) -> int:
        return len(self.filenames)


def read_detections(
    path: Path, images: Mapping[str, tuple[int, int]], *, others: Collection[str] = ()
) -> Detections:
    """Read what one detections file says of the given images, and check every entry.

    The file is a JSON list of three lists of equal length: 21 [x, y] per image, 21 [confidence]
    per image, one [file name] per image. An image's entry is that of its name, wherever it stands:
    folder, ending and leading zeros of names do not count, and a number is such a name. An image
    without an entry has no keypoints, and how many have none is told; so is how many confidences
    above 1 count as 1.

    Args:
        path: The file.
        images: Width and height by file name. A found keypoint may lie outside by half its image's
            size: no further, or it belongs to other images.
        others: Names of images that may have entries too, which are passed over.

    Returns:
        A row per image of ``images``, in their order.

    Raises:
        DataError: If the file is missing, truncated or not of that layout, an entry holds NaN,
            a keypoint far outside the image, or a negative confidence, most confidences are above
            1, two entries of one image differ, or no entry is of any of the images.
    """
    keypoints_list, confidence_list, name_list = _read_lists(path)
    keypoints = _stack(path, "keypoints", keypoints_list, (_NUM_KEYPOINTS, 2))
    confidence = _stack(path, "confidences", confidence_list, (_NUM_KEYPOINTS, 1))[..., 0]
    remedy = "write (0, 0) with confidence 0 for a keypoint that was not found"
    every = np.arange(len(confidence))
    _require_range(path, "confidence", confidence, (0.0, np.inf), every, remedy)
    require_ones(path, confidence)
    names = [_name(path, name, entry) for entry, name in enumerate(name_list)]
    by_key = _entries_by_key(path, names, keypoints, confidence)
    keys = [image_key(name) for name in images]
    rows = [row for row, key in enumerate(keys) if key in by_key]
    if not rows:
        raise DataError(
            f"{path}: must have entries of the images beside it, such as {next(iter(images))}, got "
            f"{len(name_list)} entries, of images such as {next(iter(by_key), 'none')}; detect on "
            "these images, or write their file names"
        )
    known = {*keys, *(image_key(name) for name in others)}
    unknown = [entry for key, entry in by_key.items() if key not in known]
    num_unknown = int((confidence[unknown] > 0).any(axis=1).sum())
    entries = np.array([by_key[keys[row]] for row in rows])
    keypoints, confidence = keypoints[entries], confidence[entries]
    found = np.where(confidence[..., None] > 0, keypoints, 0)
    sizes_px = np.array(list(images.values()))[rows]
    for axis, name in enumerate("xy"):
        side = sizes_px[:, axis]
        limits = (-side / 2, 1.5 * side)
        remedy = "detect on the images as they are stored"
        _require_range(path, f"keypoint {name}", found[..., axis], limits, entries, remedy)
    of_images = Detections(
        keypoints_px=np.zeros((len(images), _NUM_KEYPOINTS, 2), np.float32),
        confidence=np.zeros((len(images), _NUM_KEYPOINTS), np.float32),
        filenames=tuple(images),
        num_clipped=int((confidence > 1).sum()),
        num_missing=len(images) - len(rows),
        num_unknown=num_unknown,
    )
    of_images.keypoints_px[rows], of_images.confidence[rows] = keypoints, confidence.clip(max=1)
    return of_images


def write_detections(path: Path, detections: Detections) -> None:
    """Write a detections file; it appears whole or not at all."""
    keypoints = np.round(detections.keypoints_px.astype(np.float64), _DECIMALS_PX)
    confidence = np.round(detections.confidence.astype(np.float64), _DECIMALS_CONFIDENCE)
    content = [
        keypoints.tolist(),
        confidence[..., None].tolist(),
        [[name] for name in detections.filenames],
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(json.dumps(content).encode())


def _read_lists(path: Path) -> tuple[list[Any], list[Any], list[Any]]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: file of detected keypoints is missing, there is {what_lies_at(path)}; run a "
            "hand detector on the images and write its output there (docs/datasets.md shows the "
            "format)"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: must be a complete JSON file, could not be read: {error}; there is "
            f"{what_lies_at(path)}: detect again"
        ) from error
    expected = "a list of three lists (keypoints, confidences, file names) of equal length"
    if not (isinstance(content, list) and len(content) == 3):
        raise DataError(f"{path}: must hold {expected}, got {_describe(content)}")
    lengths = [len(part) if isinstance(part, list) else _describe(part) for part in content]
    if not all(isinstance(part, list) for part in content) or len(set(lengths)) != 1:
        raise DataError(f"{path}: must hold {expected}, got lengths {lengths}")
    return content[0], content[1], content[2]


def _stack(path: Path, field: str, entries: list[Any], shape: tuple[int, int]) -> np.ndarray:
    rows = []
    for index, entry in enumerate(entries):
        expected = f"{path}: entry {index} of the {field} must be {shape[0]} lists of {shape[1]}"
        try:
            row = np.asarray(entry, np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(
                f"{expected} numbers, got ragged or non-numeric values; detect again"
            ) from error
        if row.shape != shape:
            raise DataError(f"{expected} numbers, got shape {row.shape}; detect again")
        if not np.isfinite(row).all():
            raise DataError(
                f"{expected} finite numbers, got NaN or infinity; write (0, 0) with confidence 0 "
                "for a keypoint that was not found"
            )
        rows.append(row)
    return np.stack(rows) if rows else np.zeros((0, *shape))


def _require_range(
    path: Path,
    field: str,
    values: np.ndarray,
    limits: tuple[float | np.ndarray, float | np.ndarray],
    entries: np.ndarray,
    remedy: str,
) -> None:
    """Check values by row and keypoint; limits may differ between rows, which are ``entries``."""
    lows, highs = (np.broadcast_to(limit, len(values)) for limit in limits)
    outside = np.argwhere((values < lows[:, None]) | (values > highs[:, None]))
    if len(outside):
        row, keypoint = outside[0]
        raise DataError(
            f"{path}: entry {entries[row]}, {field} of keypoint {keypoint} must lie in "
            f"{lows[row]:g}..{highs[row]:g}, got {values[row, keypoint]:g} "
            f"({len(outside)} such values); {remedy}"
        )


def _entries_by_key(
    path: Path, names: Sequence[str], keypoints: np.ndarray, confidence: np.ndarray
) -> dict[str, int]:
    by_key: dict[str, int] = {}
    for entry, name in enumerate(names):
        first = by_key.setdefault(image_key(name), entry)
        if first != entry and not (
            np.array_equal(keypoints[first], keypoints[entry])
            and np.array_equal(confidence[first], confidence[entry])
        ):
            raise DataError(
                f"{path}: what is said of an image must be the same wherever it stands, got "
                f"entries {first} and {entry} of {name!r} that differ; write each image's own file "
                "name, or detect again"
            )
    return by_key


def _name(path: Path, entry: object, index: int) -> str:
    if isinstance(entry, list) and len(entry) == 1 and type(entry[0]) in {str, int}:
        return str(entry[0])
    raise DataError(
        f"{path}: entry {index} of the file names must be a list of one name, "
        f"got {_describe(entry)}"
    )


def _describe(value: object) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else f"a {type(value).__name__}"
