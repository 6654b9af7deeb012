"""Whether detections in re-downloaded videos are of the frames that were annotated.

A frame's number is what some decoder counted. Another download may have another rate, or begin
elsewhere; then the image of a number shows another moment than its annotation.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from s2hand.data.extents import is_located
from s2hand.data.tracks import DetectedHands
from s2hand.data.youtube3d_files import AnnotatedHand
from s2hand.hand.fingertips import S2HAND_FINGERTIPS

_TIPS = [4, 8, 12, 16, 20]
_NEAR = 0.2
"""Of the hand's extent: as near as detections lie to projected truth elsewhere."""
_MOST_SHIFTED = 10
"""Frames, either way."""
_FEWEST_COMPARED = 8
_CLEARLY_NEARER = 0.5
"""A shift is believed where it brings the median distance below this share of the unshifted."""
_FEW_AGREE = 0.8
_NAMED = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatedTips:
    """The fingertips of an annotated hand, in pixels of the stored image."""

    frame: int
    is_left: bool
    tips_px: Float[np.ndarray, "5 2"]
    extent_px: float
    """Diagonal of the box around its vertices."""


def annotated_tips(hand: AnnotatedHand, stored_px: tuple[int, int]) -> AnnotatedTips:
    """Bring a hand's fingertips from the picture that was annotated to the image as stored."""
    assert hand.vertices_px is not None
    scale = np.array(stored_px) / np.array(hand.image.size_px)
    points_px = (hand.vertices_px[:, :2].astype(np.float64) + 0.5) * scale - 0.5
    return AnnotatedTips(
        frame=int(hand.image.frame),
        is_left=hand.is_left,
        tips_px=points_px[list(S2HAND_FINGERTIPS)],
        extent_px=float(np.linalg.norm(np.ptp(points_px, axis=0))),
    )


def comparison_notes(
    videos: Mapping[str, tuple[Sequence[AnnotatedTips], Sequence[DetectedHands]]],
) -> dict[str, str]:
    """Say of which videos the detections do not lie at the annotated vertices.

    Only hands that are alone of their side in their frame are compared, by the five fingertips,
    which are both keypoints and vertices.

    Args:
        videos: Annotated hands and found ones, right and left, of each video.

    Returns:
        Notes (subject → text).
    """
    near, compared, shifted, apart = 0, 0, [], []
    for name, (annotated, found) in videos.items():
        distances = _distances(annotated, found)
        here = distances.get(0, np.zeros(0))
        near += int((here <= _NEAR).sum())
        compared += len(here)
        shift = _shift(distances)
        if shift:
            shifted.append(f"{name} ({abs(shift)} {'earlier' if shift < 0 else 'later'})")
        elif len(here) and (here <= _NEAR).mean() < _FEW_AGREE:
            share = (here <= _NEAR).mean()
            apart.append(f"{name} ({share:.0%})")
    notes = {}
    if compared:
        notes["detections at the annotated hands"] = (
            f"{near / compared:.0%} of {compared:,} hands' fingertips lie within {_NEAR:g} of the "
            "hand's extent of the annotated vertices"
        )
    if shifted:
        notes["shifted frames"] = (
            "detections fit the annotations of other frames, so many frames from their own: "
            f"{_listed(shifted)}; extract these videos' frames anew, at the rate of the original"
        )
    if apart:
        notes["other frames"] = (
            f"in these videos few detections lie at the annotated hands: {_listed(apart)}"
        )
    return notes


def _shift(distances: Mapping[int, Float[np.ndarray, "pairs"]]) -> int:
    """Return how many frames later detections show what is annotated; 0: no shift is clear."""
    medians = {
        shift: float(np.median(values))
        for shift, values in distances.items()
        if len(values) >= _FEWEST_COMPARED
    }
    if 0 not in medians or medians[0] <= _NEAR / 2:
        return 0
    best = min(medians, key=lambda shift: (medians[shift], abs(shift)))
    return best if medians[best] < _CLEARLY_NEARER * medians[0] else 0


def _distances(
    annotated: Sequence[AnnotatedTips], found: Sequence[DetectedHands]
) -> dict[int, Float[np.ndarray, "pairs"]]:
    """Return the distances of fingertips, in shares of the extent, for each shift of frames."""
    detected = {
        (int(frame), is_left): (keypoints_px[_TIPS], confidence[_TIPS] > 0)
        for is_left, hands in zip((False, True), found, strict=True)
        for frame, keypoints_px, confidence in _alone(hands)
    }
    times = Counter((hand.frame, hand.is_left) for hand in annotated)
    alone = [hand for hand in annotated if times[hand.frame, hand.is_left] == 1]
    found_at: dict[int, list[float]] = {}
    for hand in alone:
        for shift in range(-_MOST_SHIFTED, _MOST_SHIFTED + 1):
            tips_px, known = detected.get((hand.frame + shift, hand.is_left), (None, None))
            if tips_px is not None and known is not None and known.any():
                away_px = np.linalg.norm(tips_px - hand.tips_px, axis=1)[known]
                distance = float(np.median(away_px)) / max(hand.extent_px, 1.0)
                found_at.setdefault(shift, []).append(distance)
    return {shift: np.array(values) for shift, values in found_at.items()}


def _alone(hands: DetectedHands) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    found = hands.found
    counts = Counter(found.samples)
    for row in np.flatnonzero(is_located(found.confidence)):
        sample = found.samples[row]
        if counts[sample] == 1:
            yield int(Path(sample).stem), found.keypoints_px[row], found.confidence[row]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
