"""The objective of a stage: which terms act, their sums, and their weighted total."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from s2hand.config import MOTION_LOSSES, LossConfig, LossWeights
from s2hand.geometry.rotations import axis_angle_to_quaternion
from s2hand.losses.keypoint import (
    REFERENCE_IMAGE_SIZE_PX,
    bone_direction_loss,
    keypoint_2d_loss,
    keypoint_count,
)
from s2hand.losses.loss_sum import LossSum, count_like, divide
from s2hand.losses.motion import quaternion_loss, smooth_loss, temporal_loss
from s2hand.losses.priors import JointAnglePrior, bone_length_prior, posture_prior, shape_prior
from s2hand.model import HandPrediction
from s2hand.types import Confidence, KeypointsPx


def active_weights(weights: LossWeights, *, uses_clips: bool) -> dict[str, float]:
    """Name the terms that act: those with a weight, motion losses only where there are clips."""
    return {
        name: getattr(weights, name)
        for name in LossWeights.__slots__
        if getattr(weights, name) > 0 and (uses_clips or name not in MOTION_LOSSES)
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
        image_size_px: side of the input images.
        clip_length: frames of a clip, adjacent in the batch; 1 where frames are sampled singly.
        rest_joints: joints of the hand at rest, on the device where losses are computed.
    """

    def __init__(
        self,
        losses: LossConfig,
        *,
        image_size_px: int,
        clip_length: int,
        rest_joints: Float[Tensor, "21 3"],
    ) -> None:
        self.losses = losses
        self._joint_angle_prior = JointAnglePrior(losses.joint_angle_prior, rest_joints)
        self.weights = active_weights(losses.weights, uses_clips=clip_length > 1)
        self._px_scale = REFERENCE_IMAGE_SIZE_PX / image_size_px
        self._clip_length = clip_length

    def counts(self, detection_confidence: Confidence) -> dict[str, Float[Tensor, ""]]:
        """Return what each term of these frames will be divided by, before any prediction."""
        num_frames = detection_confidence.shape[0]
        num_clips = num_frames // self._clip_length
        fixed = {
            "bone_direction": 20 * num_frames,
            "shape_prior": 10 * num_frames,
            "bone_length_prior": num_frames,
            "posture_prior": 30 * num_frames,
            "joint_angle_prior": self._joint_angle_prior.count_per_frame * num_frames,
            **dict.fromkeys(MOTION_LOSSES, 16 * num_clips),
        }
        return {
            name: keypoint_count(detection_confidence, self.losses.keypoint_2d)
            if name == "keypoint_2d"
            else count_like(detection_confidence, fixed[name])
            for name in self.weights
        }

    def sums(
        self,
        prediction: HandPrediction,
        detected_keypoints_px: KeypointsPx,
        detection_confidence: Confidence,
    ) -> dict[str, LossSum]:
        """Evaluate the terms that act."""
        terms = {
            "keypoint_2d": lambda: keypoint_2d_loss(
                prediction.projected_keypoints_px,
                detected_keypoints_px,
                detection_confidence,
                px_scale=self._px_scale,
                knee_px=self.losses.keypoint_knee_px,
                form=self.losses.keypoint_2d,
            ),
            "bone_direction": lambda: bone_direction_loss(
                prediction.projected_keypoints_px, detected_keypoints_px, detection_confidence
            ),
            "shape_prior": lambda: shape_prior(prediction.betas),
            "bone_length_prior": lambda: bone_length_prior(
                prediction.joints, form=self.losses.bone_length_prior
            ),
            "posture_prior": lambda: posture_prior(prediction.hand_pose_pca),
            "joint_angle_prior": lambda: self._joint_angle_prior(prediction.hand_pose),
            "quaternion": lambda: quaternion_loss(self._quaternions(prediction)),
            "temporal": lambda: temporal_loss(self._quaternions(prediction)),
            "smooth": lambda: smooth_loss(
                self._quaternions(prediction), threshold_rad=self.losses.smooth_threshold_rad
            ),
        }
        return {name: terms[name]() for name in self.weights}

    def _quaternions(self, prediction: HandPrediction) -> Float[Tensor, "clips frames 16 4"]:
        full_pose = torch.cat([prediction.global_orient[:, None], prediction.hand_pose], dim=1)
        return axis_angle_to_quaternion(full_pose).unflatten(0, (-1, self._clip_length))
