"""The jittered crop boxes of sequences, in-plane rotation angles, and the jitter of colours."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from s2hand.data.transfer import to_device

REFERENCE_WIDTH_PX = 640
"""Image width that the crop's constants in pixels are meant for (HO-3D)."""
_PADDING_PX = 10.0
_MIN_SIZE_PX, _MAX_SIZE_PX = 50.0, 640.0
_CENTRE_NOISE_PX = 5.0
_MAX_NOISE_PX = 3 * _CENTRE_NOISE_PX
_MIN_ZOOM, _MAX_ZOOM = 0.8, 0.9
_EVALUATION_ZOOM = 0.85


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """What is random about a training image."""

    rotation_deg: float = 180.0
    """In-plane rotation is uniform in plus or minus this angle."""
    crop_jitter: bool = True
    """Sequences: whether the crop's centre and size are jittered."""
    picture_jitter: float = 0.0
    """Collections: a picture is enlarged by e to the power of plus or minus this, and shifted by
    up to a quarter of this times its side."""
    colour_jitter: float = 0.0
    """Gains lie within one plus or minus this, offsets within plus or minus half of it."""
    crop_size_per_reach: float = 4.0
    """Sequences: side of the crop, before the zoom, over the hand's reach from its centre."""


def crop_boxes(
    extent_px: Float[Tensor, "n 4"],
    image_size_px: Float[Tensor, "n 2"],
    *,
    size_per_reach: float = 4.0,
    centre_noise: Float[Tensor, "n 2"] | None = None,
    zoom: Float[Tensor, "n"] | None = None,
) -> Float[Tensor, "n 4"]:
    """Return the square box that is cut out around each hand.

    The hand's extent, cut at the image's border and padded by 10 px, gives a size of 4 times its
    reach from the box's centre, kept within 50 and 640 px; the box is that size divided by the
    zoom, so 2.2 to 2.5 times the padded hand. Pixels are those of a 640 px wide image and scale
    with the stored width, so that a smaller copy of a dataset gives the same crops.

    Args:
        extent_px: The hand's x0, y0, x1, y1 in the stored image.
        image_size_px: Width and height of each stored image.
        size_per_reach: Size over reach; the released code's is 4.
        centre_noise: Standard normal displacement of the centre per axis, in units of 5 px; cut
            at three. None: no displacement.
        zoom: Between 0.8 and 0.9. None: 0.85, the middle, as in evaluation.

    Returns:
        Boxes in the convention of ``crop_affine``; they may reach over the image's border.

    References:
        The S2HAND code's ``data/dataset.py``, which jitters in evaluation too; we do not.
    """
    unit = image_size_px[:, 0] / REFERENCE_WIDTH_PX
    low, high = extent_px[:, :2], extent_px[:, 2:]
    centre = (low + high) / 2
    if centre_noise is not None:
        noise_px = (centre_noise * _CENTRE_NOISE_PX).clamp(-_MAX_NOISE_PX, _MAX_NOISE_PX)
        centre = centre + noise_px * unit[:, None]
    reach = _reach(low, high, centre, image_size_px, unit)
    size = (size_per_reach * reach).clamp(_MIN_SIZE_PX * unit, _MAX_SIZE_PX * unit)
    half = (size / (_EVALUATION_ZOOM if zoom is None else zoom) / 2)[:, None]
    return torch.cat((centre - half, centre + half), dim=1)


def margin_boxes(
    extent_px: Float[Tensor, "n 4"],
    image_size_px: Float[Tensor, "n 2"],
    *,
    size_per_reach: float = 4.0,
) -> Float[Tensor, "n 4"]:
    """Return square boxes that hold every crop box that jitter can ask for."""
    unit = image_size_px[:, 0] / REFERENCE_WIDTH_PX
    low, high = extent_px[:, :2], extent_px[:, 2:]
    centre = (low + high) / 2
    reach = _reach(low, high, centre, image_size_px, unit) + _MAX_NOISE_PX * unit
    size = (size_per_reach * reach).clamp(_MIN_SIZE_PX * unit, _MAX_SIZE_PX * unit)
    half = (size / _MIN_ZOOM / 2 + _MAX_NOISE_PX * unit)[:, None]
    return torch.cat((centre - half, centre + half), dim=1)


