"""Losses on 2D keypoints: E_loc (Eq. 3), E_ori (Eq. 4), E_2d (Eq. 10) and E_con (Eq. 11)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from s2hand.data.sample import Batch
from s2hand.geometry.cameras import REFERENCE_IMAGE_SIZE_PX
from s2hand.losses.formula import Formula, per_frame
from s2hand.losses.loss_sum import count_like
from s2hand.losses.norm import safe_norm
from s2hand.types import Confidence, KeypointsPx

KeypointForm = Literal["paper", "released"]

_WRIST = 0
_FINGERTIPS = slice(4, None, 4)
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
    emphasis[_FINGERTIPS] = 1.5
    return (confidence * emphasis).square()


def keypoint_count(confidence: Confidence, form: KeypointForm) -> Float[Tensor, ""]:
    """Return what E_loc is divided by."""
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
) -> Float[Tensor, ""]:
    """Compare projected joints with detected keypoints (E_loc).

    The sum over frames and keypoints; :func:`keypoint_count` is what to divide it by.

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
    distance = safe_norm(projected_keypoints_px - detected_keypoints_px) * px_scale
    weights = keypoint_weights(detection_confidence, form)
    return (weights * smooth_l1(distance, knee_px)).sum()


def bone_direction_loss(
    projected_keypoints_px: KeypointsPx,
    detected_keypoints_px: KeypointsPx,
    detection_confidence: Confidence,
) -> Float[Tensor, ""]:
    """Compare the image directions of the 20 bones (E_ori).

    The squared difference of the unit vectors, weighted by the product of the confidences of the
    bone's two ends; summed over frames and bones.

    References:
        Paper Eq. 4; the released code's unit vectors, v / (‖v‖ + 1e-4 px).
    """
    difference = _bone_directions(projected_keypoints_px) - _bone_directions(detected_keypoints_px)
    start, end = _bone_ends(detection_confidence[..., None])
    weights = (start * end).squeeze(-1)
    return (weights * difference.square().sum(-1)).sum()


def heatmap_keypoint_count(confidence: Confidence, form: KeypointForm) -> Float[Tensor, ""]:
    """Return what E_2d is divided by."""
    if form == "paper":
        return count_like(confidence, confidence.numel())
    return confidence.square().sum()


def heatmap_keypoint_loss(
    heatmap_keypoints_px: Float[Tensor, "stacks batch 21 2"],
    detected_keypoints_px: Float[Tensor, "batch 21 2"],
    detection_confidence: Float[Tensor, "batch 21"],
    *,
    px_scale: float,
    knee_px: float = 5.0,
    form: KeypointForm = "paper",
) -> Float[Tensor, ""]:
    """Compare what the 2D keypoint estimator finds with detected keypoints (E_2d).

    The sum over stacks, frames and keypoints; :func:`heatmap_keypoint_count` is what to divide by.

    Args:
        heatmap_keypoints_px: the estimate of each of the estimator's stacks; their terms are added.
        detected_keypoints_px: the detector's keypoints in the same image.
        detection_confidence: 0 to 1; 0 removes a keypoint.
        px_scale: 224 / image size, as for :func:`keypoint_2d_loss`.
        knee_px: where the smooth-L1 turns linear, 224-equivalent pixels; ``paper`` only.
        form: ``paper`` averages confidence · ρ(d) over all keypoints; ``released`` takes
            confidence² · d and divides by the sum of confidence².

    References:
        Paper Eq. 10, which names no stacks; the released code adds them up.
    """
    distance = safe_norm(heatmap_keypoints_px - detected_keypoints_px) * px_scale
    if form == "paper":
        return (detection_confidence * smooth_l1(distance, knee_px)).sum()
    return (detection_confidence.square() * distance).sum()


def keypoint_consistency_loss(
    projected_keypoints_px: KeypointsPx,
    heatmap_keypoints_px: KeypointsPx,
    *,
    px_scale: float,
    knee_px: float = 5.0,
) -> Float[Tensor, ""]:
    """Draw the projected joints and the 2D estimator's keypoints together (E_con).

    The sum of ρ(d) over frames and keypoints, without confidences; both sides receive gradients.

    Args:
        projected_keypoints_px: joints projected into the input image.
        heatmap_keypoints_px: the estimate of the estimator's last stack.
        px_scale: 224 / image size, as for :func:`keypoint_2d_loss`.
        knee_px: where the smooth-L1 turns linear, 224-equivalent pixels.

    References:
        Paper Eq. 11.
    """
    distance = safe_norm(projected_keypoints_px - heatmap_keypoints_px) * px_scale
    return smooth_l1(distance, knee_px).sum()


def _bone_directions(keypoints_px: KeypointsPx) -> Float[Tensor, "*batch 20 2"]:
    start, end = _bone_ends(keypoints_px)
    bones = end - start
    return bones / (safe_norm(bones)[..., None] + _UNIT_EPSILON_PX)


def _bone_ends(
    values: Float[Tensor, "*batch 21 n"],
) -> tuple[Float[Tensor, "*batch 20 n"], Float[Tensor, "*batch 20 n"]]:
    """Return the values at the two ends of :data:`s2hand.hand.joints.BONES`.

    Without a table of indices, for which the host would wait for a CUDA device.
    """
    wrist, fingers = values[..., None, :1, :], values[..., 1:, :].unflatten(-2, (5, 4))
    starts = torch.cat([wrist.expand_as(fingers[..., :1, :]), fingers[..., :3, :]], dim=-2)
    return starts.flatten(-3, -2), values[..., 1:, :]


def _px_scale(batch: Batch) -> float:
    return REFERENCE_IMAGE_SIZE_PX / batch.images.shape[-1]


FORMULAS = {
    "keypoint_2d": Formula(
        count=lambda batch, settings: keypoint_count(
            batch.detection_confidence, settings.keypoint_2d
        ),
        total=lambda given, settings: keypoint_2d_loss(
            given.hand.projected_keypoints_px,
            given.batch.detected_keypoints_px,
            given.batch.detection_confidence,
            px_scale=_px_scale(given.batch),
            knee_px=settings.keypoint_knee_px,
            form=settings.keypoint_2d,
        ),
    ),
    "bone_direction": Formula(
        count=lambda batch, _: per_frame(batch, 20),
        total=lambda given, _: bone_direction_loss(
            given.hand.projected_keypoints_px,
            given.batch.detected_keypoints_px,
            given.batch.detection_confidence,
        ),
    ),
    "heatmap_keypoint": Formula(
        count=lambda batch, settings: heatmap_keypoint_count(
            batch.detection_confidence, settings.heatmap_keypoint
        ),
        total=lambda given, settings: heatmap_keypoint_loss(
            given.heatmap_keypoints_px,
            given.batch.detected_keypoints_px,
            given.batch.detection_confidence,
            px_scale=_px_scale(given.batch),
            knee_px=settings.keypoint_knee_px,
            form=settings.heatmap_keypoint,
        ),
    ),
    "keypoint_consistency": Formula(
        count=lambda batch, _: per_frame(batch, 21),
        total=lambda given, settings: keypoint_consistency_loss(
            given.hand.projected_keypoints_px,
            given.heatmap_keypoints_px[-1],
            px_scale=_px_scale(given.batch),
            knee_px=settings.keypoint_knee_px,
        ),
    ),
}
