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
    REFERENCE_IMAGE_SIZE_PX,
    CameraModel,
    CameraView,
    affine_view,
    crop_affine,
    homogeneous_pixels,
    project,
    resize_affine,
    rotation_affine,
    transform_keypoints,
    turn_in_plane,
    turned_view,
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


def test_each_image_of_a_batch_is_resized_by_its_own_scale() -> None:
    scales = torch.tensor([0.5, 3.0])
    torch.testing.assert_close(
        resize_affine(scales), torch.stack([resize_affine(each) for each in scales])
    )


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
    view = affine_view(K, affine)
    cropped = project(_points() @ view.rotation, view.intrinsics_px)
    torch.testing.assert_close(transform_keypoints(project(_points(), K), affine), cropped)
    corners = transform_keypoints(box.view(2, 2), affine)
    expected = torch.tensor([[-0.5, -0.5], [size - 0.5, size - 0.5]], dtype=torch.float64)
    torch.testing.assert_close(corners, expected)


WIDE = torch.tensor([[614.6, 0, 322.3], [0, 611.2, 237.9], [0, 0, 1]], dtype=torch.float64)
BOXES = torch.tensor(
    [
        [172.3, 87.9, 472.3, 387.9],  # about the principal point
        [472.0, 90.0, 772.0, 390.0],
        [-70.0, -40.0, 90.0, 120.0],
        [30.0, 150.0, 690.0, 810.0],
    ],
    dtype=torch.float64,
)


def _homogeneous_centres() -> torch.Tensor:
    return torch.cat(((BOXES[:, :2] + BOXES[:, 2:]) / 2, torch.ones(4, 1)), dim=1)


def turned() -> CameraView:
    return turned_view(WIDE.expand(4, 3, 3), BOXES, 224)


def test_a_turned_camera_sees_the_scene_where_the_pixel_map_says() -> None:
    view = turned()
    scene = _points().expand(4, 21, 3) + torch.tensor([0.05, -0.02, 0.0])
    # The camera's axes are the rotation's columns: coordinates along them are what it sees.
    seen = torch.stack([scene @ view.rotation[:, :, axis, None] for axis in range(3)], dim=-1)
    in_view = project(seen.squeeze(-2), view.intrinsics_px)
    stored = project(scene, WIDE.expand(4, 3, 3))
    torch.testing.assert_close(transform_keypoints(stored, view.pixel_map), in_view)


def test_convention_the_centre_of_the_crop_is_on_the_turned_camera_s_axis() -> None:
    view = turned()
    ray = torch.stack([torch.linalg.solve(WIDE, pixel) for pixel in _homogeneous_centres()])
    ray = ray / ray.norm(dim=1, keepdim=True)
    torch.testing.assert_close(view.rotation[:, :, 2], ray)
    centres = transform_keypoints(_homogeneous_centres()[:, None, :2], view.pixel_map)
    torch.testing.assert_close(centres, torch.full_like(centres, 111.5))
    torch.testing.assert_close(view.rotation[0], torch.eye(3).double(), atol=1e-12, rtol=0)


def test_the_turn_is_the_smallest_rotation_that_gets_there() -> None:
    rotation = turned().rotation
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).double().expand(4, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(4).double())
    # Rodrigues about the axis that is normal to both directions, by the angle between them.
    z = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    for each in rotation[1:]:
        axis = torch.linalg.cross(z, each[:, 2])
        angle = torch.atan2(axis.norm(), each[2, 2])
        torch.testing.assert_close(each, axis_angle_to_matrix(axis / axis.norm() * angle))


def test_convention_a_turned_camera_has_the_affine_crop_s_focal_length() -> None:
    view, affine = turned(), affine_view(WIDE.expand(4, 3, 3), crop_affine(BOXES, 224))
    focal = affine.intrinsics_px.diagonal(dim1=1, dim2=2)[:, :2].prod(dim=1).sqrt()
    zero = torch.zeros(4).double()
    expected = torch.stack([focal, zero, zero + 111.5, zero, focal, zero + 111.5], dim=1)
    torch.testing.assert_close(view.intrinsics_px[:, :2], expected.view(4, 2, 3))


