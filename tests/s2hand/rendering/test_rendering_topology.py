"""Edges of meshes, against trimesh and small cases by hand."""

import numpy as np
import pytest
import torch
import trimesh

from s2hand.geometry.mesh import boundary_loops
from s2hand.hand.embedded import embedded_hand
from s2hand.rendering import MeshTopology


def test_two_triangles_by_hand() -> None:
    topology = MeshTopology.from_faces(torch.tensor([[0, 1, 2], [2, 1, 3]]), 5)
    assert topology.edges.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    assert topology.edge_faces.tolist() == [[0, -1], [0, -1], [0, 1], [1, -1], [1, -1]]
    assert topology.edge_opposite.tolist() == [[2, -1], [1, -1], [0, 3], [2, -1], [1, -1]]
    assert topology.num_vertices == 5
    narrow = MeshTopology.from_faces(topology.faces.int(), 5)
    assert torch.equal(narrow.faces, topology.faces)
    assert narrow.faces.dtype == torch.int64


def test_edges_of_the_hand_agree_with_trimesh() -> None:
    hand = embedded_hand()
    topology = MeshTopology.from_faces(torch.from_numpy(hand.faces), 778)
    mesh = trimesh.Trimesh(hand.v_template, hand.faces, process=False)
    np.testing.assert_array_equal(topology.edges, mesh.edges_unique[np.lexsort(
        mesh.edges_unique.T[::-1]
    )])  # fmt: skip
    inner = topology.edge_faces[:, 1] >= 0
    pairs = {tuple(pair) for pair in topology.edge_faces[inner].tolist()}
    assert pairs == {tuple(sorted(pair)) for pair in mesh.face_adjacency.tolist()}
    (rim,) = boundary_loops(hand.faces)
    assert set(topology.edges[~inner].unique().tolist()) == set(rim.tolist())


def test_an_edge_and_its_opposite_vertex_are_the_face() -> None:
    topology = MeshTopology.from_faces(torch.from_numpy(embedded_hand().faces), 778)
    for side in range(2):
        there = topology.edge_faces[:, side] >= 0
        corners = torch.cat((topology.edges, topology.edge_opposite[:, side : side + 1]), dim=1)
        faces = topology.faces[topology.edge_faces[there, side]]
        assert torch.equal(corners[there].sort(dim=1).values, faces.sort(dim=1).values)


def test_a_mesh_without_faces_has_no_edges() -> None:
    topology = MeshTopology.from_faces(torch.zeros(0, 3, dtype=torch.int64), 4)
    assert topology.edges.shape == topology.edge_faces.shape == (0, 2)


def test_moving_to_a_device_keeps_everything() -> None:
    topology = MeshTopology.from_faces(torch.tensor([[0, 1, 2]]), 3).to("meta")
    assert topology.faces.device.type == topology.edge_opposite.device.type == "meta"
    assert topology.num_vertices == 3


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        ([[0, 1, 4]], r"faces must name vertices 0\.\.3, got 0\.\.4"),
        ([[0, -1, 2]], r"faces must name vertices 0\.\.3, got -1\.\.2"),
        ([[0, 1, 2], [3, 1, 3]], r"three different corners, got \[3, 1, 3\] as face 1"),
        (
            [[0, 1, 2], [1, 0, 3], [0, 2, 3], [2, 0, 3]],
            r"at most two faces may meet at an edge, got 3 between vertices \[0, 2\]",
        ),
    ],
)
def test_wrong_faces_are_refused(faces: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeshTopology.from_faces(torch.tensor(faces), 4)
