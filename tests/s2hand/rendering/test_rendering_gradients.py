"""Gradients of images, silhouettes and depths against central differences, in float64."""

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from s2hand.geometry.cameras import CameraModel, homogeneous_pixels
from s2hand.geometry.rotations import axis_angle_to_matrix
from s2hand.rendering import Lighting, MeshTopology, render

DOUBLE = torch.float64
SIZE = 24


def _blobs(scenes) -> tuple[Tensor, MeshTopology, Tensor]:
    """Two closed meshes, one before the other, with outlines inside the picture."""
    near = trimesh.creation.icosphere(subdivisions=1, radius=0.035)
    far = trimesh.creation.icosahedron()
    # Turned, because outlines that coincide have no gradient but two one-sided ones.
    turn = axis_angle_to_matrix(torch.tensor([0.4, -0.9, 0.3], dtype=DOUBLE)).numpy()
    vertices = np.concatenate([
        np.asarray(near.vertices) @ turn * [1, 1.3, 0.8] + [-0.031, 0.012, 0.5],
        np.asarray(far.vertices) @ turn * 0.07 + [0.023, -0.017, 0.71],
    ])  # fmt: skip
    faces = np.concatenate([near.faces, np.asarray(far.faces) + len(near.vertices)])
    topology = MeshTopology.from_faces(torch.tensor(faces), len(vertices))
    return torch.tensor(vertices)[None], topology, scenes.camera(SIZE)[None]


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


@pytest.mark.parametrize("camera", ["perspective", "orthographic"])
@pytest.mark.parametrize("per", ["vertex", "face"])
def test_gradients_reach_everything_that_is_rendered(scenes, camera: CameraModel, per: str) -> None:
    vertices, topology, _ = _blobs(scenes)
    K = scenes.camera(SIZE, camera=camera)[None]
    points = topology.num_vertices if per == "vertex" else len(topology.faces)
    inputs = (vertices, _random(1, points, 3), _random(1, 11, seed=1) + 0.2, K)
    for tensor in inputs:
        tensor.requires_grad_()

    def everything(v: Tensor, albedo: Tensor, light: Tensor, k: Tensor) -> tuple[Tensor, ...]:
        seen = render(
            v, topology, albedo, Lighting.from_vector(light), k, height=SIZE, width=SIZE,
            camera=camera, background=(0.9, 0.1, 0.4),
        )  # fmt: skip
        return seen.image, seen.silhouette, seen.depth_m

    # The last row of a camera matrix is fixed: hold it there.
    fixed = torch.tensor([[0.0], [0.0], [1.0]], dtype=DOUBLE) @ torch.tensor([[0.0, 0, 1]]).double()
    mask = torch.tensor([[1.0], [1.0], [0.0]], dtype=DOUBLE)
    assert torch.autograd.gradcheck(
        lambda v, a, light, k: everything(v, a, light, k * mask + fixed),
        inputs,
        atol=1e-5,
        fast_mode=False,
    )


