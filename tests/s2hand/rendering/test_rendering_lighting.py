"""Light on vertices and faces, against the formula written out and against NMR's in NumPy."""

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from s2hand.rendering import Lighting, MeshTopology, shade

DOUBLE = torch.float64


def _sphere() -> tuple[Tensor, MeshTopology]:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.1)
    faces = torch.tensor(np.asarray(mesh.faces))
    return torch.tensor(np.asarray(mesh.vertices))[None], MeshTopology.from_faces(faces, 162)


def _vector(batch: int = 1) -> Tensor:
    return torch.rand(batch, 11, generator=torch.Generator().manual_seed(0), dtype=DOUBLE) - 0.2


def test_convention_the_eleven_numbers_have_the_released_order() -> None:
    lighting = Lighting.from_vector(torch.arange(11.0)[None])
    assert lighting.ambient_intensity.tolist() == [[0.0]]
    assert lighting.directional_intensity.tolist() == [[1.0]]
    assert lighting.ambient_colour.tolist() == [[2.0, 3.0, 4.0]]
    assert lighting.directional_colour.tolist() == [[5.0, 6.0, 7.0]]
    assert lighting.direction.tolist() == [[8.0, 9.0, 10.0]]


def test_convention_light_along_z_reaches_what_the_camera_sees() -> None:
    vertices, topology = _sphere()
    vector = torch.tensor([[0.0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1]], dtype=DOUBLE)
    lit = shade(vertices, topology, torch.ones_like(vertices), Lighting.from_vector(vector))
    towards_camera = vertices[0].argmin(dim=0)[2]  # the smallest z
    away = vertices[0].argmax(dim=0)[2]
    torch.testing.assert_close(lit[0, towards_camera], torch.ones(3, dtype=DOUBLE))
    torch.testing.assert_close(lit[0, away], torch.zeros(3, dtype=DOUBLE))


def test_a_sphere_is_lit_by_the_cosine() -> None:
    vertices, topology = _sphere()
    vector = _vector()
    albedo = torch.rand_like(vertices)
    lit = shade(vertices, topology, albedo, Lighting.from_vector(vector))[0].numpy()
    la, ld, lca, lcd, nd = np.split(vector[0].numpy(), [1, 2, 5, 8])
    normals = vertices[0].numpy() / 0.1  # a sphere's; the mesh's own differ a little
    cosine = np.maximum(-(normals @ nd), 0)[:, None]
    np.testing.assert_allclose(lit, albedo[0].numpy() * (la * lca + ld * lcd * cosine), atol=0.01)


def test_faces_are_lit_as_the_released_code_lights_them() -> None:
    """NMR with the S2HAND fork's light: the normal is cross(v0 − v1, v2 − v1)."""
    vertices, topology = _sphere()
    vector = _vector()
    albedo = torch.rand(1, 320, 3, dtype=DOUBLE)
    lit = shade(vertices, topology, albedo, Lighting.from_vector(vector))[0].numpy()
    v0, v1, v2 = vertices[0].numpy()[topology.faces.numpy()].transpose(1, 0, 2)
    normals = np.cross(v0 - v1, v2 - v1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    la, ld, lca, lcd, nd = np.split(vector[0].numpy(), [1, 2, 5, 8])
    light = la * lca + ld * lcd * np.maximum(normals @ nd, 0)[:, None]
    np.testing.assert_allclose(lit, albedo[0].numpy() * light, rtol=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    mesh = trimesh.creation.icosahedron()
    topology = MeshTopology.from_faces(torch.tensor(np.asarray(mesh.faces)), 12)
    vertices = torch.tensor(np.asarray(mesh.vertices)).repeat(2, 1, 1).requires_grad_()
    vector = _vector(2).requires_grad_()
    for points in (12, 20):
        albedo = torch.rand(2, points, 3, dtype=DOUBLE, requires_grad=True)
        assert torch.autograd.gradcheck(
            lambda v, a, light: shade(v, topology, a, Lighting.from_vector(light)),
            (vertices, albedo, vector),
        )


def test_albedo_of_neither_vertices_nor_faces_is_refused() -> None:
    vertices, topology = _sphere()
    with pytest.raises(ValueError, match=r"per vertex \(162\) or per face \(320\), got 7 colours"):
        shade(vertices, topology, vertices[:, :7], Lighting.from_vector(_vector()))
