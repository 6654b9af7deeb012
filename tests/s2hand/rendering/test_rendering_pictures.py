"""Pictures of meshes for people: where a mesh lies in its picture, its light, tiles."""

import numpy as np
import pytest
import torch
import trimesh
from numpy.testing import assert_allclose, assert_array_equal

from s2hand.rendering.pictures import (
    PALM_VIEW,
    _place,
    _shade,
    draw_meshes,
    tile,
    turn_about_vertical,
)


def test_a_mesh_fills_its_picture_wherever_it_lies() -> None:
    """A board, wider than high, and the same far away: 86 % of the width, in the middle."""
    board = trimesh.creation.box((0.4, 0.1, 0.001))
    vertices = torch.tensor(np.asarray(board.vertices), dtype=torch.float32)
    pictures = draw_meshes(
        torch.stack([vertices, 3 * vertices + torch.tensor([5.0, -2, 9])]),
        np.asarray(board.faces),
        100,
    )
    assert pictures.shape == (2, 100, 100, 3)
    is_drawn = (pictures != 255).any(-1)
    for picture in is_drawn:
        columns, rows = np.flatnonzero(picture.any(0)), np.flatnonzero(picture.any(1))
        assert (columns[0], columns[-1]) == (7, 92)
        assert rows[0] + rows[-1] == 99
        assert abs(len(rows) - 86 / 4) <= 1.5
    assert_array_equal(is_drawn[0], is_drawn[1])


def test_a_mesh_is_placed_before_a_camera_three_sides_away() -> None:
    vertices = torch.tensor([[[1.0, 2, 3], [3.0, 3, 3.5], [2.0, 2, 4]]])
    placed = _place(vertices)
    middle = torch.tensor([2.0, 2.5, 3.5])
    torch.testing.assert_close(placed, (vertices - middle) * 0.43 + torch.tensor([0.0, 0.0, 3.0]))


def test_edges_are_smooth() -> None:
    """Pixels on the outline are means of four places: neither paper nor skin."""
    board = trimesh.creation.box((0.4, 0.4, 0.001))
    turned = torch.tensor(np.asarray(board.vertices), dtype=torch.float32) @ torch.tensor(
        [[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]
    )
    picture = draw_meshes(turned[None], np.asarray(board.faces), 60)[0]
    reds = 255.0 - np.unique(picture[..., 0])
    levels = {round(4 * share) / 4 for share in reds / reds.max()}
    assert levels == {0, 0.25, 0.5, 0.75, 1}


@pytest.mark.parametrize("normal", [(0, 0, -1), (0, -2, -2), (0.6, 0, -0.8), (-0.6, -0.48, -0.64)])
def test_skin_is_lit_from_two_sides(normal: tuple[float, float, float]) -> None:
    """Both faces of a surface are lit as the one that is seen, whatever the normal's length."""
    unit = np.array(normal) / np.linalg.norm(normal)
    light = 0.28
    for towards, strength in (((-0.45, -0.55, -0.7), 0.75), ((0.8, -0.1, -0.6), 0.22)):
        light += strength * max(unit @ towards / np.linalg.norm(towards), 0)
    expected = np.clip(np.array([0.87, 0.67, 0.56]) * light, 0, 1)
    for sign in (1, -1):
        shaded = _shade(np.full((1, 2, 2, 3), sign * np.array(normal, float)))
        assert_allclose(shaded, np.broadcast_to(expected, (1, 2, 2, 3)))
    assert np.isfinite(_shade(np.zeros((1, 1, 1, 3)))).all()


def test_tiles_lie_row_by_row_and_the_rest_is_white() -> None:
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 4, 3), np.uint8)
    sheet = tile(pictures, 3)
    assert sheet.shape == (4, 12, 3)
    assert_array_equal(sheet[::2, ::4, 0], [[0, 1, 2], [3, 4, 255]])
    assert_array_equal(sheet[1::2, 3::4, 1], [[0, 1, 2], [3, 4, 255]])
    assert tile(pictures[:3], 3).shape == (2, 12, 3)


def test_a_turn_about_the_vertical_brings_the_right_to_the_front() -> None:
    points = torch.tensor([[1.0, 2, 0], [0, 2, 1]], dtype=torch.float64)
    turned = turn_about_vertical(points, np.pi / 2)
    expected = torch.tensor([[0.0, 2, -1], [1, 2, 0]], dtype=torch.float64)
    torch.testing.assert_close(turned, expected)


def test_the_palm_s_view_is_a_third_of_a_turn() -> None:
    """x to y, y to z, z to x: fingers, at −x, point up, and the palm, at −y, to the camera."""
    assert PALM_VIEW == (1.2092,) * 3
    assert np.linalg.norm(PALM_VIEW) == pytest.approx(2 * np.pi / 3, abs=1e-4)
