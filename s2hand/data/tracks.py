"""From hands that a detector found in videos to sequences, each of which is one hand's track."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import numpy as np
from jaxtyping import Float, Float32, Int64

from s2hand.data.extents import detected_extents
from s2hand.data.files import is_present
from s2hand.data.left_hands import mirror_left_hands
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.keypoints.hands import HandTable
from s2hand.keypoints.tables import read_table

_MOST_FRAMES_APART = 5
"""A hand that was not found for longer begins a new track."""
_LARGEST_STEP = 0.5
"""Of the hand's extent, from a frame to the next."""
_LARGEST_GROWTH = 1.5
"""Ratio of a hand's extents in neighbouring frames of a track."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoHands:
    """Hands found in the frames of a video; a row is a hand, as it is in the stored image."""

    name: str
    images: tuple[Path, ...]
    frames: Int64[np.ndarray, "n"]
    sizes_px: Int64[np.ndarray, "n 2"]
    keypoints_px: Float32[np.ndarray, "n 21 2"]
    confidence: Float32[np.ndarray, "n 21"]
    right: Float32[np.ndarray, "n"]
    """Probability that it is a right hand."""
    intrinsics_px: Float32[np.ndarray, "n 3 3"]


def link_tracks(
    frames: Int64[np.ndarray, "n"], boxes_px: Float[np.ndarray, "n 4"]
) -> Int64[np.ndarray, "n"]:
    """Number the tracks that a video's hands belong to.

    A hand continues the track whose last hand lies nearest, if that is not more than five frames
    ago, its centre moved by at most half the hand's extent (the box's diagonal) a frame, and its
    extent changed by a factor of at most 1.5. Of two hands that could continue one track the
    nearer one does. A track has at most one hand in a frame.

    Args:
        frames: Number of each hand's frame.
        boxes_px: x0, y0, x1, y1 around each hand.

    Returns:
        The track's number, from 0 in the order of their first frames.
    """
    centres_px = (boxes_px[:, :2] + boxes_px[:, 2:]) / 2
    extents_px = np.linalg.norm(boxes_px[:, 2:] - boxes_px[:, :2], axis=1)
    tracks = np.full(len(frames), -1, np.int64)
    last: dict[int, int] = {}
    for frame in np.unique(frames):
        hands: list[int] = np.flatnonzero(frames == frame).tolist()
        last = {k: row for k, row in last.items() if frame - frames[row] <= _MOST_FRAMES_APART}
        steps = [
            (_step(frames, centres_px, extents_px, row, hand), hand, track)
            for track, row in last.items()
            for hand in hands
        ]
        for step, hand, track in sorted(steps):
            if step <= _LARGEST_STEP and tracks[hand] < 0 and frames[last[track]] < frame:
                tracks[hand] = track
                last[track] = hand
        for hand in hands:
            if tracks[hand] < 0:
                tracks[hand] = tracks.max() + 1
                last[int(tracks[hand])] = hand
    return tracks


def _step(
    frames: np.ndarray, centres_px: np.ndarray, extents_px: np.ndarray, before: int, after: int
) -> float:
    """Return a hand's movement a frame, in shares of its extent; infinite if it cannot be one."""
    small, large = sorted((extents_px[before], extents_px[after]))
    if large > _LARGEST_GROWTH * small:
        return np.inf
    moved_px = np.linalg.norm(centres_px[after] - centres_px[before])
    return float(moved_px / max(large, 1.0) / (frames[after] - frames[before]))


def tracked_table(videos: Sequence[VideoHands]) -> FrameTable:
    """Make a table of hands found in videos; its sequences are tracks, its boxes the keypoints'.

    A track's side is that of the larger mean probability; left hands are mirrored. Tracks of one
    video stand together, their frames in order, as ``VIDEO/TRACK/FRAME``.
    """
    parts = [_ordered(video) for video in videos]
    columns = {
        name: np.concatenate([getattr(video, name) for video, _ in parts])
        for name in ("frames", "sizes_px", "keypoints_px", "confidence", "intrinsics_px")
    }
    names = [f"{video.name}/{track}" for video, tracks in parts for track in tracks]
    table = FrameTable(
        sample_ids=tuple(
            f"{name}/{frame}" for name, frame in zip(names, columns["frames"], strict=True)
        ),
        image_paths=tuple(image for video, _ in parts for image in video.images),
        intrinsics_px=columns["intrinsics_px"],
        sequences=tuple(names),
        frames=columns["frames"],
        detected_keypoints_px=columns["keypoints_px"],
        detection_confidence=columns["confidence"],
        crop_box_px=detected_extents(
            columns["keypoints_px"],
            columns["confidence"],
            columns["sizes_px"].astype(np.float32),
        ),
    )
    is_left = np.concatenate([_is_left(video, tracks) for video, tracks in parts])
    return mirror_left_hands(table, is_left, columns["sizes_px"][:, 0])


def _ordered(video: VideoHands) -> tuple[VideoHands, Int64[np.ndarray, "n"]]:
    """Return a video's hands by track and frame, and their tracks."""
    sizes_px = video.sizes_px.astype(np.float32)
    boxes_px = detected_extents(video.keypoints_px, video.confidence, sizes_px)
    tracks = link_tracks(video.frames, boxes_px)
    order = np.lexsort((video.frames, tracks))
    ordered = replace(
        video,
        images=tuple(video.images[row] for row in order),
        **{
            name: getattr(video, name)[order]
            for name in (
                "frames", "sizes_px", "keypoints_px", "confidence", "right", "intrinsics_px",
            )
        },
    )  # fmt: skip
    return ordered, tracks[order]


def _is_left(video: VideoHands, tracks: Int64[np.ndarray, "n"]) -> np.ndarray:
    right = np.bincount(tracks, weights=video.right) / np.bincount(tracks)
    return np.asarray(right < 0.5)[tracks]


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
