"""Losses between projected joints and detected 2D keypoints: E_loc (Eq. 3), E_ori (Eq. 4)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from s2hand.hand.joints import BONES
from s2hand.losses.loss_sum import LossSum, count_like
from s2hand.types import Confidence, KeypointsPx

KeypointForm = Literal["paper", "released"]

REFERENCE_IMAGE_SIZE_PX = 224
"""Pixel losses are measured in pixels of an image this wide (paper §4.3)."""

_WRIST = 0
_FINGERTIPS = (4, 8, 12, 16, 20)
_UNIT_EPSILON_PX = 1e-4  # released code, bone directions


def keypoint_weights(confidence: Confidence, form: KeypointForm) -> Float[Tensor, "*batch 21"]:
    """Turn detection confidences into weights of the keypoints.

    ``paper``: the confidence. ``released``: (confidence · a)² with a = 2 at the wrist, 1.5 at the
    fingertips and 1 elsewhere.
    """
    if form == "paper":
        return confidence
    emphasis = torch.ones(21, dtype=confidence.dtype, device=confidence.device)
    emphasis[_WRIST] = 2.0
    emphasis[list(_FINGERTIPS)] = 1.5
    return (confidence * emphasis).square()


def keypoint_count(confidence: Confidence, form: KeypointForm) -> Float[Tensor, ""]:
    """Return what E_loc is divided by; it depends on the detections alone."""
    if form == "paper":
        return count_like(confidence, confidence.numel())
    return keypoint_weights(confidence, form).sum()


def smooth_l1(distance: Float[Tensor, "*n"], knee: float) -> Float[Tensor, "*n"]:
    """Quadratic below ``knee``, linear beyond: d²/(2·knee), then d − knee/2."""
    return torch.where(distance < knee, distance.square() / (2 * knee), distance - knee / 2)


def keypoint_2d_loss(
    projected_keypoints_px: KeypointsPx,
    detected_keypoints_px: KeypointsPx,
    detection_confidence: Confidence,
    *,
    px_scale: float,
    knee_px: float = 5.0,
    form: KeypointForm = "paper",
) -> LossSum:
    """Compare projected joints with detected keypoints (E_loc).

    Args:
        projected_keypoints_px: joints projected into the input image.
        detected_keypoints_px: the detector's keypoints in the same image.
        detection_confidence: 0 to 1; 0 removes a keypoint.
        px_scale: 224 / image size, so that the knee and the weight mean the same at any size.
        knee_px: where the smooth-L1 of the Euclidean distance turns linear, 224-equivalent pixels.
        form: ``paper`` averages confidence · ρ(d) over all keypoints; ``released`` divides by the
            sum of the weights instead, see :func:`keypoint_weights`.

    References:
        Paper Eq. 3, which does not say whether its SmoothL1 acts on coordinates or on distances;
        the released code's acts on distances, and so does this in both forms.
    """
    distance = _norm(projected_keypoints_px - detected_keypoints_px) * px_scale
    weights = keypoint_weights(detection_confidence, form)
    return LossSum(
        total=(weights * smooth_l1(distance, knee_px)).sum(),
        count=keypoint_count(detection_confidence, form),
    )


def bone_direction_loss(
    projected_keypoints_px: KeypointsPx,
    detected_keypoints_px: KeypointsPx,
    detection_confidence: Confidence,
) -> LossSum:
    """Compare the image directions of the 20 bones (E_ori).

    The squared difference of the unit vectors, weighted by the product of the confidences of the
    bone's two ends, averaged over frames and bones.

    References:
        Paper Eq. 4; the released code's unit vectors, v / (‖v‖ + 1e-4 px).
    """
    starts, ends = (list(side) for side in zip(*BONES, strict=True))
    difference = _bone_directions(projected_keypoints_px, starts, ends) - _bone_directions(
        detected_keypoints_px, starts, ends
    )
    weights = detection_confidence[..., starts] * detection_confidence[..., ends]
    total = (weights * difference.square().sum(-1)).sum()
    return LossSum(total=total, count=count_like(total, weights.numel()))


def _bone_directions(
    keypoints_px: KeypointsPx, starts: list[int], ends: list[int]
) -> Float[Tensor, "*batch 20 2"]:
    bones = keypoints_px[..., ends, :] - keypoints_px[..., starts, :]
    return bones / (_norm(bones)[..., None] + _UNIT_EPSILON_PX)


def _norm(vectors: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n"]:
    """Euclidean length, whose gradient at zero is zero instead of NaN."""
    squared = vectors.square().sum(-1)
    is_zero = squared == 0
    return torch.where(is_zero, 0.0, torch.where(is_zero, 1.0, squared).sqrt())
