"""Hands followed through a video: which hands of its frames are one hand that moves steadily.

The paper takes in-the-wild video apart "by filtering out unavailable videos and discontinuous hand
motion frames according to the detected 2D keypoints" and gives no criterion: these rules and their
numbers are ours.

References:
    S2HAND(V) paper, section 4.1, of YouTube-3D-Hands: 34 videos with 21,628 frames are left.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.optimize import linear_sum_assignment

from s2hand.errors import DataError
from s2hand.keypoints.hands import UNKNOWN_SIDE, HandTable
from s2hand.keypoints.track_settings import TrackSettings

NO_TRACK = -1
_OUT_OF_REACH = 1e6
"""Stands for an endless distance; the assignment wants finite numbers."""


class Fate(IntEnum):
    """What became of a hand, the best first."""

    KEPT = 0
    """Part of a track."""
    BRIEF = 1
    """Steady for too few frames: it jumps from the frame before and on to the next, or is gone."""
    UNSURE = 2
    """Its mean confidence is too low."""
    NO_HAND = 3
    """Nothing was found in this frame."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HandTracks:
    """The tracks of a video's hands: of each, the rows of the table that show one hand.

    A track has at most one row a frame. Frames may be missing in it, so many in a row as the
    settings allow.
    """

    frames: Int64[np.ndarray, " n"]
    """Each row's frame number."""
    track: Int64[np.ndarray, " n"]
    """Each row's track, numbered from 0 in the order in which they begin; else ``NO_TRACK``."""
    fate: Int64[np.ndarray, " n"]
    """Each row's ``Fate``."""
    step: Float64[np.ndarray, " n"]
    """How far each row's hand has moved since it was seen last, in extents a frame. Of one that
    begins anew: from the nearest hand that was lost there; NaN where none was."""
    is_right: Bool[np.ndarray, " tracks"]
    """Each track's side, by the majority of its rows."""
    side_agreement: Float64[np.ndarray, " tracks"]
    """Share of a track's rows that are of its side, among those that know theirs; else 1."""

    def __len__(self) -> int:
        return len(self.is_right)

    def rows_of(self, track: int) -> Int64[np.ndarray, " rows"]:
        """Return a track's rows of the table, in the order of their frames."""
        rows = np.flatnonzero(self.track == track)
        return rows[np.argsort(self.frames[rows], kind="stable")]


def track_hands(table: HandTable, settings: TrackSettings | None = None) -> HandTracks:
    """Follow the hands of one video through its frames.

    Of two frames in a row those hands are one that lie nearest to each other, all taken together
    (linear assignment), where the step a frame is no longer than ``max_step``. What has been gone
    for more than ``max_gap`` frames of the table is another hand when it comes again. What is
    steady for fewer than ``min_frames`` frames is dropped.

    Args:
        table: The hands of one video; a sample is a frame, whose name ends in its number. Frames
            that were not looked at count for the step, not for the gap.
        settings: Thresholds; else the defaults.

    Raises:
        DataError: If a frame's name has no number, or two have the same.
    """
    settings = settings or TrackSettings()
    frames = frame_numbers(table.samples)
    is_found = table.confidence.any(axis=1)
    is_sure = is_found & (table.confidence.mean(axis=1) >= settings.min_confidence)
    chains, step = _follow(table, frames, is_sure, settings)
    track = np.full(len(frames), NO_TRACK, np.int64)
    kept = [chain for chain in chains if len(chain) >= settings.min_frames]
    for number, chain in enumerate(kept):
        track[chain] = number
    fate = np.select(
        [track != NO_TRACK, is_sure, is_found],
        [Fate.KEPT, Fate.BRIEF, Fate.UNSURE],
        Fate.NO_HAND,
    ).astype(np.int64)
    sides = [_side(table.right[chain]) for chain in kept]
    return HandTracks(
        frames=frames,
        track=track,
        fate=fate,
        step=step,
        is_right=np.array([is_right for is_right, _ in sides], np.bool_),
        side_agreement=np.array([agreement for _, agreement in sides], np.float64),
    )


