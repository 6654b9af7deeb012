"""How well a rendered hand fits an image that was not trained on: colours and silhouette."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from s2hand.rendering import rasterise
from s2hand.rendering.rasterise import NO_FACE

_COVERED = 0.5
"""From this share of a pixel on, the rendered silhouette counts as covering it."""


def photometric_error(
    image: Float[Tensor, "batch 3 height width"],
    rendered_image: Float[Tensor, "batch 3 height width"],
    rendered_silhouette: Float[Tensor, "batch height width"],
) -> Float[np.ndarray, "batch"]:
    """Return each image's mean absolute difference of colours over the rendered hand.

    Σ_p Σ_c |α_p I_pc − R_pc| / (3 Σ_p α_p), with image I, rendering R and silhouette α: a pixel
    that the hand half covers has half the weight. Only pixels that the rendering claims are
    looked at, so a small hand is not a bad one here; :func:`silhouette_error` sees that.

    Convention:
        The rendering is on black, so that R holds the factor α already. Colours are 0 to 1.

    Returns:
        NaN where nothing is rendered.

    References:
        Paper Eq. 6, with absolute differences of channels instead of the Euclidean norm.
    """
    alpha = rendered_silhouette[:, None].double()
    difference = (alpha * image - rendered_image).abs().sum(dim=(1, 2, 3))
    area = 3 * alpha.sum(dim=(1, 2, 3))
    return (difference / area).masked_fill(area == 0, torch.nan).cpu().numpy()


def silhouette_error(
    rendered_silhouette: Float[Tensor, "batch height width"],
    true_silhouette: Bool[Tensor, "batch height width"],
) -> Float[np.ndarray, "batch"]:
    """Return 1 − intersection over union of each pair of silhouettes.

    Convention:
        A pixel belongs to the rendered silhouette from 0.5 on. Two empty silhouettes agree: 0.
    """
    rendered = rendered_silhouette >= _COVERED
    intersection = (rendered & true_silhouette).sum(dim=(1, 2)).double()
    union = (rendered | true_silhouette).sum(dim=(1, 2))
    return (1 - intersection / union).masked_fill(union == 0, 0.0).cpu().numpy()


def true_silhouettes(
    vertices: Float[Tensor, "batch verts 3"],
    intrinsics_px: Float[Tensor, "batch 3 3"],
    faces: Int[np.ndarray, "faces 3"],
    size_px: int,
) -> Bool[Tensor, "batch size size"]:
    """Return which pixels' centres a mesh covers, as if nothing stood before it.

    Args:
        vertices: Metres, frame of the camera in whose image the silhouette is wanted.
        intrinsics_px: That camera.
        faces: Triangles; both sides of them are seen.
        size_px: Side of the square image.
    """
    raster = rasterise(
        vertices.cpu().numpy(), intrinsics_px.cpu().numpy(), faces, height=size_px, width=size_px
    )
    return torch.from_numpy(raster.face_id != NO_FACE)
