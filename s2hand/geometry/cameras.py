"""Cameras, and what cropping, resizing and rotating an image do to it.

Convention of the whole project: OpenCV camera frame (x right, y down, z forward), metres; pixel
(0, 0) is the **centre** of the top-left pixel, so an image of width w spans -0.5 to w - 0.5.
"""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

CameraModel = Literal["perspective", "orthographic"]

REFERENCE_IMAGE_SIZE_PX = 224
"""Losses and errors in pixels are measured in those of an image this wide (paper §4.3)."""


def homogeneous_pixels(
    points: Float[Tensor, "*batch points 3"],
    intrinsics_px: Float[Tensor, "*batch 3 3"],
    camera: CameraModel = "perspective",
) -> Float[Tensor, "*batch points 3"]:
    """Return the points' pixels as (u·w, v·w, w), which is defined at any depth.

    Convention:
        ``perspective``: K·(x, y, z), so that w is the depth in metres. ``orthographic``:
        K·(x, y, 1), so that w is 1, K's focal entries are pixels per metre and its principal
        point is where the optical axis meets the image.

    Args:
        points: Metres, OpenCV camera frame.
        intrinsics_px: Camera matrices; the last row must be (0, 0, 1).
        camera: How points are projected.

    Raises:
        ValueError: If the camera is neither.
    """
    if camera not in get_args(CameraModel):
        known = " or ".join(get_args(CameraModel))
        raise ValueError(f"camera must be {known}, got '{camera}'")
    if camera == "orthographic":
        points = torch.cat((points[..., :2], torch.ones_like(points[..., 2:])), dim=-1)
    return points @ intrinsics_px.transpose(-1, -2)


def project(
    points: Float[Tensor, "*batch points 3"],
    intrinsics_px: Float[Tensor, "*batch 3 3"],
    camera: CameraModel = "perspective",
) -> Float[Tensor, "*batch points 2"]:
    """Project points in front of the camera to pixels.

    There is no guard against depth zero: a point in the camera's plane has no image, and the
    infinity that comes out is found by the training loop, which names the sample.

    Args:
        points: Metres, OpenCV camera frame.
        intrinsics_px: Camera matrices; the last row must be (0, 0, 1).
        camera: As in :func:`homogeneous_pixels`.
    """
    homogeneous = homogeneous_pixels(points, intrinsics_px, camera)
    return homogeneous[..., :2] / homogeneous[..., 2:]


def resize_affine(scale: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the pixel map of an image resized by ``scale``: u to (u + 0.5)·scale - 0.5."""
    offset = 0.5 * scale - 0.5
    return _affine(scale, torch.zeros_like(scale), torch.stack((offset, offset), dim=-1))


def crop_affine(
    box_px: Float[Tensor, "*batch 4"], output_size_px: int
) -> Float[Tensor, "*batch 3 3"]:
    """Return the pixel map of cutting a square box out and resizing it.

    Convention:
        The box is the extent of the crop: its edges become the outer edges of the output, at
        -0.5 and ``output_size_px`` - 0.5. The box of a whole image of side w is
        (-0.5, -0.5, w - 0.5, w - 0.5), which gives the same map as :func:`resize_affine`.

    Args:
        box_px: (x0, y0, x1, y1), square; the width determines the scale.
        output_size_px: Side of the output.
    """
    scale = output_size_px / (box_px[..., 2] - box_px[..., 0])
    return _affine(scale, torch.zeros_like(scale), -0.5 - scale[..., None] * box_px[..., :2])


def rotation_affine(
    angle_rad: Float[Tensor, "*batch"], centre_px: Float[Tensor, "*batch 2"]
) -> Float[Tensor, "*batch 3 3"]:
    """Return the pixel map of turning the image about ``centre_px``.

    Convention:
        A positive angle turns x (right) to y (down), clockwise on the screen. The centre of a
        square image of side w is ((w - 1) / 2, (w - 1) / 2).
    """
    cosine, sine = angle_rad.cos(), angle_rad.sin()
    turned = torch.stack(
        (
            cosine * centre_px[..., 0] - sine * centre_px[..., 1],
            sine * centre_px[..., 0] + cosine * centre_px[..., 1],
        ),
        dim=-1,
    )
    return _affine(cosine, sine, centre_px - turned)


def transform_keypoints(
    keypoints_px: Float[Tensor, "*batch points 2"], affine: Float[Tensor, "*batch 3 3"]
) -> Float[Tensor, "*batch points 2"]:
    """Move 2D points by a pixel map."""
    return keypoints_px @ affine[..., :2, :2].transpose(-1, -2) + affine[..., None, :2, 2]


def resize_intrinsics(
    intrinsics_px: Float[Tensor, "*batch 3 3"], scale: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch 3 3"]:
    """Return the camera of the image resized by ``scale``."""
    return resize_affine(scale) @ intrinsics_px


def crop_intrinsics(
    intrinsics_px: Float[Tensor, "*batch 3 3"],
    box_px: Float[Tensor, "*batch 4"],
    output_size_px: int,
) -> Float[Tensor, "*batch 3 3"]:
    """Return the camera of the crop that :func:`crop_affine` describes."""
    return crop_affine(box_px, output_size_px) @ intrinsics_px


def rotate_intrinsics(
    intrinsics_px: Float[Tensor, "*batch 3 3"],
    angle_rad: Float[Tensor, "*batch"],
    centre_px: Float[Tensor, "*batch 2"],
) -> Float[Tensor, "*batch 3 3"]:
    """Return the camera of the image turned by :func:`rotation_affine`.

    Turning the image by an angle is turning the scene about the optical axis by the same angle
    and moving the principal point: ``project(R_z(angle) X, rotated K)`` is where the turned image
    shows X. This is exact for square pixels (fx = fy, no skew), as the datasets' cameras have.
    """
    principal = transform_keypoints(
        intrinsics_px[..., None, :2, 2], rotation_affine(angle_rad, centre_px)
    )
    last = intrinsics_px[..., 2:, 2]
    column = torch.cat((principal.squeeze(-2), last), dim=-1)
    return torch.cat((intrinsics_px[..., :2], column[..., None]), dim=-1)


def _affine(cosine: Tensor, sine: Tensor, offset: Tensor) -> Tensor:
    """Return [[c, -s, ox], [s, c, oy], [0, 0, 1]]."""
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    entries = (cosine, -sine, offset[..., 0], sine, cosine, offset[..., 1], zero, zero, one)
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))
