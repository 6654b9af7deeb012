"""All metrics of one set: per sample and in the mean, for whatever truth the set has."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.geometry.cameras import project
from s2hand.hand.fingertips import FINGERTIP_SETS, S2HAND_FINGERTIPS
from s2hand.metrics.alignment import align_procrustes, align_root
from s2hand.metrics.appearance import shape_sd, texture_sd
from s2hand.metrics.errors import CM_PER_M, point_errors
from s2hand.metrics.f_score import f_scores
from s2hand.metrics.keypoints_2d import frame_auc, keypoint_errors_px
from s2hand.metrics.pck import sample_auc
from s2hand.metrics.smoothness import (
    acceleration_error_mm,
    acceleration_mm,
    consecutive_windows,
    quaternion_detour_rad,
)

_RULES = (
    "s2hand/2 joints=openpose root=wrist pa=similarity+reflection,joints|vertices "
    "auc=0:50mm:100 f=strict acc=wrist-relative,per-sequence quat=n3,i1,16"
)
"""Changes whenever a metric's value could, beside what the table's truth decides."""
_TIPS = slice(4, None, 4)
"""The fingertips in OpenPose order, thumb to little."""
_CHUNK_SAMPLES = 512


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
    "pa_mpvpe_cm": _lower("cm", "mean vertex error after Procrustes alignment"),
    "root_mpvpe_cm": _lower("cm", "mean vertex error with the wrists superimposed"),
    "pa_auc_j_0_50mm": _higher("1", "area under the aligned joints' PCK curve, 0-50 mm"),
    "pa_auc_v_0_50mm": _higher("1", "area under the aligned vertices' PCK curve, 0-50 mm"),
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


HAND_PARAMETERS = ("betas", "hand_pose_pca", "global_orient", "transl", "scale")
"""Parameters of the hand layer, which joints and vertices follow from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """A model's output for every frame of a table, in the table's order."""

    joints: Float[np.ndarray, "n 21 3"]
    """With the method's fingertip vertices, ``S2HAND_FINGERTIPS``."""
    vertices: Float[np.ndarray, "n 778 3"]
    hand_pose: Float[np.ndarray, "n 15 3"]
    """Full axis-angle, mean pose included."""
    global_orient: Float[np.ndarray, "n 3"]
    betas: Float[np.ndarray, "n 10"]
    hand_pose_pca: Float[np.ndarray, "n 30"] | None = None
    transl: Float[np.ndarray, "n 3"] | None = None
    scale: Float[np.ndarray, "n 1"] | None = None
    keypoints: "KeypointPredictions | None" = None
    """Keypoints in the network's input; None leaves their metrics out."""
    texture: Float[np.ndarray, "n points 3"] | None = None
    """Colours as the network gives them, C of Eq. 21."""
    fit: dict[str, Float[np.ndarray, "n"]] | None = None
    """``photometric_error`` and ``silhouette_error`` per sample, measured on the pictures."""

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def parameters(self) -> dict[str, Float32[np.ndarray, "n ..."]]:
        """What the hand layer makes the hands from again, and the 2D branch's keypoints."""
        columns = {name: getattr(self, name) for name in HAND_PARAMETERS}
        if self.keypoints is not None:
            columns["heatmap_keypoints_px"] = self.keypoints.heatmap
        return {
            name: np.asarray(values, np.float32)
            for name, values in columns.items()
            if values is not None
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class KeypointPredictions:
    """Keypoints of every frame in pixels of the network's input, and that input's camera."""

    image_size_px: int
    intrinsics_px: Float[np.ndarray, "n 3 3"]
    camera_rotation: Float[np.ndarray, "n 3 3"]
    """x_dataset = camera_rotation · x_input, as in ``Batch``."""
    detected: Float[np.ndarray, "n 21 2"]
    projected: Float[np.ndarray, "n 21 2"]
    heatmap: Float[np.ndarray, "n 21 2"] | None = None
    """The 2D branch's; None where a model has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SetEvaluation:
    """The metrics of one set."""

    metrics: dict[str, float]
    samples: dict[str, Float[np.ndarray, "n"]]
    """One value per sample for every metric but the ``_sd``; its mean over samples that are not
    NaN is the metric. Smoothness metrics stand at a window's middle frame, NaN at other frames."""
    sample_ids: tuple[str, ...]
    parameters: dict[str, Float32[np.ndarray, "n ..."]]
    """The predictions, compactly: ``HAND_PARAMETERS`` and ``heatmap_keypoints_px`` (pixels of the
    network's input), as far as they were predicted; a row per sample."""
    evaluator_id: str
    """Numbers under different ids are not comparable."""


def evaluator_id(table: FrameTable) -> str:
    """Name the rules by which ``evaluate`` measures a table.

    ``tips`` are the fingertip sets of the prediction and of the truth that all metrics of joints
    compare, ``dataset_tips`` that of the truth's file, where it is another: there the metrics
    ``…_dataset_tips…`` compare the prediction with the file as it is.
    """
    if table.joints is None or table.fingertips == S2HAND_FINGERTIPS:
        return f"{_RULES} tips=s2hand|s2hand"
    own = next((name for name, tips in FINGERTIP_SETS.items() if tips == table.fingertips), "own")
    compared = own if table.vertices is None else "s2hand"
    return f"{_RULES} tips=s2hand|{compared} dataset_tips={own}"


def evaluate(predictions: Predictions, table: FrameTable) -> SetEvaluation:
    """Measure predictions against a table's truth.

    Metrics whose truth the table lacks are left out: vertex metrics without ``vertices``, joint
    metrics without ``joints``, smoothness and deviations without sequences; likewise those of
    what was not predicted.

    Joints are compared at the method's fingertip vertices: where the truth's joints have others,
    as HO-3D's, the tips are taken from the true vertices, so that a perfect mesh has no error.
    Without true vertices the joints are compared as they are; the evaluator's id says so.

    Raises:
        DataError: If the numbers of frames differ, or a prediction is not finite.
    """
    _check(predictions, table)
    samples: dict[str, np.ndarray] = {}
    true_joints = _method_joints(table)
    if true_joints is not None:
        samples |= _joint_samples(predictions, true_joints, table.intrinsics_px)
    if table.joints is not None and table.fingertips != S2HAND_FINGERTIPS:
        samples |= _dataset_tips_samples(predictions.joints, table.joints)
    if table.vertices is not None:
        samples |= _vertex_samples(predictions, table.vertices, true_joints)
    windows = consecutive_windows(table.sequences, table.frames)
    if len(windows):
        samples |= _smoothness_samples(predictions, true_joints, windows)
    if true_joints is not None and predictions.keypoints is not None:
        samples |= _keypoint_samples(predictions.keypoints, true_joints)
    samples |= predictions.fit or {}
    metrics = {
        name: float(np.nanmean(values))
        for name, values in samples.items()
        if not np.isnan(values).all()
    }
    deviations = {"shape_sd": shape_sd(predictions.betas, table.sequences)}
    if predictions.texture is not None:
        deviations["texture_sd"] = texture_sd(predictions.texture, table.sequences)
    metrics |= {name: value for name, value in deviations.items() if value is not None}
    return SetEvaluation(
        metrics=metrics,
        samples=samples,
        sample_ids=table.sample_ids,
        evaluator_id=evaluator_id(table),
        parameters=predictions.parameters,
    )


def _check(predictions: Predictions, table: FrameTable) -> None:
    if len(predictions) != len(table) or not len(table):
        raise DataError(
            f"predictions must cover the table's {len(table)} frames (at least one), "
            f"got {len(predictions)}"
        )
    for column in fields(predictions):
        values = getattr(predictions, column.name)
        if not isinstance(values, np.ndarray):
            continue
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not finite.all():
            first = table.sample_ids[int(np.argmin(finite))]
            raise DataError(
                f"predicted {column.name} must be finite, got NaN or infinity for "
                f"{int((~finite).sum())} samples, the first being '{first}'"
            )


def _method_joints(table: FrameTable) -> Float[np.ndarray, "n 21 3"] | None:
    """Return the true joints with the method's fingertips, where the true vertices tell them."""
    has_others = table.fingertips != S2HAND_FINGERTIPS
    if table.joints is None or table.vertices is None or not has_others:
        return table.joints
    joints = table.joints.copy()
    joints[:, _TIPS] = table.vertices[:, list(S2HAND_FINGERTIPS)]
    return joints


def _joint_samples(
    predictions: Predictions,
    truth: Float[np.ndarray, "n 21 3"],
    intrinsics_px: Float[np.ndarray, "n 3 3"],
) -> dict[str, np.ndarray]:
    aligned_m = point_errors(align_procrustes(predictions.joints, truth), truth)
    rooted_m = point_errors(
        align_root(predictions.joints, predictions.joints), align_root(truth, truth)
    )
    predicted_px, truth_px = (
        project(
            torch.from_numpy(np.asarray(joints, np.float64)),
            torch.from_numpy(np.asarray(intrinsics_px, np.float64)),
        ).numpy()
        for joints in (predictions.joints, truth)
    )
    return {
        "pa_mpjpe_cm": aligned_m.mean(axis=1) * CM_PER_M,
        "root_mpjpe_cm": rooted_m.mean(axis=1) * CM_PER_M,
        "pa_auc_j_0_50mm": sample_auc(aligned_m),
        "projected_mpjpe_px": point_errors(predicted_px, truth_px).mean(axis=1),
    }


def _dataset_tips_samples(
    predicted: Float[np.ndarray, "n 21 3"], truth: Float[np.ndarray, "n 21 3"]
) -> dict[str, np.ndarray]:
    aligned_m = point_errors(align_procrustes(predicted, truth), truth)
    return {
        "pa_mpjpe_dataset_tips_cm": aligned_m.mean(axis=1) * CM_PER_M,
        "pa_auc_j_dataset_tips_0_50mm": sample_auc(aligned_m),
    }


def _keypoint_samples(
    keypoints: KeypointPredictions, true_joints: Float[np.ndarray, "n 21 3"]
) -> dict[str, np.ndarray]:
    samples = {}
    seen_joints = true_joints @ keypoints.camera_rotation.astype(np.float64)
    for name in ("detected", "projected", "heatmap"):
        points = getattr(keypoints, name)
        if points is not None:
            errors = keypoint_errors_px(
                points, seen_joints, keypoints.intrinsics_px, keypoints.image_size_px
            )
            samples[f"{name}_keypoint_px"] = errors.mean(axis=1)
            samples[f"{name}_keypoint_auc"] = frame_auc(errors)
    return samples


def _vertex_samples(
    predictions: Predictions,
    true_vertices: Float[np.ndarray, "n 778 3"],
    true_joints: Float[np.ndarray, "n 21 3"] | None,
) -> dict[str, np.ndarray]:
    columns: dict[str, list[np.ndarray]] = {}
    for rows in _chunks(len(predictions)):
        truth, predicted = true_vertices[rows], predictions.vertices[rows]
        aligned = align_procrustes(predicted, truth)
        aligned_m = point_errors(aligned, truth)
        f_raw, f_aligned = f_scores(predicted, truth), f_scores(aligned, truth)
        chunk = {
            "pa_mpvpe_cm": aligned_m.mean(axis=1) * CM_PER_M,
            "pa_auc_v_0_50mm": sample_auc(aligned_m),
            "f_score_5mm": f_raw[:, 0],
            "f_score_15mm": f_raw[:, 1],
            "pa_f_score_5mm": f_aligned[:, 0],
            "pa_f_score_15mm": f_aligned[:, 1],
        }
        if true_joints is not None:
            rooted_m = point_errors(
                align_root(predicted, predictions.joints[rows]),
                align_root(truth, true_joints[rows]),
            )
            chunk["root_mpvpe_cm"] = rooted_m.mean(axis=1) * CM_PER_M
        for name, values in chunk.items():
            columns.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def _smoothness_samples(
    predictions: Predictions,
    truth: Float[np.ndarray, "n 21 3"] | None,
    windows: Int[np.ndarray, "windows 3"],
) -> dict[str, np.ndarray]:
    full_pose = np.concatenate([predictions.global_orient[:, None], predictions.hand_pose], axis=1)
    values = {
        "acc_mm": acceleration_mm(predictions.joints, windows),
        "quaternion_rad": quaternion_detour_rad(full_pose, windows),
    }
    if truth is not None:
        values["acc_err_mm"] = acceleration_error_mm(predictions.joints, truth, windows)
    samples = {}
    for name, per_window in values.items():
        samples[name] = np.full(len(predictions), np.nan)
        samples[name][windows[:, 1]] = per_window
    return samples


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, _CHUNK_SAMPLES):
        yield slice(start, start + _CHUNK_SAMPLES)
