"""What is mirrored, against pictures that are, and against a camera that sees a mirrored scene."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s2hand.geometry.mirroring import (
    mirror_boxes,
    mirror_intrinsics,
    mirror_pixels,
    mirror_points,
    mirror_rotations,
)

CAMERA = np.array([[610.0, 3.0, 301.0], [0, 590, 250], [0, 0, 1]])
WIDTH = 640


def seen(points: np.ndarray, camera: np.ndarray) -> np.ndarray:
    homogeneous = points @ camera.T
    return homogeneous[..., :2] / homogeneous[..., 2:]


def test_convention_a_mirrored_pixel_is_width_minus_one_minus_x():
    picture = np.arange(5)[None]
    for x in range(5):
        mirrored = mirror_pixels(np.array([[float(x), 0.0]]), 5)[0]
        assert picture[:, ::-1][0, int(mirrored[0])] == picture[0, x]
        assert mirrored[1] == 0


def test_the_mirrored_camera_sees_the_mirrored_scene_where_the_mirrored_picture_shows_it():
    points = np.random.default_rng(0).normal(scale=0.1, size=(4, 21, 3)) + np.array([0, 0, 0.7])
    mirrored = seen(mirror_points(points), mirror_intrinsics(CAMERA, WIDTH))
    np.testing.assert_allclose(mirrored, mirror_pixels(seen(points, CAMERA), WIDTH), atol=1e-9)


def test_widths_may_differ_by_row():
    widths = np.array([640, 320])
    cameras = np.stack([CAMERA, CAMERA])
    points = np.random.default_rng(1).uniform(0, 300, (2, 21, 2))
    boxes = np.concatenate([points.min(1), points.max(1)], axis=1)
    for row, width in enumerate(widths.tolist()):
        np.testing.assert_array_equal(
            mirror_pixels(points, widths)[row], mirror_pixels(points[row], width)
        )
        np.testing.assert_array_equal(
            mirror_intrinsics(cameras, widths)[row], mirror_intrinsics(CAMERA, width)
        )
        mirrored = mirror_pixels(points[row], width)
        expected = [*mirrored.min(0), *mirrored.max(0)]
        np.testing.assert_allclose(mirror_boxes(boxes, widths)[row], expected)


def test_rotations_of_mirrored_points_are_mirrored():
    random = np.random.default_rng(2)
    rotations, points = random.normal(size=(6, 3)), random.normal(size=(6, 3))
    turned = Rotation.from_rotvec(rotations).apply(points)
    mirrored = Rotation.from_rotvec(mirror_rotations(rotations)).apply(mirror_points(points))
    np.testing.assert_allclose(mirrored, mirror_points(turned), atol=1e-12)


@pytest.mark.parametrize(
    ("mirror", "shape", "more"),
    [
        (mirror_pixels, (3, 21, 2), (WIDTH,)),
        (mirror_boxes, (3, 4), (WIDTH,)),
        (mirror_intrinsics, (3, 3, 3), (WIDTH,)),
        (mirror_points, (3, 778, 3), ()),
        (mirror_rotations, (3, 16, 3), ()),
    ],
)
def test_mirrored_twice_is_as_before_and_nothing_is_changed_in_place(mirror, shape, more):
    values = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    before = values.copy()
    once = mirror(values, *more)
    assert once.dtype == np.float32
    assert not np.array_equal(once, before)
    np.testing.assert_allclose(mirror(once, *more), before, atol=1e-4)
    np.testing.assert_array_equal(values, before)
