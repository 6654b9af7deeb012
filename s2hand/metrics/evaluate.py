"""All metrics of one set: per sample and in the mean, for whatever truth the set has."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.geometry.cameras import project, transform_keypoints
from s2hand.hand.fingertips import S2HAND_FINGERTIPS, Fingertips
from s2hand.metrics.alignment import align_procrustes, align_root, align_scale_translation
from s2hand.metrics.appearance import shape_sd, texture_sd
from s2hand.metrics.errors import CM_PER_M, point_errors
from s2hand.metrics.evaluator import evaluator_id
from s2hand.metrics.f_score import f_scores
from s2hand.metrics.keypoints_2d import frame_auc, keypoint_errors_px
from s2hand.metrics.pck import sample_auc
from s2hand.metrics.smoothness import (
    acceleration_error_mm,
    acceleration_mm,
    consecutive_windows,
    quaternion_detour_rad,
)

_TIPS = slice(4, None, 4)
"""The fingertips in OpenPose order, thumb to little."""
_CHUNK_SAMPLES = 512

_OF_PLACES = ("abs_", "f_score_")
"""How metrics begin that need the place of the hand."""

HAND_PARAMETERS = ("betas", "hand_pose_pca", "global_orient", "transl", "scale")
"""Parameters of the hand layer, which joints and vertices follow from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """A model's output for every frame of a table, in the table's order."""

    joints: Float[np.ndarray, "n 21 3"]
    vertices: Float[np.ndarray, "n 778 3"]
    fingertips: Fingertips | None = S2HAND_FINGERTIPS
    """Vertices at which the fingertips of ``joints`` lie. None, of another program's predictions:
    not known; then joints are compared with the truth's as they are."""
    is_placed: bool = True
    """Whether the hands stand where they are seen from the dataset's camera. Those of an
    orthographic model do not: what compares places is left out."""
    hand_pose: Float[np.ndarray, "n 15 3"] | None = None
    """Full axis-angle, mean pose included."""
    global_orient: Float[np.ndarray, "n 3"] | None = None
    betas: Float[np.ndarray, "n 10"] | None = None
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


