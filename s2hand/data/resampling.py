"""Pictures moved by a map of pixels, on the device where they are."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from s2hand.data.transfer import to_device


def resample(
    images: Float[Tensor, "batch 3 side side"], pixel_map: Float[Tensor, "batch 3 3"], size_px: int
) -> Float[Tensor, "batch 3 size size"]:
    """Move image content by a map of pixels; bilinear, without smoothing, black outside.

    Args:
        images: On any device.
        pixel_map: From their pixels to the result's, up to a positive factor; float64, on the
            CPU, so that each device resamples at the same places.
        size_px: Side of the result.
    """
    # grid_sample counts from -1 to 1 between the outer edges of the first and last pixel.
    to_normalised = _edge_map(images.shape[-1])
    theta = to_device((to_normalised @ torch.linalg.inv(pixel_map)).float(), images.device)
    places = torch.arange(size_px, dtype=theta.dtype, device=theta.device)
    along_x = theta[:, :, :1] * places + theta[:, :, 2:]
    along_y = theta[:, :, 1:2] * places
    # Coordinates outermost: several times as fast as affine_grid, whose order is the other way.
    homogeneous = along_x[:, :, None, :] + along_y[:, :, :, None]
    depth = homogeneous[:, 2:].clamp_(min=1e-6)  # at or behind the horizon: far outside
    grid = homogeneous[:, :2].div_(depth).permute(0, 2, 3, 1)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


def is_identity(pixel_map: Float[Tensor, "batch 3 3"]) -> bool:
    """Say whether maps leave every pixel where it is."""
    return bool(torch.allclose(pixel_map, torch.eye(3, dtype=pixel_map.dtype), rtol=0, atol=1e-9))


def _edge_map(side_px: int) -> Float[Tensor, "3 3"]:
    scale, offset = 2 / side_px, 1 / side_px - 1
    return torch.tensor([[scale, 0, offset], [0, scale, offset], [0, 0, 1]], dtype=torch.float64)
