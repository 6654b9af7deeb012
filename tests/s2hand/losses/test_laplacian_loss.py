"""The mesh Laplacian on planes and regular bodies, against angles added up in a loop."""

import math

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_means import count_of_frames
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from s2hand.hand.embedded import embedded_hand
from s2hand.losses.laplacian import MeshLaplacian

TETRAHEDRON = torch.tensor(
    [[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]], dtype=torch.float64
)
TETRAHEDRON_FACES = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])


def angle_rad(one, other):
    """The angle between two vectors; the arc cosine would lose half the digits of slivers."""
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    return 2 * math.atan2(np.linalg.norm(one - other), np.linalg.norm(one + other))


def slow_lengths(rest, faces, vertices):
    """‖(L·v)ᵢ‖ of every vertex: its neighbours, and the angles opposite their edges, one by one."""
    lengths = []
    for i, vertex in enumerate(vertices):
        weights = {}
        for face in faces.tolist():
            if i not in face:
                continue
            for j in set(face) - {i}:
                (k,) = set(face) - {i, j}
                one, other = rest[i] - rest[k], rest[j] - rest[k]
                weights[j] = weights.get(j, 0.0) + 1 / math.tan(angle_rad(one, other))
        mean = sum(w * vertices[j] for j, w in weights.items()) / sum(weights.values())
        lengths.append(np.linalg.norm(vertex - mean))
    return np.array(lengths)


def patch(seed, count=25):
    """Random points of a plane in space, their Delaunay triangles, and which lie inside."""
    generator = np.random.default_rng(seed)
    points = generator.uniform(-1, 1, (count, 2))
    triangulation = Delaunay(points)
    turn = Rotation.random(rng=generator).as_matrix()
    vertices = np.column_stack([points, np.zeros(count)]) @ turn.T
    inner = np.setdiff1d(np.arange(count), triangulation.convex_hull)
    return vertices, triangulation.simplices.astype(np.int64), inner


def test_corners_of_a_tetrahedron_are_drawn_to_the_middle_of_the_others():
    """v − mean of the other three = 4/3 of the way to the centre, which is √3 away."""
    loss = MeshLaplacian(TETRAHEDRON, TETRAHEDRON_FACES)(TETRAHEDRON[None])
    assert loss.item() == pytest.approx(4 * 4 / 3 * math.sqrt(3))


@pytest.mark.parametrize("seed", [0, 1])
def test_lengths_agree_with_angles_added_up_in_a_loop(seed):
    rest, faces, _ = patch(seed)
    generator = np.random.default_rng(seed)
    rest = rest + 0.2 * generator.normal(size=rest.shape)
    vertices = rest + 0.3 * generator.normal(size=(2, *rest.shape))
    expected = sum(slow_lengths(rest, faces, frame).sum() for frame in vertices)
    loss = MeshLaplacian(torch.from_numpy(rest), torch.from_numpy(faces))(
        torch.from_numpy(vertices)
    )
    assert loss.item() == pytest.approx(expected, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_inner_vertices_of_a_plane_cost_nothing_however_the_triangles_lie(seed):
    """Cotangents reproduce linear functions, so only the border's vertices are seen."""
    vertices, faces, inner = patch(seed)
    border = np.setdiff1d(np.arange(len(vertices)), inner)
    laplacian = MeshLaplacian(torch.from_numpy(vertices), torch.from_numpy(faces))
    of_border = slow_lengths(vertices, faces, vertices)[border].sum()
    assert laplacian(torch.from_numpy(vertices)[None]).item() == pytest.approx(of_border)


def test_a_bump_on_a_regular_grid_is_seen_by_its_neighbours_alone():
    """On a grid of squares the weights are 1/4 along its lines and 0 along the diagonals."""
    rows, columns = np.mgrid[:7, :7]
    vertices = torch.from_numpy(np.stack([rows, columns, 0 * rows], axis=-1).reshape(49, 3) * 1.0)
    corner = (7 * rows + columns)[:-1, :-1].ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + 7, corner + 1], axis=1),
            np.stack([corner + 1, corner + 7, corner + 8], axis=1),
        ]
    )
    laplacian = MeshLaplacian(vertices, torch.from_numpy(faces))
    flat = laplacian(vertices[None]).item()
    bumped = vertices.clone()
    bumped[24, 2] = 0.1
    assert laplacian(bumped[None]).item() - flat == pytest.approx(0.1 * (1 + 4 / 4))


