"""The camera and its image maps, above all the convention of pixel centres."""

import math

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from s2hand.geometry.cameras import (
    CameraModel,
    crop_affine,
    crop_intrinsics,
    homogeneous_pixels,
    project,
    resize_affine,
    resize_intrinsics,
    rotate_intrinsics,
    rotation_affine,
    transform_keypoints,
)
from s2hand.geometry.rotations import axis_angle_to_matrix

K = torch.tensor([[480.0, 0, 111.0], [0, 480.0, 113.0], [0, 0, 1]], dtype=torch.float64)


def _points(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    points = 0.1 * torch.randn(21, 3, generator=generator, dtype=torch.float64)
    return points + torch.tensor([0.0, 0.0, 0.6])


def test_project_is_the_pinhole_formula() -> None:
    pixel = project(torch.tensor([[0.1, -0.2, 0.5]], dtype=torch.float64), K)
    expected = torch.tensor([[480 * 0.1 / 0.5 + 111, 480 * -0.2 / 0.5 + 113]]).double()
    torch.testing.assert_close(pixel, expected)
    assert torch.autograd.gradcheck(project, (_points().requires_grad_(), K.clone()))


def test_convention_corners_of_the_image_stay_corners_when_resized() -> None:
    corners = torch.tensor([[-0.5, -0.5], [223.5, 223.5], [0.0, 0.0]])
    moved = transform_keypoints(corners, resize_affine(torch.tensor(0.5)))
    torch.testing.assert_close(moved, torch.tensor([[-0.5, -0.5], [111.5, 111.5], [-0.25, -0.25]]))


def test_convention_the_whole_image_as_a_box_is_a_resize() -> None:
    box = torch.tensor([-0.5, -0.5, 639.5, 639.5])
    torch.testing.assert_close(crop_affine(box, 224), resize_affine(torch.tensor(224 / 640)))


def test_convention_pixel_centres_are_those_of_pillow() -> None:
    """A box filter of a whole factor averages whole pixels: they go to their mean position."""
    picture = np.zeros((64, 64), dtype=np.uint8)
    picture[20:24, 36:40] = 255
    centre = torch.tensor([[37.5, 21.5]])  # mean of columns 36..39 and rows 20..23
    box = torch.tensor([15.5, 3.5, 63.5, 51.5])  # columns 16..63, rows 4..51
    small = Image.fromarray(picture).resize((12, 12), Image.Resampling.BOX, box=(16, 4, 64, 52))
    row, column = np.argwhere(np.asarray(small) == 255)[0]
    moved = transform_keypoints(centre, crop_affine(box, 12))
    torch.testing.assert_close(moved, torch.tensor([[float(column), float(row)]]))


@settings(max_examples=40, deadline=None)
@given(st.floats(-50, 300), st.floats(-50, 300), st.floats(20, 600), st.integers(16, 512))
def test_the_crop_of_the_projection_is_the_projection_of_the_crop(
    x: float, y: float, side: float, size: int
) -> None:
    box = torch.tensor([x, y, x + side, y + side], dtype=torch.float64)
    affine = crop_affine(box, size)
    cropped = project(_points(), crop_intrinsics(K, box, size))
    torch.testing.assert_close(transform_keypoints(project(_points(), K), affine), cropped)
    corners = transform_keypoints(box.view(2, 2), affine)
    expected = torch.tensor([[-0.5, -0.5], [size - 0.5, size - 0.5]], dtype=torch.float64)
    torch.testing.assert_close(corners, expected)


def test_the_resize_of_the_projection_is_the_projection_of_the_resize() -> None:
    scale = torch.tensor(0.37, dtype=torch.float64)
    resized = transform_keypoints(project(_points(), K), resize_affine(scale))
    torch.testing.assert_close(project(_points(), resize_intrinsics(K, scale)), resized)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi, -2.5])
def test_turning_the_image_is_turning_the_scene_about_the_optical_axis(angle: float) -> None:
    turn = torch.tensor(angle, dtype=torch.float64)
    centre = torch.tensor([111.5, 111.5], dtype=torch.float64)
    turned = transform_keypoints(project(_points(), K), rotation_affine(turn, centre))
    about_z = axis_angle_to_matrix(torch.tensor([0.0, 0.0, angle], dtype=torch.float64))
    scene = _points() @ about_z.T
    torch.testing.assert_close(project(scene, rotate_intrinsics(K, turn, centre)), turned)


def test_convention_a_quarter_turn_is_clockwise_on_the_screen() -> None:
    affine = rotation_affine(torch.tensor(math.pi / 2), torch.tensor([1.0, 1.0]))
    moved = transform_keypoints(torch.tensor([[2.0, 1.0]]), affine)  # right of the centre
    torch.testing.assert_close(moved, torch.tensor([[1.0, 2.0]]))  # now below it


def test_batches_of_maps_are_maps_of_batches() -> None:
    boxes = torch.tensor([[0.0, 0, 50, 50], [10.0, 20, 110, 120]])
    together = crop_affine(boxes, 64)
    for box, affine in zip(boxes, together, strict=True):
        torch.testing.assert_close(crop_affine(box, 64), affine)


def test_homogeneous_pixels_are_the_camera_matrix_times_the_point() -> None:
    points = _points()
    torch.testing.assert_close(homogeneous_pixels(points, K), torch.stack([K @ p for p in points]))
    behind = torch.tensor([[0.1, 0.2, -0.3]], dtype=torch.float64)
    assert homogeneous_pixels(behind, K)[0, 2] == -0.3


def test_convention_orthographic_focal_entries_are_pixels_per_metre() -> None:
    near = torch.tensor([[0.01, -0.02, 0.3], [0.01, -0.02, 5.0]], dtype=torch.float64)
    expected = torch.tensor([[480 * 0.01 + 111, 480 * -0.02 + 113]]).double().expand(2, 2)
    torch.testing.assert_close(project(near, K, "orthographic"), expected)
    assert (homogeneous_pixels(near, K, "orthographic")[:, 2] == 1).all()


@pytest.mark.parametrize("camera", ["perspective", "orthographic"])
def test_homogeneous_pixels_have_the_gradients_of_finite_differences(camera: CameraModel) -> None:
    inputs = (_points().requires_grad_(), K.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda p, k: homogeneous_pixels(p, k, camera), inputs)


def test_an_unknown_camera_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # In tests the type checker would refuse it first.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="camera must be perspective or orthographic, got 'fish'"):
        homogeneous_pixels(_points(), K, "fish")  # type: ignore[arg-type]
