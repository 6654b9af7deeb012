"""What each metric is: its unit, which way is better, and a sentence."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricDescription:
    """A metric's unit, which way is better, and what it is."""

    unit: str
    direction: Literal["lower", "higher"]
    description: str


def _lower(unit: str, description: str) -> MetricDescription:
    return MetricDescription(unit=unit, direction="lower", description=description)


def _higher(unit: str, description: str) -> MetricDescription:
    return MetricDescription(unit=unit, direction="higher", description=description)


METRICS: dict[str, MetricDescription] = {
    "pa_mpjpe_cm": _lower("cm", "mean joint error after Procrustes alignment"),
    "root_mpjpe_cm": _lower("cm", "mean joint error with the wrists superimposed"),
    "sta_mpjpe_cm": _lower(
        "cm", "mean joint error with equal wrists and equal bones from there to the middle finger"
    ),
    "abs_mpjpe_cm": _lower("cm", "mean joint error in the camera's frame, not aligned"),
    "pa_mpvpe_cm": _lower("cm", "mean vertex error after Procrustes alignment"),
    "root_mpvpe_cm": _lower("cm", "mean vertex error with the wrists superimposed"),
    "abs_mpvpe_cm": _lower("cm", "mean vertex error in the camera's frame, not aligned"),
    "pa_auc_j_0_50mm": _higher("1", "area under the aligned joints' PCK curve, 0-50 mm"),
    "pa_auc_v_0_50mm": _higher("1", "area under the aligned vertices' PCK curve, 0-50 mm"),
    "sta_auc_j_0_50mm": _higher("1", "area under the joints' PCK curve aligned as sta_mpjpe_cm"),
    "abs_auc_j_0_50mm": _higher("1", "area under the joints' PCK curve, not aligned"),
    "abs_auc_v_0_50mm": _higher("1", "area under the vertices' PCK curve, not aligned"),
    "pa_mpjpe_dataset_tips_cm": _lower(
        "cm", "pa_mpjpe_cm against the dataset's own fingertips, as its official script has it"
    ),
    "pa_auc_j_dataset_tips_0_50mm": _higher(
        "1", "pa_auc_j_0_50mm against the dataset's own fingertips"
    ),
    "f_score_5mm": _higher("1", "F-score of the vertices as predicted at 5 mm"),
    "f_score_15mm": _higher("1", "F-score of the vertices as predicted at 15 mm"),
    "pa_f_score_5mm": _higher("1", "F-score of the aligned vertices at 5 mm"),
    "pa_f_score_15mm": _higher("1", "F-score of the aligned vertices at 15 mm"),
    "projected_mpjpe_px": _lower("px", "mean distance of projected joints, stored pixels"),
    "acc_mm": _lower("mm/frame²", "ACC: mean acceleration of the joints about the wrist"),
    "acc_err_mm": _lower("mm/frame²", "ACC-ERR: mean distance of accelerations"),
    "quaternion_rad": _lower("rad", "detour of rotations over 3 frames, mean of 16 joints"),
    "shape_sd": _lower("1", "standard deviation of betas over a sequence's frames"),
    "texture_sd": _lower("1", "standard deviation of the texture over a sequence's frames"),
    "photometric_error": _lower("1", "mean colour difference over the rendered hand, 0 to 1"),
    "silhouette_error": _lower("1", "1 - IoU of the rendered and the true hand's silhouette"),
    "detected_keypoint_px": _lower("px", "mean error of the detections, 224-equivalent pixels"),
    "projected_keypoint_px": _lower("px", "mean error of projected joints, 224-equivalent pixels"),
    "heatmap_keypoint_px": _lower("px", "mean error of the 2D branch, 224-equivalent pixels"),
    "detected_keypoint_auc": _higher("1", "area under Figure 6's curve of the detections"),
    "projected_keypoint_auc": _higher("1", "area under Figure 6's curve of projected joints"),
    "heatmap_keypoint_auc": _higher("1", "area under Figure 6's curve of the 2D branch"),
}
"""Metric key → what it means. ``mm/frame²`` is what papers print as mm/s²."""
