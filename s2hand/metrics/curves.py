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

_FIGURE_6 = "Figure 6: frames whose worst keypoint is within the threshold, 224-equivalent pixels"


@dataclass(frozen=True, slots=True)
class CurveDescription:
    """What a curve is."""

    figure: str
    """The figure that it is a line of."""
    says: str
    """Whose errors are counted."""
    area_of: str
    """The metric that is the area under it."""


CURVES = {
    "pa_joints": CurveDescription(
        "PCK of joints, after Procrustes alignment", "joints", "pa_auc_j_0_50mm"
    ),
    "pa_vertices": CurveDescription(
        "PCK of vertices, after Procrustes alignment", "vertices", "pa_auc_v_0_50mm"
    ),
    "detected": CurveDescription(_FIGURE_6, "detections", "detected_keypoint_auc"),
    "projected": CurveDescription(_FIGURE_6, "projected joints", "projected_keypoint_auc"),
    "heatmap": CurveDescription(_FIGURE_6, "2D branch", "heatmap_keypoint_auc"),
    "sta_joints": CurveDescription(
        "PCK of joints, wrists and bones from there to the middle finger made equal",
        "joints",
        "sta_auc_j_0_50mm",
    ),
    "abs_joints": CurveDescription("PCK of joints, not aligned", "joints", "abs_auc_j_0_50mm"),
    "abs_vertices": CurveDescription(
        "PCK of vertices, not aligned", "vertices", "abs_auc_v_0_50mm"
    ),
}
"""All curves that there are, the paper's first."""


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

    Of hands without a place there is none that compares places.

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
    return {
        name: curves[name]
        for name in CURVES
        if name in curves and (predictions.is_placed or not name.startswith("abs_"))
    }


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
