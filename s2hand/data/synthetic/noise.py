"""Smooth random fields: value noise in three dimensions for surfaces, in two for pictures."""

import numpy as np
from jaxtyping import Float
from PIL import Image


def surface_noise(
    points: Float[np.ndarray, "points 3"], scale_m: float, generator: np.random.Generator
) -> Float[np.ndarray, "points"]:
    """Evaluate trilinear value noise with features of about ``scale_m``, values in −1..1."""
    lattice = generator.uniform(-1, 1, (32, 32, 32)).astype(np.float32)
    position = points / scale_m + generator.uniform(0, 32, 3)
    cell = np.floor(position).astype(np.int64)
    fraction = (position - cell).astype(np.float32)
    fraction = fraction * fraction * (3 - 2 * fraction)
    low, high = cell % 32, (cell + 1) % 32
    corners = [low, high]
    total = np.zeros(len(points), np.float32)
    for i in range(2):
        for j in range(2):
            for k in range(2):
                weight = np.ones(len(points), np.float32)
                for axis, side in enumerate((i, j, k)):
                    weight *= fraction[:, axis] if side else 1 - fraction[:, axis]
                total += weight * lattice[corners[i][:, 0], corners[j][:, 1], corners[k][:, 2]]
    return total


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
