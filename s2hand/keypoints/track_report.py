"""What following hands through a video has kept and dropped, in numbers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from s2hand.keypoints.hands import UNKNOWN_SIDE, HandTable
from s2hand.keypoints.track_settings import TrackSettings
from s2hand.keypoints.tracks import Fate, HandTracks

_BINS_TO_LIMIT, _BINS_BEYOND = 10, 10
_OF_HANDS = (Fate.KEPT, Fate.BRIEF, Fate.UNSURE)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackReport:
    """Counts and a histogram of one video."""

    num_frames: int
    frames: dict[Fate, int]
    """Frames by what became of the best of their hands."""
    num_hands: int
    hands: dict[Fate, int]
    num_tracks: int
    num_right: int
    track_lengths: Int64[np.ndarray, " tracks"]
    """Frames of each track."""
    num_jumps: int
    """Hands that were farther than ``max_step`` from the hand that was lost there."""
    num_other_side: int
    """Rows of tracks whose own side is not their track's."""
    step_edges: Float64[np.ndarray, " edges"]
    """Borders of the histogram's bins, extents a frame; one of them is ``max_step``. The last bin
    also holds what is beyond."""
    step_counts: Int64[np.ndarray, " bins"]

    @property
    def kept_share(self) -> float:
        """Share of the frames that are part of a track."""
        return self.frames[Fate.KEPT] / self.num_frames if self.num_frames else 0.0


def report_tracks(table: HandTable, tracks: HandTracks, settings: TrackSettings) -> TrackReport:
    """Count what ``track_hands`` made of a table by these settings."""
    is_hand = tracks.fate != Fate.NO_HAND
    best: dict[int, Fate] = {}
    for frame, fate in zip(tracks.frames.tolist(), tracks.fate.tolist(), strict=True):
        best[frame] = min(best.get(frame, Fate.NO_HAND), Fate(fate))
    steps = tracks.step[np.isfinite(tracks.step)]
    width = settings.max_step / _BINS_TO_LIMIT
    edges = np.arange(_BINS_TO_LIMIT + _BINS_BEYOND + 1) * width
    edges[_BINS_TO_LIMIT] = settings.max_step
    counts, _ = np.histogram(steps.clip(max=edges[-1]), edges)
    kept = tracks.fate == Fate.KEPT
    votes = np.sign(table.right[kept] - UNKNOWN_SIDE)
    sides = np.where(tracks.is_right[tracks.track[kept]], 1, -1)
    return TrackReport(
        num_frames=len(best),
        frames={fate: sum(each == fate for each in best.values()) for fate in Fate},
        num_hands=int(is_hand.sum()),
        hands={fate: int((tracks.fate[is_hand] == fate).sum()) for fate in _OF_HANDS},
        num_tracks=len(tracks),
        num_right=int(tracks.is_right.sum()),
        track_lengths=np.bincount(tracks.track[kept], minlength=len(tracks)),
        num_jumps=int((steps > settings.max_step).sum()),
        num_other_side=int((votes == -sides).sum()),
        step_edges=edges,
        step_counts=counts.astype(np.int64),
    )