def test_the_scale_at_a_turned_crop_s_centre_is_that_of_the_documentation() -> None:
    """By finite differences: cos θ across the direction to the axis, cos² θ along it."""
    square = torch.tensor([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]], dtype=torch.float64)
    box = torch.tensor([520.0, 140, 720, 340], dtype=torch.float64)  # 300 px right of the axis
    view, step = turned_view(square, box, 224), 1e-4
    centre = torch.tensor([620.0, 240.0], dtype=torch.float64)
    ends = centre + step * torch.tensor([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]]).double()
    moved = transform_keypoints(ends, view.pixel_map)
    along, across = (moved[0] - moved[1]) / step, (moved[2] - moved[3]) / step
    cosine = math.cos(math.atan(0.5))
    torch.testing.assert_close(
        along, torch.tensor([1.12 * cosine**2, 0]).double(), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(across, torch.tensor([0, 1.12 * cosine]).double(), atol=1e-6, rtol=0)


def test_a_crop_about_the_principal_point_is_the_affine_one() -> None:
    square = torch.tensor([[600.0, 0, 322.3], [0, 600, 237.9], [0, 0, 1]], dtype=torch.float64)
    view, affine = turned_view(square, BOXES[0], 224), crop_affine(BOXES[0], 224)
    torch.testing.assert_close(view.pixel_map / view.pixel_map[2, 2], affine)


@pytest.mark.parametrize("angle", [0.4, -2.5])
def test_turning_the_stored_image_turns_the_crop_s_picture(angle: float) -> None:
    """In-plane turns commute with the crop: the smallest rotation turns along."""
    square = torch.tensor([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]], dtype=torch.float64)
    turn = torch.tensor(angle, dtype=torch.float64)
    whole = rotation_affine(turn, square[:2, 2])
    centre = transform_keypoints(torch.tensor([[500.0, 90.0]], dtype=torch.float64), whole)[0]
    box = torch.tensor([400.0, -10, 600, 190], dtype=torch.float64)
    box_of_turned = torch.cat((centre - 100, centre + 100))
    first_cropped = turn_in_plane(turned_view(square, box, 224), turn, 224)
    first_turned = turned_view(square, box_of_turned, 224).pixel_map @ whole
    points = torch.tensor([[410.0, 20], [590, 0], [480, 170], [505, 88]], dtype=torch.float64)
    torch.testing.assert_close(
        transform_keypoints(points, first_cropped.pixel_map),
        transform_keypoints(points, first_turned),
    )


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi, -2.5])
def test_turning_the_image_is_turning_the_camera_the_other_way(angle: float) -> None:
    turn = torch.tensor([angle], dtype=torch.float64)
    centre = torch.tensor([[111.5, 111.5]], dtype=torch.float64)
    image = rotation_affine(turn, centre)
    oblong = torch.tensor([[480.0, 0, 90], [0, 430, 120], [0, 0, 1]], dtype=torch.float64)
    about_z = axis_angle_to_matrix(torch.tensor([0.0, 0.0, angle], dtype=torch.float64))
    for camera in (K, oblong):
        plain = affine_view(camera[None], torch.eye(3, dtype=torch.float64)[None])
        view = turn_in_plane(plain, turn, 224)
        expected = transform_keypoints(project(_points(), camera)[None], image)
        seen = project(_points()[None] @ view.rotation, view.intrinsics_px)
        torch.testing.assert_close(seen, expected)
        # The network sees the scene turned by the angle, through A·K·Rᵀ.
        torch.testing.assert_close(_points()[None] @ view.rotation, (_points() @ about_z.T)[None])
        torch.testing.assert_close(view.intrinsics_px[0], image[0] @ camera @ about_z.T)


def test_a_turn_keeps_a_central_square_camera() -> None:
    central = torch.tensor([[200.0, 0, 79.5], [0, 200, 79.5], [0, 0, 1]], dtype=torch.float64)
    plain = affine_view(central, torch.eye(3, dtype=torch.float64))
    view = turn_in_plane(plain, torch.tensor(1.1, dtype=torch.float64), 160)
    torch.testing.assert_close(view.intrinsics_px, central)


def test_pixel_maps_may_be_projective() -> None:
    pixel_map = torch.tensor([[2.0, 0, 1], [0, 3, 0], [0.1, 0, 1]])
    moved = transform_keypoints(torch.tensor([[10.0, 4.0]]), pixel_map)
    torch.testing.assert_close(moved, torch.tensor([[21 / 2, 12 / 2]]))


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


def test_convention_pixels_of_losses_and_errors_are_those_of_the_paper_s_images() -> None:
    assert REFERENCE_IMAGE_SIZE_PX == 224


def test_an_unknown_camera_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # In tests the type checker would refuse it first.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="camera must be perspective or orthographic, got 'fish'"):
        homogeneous_pixels(_points(), K, "fish")  # type: ignore[arg-type]
