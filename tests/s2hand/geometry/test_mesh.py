"""Mesh functions against trimesh and closed forms."""

import numpy as np
import pytest
import torch
import trimesh

from s2hand.geometry.mesh import (
    boundary_loops,
    face_normals,
    vertex_normals,
)


def _sphere() -> tuple[trimesh.Trimesh, torch.Tensor, torch.Tensor]:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.05)
    mesh.apply_scale([1.0, 1.5, 0.7])
    return mesh, torch.tensor(mesh.vertices), torch.tensor(mesh.faces)


def _open_cylinder(sections: int = 16) -> trimesh.Trimesh:
    mesh = trimesh.creation.cylinder(radius=0.03, height=0.2, sections=sections)
    centre = int(np.argmax(mesh.vertices[:, 2] - 10 * np.hypot(*mesh.vertices.T[:2])))
    mesh.update_faces(~(mesh.faces == centre).any(axis=1))
    mesh.remove_unreferenced_vertices()
    return mesh


def test_normals_agree_with_trimesh() -> None:
    mesh, vertices, faces = _sphere()
    np.testing.assert_allclose(face_normals(vertices, faces), mesh.face_normals, atol=1e-12)
    weighted = np.zeros((len(mesh.vertices), 3))
    for corner in range(3):
        np.add.at(weighted, mesh.faces[:, corner], mesh.face_normals * mesh.area_faces[:, None])
    expected = weighted / np.linalg.norm(weighted, axis=1, keepdims=True)
    np.testing.assert_allclose(vertex_normals(vertices, faces), expected, atol=1e-12)


def test_convention_normals_of_a_sphere_point_outwards() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=3)
    normals = vertex_normals(torch.tensor(mesh.vertices), torch.tensor(mesh.faces))
    assert (normals.numpy() * mesh.vertices).sum(-1).min() > 0.999


def test_normals_have_the_gradients_of_finite_differences() -> None:
    mesh = trimesh.creation.icosahedron()
    faces = torch.tensor(mesh.faces)
    vertices = torch.tensor(mesh.vertices).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: vertex_normals(v, faces), vertices)


def test_a_face_without_area_has_no_normal_and_finite_gradients() -> None:
    vertices = torch.zeros(3, 3, requires_grad=True)
    normals = vertex_normals(vertices, torch.tensor([[0, 1, 2]]))
    normals.sum().backward()
    assert (normals == 0).all()
    assert vertices.grad is not None
    assert vertices.grad.isfinite().all()


def test_an_open_end_is_found() -> None:
    mesh = _open_cylinder()
    (loop,) = boundary_loops(mesh.faces)
    assert len(loop) == 16
    assert not mesh.is_watertight
    directed = {tuple(edge) for edge in mesh.edges.tolist()}
    for start, end in zip(loop, np.roll(loop, -1), strict=True):
        assert (start, end) in directed


def test_two_holes_are_two_loops_and_a_closed_mesh_has_none() -> None:
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    assert [loop.tolist() for loop in boundary_loops(faces)] == [[0, 1, 2], [3, 4, 5]]
    assert boundary_loops(trimesh.creation.icosahedron().faces) == []


def test_holes_that_share_a_vertex_are_refused() -> None:
    with pytest.raises(ValueError, match="two loops share a vertex"):
        boundary_loops(np.array([[0, 1, 2], [0, 3, 4]]))