def extreme_crop_boxes(
    extent_px: Float[Tensor, "n 4"],
    image_size_px: Float[Tensor, "n 2"],
    *,
    size_per_reach: float = 4.0,
) -> Float[Tensor, "4 n 4"]:
    """Return the largest box at each of the four farthest places that jitter can move it to."""
    corners = (
        _MAX_NOISE_PX
        / _CENTRE_NOISE_PX
        * torch.tensor([[-1, -1], [-1, 1], [1, -1], [1, 1]], dtype=extent_px.dtype)
    )
    return torch.stack(
        [
            crop_boxes(
                extent_px,
                image_size_px,
                size_per_reach=size_per_reach,
                centre_noise=corner.expand(len(extent_px), 2),
                zoom=torch.full_like(extent_px[:, 0], _MIN_ZOOM),
            )
            for corner in corners
        ]
    )


def draw_crop_boxes(
    extent_px: Float[Tensor, "n 4"],
    image_size_px: Float[Tensor, "n 2"],
    *,
    clip_length: int,
    generator: torch.Generator,
    size_per_reach: float = 4.0,
) -> Float[Tensor, "n 4"]:
    """Draw jittered crop boxes; the frames of a clip share displacement and zoom."""
    clips = len(extent_px) // clip_length
    noise = torch.randn(clips, 2, generator=generator, dtype=extent_px.dtype)
    uniform = torch.rand(clips, generator=generator, dtype=extent_px.dtype)
    zoom = _MAX_ZOOM - (_MAX_ZOOM - _MIN_ZOOM) * uniform
    return crop_boxes(
        extent_px,
        image_size_px,
        size_per_reach=size_per_reach,
        centre_noise=noise.repeat_interleave(clip_length, dim=0),
        zoom=zoom.repeat_interleave(clip_length),
    )


def draw_picture_boxes(
    side_px: Float[Tensor, "n"], strength: float, *, generator: torch.Generator
) -> Float[Tensor, "n 4"]:
    """Draw the jittered square boxes that pictures of a collection are cut to.

    The logarithm of the enlargement is uniform in plus or minus ``strength``, the shift along each
    axis uniform in plus or minus a quarter of it, as a share of the box.

    Args:
        side_px: Side of each stored picture.
        strength: See ``Augmentation.picture_jitter``.
        generator: Source of the jitter.

    Returns:
        Boxes in the convention of ``crop_affine``; they may reach over the image's border.
    """
    uniform = 2 * torch.rand(len(side_px), 3, generator=generator, dtype=side_px.dtype) - 1
    box_px = side_px * torch.exp(-strength * uniform[:, 0])
    centre_px = (side_px - 1)[:, None] / 2 + strength / 4 * uniform[:, 1:] * box_px[:, None]
    half_px = box_px[:, None] / 2
    return torch.cat((centre_px - half_px, centre_px + half_px), dim=1)


def draw_rotations_rad(
    count: int, rotation_deg: float, *, clip_length: int, generator: torch.Generator
) -> Float[Tensor, "n"]:
    """Draw in-plane angles, uniform in plus or minus ``rotation_deg``, one per clip."""
    uniform = torch.rand(count // clip_length, generator=generator, dtype=torch.float64)
    return (math.radians(rotation_deg) * (2 * uniform - 1)).repeat_interleave(clip_length)


def draw_colour_maps(
    count: int, strength: float, *, clip_length: int, generator: torch.Generator
) -> Float[Tensor, "2 n 3"]:
    """Draw a gain and an offset of every colour channel, alike for the frames of a clip.

    Returns:
        Gains, uniform in one plus or minus ``strength``, and offsets, in plus or minus half of it.
    """
    uniform = 2 * torch.rand(2, count // clip_length, 3, generator=generator) - 1
    gain, offset = uniform.repeat_interleave(clip_length, dim=1) * strength
    return torch.stack((1 + gain, offset / 2))


def map_colours(
    images: Float[Tensor, "n 3 height width"], maps: Float[Tensor, "2 n 3"]
) -> Float[Tensor, "n 3 height width"]:
    """Apply the gains and offsets of :func:`draw_colour_maps`; values stay within 0 and 1."""
    gain, offset = to_device(maps, images.device)[..., None, None]
    return images.mul_(gain).add_(offset).clamp_(0, 1)


def _reach(
    low: Float[Tensor, "n 2"],
    high: Float[Tensor, "n 2"],
    centre: Float[Tensor, "n 2"],
    image_size_px: Float[Tensor, "n 2"],
    unit: Float[Tensor, "n"],
) -> Float[Tensor, "n"]:
    padding = _PADDING_PX * unit[:, None]
    low = low.clamp(min=0) - padding
    high = torch.minimum(high, image_size_px) + padding
    return torch.cat((high - centre, centre - low), dim=1).amax(dim=1)
