"""Errors of meshes in pixels, where truth is annotated in the picture and no camera is known."""

import numpy as np
from jaxtyping import Float

from s2hand.metrics.alignment import align_procrustes
from s2hand.metrics.errors import point_errors


def mesh_in_pixels(
    points: Float[np.ndarray, "n points 3"], intrinsics_px: Float[np.ndarray, "n 3 3"]
) -> Float[np.ndarray, "n points 3"]:
    """Return meshes as they are seen: x and y in pixels, z in pixels at the mesh's own depth.

    Convention:
        z is relative to the mean depth of the mesh, times fx over that: what weak perspective
        makes of it. Under weak perspective the result is the mesh, scaled and moved.

    Args:
        points: Metres, OpenCV camera frame, in front of the camera.
        intrinsics_px: Camera matrices.
    """
    points = np.asarray(points, np.float64)
    homogeneous = points @ np.asarray(intrinsics_px, np.float64).transpose(0, 2, 1)
    seen_px = homogeneous[..., :2] / homogeneous[..., 2:]
    depth = points[..., 2].mean(axis=1)[:, None]
    depth_px = (points[..., 2] - depth) * intrinsics_px[:, 0, 0][:, None] / depth
    return np.concatenate([seen_px, depth_px[..., None]], axis=-1)


def image_errors_px(
    predicted_px: Float[np.ndarray, "n points 3"], truth_px: Float[np.ndarray, "n points 3"]
) -> dict[str, Float[np.ndarray, "n"]]:
    """Compare meshes in pixels, point by point.

    Args:
        predicted_px: x, y, z in pixels of the picture that was annotated.
        truth_px: The annotated ones, of the same order.

    Returns:
        For each mesh the mean over its points: ``projected_mpvpe_px`` of distances in the picture;
        ``mpvpe_px`` and ``mae_px`` of distances, and of absolute differences of coordinates, in
        three dimensions without an alignment but for depth, which both count from their mean;
        ``pa_mpvpe_px`` of distances after Procrustes' alignment.
    """
    predicted, truth = (_depth_about_mean(each) for each in (predicted_px, truth_px))
    return {
        "projected_mpvpe_px": point_errors(predicted[..., :2], truth[..., :2]).mean(axis=1),
        "mpvpe_px": point_errors(predicted, truth).mean(axis=1),
        "mae_px": np.abs(predicted - truth).mean(axis=(1, 2)),
        "pa_mpvpe_px": point_errors(align_procrustes(predicted, truth), truth).mean(axis=1),
    }


def _depth_about_mean(points_px: Float[np.ndarray, "n points 3"]) -> np.ndarray:
    moved = np.array(points_px, np.float64)
    moved[..., 2] -= moved[..., 2].mean(axis=1, keepdims=True)
    return moved
