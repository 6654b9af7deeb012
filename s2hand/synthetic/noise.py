"""Smooth random fields: value noise in three dimensions for surfaces, in two for pictures."""

from typing import no_type_check

import numpy as np
from jaxtyping import Float
from PIL import Image

from s2hand.compiled import compiled

_LATTICE = 32


def surface_noise(
    points: Float[np.ndarray, "points 3"], scale_m: float, generator: np.random.Generator
) -> Float[np.ndarray, "points"]:
    """Evaluate trilinear value noise with features of about ``scale_m``, values in −1..1."""
    lattice = generator.uniform(-1, 1, (_LATTICE, _LATTICE, _LATTICE)).astype(np.float32)
    values = np.empty(len(points), np.float32)
    shifted = points / scale_m + generator.uniform(0, _LATTICE, 3)
    _interpolate_lattice(lattice, np.ascontiguousarray(shifted), values)
    return values


def picture_noise(
    size_px: int,
    octaves: tuple[int, ...],
    generator: np.random.Generator,
    *,
    stretch: float = 1.0,
) -> Float[np.ndarray, "height width"]:
    """Sum bicubic value noise with the given cells per side, each octave half as strong.

    ``stretch`` above 1 elongates the features along x, as wood grain is. Values are about −1..1.
    """
    total = np.zeros((size_px, size_px), np.float32)
    amplitude, sum_of_amplitudes = 1.0, 0.0
    for cells in octaves:
        across = max(2, int(cells / stretch))
        grid = generator.uniform(-1, 1, (cells + 1, across + 1)).astype(np.float32)
        image = Image.fromarray(grid).resize((size_px, size_px), Image.Resampling.BICUBIC)
        total += amplitude * np.asarray(image)
        sum_of_amplitudes += amplitude
        amplitude *= 0.55
    return total / np.float32(sum_of_amplitudes)


@compiled(nogil=True)
@no_type_check
def _interpolate_lattice(lattice: np.ndarray, positions: np.ndarray, values: np.ndarray) -> None:
    """Interpolate a periodic lattice, with weights that are flat at its points."""
    cell, weight = np.empty(3, np.int64), np.empty(3)
    for index in range(len(positions)):
        for axis in range(3):
            below = np.floor(positions[index, axis])
            fraction = positions[index, axis] - below
            cell[axis] = int(below) % _LATTICE
            weight[axis] = fraction * fraction * (3 - 2 * fraction)
        total = 0.0
        for corner in range(8):
            i, j, k = corner & 1, (corner >> 1) & 1, corner >> 2
            share = weight[0] if i else 1 - weight[0]
            share *= weight[1] if j else 1 - weight[1]
            share *= weight[2] if k else 1 - weight[2]
            x, y, z = (cell[0] + i) % _LATTICE, (cell[1] + j) % _LATTICE, (cell[2] + k) % _LATTICE
            total += share * lattice[x, y, z]
        values[index] = total
