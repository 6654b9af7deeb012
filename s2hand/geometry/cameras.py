"""Cameras, and what cropping, resizing and turning do to them and to their images.

Convention of the whole project: OpenCV camera frame (x right, y down, z forward), metres; pixel
(0, 0) is the **centre** of the top-left pixel, so an image of width w spans -0.5 to w - 0.5.
"""

from dataclasses import dataclass
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
    keypoints_px: Float[Tensor, "*batch points 2"], pixel_map: Float[Tensor, "*batch 3 3"]
) -> Float[Tensor, "*batch points 2"]:
    """Move 2D points by a pixel map, affine or projective."""
    moved = keypoints_px @ pixel_map[..., :2].transpose(-1, -2) + pixel_map[..., None, :, 2]
    return moved[..., :2] / moved[..., 2:]


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraView:
    """What a camera at the dataset camera's place sees that may look another way.

    Convention:
        x_dataset = ``rotation`` · x_view for the same point in both cameras' frames, so the view's
        axes are the rotation's columns; row vectors of points go to the view by
        ``points @ rotation``. A stored pixel's place in the view's picture is
        ``pixel_map`` = K_view · rotationᵀ · K⁻¹, with the stored image's K.
    """

    pixel_map: Float[Tensor, "*batch 3 3"]
    """From pixels of the stored image to the view's, up to a positive factor."""
    intrinsics_px: Float[Tensor, "*batch 3 3"]
    """The view's own camera matrix."""
    rotation: Float[Tensor, "*batch 3 3"]


def affine_view(
    intrinsics_px: Float[Tensor, "*batch 3 3"], affine: Float[Tensor, "*batch 3 3"]
) -> CameraView:
    """Return the view that an affine pixel map shows: the dataset camera's, not turned."""
    return CameraView(
        pixel_map=affine,
        intrinsics_px=affine @ intrinsics_px,
        rotation=torch.eye(3, dtype=affine.dtype, device=affine.device).expand_as(affine),
    )


def turned_view(
    intrinsics_px: Float[Tensor, "*batch 3 3"],
    box_px: Float[Tensor, "*batch 4"],
    output_size_px: int,
) -> CameraView:
    """Return the view of the dataset camera turned to the centre of a crop.

    What an affine crop shows depends on where it was cut: away from the optical axis a camera sees
    hands from the side and stretched. In the turned camera's picture it does not.

    Convention:
        ``rotation`` is the smallest that takes the optical axis to the viewing ray of the box's
        centre. The view's principal point is its picture's centre, its pixels are square, and its
        focal length is √(fx·fy) · ``output_size_px`` / side of the box, which an affine crop of
        the box would have. Equal boxes so have equal cameras wherever they lie. At an angle θ from
        the optical axis the scale at the crop's centre is the affine crop's times cos θ across
        the direction to the axis, and times cos² θ along it.

    Args:
        intrinsics_px: Camera of the stored image.
        box_px: (x0, y0, x1, y1) in the stored image, square, as for :func:`crop_affine`.
        output_size_px: Side of the view's picture.
    """
    to_rays = torch.linalg.inv(intrinsics_px)
    centre_px = (box_px[..., :2] + box_px[..., 2:]) / 2
    rotation = _from_optical_axis(
        (to_rays[..., :2] @ centre_px[..., None])[..., 0] + to_rays[..., 2]
    )
    scale = output_size_px / (box_px[..., 2] - box_px[..., 0])
    focal_px = scale * (intrinsics_px[..., 0, 0] * intrinsics_px[..., 1, 1]).sqrt()
    principal_px = torch.full_like(centre_px, (output_size_px - 1) / 2)
    intrinsics_of_view = _affine(focal_px, torch.zeros_like(focal_px), principal_px)
    return CameraView(
        pixel_map=intrinsics_of_view @ rotation.transpose(-1, -2) @ to_rays,
        intrinsics_px=intrinsics_of_view,
        rotation=rotation,
    )


def turn_in_plane(
    view: CameraView, angle_rad: Float[Tensor, "*batch"], image_size_px: int
) -> CameraView:
    """Turn a view's square picture about its centre, by turning its camera the other way.

    With A the turn of the picture and Z the same turn about the optical axis, the camera becomes
    A·K·Zᵀ and its rotation R·Zᵀ: the picture shows the scene turned by Z. The camera is K itself
    where the principal point is the picture's centre and pixels are square.

    Convention:
        A positive angle turns the picture as in :func:`rotation_affine`.
    """
    centre_px = torch.full_like(view.pixel_map[..., :2, 2], (image_size_px - 1) / 2)
    affine = rotation_affine(angle_rad, centre_px)
    back = rotation_affine(-angle_rad, torch.zeros_like(centre_px))
    return CameraView(
        pixel_map=affine @ view.pixel_map,
        intrinsics_px=affine @ view.intrinsics_px @ back,
        rotation=view.rotation @ back,
    )


def _from_optical_axis(direction: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Return the smallest rotation that takes (0, 0, 1) to a direction in front of the camera."""
    x, y, z = torch.nn.functional.normalize(direction, dim=-1).unbind(-1)
    bend = 1 / (1 + z)
    entries = (1 - bend * x * x, -bend * x * y, x, -bend * x * y, 1 - bend * y * y, y, -x, -y, z)
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def _affine(cosine: Tensor, sine: Tensor, offset: Tensor) -> Tensor:
    """Return [[c, -s, ox], [s, c, oy], [0, 0, 1]]."""
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    entries = (cosine, -sine, offset[..., 0], sine, cosine, offset[..., 1], zero, zero, one)
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))
