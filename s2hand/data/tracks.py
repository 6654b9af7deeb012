"""From hands that a detector found to sequences, each of which is one hand's track."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import numpy as np
from jaxtyping import Bool, Float32, Int64

from s2hand.data.extents import detected_extents
from s2hand.data.files import is_present
from s2hand.data.left_hands import mirror_left_hands
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.keypoints.hands import UNKNOWN_SIDE, HandTable
from s2hand.keypoints.tables import read_table
from s2hand.keypoints.track_settings import TrackSettings
from s2hand.keypoints.tracks import NO_TRACK, track_hands
from s2hand.photos import assumed_intrinsics_px


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectedHands:
    """Hands that were found in images, frames of one video or pictures of their own."""

    name: str
    """Of the video."""
    is_video: bool
    found: HandTable
    images: Mapping[str, Path]
    """By file name, as ``found`` names samples; the rest likewise."""
    sizes_px: Mapping[str, tuple[int, int]]
    cameras: Mapping[str, Float32[np.ndarray, "3 3"]]
    """Of the images of which they are known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """The hands that a table is made of, in its order: rows of ``DetectedHands.found``."""

    rows: Int64[np.ndarray, "n"]
    sequences: tuple[str, ...]
    frames: Int64[np.ndarray, "n"]
    is_left: Bool[np.ndarray, "n"]


def tracked_table(
    detected: Sequence[DetectedHands],
    settings: TrackSettings | None = None,
    *,
    assumed_focal: float = 0.0,
) -> FrameTable:
    """Make a table of hands that were found; its boxes are those of the keypoints.

    A sequence is the track of one hand in a video, by the rules of ``track_hands``, which drop
    hands that are unsure or steady for a few frames only; samples are ``VIDEO/TRACK/FRAME``. In
    pictures that are no video's each sure hand stands alone, as ``PICTURE/HAND/0``. Left hands are
    mirrored.

    Args:
        detected: What was found.
        settings: Thresholds; else the defaults.
        assumed_focal: Focal length of images without a camera, in their longer sides; 0: 1.

    Raises:
        DataError: If a frame's name does not end in its number, or two have one; if there is no
            such hand.
    """
    used = settings or TrackSettings()
    kept = [
        _in_video(each, used) if each.is_video else _in_pictures(each, used) for each in detected
    ]
    if not sum(len(each.rows) for each in kept):
        raise DataError(
            f"{', '.join(each.name for each in detected[:5])}: no hand was found surely and "
            "steadily enough to train on; `s2hand keypoints detect` looks for hands, data.tracks "
            "says which count"
        )
    pairs = list(zip(detected, kept, strict=True))
    samples = [(each, each.found.samples[row]) for each, part in pairs for row in part.rows]
    sizes_px = np.array([each.sizes_px[name] for each, name in samples], np.int64)
    keypoints_px = np.concatenate([each.found.keypoints_px[part.rows] for each, part in pairs])
    confidence = np.concatenate([each.found.confidence[part.rows] for each, part in pairs])
    sequences = tuple(name for part in kept for name in part.sequences)
    frames = np.concatenate([part.frames for part in kept])
    table = FrameTable(
        sample_ids=tuple(f"{name}/{frame}" for name, frame in zip(sequences, frames, strict=True)),
        image_paths=tuple(each.images[name] for each, name in samples),
        intrinsics_px=np.stack([_camera(each, name, assumed_focal) for each, name in samples]),
        sequences=sequences,
        frames=frames,
        detected_keypoints_px=keypoints_px,
        detection_confidence=confidence,
        crop_box_px=detected_extents(keypoints_px, confidence, sizes_px.astype(np.float32)),
    )
    has_camera = np.array([name in each.cameras for each, name in samples])
    if not has_camera.all():
        table = replace(table, has_camera=has_camera)
    is_left = np.concatenate([part.is_left for part in kept])
    return mirror_left_hands(table, is_left, sizes_px[:, 0])


def camera_note(table: FrameTable, assumed_focal: float) -> dict[str, str]:
    """Say of how many frames a camera is assumed, where a configuration says which."""
    if table.has_camera is None or not assumed_focal:
        return {}
    unknown = len(table) - int(table.has_camera.sum())
    return {
        "cameras": f"not known of {unknown:,} of {len(table):,} hands: a focal length of "
        f"{assumed_focal:g} longer sides is assumed"
    }


def _camera(each: DetectedHands, name: str, assumed_focal: float) -> Float32[np.ndarray, "3 3"]:
    if name in each.cameras:
        return each.cameras[name]
    size_px = each.sizes_px[name]
    focal_px = (assumed_focal or 1.0) * max(size_px)
    return assumed_intrinsics_px(*size_px, focal_px).astype(np.float32)


def _in_video(each: DetectedHands, settings: TrackSettings) -> _Kept:
    try:
        tracks = track_hands(each.found, settings)
    except (DataError, OverflowError) as error:  # a name may end in any number of digits
        raise DataError(f"{each.name}: {error}") from error
    rows = np.flatnonzero(tracks.track != NO_TRACK)
    rows = rows[np.lexsort((tracks.frames[rows], tracks.track[rows]))]
    return _Kept(
        rows=rows,
        sequences=tuple(f"{each.name}/{track}" for track in tracks.track[rows]),
        frames=tracks.frames[rows],
        is_left=~tracks.is_right[tracks.track[rows]],
    )


def _in_pictures(each: DetectedHands, settings: TrackSettings) -> _Kept:
    sure = each.found.confidence.mean(axis=1) >= settings.min_confidence
    rows = np.flatnonzero(sure)
    names = [(Path(each.found.samples[row]).stem, each.found.hands[row]) for row in rows]
    return _Kept(
        rows=rows,
        sequences=tuple(f"{stem}/{number}" for stem, number in names),
        frames=np.zeros(len(rows), np.int64),
        is_left=each.found.right[rows] < UNKNOWN_SIDE,
    )


def read_hands(path: Path, images: Mapping[str, tuple[int, int]], *, of: Path) -> HandTable:
    """Read the hands that were detected in a folder's images, in the project's own layout.

    Args:
        path: The file.
        images: Width and height by file name.
        of: The folder, for the error that says how to make the file.

    Raises:
        DataError: If the file is missing, damaged or of other images.
    """
    if not is_present(path):
        raise DataError(
            f"{path}: file of detected keypoints is missing; make it: "
            f"s2hand keypoints detect {quote(str(of))} -o {quote(str(path))}"
        )
    return read_table(path, "hands", images)
