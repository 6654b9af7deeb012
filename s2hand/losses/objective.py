"""The objective of a stage: which terms act, their sums, and their weighted total."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from s2hand.config import (
    CONSISTENCY_LOSSES,
    KEYPOINT_BRANCH_LOSSES,
    MOTION_LOSSES,
    LossConfig,
    LossWeights,
    StageConfig,
)
from s2hand.data.sample import Batch
from s2hand.geometry.rotations import axis_angle_to_quaternion
from s2hand.losses.appearance import texture_prior, texture_shape_loss
from s2hand.losses.keypoint import (
    REFERENCE_IMAGE_SIZE_PX,
    bone_direction_loss,
    heatmap_keypoint_count,
    heatmap_keypoint_loss,
    keypoint_2d_loss,
    keypoint_consistency_loss,
    keypoint_count,
)
from s2hand.losses.laplacian import MeshLaplacian
from s2hand.losses.loss_sum import LossSum, count_like, divide
from s2hand.losses.motion import quaternion_loss, smooth_loss, temporal_loss
from s2hand.losses.photometric import (
    PhotometricForm,
    mean_colour_loss,
    photometric_count,
    pixel_loss,
    ssim_loss,
)
from s2hand.losses.priors import JointAnglePrior, bone_length_prior, posture_prior, shape_prior
from s2hand.model import Appearance, HandPrediction, Prediction, outputs_of_losses
from s2hand.rendering import Rendering

_Terms = dict[str, Callable[[], LossSum]]
"""How each of some terms is evaluated; only those that act are."""


def active_weights(weights: LossWeights, stage: StageConfig) -> dict[str, float]:
    """Name the terms that act in a stage, with their weights.

    Those with a weight that the stage does not leave out; motion losses only where there are
    clips, losses of one branch only where it is trained, consistency only where both are.
    """
    inactive = set(stage.without)
    if stage.samples != "clips":
        inactive |= set(MOTION_LOSSES)
    if stage.branch == "3d":
        inactive |= {*KEYPOINT_BRANCH_LOSSES, *CONSISTENCY_LOSSES}
    elif stage.branch == "2d":
        inactive |= set(LossWeights.__slots__) - set(KEYPOINT_BRANCH_LOSSES)
    return {
        name: getattr(weights, name)
        for name in LossWeights.__slots__
        if getattr(weights, name) > 0 and name not in inactive
    }


def weighted_total(
    sums: Mapping[str, LossSum],
    counts: Mapping[str, Float[Tensor, ""]],
    weights: Mapping[str, float],
) -> Float[Tensor, ""]:
    """Add the terms up: Σ weight · total / count, with the counts of the global batch."""
    terms = [weights[name] * divide(sums[name].total, counts[name]) for name in sums]
    return torch.stack(terms).sum()


class Objective:
    """The terms of one stage.

    Args:
        losses: formulas and weights.
        weights: the terms that act, see :func:`active_weights`.
        image_size_px: side of the input images.
        clip_length: frames of a clip, adjacent in the batch; 1 where frames are sampled singly.
        rest_joints: joints of the hand at rest, on the device where losses are computed.
        rest_vertices: vertices of the hand at rest, likewise.
        faces: triangles of the hand.
    """

    def __init__(
        self,
        losses: LossConfig,
        weights: Mapping[str, float],
        *,
        image_size_px: int,
        clip_length: int,
        rest_joints: Float[Tensor, "21 3"],
        rest_vertices: Float[Tensor, "778 3"],
        faces: Tensor,
    ) -> None:
        self.losses = losses
        self.weights = dict(weights)
        self.outputs = outputs_of_losses(self.weights)
        """What the model has to compute for these terms."""
        self._joint_angle_prior = JointAnglePrior(losses.joint_angle_prior, rest_joints)
        if "mesh_laplacian" in self.weights:
            self._mesh_laplacian = MeshLaplacian(rest_vertices, faces)
        self._min_confidence = losses.photometric_min_confidence
        self._px_scale = REFERENCE_IMAGE_SIZE_PX / image_size_px
        self.clip_length = clip_length

    def counts(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Return what each term of these frames will be divided by, before any prediction."""
        confidence = batch.detection_confidence
        num_frames = confidence.shape[0]
        num_clips = num_frames // self.clip_length
        fixed = {
            "bone_direction": 20 * num_frames,
            "ssim": num_frames,
            "shape_prior": 10 * num_frames,
            "bone_length_prior": num_frames,
            "posture_prior": 30 * num_frames,
            "joint_angle_prior": self._joint_angle_prior.count_per_frame * num_frames,
            "mesh_laplacian": 778 * num_frames,
            "keypoint_consistency": 21 * num_frames,
            **dict.fromkeys(("quaternion", "temporal", "smooth"), 16 * num_clips),
            "texture_shape": num_clips,
        }
        losses = self.losses
        from_detections = {
            "keypoint_2d": lambda: keypoint_count(confidence, losses.keypoint_2d),
            "heatmap_keypoint": lambda: heatmap_keypoint_count(confidence, losses.heatmap_keypoint),
            "pixel": lambda: self._frame_count(confidence, losses.photometric),
            "mean_colour": lambda: self._frame_count(confidence, "released"),
            "texture_prior": lambda: self._frame_count(confidence, losses.photometric),
        }
        return {
            name: count_like(confidence, fixed[name]) if name in fixed else from_detections[name]()
            for name in self.weights
        }

    def sums(self, prediction: Prediction, batch: Batch) -> dict[str, LossSum]:
        """Evaluate the terms that act, of a prediction that has ``outputs``."""
        terms: _Terms = {}
        hand, heatmap_keypoints_px = prediction.hand, prediction.heatmap_keypoints_px
        if hand is not None:
            terms |= self._geometric_terms(hand, batch)
        if hand is not None and prediction.appearance is not None:
            terms |= self._appearance_terms(prediction.appearance, hand, batch)
        if prediction.rendering is not None:
            terms |= self._photometric_terms(prediction.rendering, batch)
        if heatmap_keypoints_px is not None:
            terms |= self._keypoint_branch_terms(heatmap_keypoints_px, hand, batch)
        return {name: terms[name]() for name in self.weights}

    def _geometric_terms(self, hand: HandPrediction, batch: Batch) -> _Terms:
        losses = self.losses
        return {
            "keypoint_2d": lambda: keypoint_2d_loss(
                hand.projected_keypoints_px,
                batch.detected_keypoints_px,
                batch.detection_confidence,
                px_scale=self._px_scale,
                knee_px=losses.keypoint_knee_px,
                form=losses.keypoint_2d,
            ),
            "bone_direction": lambda: bone_direction_loss(
                hand.projected_keypoints_px,
                batch.detected_keypoints_px,
                batch.detection_confidence,
            ),
            "shape_prior": lambda: shape_prior(hand.betas),
            "bone_length_prior": lambda: bone_length_prior(
                hand.joints, form=losses.bone_length_prior
            ),
            "posture_prior": lambda: posture_prior(hand.hand_pose_pca),
            "joint_angle_prior": lambda: self._joint_angle_prior(hand.hand_pose),
            "mesh_laplacian": lambda: self._mesh_laplacian(hand.vertices),
            "quaternion": lambda: quaternion_loss(self._quaternions(hand)),
            "temporal": lambda: temporal_loss(self._quaternions(hand)),
            "smooth": lambda: smooth_loss(
                self._quaternions(hand), threshold_rad=losses.smooth_threshold_rad
            ),
        }

    def _appearance_terms(
        self, appearance: Appearance, hand: HandPrediction, batch: Batch
    ) -> _Terms:
        return {
            "texture_prior": lambda: texture_prior(
                appearance.texture,
                batch.detection_confidence,
                form=self.losses.photometric,
                min_confidence=self._min_confidence,
            ),
            "texture_shape": lambda: texture_shape_loss(
                self._clips(appearance.texture), self._clips(hand.betas)
            ),
        }

    def _photometric_terms(self, rendering: Rendering, batch: Batch) -> _Terms:
        return {
            "pixel": lambda: pixel_loss(
                batch.images,
                rendering.image,
                rendering.silhouette,
                batch.detection_confidence,
                form=self.losses.photometric,
                min_confidence=self._min_confidence,
            ),
            "ssim": lambda: ssim_loss(batch.images, rendering.image, rendering.silhouette),
            "mean_colour": lambda: mean_colour_loss(
                batch.images,
                rendering.image,
                rendering.silhouette,
                batch.detection_confidence,
                min_confidence=self._min_confidence,
            ),
        }

    def _keypoint_branch_terms(
        self,
        heatmap_keypoints_px: Float[Tensor, "stacks batch 21 2"],
        hand: HandPrediction | None,
        batch: Batch,
    ) -> _Terms:
        losses = self.losses
        terms: _Terms = {
            "heatmap_keypoint": lambda: heatmap_keypoint_loss(
                heatmap_keypoints_px,
                batch.detected_keypoints_px,
                batch.detection_confidence,
                px_scale=self._px_scale,
                knee_px=losses.keypoint_knee_px,
                form=losses.heatmap_keypoint,
            ),
        }
        if hand is not None:
            terms["keypoint_consistency"] = lambda: keypoint_consistency_loss(
                hand.projected_keypoints_px,
                heatmap_keypoints_px[-1],
                px_scale=self._px_scale,
                knee_px=losses.keypoint_knee_px,
            )
        return terms

    def _frame_count(self, confidence: Tensor, form: PhotometricForm) -> Float[Tensor, ""]:
        return photometric_count(confidence, form, min_confidence=self._min_confidence)

    def _quaternions(self, hand: HandPrediction) -> Float[Tensor, "clips frames 16 4"]:
        full_pose = torch.cat([hand.global_orient[:, None], hand.hand_pose], dim=1)
        return self._clips(axis_angle_to_quaternion(full_pose))

    def _clips(self, values: Tensor) -> Tensor:
        """Split the batch into clips and their frames."""
        return values.unflatten(0, (-1, self.clip_length))
