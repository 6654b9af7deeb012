"""Per-face textures: a small triangular grid of texels on every face, without an atlas.

The grid of a face with ``n`` subdivisions holds the points with weights
(1 − (i + j)/n, i/n, j/n), stored row by row in i. Neighbouring faces share the points of their
common edge, so a texture that is a function of the place on the surface has no seams.
"""

import numpy as np
from jaxtyping import Float, UInt8

SKIN_SUBDIVISIONS = 12
"""Grid of a face of the hand; texels lie about 0.6 mm apart."""
OBJECT_SUBDIVISIONS = 8
HEIGHT_RANGE_M = 0.002
"""Depth between the lowest and the highest value of the height channel."""


def texel_weights(subdivisions: int) -> Float[np.ndarray, "texels 3"]:
    """Give the barycentric weights of a face's texels."""
    pairs = [(i, j) for i in range(subdivisions + 1) for j in range(subdivisions + 1 - i)]
    grid = np.array(pairs, np.float64) / subdivisions
    return np.concatenate([1 - grid.sum(1, keepdims=True), grid], axis=1)


def pack_texels(
    albedo: Float[np.ndarray, "faces texels 3"],
    gloss: Float[np.ndarray, "faces texels"],
    height_m: Float[np.ndarray, "faces texels"],
) -> UInt8[np.ndarray, "faces texels 5"]:
    """Pack linear albedo (0..1), gloss (0..1) and height (m) into bytes.

    The channels are red, green, blue (square roots of albedo), gloss, height (0.5 is level).
    """
    level = 0.5 + height_m / HEIGHT_RANGE_M
    channels = [np.sqrt(np.clip(albedo, 0, 1)), gloss[..., None], level[..., None]]
    packed = np.clip(np.concatenate(channels, axis=-1), 0, 1) * 255 + 0.5
    return packed.astype(np.uint8)
