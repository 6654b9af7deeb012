"""How far 2D keypoints of any source lie from the true joints' projections (Figure 6)."""

import numpy as np
import torch
from jaxtyping import Float

from s2hand.geometry.cameras import REFERENCE_IMAGE_SIZE_PX, project
from s2hand.metrics.errors import point_errors

MAX_THRESHOLD_PX = 49
"""The curve's thresholds are 0, 1, … 49 px; the figure shows them up to 40."""


def keypoint_errors_px(
    keypoints_px: Float[np.ndarray, "n 21 2"],
    true_joints: Float[np.ndarray, "n 21 3"],
    intrinsics_px: Float[np.ndarray, "n 3 3"],
    image_size_px: int,
) -> Float[np.ndarray, "n 21"]:
    """Return each keypoint's distance to its true joint's projection.

    A keypoint that was not detected counts as its file gives it: mostly far away.

    Convention:
        224-equivalent pixels: distances · 224 / ``image_size_px``.

    Args:
        keypoints_px: Detected, projected or heat-map keypoints in pixels of the network's input.
        true_joints: Metres, frame of the network input's camera.
        intrinsics_px: That camera.
        image_size_px: Side of the network's input.
    """
    true_keypoints_px = project(
        torch.from_numpy(true_joints.astype(np.float64)),
        torch.from_numpy(intrinsics_px.astype(np.float64)),
    ).numpy()
    return point_errors(keypoints_px, true_keypoints_px) * (REFERENCE_IMAGE_SIZE_PX / image_size_px)


def frame_auc(errors_px: Float[np.ndarray, "n 21"]) -> Float[np.ndarray, "n"]:
    """Return each frame's part in the area under the curve of frames.

    The curve gives the fraction of frames whose worst joint is within a threshold. The area is
    linear in the curve: the mean of these values over frames is the area under the curve.

    Convention:
        As :func:`joint_auc`.

    References:
        Paper Fig. 6; the released code's curve of type ``max-frame``.
    """
    return joint_auc(errors_px.max(axis=1, keepdims=True))


def joint_auc(errors_px: Float[np.ndarray, "n joints"]) -> Float[np.ndarray, "n"]:
    """Return each frame's part in the area under the curve of all frames' joints, pooled.

    Convention:
        A joint is within a threshold when its error is not above it (``<=``); the area is the
        trapezoid rule's over 0, 1, … 49 px, divided by 49 px.

    References:
        The released code's curve of type ``joint``.
    """
    first_within = np.ceil(errors_px)
    # A step that rises at threshold k covers the pixels after k and half the one before.
    area = (MAX_THRESHOLD_PX - first_within + 0.5 * (first_within > 0)) / MAX_THRESHOLD_PX
    return np.where(first_within <= MAX_THRESHOLD_PX, area, 0.0).mean(axis=1)
