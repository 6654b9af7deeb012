"""Files of detected keypoints, in the layout that the S2HAND code reads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from s2hand.errors import DataError
from s2hand.files import whole_file

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

    def __len__(self) -> int:
        return len(self.filenames)


def read_detections(
    path: Path, image_size_px: tuple[int, int] | Int64[np.ndarray, "images 2"]
) -> Detections:
    """Read one detections file and check every entry.

    The file is a JSON list of three lists of equal length: 21 [x, y] per image, 21 [confidence]
    per image, one [file name] per image. A confidence above 1 counts as 1, and how many did is
    told.

    Args:
        path: The file.
        image_size_px: Width and height of all images, or of each of the first ones: what is found
            in others is not looked at. A found keypoint may lie outside by half its image's size:
            no further, or it belongs to other images.

    Raises:
        DataError: If the file is missing, truncated or not of that layout, or an entry holds NaN,
            a keypoint far outside the image, or a negative confidence.
    """
    keypoints_list, confidence_list, name_list = _read_lists(path)
    keypoints = _stack(path, "keypoints", keypoints_list, (_NUM_KEYPOINTS, 2))
    confidence = _stack(path, "confidences", confidence_list, (_NUM_KEYPOINTS, 1))[..., 0]
    remedy = "write (0, 0) with confidence 0 for a keypoint that was not found"
    _require_range(path, "confidence", confidence, 0.0, np.inf, remedy)
    found = np.where(confidence[..., None] > 0, keypoints, 0)
    if isinstance(image_size_px, tuple):
        sizes_px = np.tile(image_size_px, (len(found), 1))
    else:
        found, sizes_px = found[: len(image_size_px)], image_size_px[: len(found)]
    for axis, name in enumerate("xy"):
        side = sizes_px[:, axis]
        remedy = "detect on the images as they are stored"
        _require_range(path, f"keypoint {name}", found[..., axis], -side / 2, 1.5 * side, remedy)
    return Detections(
        keypoints_px=keypoints.astype(np.float32),
        confidence=confidence.clip(max=1.0).astype(np.float32),
        filenames=tuple(_name(path, entry, index) for index, entry in enumerate(name_list)),
        num_clipped=int((confidence > 1).sum()),
    )


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
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: file of detected keypoints is missing; run a hand detector on the images "
            "and write its output there (docs/datasets.md shows the format)"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: must be a complete JSON file, could not be read: {error}"
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
    low: float | np.ndarray,
    high: float | np.ndarray,
    remedy: str,
) -> None:
    """Check values by entry and keypoint; ``low`` and ``high`` may differ between entries."""
    lows, highs = np.broadcast_to(low, len(values)), np.broadcast_to(high, len(values))
    outside = np.argwhere((values < lows[:, None]) | (values > highs[:, None]))
    if len(outside):
        entry, keypoint = outside[0]
        raise DataError(
            f"{path}: entry {entry}, {field} of keypoint {keypoint} must lie in "
            f"{lows[entry]:g}..{highs[entry]:g}, got {values[entry, keypoint]:g} "
            f"({len(outside)} such values); {remedy}"
        )


def _name(path: Path, entry: object, index: int) -> str:
    if isinstance(entry, list) and len(entry) == 1 and isinstance(entry[0], str):
        return entry[0]
    raise DataError(
        f"{path}: entry {index} of the file names must be a list of one name, "
        f"got {_describe(entry)}"
    )


def _describe(value: object) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else f"a {type(value).__name__}"