def frame_numbers(samples: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """Return the frame number of each sample, with which its name ends: ``clip_0012.jpg`` is 12.

    Raises:
        DataError: If a name ends in no number, or two names in the same.
    """
    names: dict[int, str] = {}
    numbers = []
    for sample in samples:
        found = re.search(r"\d+$", PurePosixPath(sample.replace("\\", "/")).stem)
        if found is None:
            raise DataError(
                f"a frame's name must end in its number, as 0012.jpg, got {sample!r}; name the "
                "video's pictures in the order of its frames"
            )
        number = int(found.group())
        first = names.setdefault(number, sample)
        if first != sample:
            raise DataError(
                f"the frames of a video must have numbers of their own, got {first!r} and "
                f"{sample!r}; take each video by itself"
            )
        numbers.append(number)
    return np.array(numbers, np.int64)


def steps_between(
    before_px: Float32[np.ndarray, "m 21 2"],
    before_confidence: Float32[np.ndarray, "m 21"],
    after_px: Float32[np.ndarray, "n 21 2"],
    after_confidence: Float32[np.ndarray, "n 21"],
) -> Float64[np.ndarray, "m n"]:
    """Return how far hands are from hands: the mean distance of their points, over the extent.

    Points count by the product of their two confidences. The extent is the smaller of both.
    Infinite where two hands have no point in common, or one no extent.
    """
    weights = before_confidence[:, None].astype(np.float64) * after_confidence
    distances_px = np.linalg.norm(before_px[:, None].astype(np.float64) - after_px, axis=-1)
    extents_px = np.minimum(
        hand_extents(before_px, before_confidence)[:, None],
        hand_extents(after_px, after_confidence),
    )
    scale = weights.sum(axis=-1) * extents_px
    total = (weights * distances_px).sum(axis=-1)
    return np.divide(total, scale, out=np.full_like(total, np.inf), where=scale > 0)


def hand_extents(
    keypoints_px: Float32[np.ndarray, "n 21 2"], confidence: Float32[np.ndarray, "n 21"]
) -> Float64[np.ndarray, " n"]:
    """Return the diagonal of the box around each hand's points that were found, pixels."""
    is_found = (confidence > 0)[..., None]
    low = np.where(is_found, keypoints_px, np.inf).min(axis=1)
    high = np.where(is_found, keypoints_px, -np.inf).max(axis=1)
    size = np.where(np.isfinite(low), high - low, 0)
    return np.linalg.norm(size.astype(np.float64), axis=-1)


def _follow(
    table: HandTable,
    frames: Int64[np.ndarray, " n"],
    is_sure: Bool[np.ndarray, " n"],
    settings: TrackSettings,
) -> tuple[list[list[int]], Float64[np.ndarray, " n"]]:
    """Link the rows of sure hands to chains, and tell each one's step from the nearest chain."""
    chains: list[list[int]] = []
    alive: list[tuple[int, int]] = []  # chain, number of the picture that it was last seen in
    step = np.full(len(frames), np.nan)
    for picture, frame in enumerate(np.unique(frames)):
        alive = [(chain, seen) for chain, seen in alive if picture - seen <= settings.max_gap + 1]
        rows = np.flatnonzero(is_sure & (frames == frame))
        last = np.array([chains[chain][-1] for chain, _ in alive], np.int64)
        distances = steps_between(
            table.keypoints_px[last],
            table.confidence[last],
            table.keypoints_px[rows],
            table.confidence[rows],
        )
        per_frame = distances / (frame - frames[last])[:, None]
        linked = _assign(distances, per_frame <= settings.max_step)
        lost = [place for place in range(len(last)) if place not in linked.values()]
        for index, row in enumerate(rows.tolist()):
            if index in linked:
                place = linked[index]
                step[row] = per_frame[place, index]
                chains[alive[place][0]].append(row)
                alive[place] = (alive[place][0], picture)
            else:
                step[row] = per_frame[lost, index].min() if lost else np.nan
                alive.append((len(chains), picture))
                chains.append([row])
    return chains, step


def _assign(
    distances: Float64[np.ndarray, "m n"], is_near: Bool[np.ndarray, "m n"]
) -> dict[int, int]:
    """Link as many columns to rows as are near, at the least distance in all: column → row."""
    costs = np.where(is_near, distances, _OUT_OF_REACH)
    rows, columns = linear_sum_assignment(costs)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {column: row for row, column in pairs if is_near[row, column]}


def _side(right: Float32[np.ndarray, " rows"]) -> tuple[bool, float]:
    """Return the side that most rows are of, and their share; a tie goes by the mean."""
    votes = np.sign(right.astype(np.float64) - UNKNOWN_SIDE)
    balance = votes.sum() or (right.astype(np.float64) - UNKNOWN_SIDE).sum()
    is_right = bool(balance >= 0)
    known = votes[votes != 0]
    agreement = float((known == (1 if is_right else -1)).mean()) if len(known) else 1.0
    return is_right, agreement
