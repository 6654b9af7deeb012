"""Value noise, against its formula evaluated corner by corner, and where its grid shows."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from s2hand.synthetic.noise import picture_noise, surface_noise


def seeded() -> np.random.Generator:
    return np.random.default_rng(4)


def test_surface_noise_blends_the_eight_corners_of_a_periodic_lattice() -> None:
    points = np.random.default_rng(0).normal(0, 0.3, (60, 3))  # 60 cells: some wrap around
    values = surface_noise(points, 0.02, seeded())
    draw = seeded()
    lattice = 2 * draw.random((32, 32, 32), np.float32) - 1
    position = points / 0.02 + draw.uniform(0, 32, 3)
    below = np.floor(position).astype(int)
    upper = (position - below) ** 2 * (3 - 2 * (position - below))  # smoothstep
    expected = np.zeros(60)
    for corner in product((0, 1), repeat=3):
        weight = np.where(corner, upper, 1 - upper).prod(axis=1)
        expected += weight * lattice[tuple(((below + corner) % 32).T)]
    assert_allclose(values, expected, atol=1e-6)


def test_noise_is_smooth_and_has_the_wanted_scale() -> None:
    line = np.zeros((4001, 3))
    line[:, 0] = np.linspace(0, 0.4, 4001)
    values = surface_noise(line, 0.01, np.random.default_rng(0)).astype(float)
    assert np.abs(values).max() <= 1
    assert values.std() > 0.15
    # A step of 1 % of a cell: smoothstep's slope is at most 1.5, the values' range at most 2.
    assert np.abs(np.diff(values)).max() <= 0.01 * 1.5 * 2 + 1e-6
    crossings = (np.diff(np.sign(values)) != 0).sum()
    assert 5 < crossings < 40, "40 cells of a centimetre should cross zero every few cells"


@pytest.mark.parametrize("cells", [3, 40])
def test_a_picture_of_the_grid_s_own_size_is_the_grid(cells: int) -> None:
    grid = seeded().uniform(-1, 1, (cells + 1, cells + 1))
    assert_array_equal(picture_noise(cells + 1, (cells,), seeded()), grid.astype(np.float32))


@pytest.mark.parametrize(("cells", "stretch", "across"), [(8, 4.0, 2), (2, 4.0, 2), (10, 2.5, 4)])
def test_stretched_noise_has_fewer_cells_along_x(cells: int, stretch: float, across: int) -> None:
    grid = seeded().uniform(-1, 1, (cells + 1, across + 1))
    size = 3 * (cells + 1) * (across + 1)  # so many pixels that some lie on the grid's points
    noise = picture_noise(size, (cells,), seeded(), stretch=stretch)
    rows, columns = size // (cells + 1), size // (across + 1)
    assert rows % 2 == columns % 2 == 1
    assert_allclose(noise[rows // 2 :: rows, columns // 2 :: columns], grid, atol=1e-6)


def test_each_octave_is_about_half_as_strong_as_the_one_before() -> None:
    generator = seeded()
    layers = [picture_noise(24, (cells,), generator) for cells in (3, 5, 9)]
    expected = (layers[0] + 0.55 * layers[1] + 0.3025 * layers[2]) / 1.8525
    assert_allclose(picture_noise(24, (3, 5, 9), seeded()), expected, atol=1e-6)
