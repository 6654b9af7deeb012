"""Normals, shadow maps and ambient light, against slow versions and scenes known by hand."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.transform import Rotation

from s2hand.geometry.mesh import vertex_normals
from s2hand.hand.embedded import embedded_hand
from s2hand.synthetic.visibility import (
    ambient_visibility,
    depth_map,
    light_frame,
    lit_share,
    smooth_normals,
)

HAND = embedded_hand()


def test_normals_equal_those_of_the_geometry_package() -> None:
    vertices = np.concatenate([HAND.v_template, [[0.0, 0, 0]]])  # the last has no face
    normals = np.full((779, 3), 7.0)
    smooth_normals(vertices, HAND.faces, normals)
    expected = vertex_normals(torch.from_numpy(HAND.v_template), torch.from_numpy(HAND.faces))
    assert_allclose(normals[:778], expected.numpy(), atol=1e-12)
    assert_array_equal(normals[778], 0)


def test_a_light_s_frame_looks_along_its_rays() -> None:
    assert_allclose(light_frame(np.array([0.0, 0, -1])), [[-1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert_allclose(light_frame(np.array([0.0, 1, 0])), [[0, 0, 1], [1, 0, 0], [0, -1, 0]])
    for upwards in (0.3, -0.89, 0.91, -0.99):
        direction = np.array([0.6, 0, 0.8]) * np.sqrt(1 - upwards**2) + [0, upwards, 0]
        frame = light_frame(direction)
        assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)
        assert_allclose(frame[2], -direction)
        # Its right is level; of a light from nearly straight above, it is across x.
        assert frame[0, 1 if abs(upwards) < 0.9 else 0] == pytest.approx(0, abs=1e-12)


def depths(
    vertices: np.ndarray, faces: np.ndarray, frame: np.ndarray, centre: np.ndarray, radius: float
) -> np.ndarray:
    """Draw a map of 24 pixels; nothing beside it is written."""
    around = np.full((28, 28), 7.0)
    depth_map(vertices, faces, frame, centre, radius, around[2:-2, 2:-2])
    beside = np.ones((28, 28), bool)
    beside[2:-2, 2:-2] = False
    assert_array_equal(around[beside], 7.0)
    return around[2:-2, 2:-2]


def test_a_depth_map_holds_the_nearest_of_all_faces() -> None:
    draw = np.random.default_rng(1)
    frame, centre, radius = Rotation.random(random_state=2).as_matrix(), draw.normal(0, 1, 3), 0.2
    corners = centre + draw.uniform(-0.26, 0.26, (25, 1, 3)) + draw.normal(0, 0.07, (25, 3, 3))
    drawn = depths(corners.reshape(-1, 3), np.arange(75).reshape(-1, 3), frame, centre, radius)
    # Pixel centres divide −radius to radius along the frame's first two axes.
    along = (np.arange(24) + 0.5) / 24 * 2 * radius - radius
    places = np.stack(np.meshgrid(along, along), -1).reshape(-1, 2)
    nearest = np.full(len(places), np.inf)
    for a, b, c in (corners - centre) @ frame.T:
        weights = np.linalg.solve(np.stack([(b - a)[:2], (c - a)[:2]], 1), (places - a[:2]).T).T
        inside = (weights >= 0).all(1) & (weights.sum(1) <= 1)
        depth = a[2] + weights @ [(b - a)[2], (c - a)[2]]
        nearest = np.where(inside, np.minimum(nearest, depth), nearest)
    assert 0.2 < np.isfinite(nearest).mean() < 0.95
    assert_allclose(drawn.ravel(), nearest, atol=1e-9)


def test_a_face_along_the_rays_is_not_drawn() -> None:
    corners = np.array([[-0.1, -0.1, 0], [0.1, 0.1, 0], [0.05, 0.05, 0.1], [0.1, -0.1, 0.02]])
    frame, faces = np.eye(3), np.array([[0, 1, 2], [0, 0, 3]])
    assert np.isinf(depths(corners, faces, frame, np.zeros(3), 0.2)).all()


def test_light_reaches_what_nothing_hides() -> None:
    square = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.05
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    frame, centre = light_frame(np.array([0.0, 0.0, -1.0])), np.zeros(3)
    depth = np.empty((64, 64), np.float32)
    depth_map(square, faces, frame, centre, 0.1, depth)
    assert lit_share(depth, frame, centre, 0.1, 1.0, 0.0, 0.0, 0.0, 0.05) == pytest.approx(0)
    assert lit_share(depth, frame, centre, 0.1, 1.0, 0.0, 0.0, 0.0, -0.05) == pytest.approx(1)
    assert lit_share(depth, frame, centre, 0.1, 1.0, 0.0, 0.08, 0.0, 0.05) == pytest.approx(1)
    border = lit_share(depth, frame, centre, 0.1, 4.0, 0.0, 0.05, 0.0, 0.05)
    assert 0.1 < border < 0.9


def test_a_point_is_lit_at_as_many_of_four_taps_as_see_it() -> None:
    """Taps half a softness from its place, shifted; where one leaves the map nothing hides."""
    draw = np.random.default_rng(3)
    depth = draw.uniform(-0.1, 0.1, (20, 20))
    frame, centre, radius = Rotation.random(random_state=4).as_matrix(), draw.normal(0, 1, 3), 0.25
    shares = []
    for _ in range(400):
        local = draw.uniform(-0.24, 0.24, 3) * [1, 1, 0.4]
        softness, shift = draw.uniform(0.5, 4), draw.uniform(-1, 1)
        column, row = (local[:2] + radius) / (2 * radius) * 20
        taps = [
            depth[int(row + y * softness / 2 - shift), int(column + x * softness / 2 + shift)]
            for x in (-1, 1)
            for y in (-1, 1)
        ] if _lies_within(20, column, row, softness / 2 + abs(shift) + 1) else [np.inf]  # fmt: skip
        expected = np.mean([tap >= local[2] - 0.004 for tap in taps])
        point = centre + frame.T @ local
        lit = lit_share(depth, frame, centre, radius, softness, shift, *point)
        assert lit == pytest.approx(expected)
        shares.append((lit, len(taps)))
    assert {lit for lit, _ in shares} == {0, 0.25, 0.5, 0.75, 1}
    assert 40 < sum(taps == 1 for _, taps in shares) < 360


def _lies_within(size: int, column: float, row: float, reach: float) -> bool:
    return reach < min(column, row) and max(column, row) < size - reach


def plate(centre: list[float], side: float, turn: np.ndarray) -> np.ndarray:
    """Corners of a square across the third axis of a turned frame."""
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * side / 2
    return (corners + centre) @ turn.T


PLATE = np.array([[0, 1, 2], [0, 2, 3]])
TURNS = [np.eye(3), np.eye(3)[[2, 0, 1]], np.eye(3)[[1, 2, 0]], -np.eye(3)]


@pytest.mark.parametrize("turn", TURNS)
def test_ambient_light_is_that_of_the_directions_which_nothing_hides(turn: np.ndarray) -> None:
    """Light from straight above is hidden by a plate, light from aslant passes beside it."""
    above, aslant = np.array([0.0, 0, 1]), np.array([0.6, 0, 0.8])
    directions = np.stack([above, aslant, -above]) @ turn.T
    skin, hiding = plate([0, 0, 0], 0.002, turn), plate([-0.05, 0, 0.06], 0.14, turn)
    vertices, faces = np.concatenate([skin, hiding]), np.concatenate([PLATE, PLATE + 4])
    normals = np.broadcast_to(turn[:, 2], (8, 3)).copy()
    seen, centre = np.full(8, 7.0), turn @ [-0.03, 0.0, 0.0]
    ambient_visibility(vertices, normals, faces, directions, centre, 0.15, seen)
    assert_allclose(seen[:4], 0.8 / 1.8, atol=1e-5)
    ambient_visibility(vertices, -normals, faces, directions[:2], centre, 0.15, seen)
    assert_array_equal(seen, 0)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(("height_m", "expected"), [(0.00695, 1), (0.00705, 0), (-0.01, 1)])
def test_what_is_nearer_than_7_mm_casts_no_ambient_shadow(
    turn: np.ndarray, height_m: float, expected: float
) -> None:
    """The point is taken 3 mm above the skin, and may lie 4 mm behind what hides it."""
    vertices = np.concatenate([plate([0, 0, 0], 0.002, turn), plate([0, 0, height_m], 0.1, turn)])
    faces, directions = np.concatenate([PLATE, PLATE + 4]), turn[:, 2][None].copy()
    normals, seen = np.repeat(directions, 8, axis=0), np.empty(8)
    ambient_visibility(vertices, normals, faces, directions, np.zeros(3), 0.15, seen)
    assert_allclose(seen[:4], expected, atol=1e-5)
