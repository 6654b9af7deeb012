"""Left hands as right ones: pixels, cameras and points of a picture mirrored from left to right.

Convention:
    A pixel x becomes width − 1 − x, as pixel centres have whole numbers. In the camera's frame x
    changes its sign, so that a left hand is a right one and vertices keep their numbers: MANO's
    left hand is its right one mirrored. Everything here is its own inverse.
"""

import numpy as np
from jaxtyping import Float, Num

_POINTS = np.array([-1, 1, 1])
_AXES = np.array([1, -1, -1])
"""A rotation's axis keeps what points along the mirrored direction, and turns otherwise."""


def mirror_pixels(
    points_px: Float[np.ndarray, "*batch points 2"],
    width_px: Num[np.ndarray, "*batch"] | int,
) -> Float[np.ndarray, "*batch points 2"]:
    """Mirror 2D points of pictures of a width."""
    mirrored = points_px.copy()
    mirrored[..., 0] = np.asarray(width_px)[..., None] - 1 - mirrored[..., 0]
    return mirrored


def mirror_boxes(
    boxes_px: Float[np.ndarray, "*batch 4"], width_px: Num[np.ndarray, "*batch"] | int
) -> Float[np.ndarray, "*batch 4"]:
    """Mirror boxes x0, y0, x1, y1."""
    mirrored = boxes_px.copy()
    mirrored[..., [0, 2]] = np.asarray(width_px)[..., None] - 1 - mirrored[..., [2, 0]]
    return mirrored


def mirror_intrinsics(
    intrinsics_px: Float[np.ndarray, "*batch 3 3"], width_px: Num[np.ndarray, "*batch"] | int
) -> Float[np.ndarray, "*batch 3 3"]:
    """Give the camera that sees the mirrored scene in the mirrored picture.

    The principal point is mirrored and the skew changes its sign.
    """
    mirrored = intrinsics_px.copy()
    mirrored[..., 0, 1] *= -1
    mirrored[..., 0, 2] = np.asarray(width_px) - 1 - mirrored[..., 0, 2]
    return mirrored


def mirror_points(
    points: Float[np.ndarray, "*batch 3"],
) -> Float[np.ndarray, "*batch 3"]:
    """Mirror points in the camera's frame."""
    return points * _POINTS.astype(points.dtype)


def mirror_rotations(
    axis_angle: Float[np.ndarray, "*batch 3"],
) -> Float[np.ndarray, "*batch 3"]:
    """Mirror rotations: of a left hand's joints, those of the right hand that it is mirrored to."""
    return axis_angle * _AXES.astype(axis_angle.dtype)