def evaluate(predictions: Predictions, table: FrameTable) -> SetEvaluation:
    """Measure predictions against a table's truth.

    Metrics whose truth the table lacks are left out: vertex metrics without ``vertices``, joint
    metrics without ``joints``, smoothness and deviations without sequences; likewise those of
    what was not predicted, and of hands without a place those that compare places.

    Joints are compared at the predictions' fingertip vertices: where the truth's joints have
    others, as HO-3D's, the tips are taken from the true vertices, so that a perfect mesh has no
    error. Without true vertices, or where the predictions' are not known, the joints are compared
    as they are; the evaluator's id says so.

    Raises:
        DataError: If the numbers of frames differ, or a prediction is not finite.
    """
    _check(predictions, table)
    samples: dict[str, np.ndarray] = {}
    true_joints = comparable_joints(predictions, table)
    if true_joints is not None:
        samples |= _joint_samples(predictions, true_joints, table.intrinsics_px)
    if table.joints is not None and predictions.fingertips not in {None, table.fingertips}:
        samples |= _dataset_tips_samples(predictions.joints, table.joints)
    if table.vertices is not None:
        samples |= _vertex_samples(predictions, table.vertices, true_joints)
    windows = consecutive_windows(table.sequences, table.frames)
    if len(windows):
        samples |= _smoothness_samples(predictions, true_joints, windows)
    if true_joints is not None and predictions.keypoints is not None:
        samples |= _keypoint_samples(predictions.keypoints, true_joints)
    samples |= predictions.fit or {}
    if not predictions.is_placed:
        samples = {name: each for name, each in samples.items() if not name.startswith(_OF_PLACES)}
    metrics = {
        name: float(np.nanmean(values))
        for name, values in samples.items()
        if not np.isnan(values).all()
    }
    deviations: dict[str, float | None] = {}
    if predictions.betas is not None:
        deviations["shape_sd"] = shape_sd(predictions.betas, table.sequences)
    if predictions.texture is not None:
        deviations["texture_sd"] = texture_sd(predictions.texture, table.sequences)
    metrics |= {name: value for name, value in deviations.items() if value is not None}
    return SetEvaluation(
        metrics=metrics,
        samples=samples,
        sample_ids=table.sample_ids,
        evaluator_id=evaluator_id(table, predictions.fingertips),
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


def comparable_joints(
    predictions: Predictions, table: FrameTable
) -> Float[np.ndarray, "n 21 3"] | None:
    """Return the true joints with the predictions' fingertips, where the true vertices tell them.

    None: there are no true joints.
    """
    tips = predictions.fingertips
    if table.joints is None or table.vertices is None or tips is None or tips == table.fingertips:
        return table.joints
    joints = table.joints.copy()
    joints[:, _TIPS] = table.vertices[:, list(tips)]
    return joints


def joint_errors_m(
    predicted: Float[np.ndarray, "n 21 3"], truth: Float[np.ndarray, "n 21 3"]
) -> dict[str, Float[np.ndarray, "n 21"]]:
    """Return each joint's error in metres by alignment: ``pa``, ``sta``, and ``abs`` for none."""
    aligned = {
        "pa": align_procrustes(predicted, truth),
        "sta": align_scale_translation(predicted, truth),
        "abs": predicted,
    }
    return {name: point_errors(joints, truth) for name, joints in aligned.items()}


def all_keypoint_errors_px(
    keypoints: KeypointPredictions, true_joints: Float[np.ndarray, "n 21 3"]
) -> dict[str, Float[np.ndarray, "n 21"]]:
    """Return the errors of every source of keypoints: ``detected``, ``projected``, ``heatmap``."""
    seen_joints = true_joints @ keypoints.camera_rotation.astype(np.float64)
    found = {name: getattr(keypoints, name) for name in ("detected", "projected", "heatmap")}
    return {
        name: keypoint_errors_px(
            points, seen_joints, keypoints.intrinsics_px, keypoints.image_size_px
        )
        for name, points in found.items()
        if points is not None
    }


def _joint_samples(
    predictions: Predictions,
    truth: Float[np.ndarray, "n 21 3"],
    intrinsics_px: Float[np.ndarray, "n 3 3"],
) -> dict[str, np.ndarray]:
    errors_m = joint_errors_m(predictions.joints, truth)
    rooted_m = point_errors(
        align_root(predictions.joints, predictions.joints), align_root(truth, truth)
    )
    samples = {
        **{f"{name}_mpjpe_cm": each.mean(axis=1) * CM_PER_M for name, each in errors_m.items()},
        **{f"{name}_auc_j_0_50mm": sample_auc(each) for name, each in errors_m.items()},
        "root_mpjpe_cm": rooted_m.mean(axis=1) * CM_PER_M,
    }
    predicted_px = _stored_keypoints_px(predictions, intrinsics_px)
    if predicted_px is not None:
        errors_px = point_errors(predicted_px, _projected(truth, intrinsics_px))
        samples["projected_mpjpe_px"] = errors_px.mean(axis=1)
    return samples


def _stored_keypoints_px(
    predictions: Predictions, intrinsics_px: Float[np.ndarray, "n 3 3"]
) -> Float[np.ndarray, "n 21 2"] | None:
    """Return the predicted joints in the stored images, as the model itself projects them.

    A model without a camera sees them in its input alone, whose pixels are those of the stored
    image seen by another camera. None: it is not known where it saw them.
    """
    if predictions.is_placed:
        return _projected(predictions.joints, intrinsics_px)
    keypoints = predictions.keypoints
    if keypoints is None:
        return None
    of_stored, of_input, rotation, points_px = (
        torch.from_numpy(np.asarray(values, np.float64))
        for values in (
            *(intrinsics_px, keypoints.intrinsics_px, keypoints.camera_rotation),
            keypoints.projected,
        )
    )
    pixel_map = of_stored @ rotation @ torch.linalg.inv(of_input)
    return transform_keypoints(points_px, pixel_map).numpy()


def _projected(
    joints: Float[np.ndarray, "n 21 3"], intrinsics_px: Float[np.ndarray, "n 3 3"]
) -> Float[np.ndarray, "n 21 2"]:
    return project(
        torch.from_numpy(np.asarray(joints, np.float64)),
        torch.from_numpy(np.asarray(intrinsics_px, np.float64)),
    ).numpy()


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
    for name, errors_px in all_keypoint_errors_px(keypoints, true_joints).items():
        samples[f"{name}_keypoint_px"] = errors_px.mean(axis=1)
        samples[f"{name}_keypoint_auc"] = frame_auc(errors_px)
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
        absolute_m = point_errors(predicted, truth)
        f_raw, f_aligned = f_scores(predicted, truth), f_scores(aligned, truth)
        chunk = {
            "pa_mpvpe_cm": aligned_m.mean(axis=1) * CM_PER_M,
            "abs_mpvpe_cm": absolute_m.mean(axis=1) * CM_PER_M,
            "pa_auc_v_0_50mm": sample_auc(aligned_m),
            "abs_auc_v_0_50mm": sample_auc(absolute_m),
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
    values = {"acc_mm": acceleration_mm(predictions.joints, windows)}
    wrist, fingers = predictions.global_orient, predictions.hand_pose
    if wrist is not None and fingers is not None:
        full_pose = np.concatenate([wrist[:, None], fingers], axis=1)
        values["quaternion_rad"] = quaternion_detour_rad(full_pose, windows)
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
