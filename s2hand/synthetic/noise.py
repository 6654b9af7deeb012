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
    lattice = 2 * generator.random((_LATTICE, _LATTICE, _LATTICE), np.float32) - 1
    shift = generator.uniform(0, _LATTICE, 3)
    values = np.empty(len(points), np.float32)
    _interpolate_lattice(lattice, np.ascontiguousarray(points), scale_m, shift, values)
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
def _interpolate_lattice(
    lattice: np.ndarray, points: np.ndarray, scale: float, shift: np.ndarray, values: np.ndarray
) -> None:
    """Interpolate a periodic lattice, with weights that are flat at its points."""
    near, far, weight = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3)
    for index in range(len(points)):
        for axis in range(3):
            position = points[index, axis] / scale + shift[axis]
            below = np.floor(position)
            fraction = position - below
            near[axis] = int(below) & (_LATTICE - 1)  # a power of two
            far[axis] = (near[axis] + 1) & (_LATTICE - 1)
            weight[axis] = fraction * fraction * (3 - 2 * fraction)
        u, v, w = weight[0], weight[1], weight[2]
        total = 0.0
        for i, share in ((near[0], 1 - u), (far[0], u)):
            low = lattice[i, near[1], near[2]] * (1 - w) + lattice[i, near[1], far[2]] * w
            high = lattice[i, far[1], near[2]] * (1 - w) + lattice[i, far[1], far[2]] * w
            total += share * (low * (1 - v) + high * v)
        values[index] = total