def test_a_sphere_is_drawn_evenly_towards_its_centre():
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=1.0)
    vertices = torch.tensor(np.asarray(sphere.vertices))
    vertices.requires_grad_()
    loss = MeshLaplacian(vertices.detach(), torch.tensor(np.asarray(sphere.faces)))(vertices[None])
    # Σ wᵢⱼ·(vᵢ − vⱼ) is 4 · mean curvature · the area around the vertex, here 4 · 1 · 4π/n, and
    # Σ wᵢⱼ of six nearly equilateral triangles is 6 · 2/√3.
    expected = 16 * math.pi / len(vertices) / (12 / math.sqrt(3))
    assert loss.item() / len(vertices) == pytest.approx(expected, rel=0.02)
    loss.backward()  # the loss grows with the radius, and by nothing else
    torch.testing.assert_close((vertices.grad * vertices.detach()).sum(), loss.detach())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), scale=st.floats(0.1, 5.0), shift=st.floats(-2, 2))
def test_the_laplacian_ignores_place_and_orientation_and_grows_with_size(seed, scale, shift):
    generator = np.random.default_rng(seed)
    vertices = torch.from_numpy(generator.normal(size=(1, 4, 3)))
    turn = torch.from_numpy(Rotation.random(rng=generator).as_matrix())
    laplacian = MeshLaplacian(TETRAHEDRON, TETRAHEDRON_FACES)
    moved = scale * vertices @ turn.T + shift
    torch.testing.assert_close(laplacian(moved), scale * laplacian(vertices))


def test_laplacian_gradients_agree_with_finite_differences():
    rest, faces, _ = patch(3, count=8)
    laplacian = MeshLaplacian(torch.from_numpy(rest), torch.from_numpy(faces))
    generator = np.random.default_rng(3)
    vertices = torch.from_numpy(generator.normal(size=(2, 8, 3))).requires_grad_()
    assert torch.autograd.gradcheck(laplacian, vertices)


def test_a_hand_shrunk_to_a_point_costs_nothing_and_has_finite_gradients():
    hand = embedded_hand()
    laplacian = MeshLaplacian(
        torch.tensor(hand.v_template, dtype=torch.float32), torch.tensor(hand.faces)
    )
    vertices = torch.zeros(2, 778, 3, requires_grad=True)
    loss = laplacian(vertices)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(vertices.grad, torch.zeros_like(vertices))


def test_the_embedded_hand_is_measured_like_in_a_loop():
    hand = embedded_hand()
    rest = torch.tensor(hand.v_template)
    loss = MeshLaplacian(rest, torch.tensor(hand.faces))(rest[None])
    expected = slow_lengths(hand.v_template, hand.faces, hand.v_template)
    assert loss.item() == pytest.approx(expected.sum(), rel=1e-9)
    assert count_of_frames("mesh_laplacian", 5).item() == 5 * len(rest)


@pytest.mark.parametrize(
    ("faces", "wrong"),
    [([[0, 1, 2]], "[3]"), ([[0, 1, 2], [1, 3, 3]], "[1, 3]")],
)
def test_faces_without_area_and_vertices_without_faces_are_refused(faces, wrong):
    with pytest.raises(ValueError, match=r"every face must have an area.*" + wrong.strip("[]")):
        MeshLaplacian(TETRAHEDRON, torch.tensor(faces))