def test_colours_and_vertices_have_gradients_at_crowded_pixels(scenes) -> None:
    """A hole around one pixel centre: all four neighbours flow in, with weights above one."""
    outer = [[-20.0, -20], [40, -20], [40, 40], [-20, 40]]
    inner = [[9.9, 9.86], [10.13, 9.93], [10.08, 10.11], [9.88, 10.09]]
    points = scenes.on_screen(outer + inner, 0.5)[None]
    faces = []
    for i in range(4):
        j = (i + 1) % 4
        faces += [[i, i + 4, j], [j, i + 4, j + 4]]
    topology = MeshTopology.from_faces(torch.tensor(faces), 8)
    colours = _random(1, 8, 3)
    points.requires_grad_()
    colours.requires_grad_()

    def image(p: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        return scenes.draw(p, p[..., 2].detach(), c, topology, 20, 20, background=(0.3, 0.5, 0.7))[
            :2
        ]

    shown, silhouette = image(points, colours)
    assert silhouette[0, 10, 10] == 1  # nothing of the background is left
    assert (shown[0, :, 10, 10] - torch.tensor([0.3, 0.5, 0.7])).abs().min() > 1e-3
    assert torch.autograd.gradcheck(image, (points, colours), atol=1e-5)


def _sheet(
    scenes, corners: list[list[float]], depth_m: float, colour: list[float]
) -> tuple[Tensor, Tensor]:
    return scenes.on_screen(corners, depth_m), torch.tensor([colour], dtype=DOUBLE).repeat(4, 1)


def test_an_occlusion_boundary_moves_with_the_front_surface_alone(scenes) -> None:
    """The front sheet's right edge, at 10.3, hides part of a larger sheet behind it."""
    front = _sheet(scenes, [[-9.0, -9], [10.3, -9], [10.3, 40], [-9, 40]], 0.4, [1.0, 0.2, 0.0])
    back = _sheet(scenes, [[-11.0, -11], [60, -11], [60, 60], [-11, 60]], 0.6, [0.0, 0.5, 0.25])
    points = torch.cat((front[0], back[0]))[None].requires_grad_()
    colours = torch.cat((front[1], back[1]))[None]
    faces = torch.tensor([[0, 2, 1], [0, 3, 2], [4, 6, 5], [4, 7, 6]])
    topology = MeshTopology.from_faces(faces, 8)
    depth = points[..., 2].detach()
    image, silhouette, _, _ = scenes.draw(points, depth, colours, topology, 24, 24)
    torch.testing.assert_close(image[0, 0].sum(), torch.tensor(24 * 10.8, dtype=DOUBLE))
    for channel, step in enumerate((1.0, -0.3, -0.25)):
        (gradient,) = torch.autograd.grad(image[0, channel].sum(), points, retain_graph=True)
        # u = U / W: moving both right corners by du moves U by W·du.
        to_front = (gradient[0, 1:3, 0] * 0.4).sum()
        torch.testing.assert_close(to_front, torch.tensor(24 * step, dtype=DOUBLE))
        assert gradient[0, 4:].abs().max() < 1e-12
    (gradient,) = torch.autograd.grad(silhouette.sum(), points, allow_unused=True)
    assert gradient.abs().max() < 1e-12  # covered on both sides


def test_hidden_outlines_change_nothing(scenes) -> None:
    """The same two sheets, the small one behind."""
    small = _sheet(scenes, [[3.0, 4], [10.3, 5], [12.1, 17], [4, 15]], 0.6, [1.0, 0.0, 0.0])
    front = _sheet(scenes, [[-9.0, -9], [60, -9], [60, 60], [-9, 60]], 0.4, [0.0, 0.5, 0.0])
    points = torch.cat((small[0], front[0]))[None].requires_grad_()
    colours = torch.cat((small[1], front[1]))[None].requires_grad_()
    faces = torch.tensor([[0, 2, 1], [0, 3, 2], [4, 6, 5], [4, 7, 6]])
    topology = MeshTopology.from_faces(faces, 8)
    image, _, _, _ = scenes.draw(points, points[..., 2].detach(), colours, topology, 24, 24)
    torch.testing.assert_close(image[0, 1], torch.full((24, 24), 0.5, dtype=DOUBLE))
    gradients = torch.autograd.grad(image.sum(), (points, colours))
    assert all((gradient[0, :4] == 0).all() for gradient in gradients)
    assert all(gradient[0, 4:].abs().max() > 0 for gradient in gradients[1:])


def test_float32_gradients_are_those_of_float64(scenes) -> None:
    vertices, topology = scenes.hands(2)
    K = scenes.camera(64).expand(2, 3, 3)
    weights = _random(2, 3, 64, 64)
    gradients = []
    for dtype in (torch.float32, torch.float64):
        points = homogeneous_pixels(vertices, K).to(dtype).requires_grad_()
        colours = _random(2, 778, 3).to(dtype).requires_grad_()
        depth = vertices[..., 2].to(dtype)
        image, _, _, _ = scenes.draw(points, depth, colours, topology, 64, 64)
        assert image.dtype == dtype
        gradients.append(torch.autograd.grad((image * weights.to(dtype)).sum(), (points, colours)))
    for single, double in zip(*gradients, strict=True):
        assert single.dtype == torch.float32
        assert float((single - double).norm() / double.norm()) < 1e-3
