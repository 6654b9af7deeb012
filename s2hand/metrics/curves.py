"""Curves whose areas are metrics: PCK in space, and Figure 6's share of frames in the image."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

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
    thresholds_m = pck_thresholds_m()
    return Curve(
        unit="mm", thresholds=thresholds_m * MM_PER_M, shares=_shares(errors_m, thresholds_m)
    )


def frames_curve(errors_px: Float[np.ndarray, "n 21"]) -> Curve:
    """Return Figure 6's curve: the share of frames whose worst joint is within 0, 1, … 49 px.

    References:
        Paper Fig. 6; the released code's curve of type ``max-frame``.
    """
    thresholds_px = np.arange(keypoints_2d.MAX_THRESHOLD_PX + 1.0)
    return Curve(
        unit="px", thresholds=thresholds_px, shares=_shares(errors_px.max(axis=1), thresholds_px)
    )


def curves_of(predictions: Predictions, table: FrameTable) -> dict[str, Curve]:
    """Return every curve that a set's truth and predictions allow.

    Of hands without a place there is none that compares places.

    Returns:
        By name: ``pa_joints``, ``sta_joints``, ``abs_joints``, ``pa_vertices``, ``abs_vertices``
        in millimetres; ``detected``, ``projected`` and ``heatmap`` keypoints in 224-equivalent
        pixels.
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
        for name, errors_m in _vertex_errors_m(predictions.vertices, table.vertices).items():
            curves[f"{name}_vertices"] = pck_curve(errors_m)
    if not predictions.is_placed:
        curves = {name: curve for name, curve in curves.items() if not name.startswith("abs_")}
    return curves


def _shares(
    errors: Float[np.ndarray, "..."], thresholds: Float[np.ndarray, "thresholds"]
) -> Float[np.ndarray, "thresholds"]:
    return np.searchsorted(np.sort(errors, axis=None), thresholds, side="right") / errors.size


def _vertex_errors_m(
    predicted: Float[np.ndarray, "n 778 3"], truth: Float[np.ndarray, "n 778 3"]
) -> dict[str, Float[np.ndarray, "n 778"]]:
    """Return each vertex's error by alignment, some samples at a time: meshes are large."""
    parts: dict[str, list[np.ndarray]] = {"pa": [], "abs": []}
    for start in range(0, len(truth), _CHUNK_SAMPLES):
        some, aim = (points[start : start + _CHUNK_SAMPLES] for points in (predicted, truth))
        parts["pa"].append(point_errors(align_procrustes(some, aim), aim))
        parts["abs"].append(point_errors(some, aim))
    return {name: np.concatenate(errors) for name, errors in parts.items()}
