"""Curves whose areas are metrics: PCK in space, and Figure 6's share of frames in the image."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from s2hand.data.sample import FrameTable
from s2hand.metrics import keypoints_2d
from s2hand.metrics.alignment import align_procrustes
from s2hand.metrics.errors import MM_PER_M, point_errors
from s2hand.metrics.evaluate import (
    Predictions,
    all_keypoint_errors_px,
    comparable_joints,
    joint_errors_m,
)
from s2hand.metrics.pck import pck_thresholds_m

_CHUNK_SAMPLES = 512

CURVES = {
    "pa_joints": "joints, after Procrustes alignment",
    "sta_joints": "joints, wrists and bones to the middle finger made equal",
    "abs_joints": "joints, not aligned",
    "pa_vertices": "vertices, after Procrustes alignment",
    "abs_vertices": "vertices, not aligned",
    "detected": "frames by the worst detected keypoint, 224-equivalent pixels (Figure 6)",
    "projected": "frames by the worst projected joint, 224-equivalent pixels (Figure 6)",
    "heatmap": "frames by the 2D branch's worst keypoint, 224-equivalent pixels (Figure 6)",
}
"""Curve → whose share within each threshold it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """The share of points, or of frames, within each threshold (``<=``)."""

    unit: Literal["mm", "px"]
    thresholds: Float[np.ndarray, "thresholds"]
    shares: Float[np.ndarray, "thresholds"]

    @property
    def area(self) -> float:
        """Area by the trapezoid rule over the thresholds' range: the metric of the same name."""
        span = self.thresholds[-1] - self.thresholds[0]
        return float(np.trapezoid(self.shares, self.thresholds) / span)

    def to_plain(self) -> dict[str, object]:
        """Dump to JSON's types."""
        return {
            "unit": self.unit,
            "area": self.area,
            "thresholds": self.thresholds.tolist(),
            "shares": self.shares.tolist(),
        }


def pck_curve(errors_m: Float[np.ndarray, "n points"]) -> Curve:
    """Return the official PCK curve of all points of all samples.

    References:
        FreiHAND ``EvalUtil.get_measures``: 100 thresholds from 0 to 50 mm.
    """
    return _pck_curve([errors_m])


def frames_curve(errors_px: Float[np.ndarray, "n 21"]) -> Curve:
    """Return Figure 6's curve: the share of frames whose worst joint is within 0, 1, … 49 px.

    References:
        Paper Fig. 6; the released code's curve of type ``max-frame``.
    """
    thresholds_px = np.arange(keypoints_2d.MAX_THRESHOLD_PX + 1.0)
    within = _num_within(errors_px.max(axis=1), thresholds_px)
    return Curve(unit="px", thresholds=thresholds_px, shares=within / len(errors_px))


def curves_of(predictions: Predictions, table: FrameTable) -> dict[str, Curve]:
    """Return every curve that a set's truth and predictions allow.

    Returns:
        By their names in ``CURVES``: of joints and vertices in millimetres, of keypoints in
        224-equivalent pixels.
    """
    curves: dict[str, Curve] = {}
    joints = comparable_joints(predictions, table)
    if joints is not None:
        for name, errors_m in joint_errors_m(predictions.joints, joints).items():
            curves[f"{name}_joints"] = pck_curve(errors_m)
        if predictions.keypoints is not None:
            for name, errors_px in all_keypoint_errors_px(predictions.keypoints, joints).items():
                curves[name] = frames_curve(errors_px)
    if table.vertices is not None:
        pairs = list(_chunks(predictions.vertices, table.vertices))
        curves["pa_vertices"] = _pck_curve(
            point_errors(align_procrustes(some, truth), truth) for some, truth in pairs
        )
        curves["abs_vertices"] = _pck_curve(point_errors(some, truth) for some, truth in pairs)
    return curves


def _pck_curve(parts: Iterable[Float[np.ndarray, "_ points"]]) -> Curve:
    """Count part by part: the errors of all vertices of a large set are not kept at once."""
    thresholds_m = pck_thresholds_m()
    within, total = np.zeros(len(thresholds_m), np.int64), 0
    for errors_m in parts:
        within += _num_within(errors_m, thresholds_m)
        total += errors_m.size
    return Curve(unit="mm", thresholds=thresholds_m * MM_PER_M, shares=within / total)


def _num_within(
    errors: Float[np.ndarray, "..."], thresholds: Float[np.ndarray, "thresholds"]
) -> Int[np.ndarray, "thresholds"]:
    return np.searchsorted(np.sort(errors, axis=None), thresholds, side="right")


def _chunks(
    predicted: Float[np.ndarray, "n 778 3"], truth: Float[np.ndarray, "n 778 3"]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(truth), _CHUNK_SAMPLES):
        rows = slice(start, start + _CHUNK_SAMPLES)
        yield predicted[rows], truth[rows]
