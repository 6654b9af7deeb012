"""Meshes that cannot be seen, or only partly: no NaN, and no gradient where nothing is seen."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from s2hand.geometry.cameras import CameraModel, homogeneous_pixels
from s2hand.rendering import Lighting, MeshTopology, Rendering, render

DOUBLE = torch.float64
SIZE = 24


def _render(
    vertices: Tensor, topology: MeshTopology, K: Tensor, camera: CameraModel = "perspective"
) -> tuple[Rendering, list[Tensor]]:
    """Render one mesh and differentiate everything seen by vertices, albedo, light and camera."""
    inputs = [
        vertices[None].clone(),
        torch.full((1, len(vertices), 3), 0.7, dtype=vertices.dtype),
        torch.ones(1, 11, dtype=vertices.dtype),
        K[None].clone(),
    ]
    for tensor in inputs:
        tensor.requires_grad_()
    seen = render(
        inputs[0], topology, inputs[1], Lighting.from_vector(inputs[2]), inputs[3],
        height=SIZE, width=SIZE, camera=camera, background=(0.1, 0.2, 0.3),
    )  # fmt: skip
    total = seen.image.square().sum() + seen.silhouette.square().sum() + seen.depth_m.square().sum()
    gradients = list(torch.autograd.grad(total, inputs, materialize_grads=True))
    for tensor in (seen.image, seen.silhouette, seen.depth_m, *gradients):
        assert tensor.isfinite().all()
    return seen, gradients


INVISIBLE = {
    "behind the camera": [[-0.1, -0.1, -1], [0.1, -0.1, -1], [0.0, 0.1, -1.0]],
    "in the camera's plane": [[-0.1, -0.1, 0], [0.1, -0.1, 0], [0.0, 0.1, 0.0]],
    "nearer than the near plane": [[-1e-3, -1e-3, 5e-3], [1e-3, -1e-3, 5e-3], [0.0, 1e-3, 5e-3]],
    "a line": [[-0.1, -0.1, 1], [0.0, 0.0, 1], [0.1, 0.1, 1.0]],
    "a point": [[0.0, 0.0, 1.0]] * 3,
    "edge-on": [[0.0, 0.0, 1], [0.0, 0.0, 2], [0.1, 0.0, 3.0]],
    "left of the image": [[-5.0, -0.1, 1], [-4.0, -0.1, 1], [-4.5, 0.1, 1.0]],
    "far outside": [[1e9, 1e9, 1.0], [2e9, 1e9, 1], [1e9, 2e9, 1]],
    "smaller than a pixel": [[1e-3, 1e-3, 1.0], [2e-3, 1e-3, 1], [1e-3, 2e-3, 1]],
}


@pytest.mark.parametrize("what", INVISIBLE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_cannot_be_seen_has_no_gradient(scenes, what: str, dtype: torch.dtype) -> None:
    vertices, topology = scenes.soup(torch.tensor([INVISIBLE[what]], dtype=dtype))
    K = scenes.camera(SIZE).to(dtype)
    seen, gradients = _render(vertices, topology, K)
    assert (seen.face_id == -1).all()
    assert (seen.silhouette == 0).all()
    assert (seen.depth_m == 0).all()
    expected = torch.tensor([0.1, 0.2, 0.3], dtype=dtype).view(1, 3, 1, 1).expand_as(seen.image)
    torch.testing.assert_close(seen.image, expected)
    assert all((gradient == 0).all() for gradient in gradients)


@pytest.mark.parametrize("camera", ["perspective", "orthographic"])
def test_a_hand_behind_the_camera_is_not_seen(scenes, camera: CameraModel) -> None:
    vertices, topology = scenes.hands(1)
    K = scenes.camera(SIZE, camera=camera)
    seen, _ = _render(vertices[0], topology, K, camera)
    assert seen.silhouette.sum() > 20
    seen, gradients = _render(vertices[0] - torch.tensor([0, 0, 0.9]), topology, K, camera)
    assert (seen.silhouette == 0).all()
    assert all((gradient == 0).all() for gradient in gradients)


def test_a_mesh_without_faces_is_an_empty_image(scenes) -> None:
    topology = MeshTopology.from_faces(torch.zeros(0, 3, dtype=torch.int64), 3)
    seen, gradients = _render(torch.ones(3, 3, dtype=DOUBLE), topology, scenes.camera(SIZE))
    assert (seen.face_id == -1).all()
    assert all((gradient == 0).all() for gradient in gradients)


def test_faces_that_reach_behind_the_camera_agree_with_rays(scenes, reference) -> None:
    generator = torch.Generator().manual_seed(1)
    vertices, topology = scenes.soup(0.5 * torch.randn(30, 3, 3, generator=generator, dtype=DOUBLE))
    K = scenes.camera(SIZE)
    seen, gradients = _render(vertices, topology, K)
    expected, _, depth = reference(vertices.numpy(), K.numpy(), topology.faces.numpy(), SIZE, SIZE)
    crossing = vertices.view(30, 3, 3)[..., 2].sign().sum(1).abs() != 3
    shown = torch.from_numpy(expected)
    assert crossing[shown[shown >= 0]].any()
    assert (seen.face_id[0] == shown).float().mean() > 0.999
    torch.testing.assert_close(
        seen.depth_m[0], torch.from_numpy(depth).where(shown >= 0, torch.tensor(0.0))
    )
    assert gradients[0].abs().max() > 0


def test_what_lies_outside_the_frame_changes_nothing(scenes) -> None:
    """A sheet larger than the image: its edges are not in the picture."""
    corners = torch.tensor([[-9.0, -9, 1], [9, -9, 1], [9, 9, 1], [-9, 9, 1]], dtype=DOUBLE)
    topology = MeshTopology.from_faces(torch.tensor([[0, 2, 1], [0, 3, 2]]), 4)
    seen, gradients = _render(corners, topology, scenes.camera(SIZE))
    assert (seen.silhouette == 1).all()
    assert gradients[0][0, :, :2].abs().max() < 1e-9  # it is lit the same everywhere


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (7, 1), (5, 13)])
def test_images_of_any_size(scenes, height: int, width: int) -> None:
    vertices, topology = scenes.hands(1)
    K = scenes.camera(24)[None].clone()
    K[:, 0, 2], K[:, 1, 2] = (width - 1) / 2, (height - 1) / 2
    K.requires_grad_()
    points = homogeneous_pixels(vertices, K)
    outputs = scenes.draw(points, points[..., 2], torch.ones_like(points), topology, height, width)
    assert outputs[0].shape == (1, 3, height, width)
    assert outputs[1].sum() > 0
    (gradient,) = torch.autograd.grad(outputs[0].sum(), K)
    assert gradient.isfinite().all()


COORDINATE = st.one_of(
    st.floats(-0.5, 0.5),
    st.sampled_from([0.0, 0.01, 0.5, -0.25]),  # ties, shared planes, axis-aligned edges
    st.floats(-1e8, 1e8),
    st.floats(-1e-8, 1e-8),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(COORDINATE, min_size=9, max_size=9), min_size=1, max_size=6),
    st.sampled_from(["perspective", "orthographic"]),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_nothing_finite_renders_to_nan(
    scenes, corners: list[list[float]], camera: CameraModel, dtype: torch.dtype
) -> None:
    vertices, topology = scenes.soup(torch.tensor(corners, dtype=dtype).view(-1, 3, 3))
    seen, gradients = _render(vertices, topology, scenes.camera(SIZE).to(dtype), camera)
    assert ((seen.silhouette >= 0) & (seen.silhouette <= 1 + 1e-6)).all()
    unseen = [face for face in range(len(corners)) if (seen.face_id != face).all()]
    assert (gradients[1].view(-1, 3, 3)[unseen] == 0).all()
