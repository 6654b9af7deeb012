"""What is drawn: face ids, weights, depth and coverage, against slow and obvious versions."""

import subprocess
import sys
from collections.abc import Callable

import numba
import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from s2hand.geometry.cameras import CameraModel, homogeneous_pixels
from s2hand.rendering import MeshTopology
from s2hand.rendering.threads import as_many_threads_as_torch

DOUBLE = torch.float64
SIZE = 48


def _triangles(count: int, seed: int = 0, size: float = 0.06) -> Tensor:
    generator = np.random.default_rng(seed)
    centres = generator.uniform([-0.12, -0.12, 0.4], [0.12, 0.12, 0.8], (count, 1, 3))
    return torch.tensor(centres + generator.normal(0, size, (count, 3, 3)))


@pytest.mark.parametrize("camera", ["perspective", "orthographic"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ids_weights_and_depths_agree_with_rays(
    scenes, reference, camera: CameraModel, dtype: torch.dtype
) -> None:
    vertices, topology = scenes.soup(_triangles(60))
    K = scenes.camera(SIZE, camera=camera)
    # Red, green and blue at the corners show the weights.
    colours = torch.eye(3, dtype=dtype).repeat(60, 1)[None]
    points = homogeneous_pixels(vertices[None], K[None], camera).to(dtype)
    image, _, depth, face_id = scenes.draw(
        points, vertices[None, :, 2].to(dtype), colours, topology, SIZE, SIZE
    )
    expected_id, weights, expected_depth = reference(
        vertices.numpy(), K.numpy(), topology.faces.numpy(), SIZE, SIZE, camera
    )
    same = face_id[0].numpy() == expected_id
    assert same.mean() > 0.999
    assert 0.3 < (expected_id >= 0).mean() < 0.95
    seen = same & (expected_id >= 0)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-9
    np.testing.assert_allclose(depth[0].numpy()[seen], expected_depth[seen], rtol=tolerance)
    assert (depth[0].numpy()[expected_id < 0] == 0).all()
    # Where all neighbours see the same face no outline blends.
    inner = seen.copy()
    for axis in (0, 1):
        for shift in (1, -1):
            inner &= np.roll(expected_id, shift, axis) == expected_id
    shown = image[0].permute(1, 2, 0).numpy()
    difference = np.abs(shown - weights).max(-1)[inner]
    assert inner.sum() > 300
    assert (difference < tolerance).mean() > 0.99


def _clipped_area(polygon: np.ndarray, low: np.ndarray) -> float:
    """Area of a polygon inside the unit square at ``low``, by cutting it along four lines."""
    for axis in range(2):
        for sign, bound in ((1, low[axis]), (-1, -(low[axis] + 1))):
            kept = []
            for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
                from_line, to_line = sign * start[axis] - bound, sign * end[axis] - bound
                if from_line >= 0:
                    kept.append(start)
                if from_line * to_line < 0:
                    kept.append(start + (end - start) * from_line / (from_line - to_line))
            if len(kept) < 3:
                return 0.0
            polygon = np.array(kept)
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _polygon(generator: np.random.Generator) -> np.ndarray:
    """Corners of a turned ellipse, no thinner than eight pixels, as an irregular polygon."""
    angles = np.sort(generator.uniform(0, 2 * np.pi, 24))
    ellipse = np.stack([np.cos(angles), np.sin(angles)], -1) * generator.uniform(4, 12, 2)
    cosine, sine = np.cos(angle := generator.uniform(0, np.pi)), np.sin(angle)
    return ellipse @ [[cosine, sine], [-sine, cosine]] + generator.uniform(13, 18, 2)


def test_coverage_is_the_area_of_the_polygon_in_each_pixel(scenes) -> None:
    generator = np.random.default_rng(3)
    ours, exact = [], []
    topology = MeshTopology.from_faces(torch.tensor([[0, i, i + 1] for i in range(1, 23)]), 24)
    for _ in range(60):
        corners = _polygon(generator)
        points = scenes.on_screen(corners.tolist(), 0.5)[None]
        _, silhouette, _, _ = scenes.draw(
            points, points[..., 2], torch.ones_like(points), topology, 32, 32
        )
        ours.append(silhouette[0].numpy())
        exact.append([
            [_clipped_area(corners, np.array([column, row]) - 0.5) for column in range(32)]
            for row in range(32)
        ])  # fmt: skip
    ours, exact = np.array(ours), np.array(exact)
    difference = ours - exact
    np.testing.assert_allclose(ours.sum((1, 2)), exact.sum((1, 2)), rtol=0.03)
    assert abs(difference.sum() / exact.sum()) < 0.002
    edge = (exact > 0) & (exact < 1)
    assert edge.sum() > 2000
    assert np.abs(difference)[edge].mean() < 0.06
    assert np.abs(difference[~edge]).mean() < 0.001


@pytest.mark.parametrize("left", [9.0, 9.3, 9.5, 9.8])
def test_upright_edges_are_exact(scenes, left: float) -> None:
    """A rectangle from column ``left`` to 20.4 that is higher than the image."""
    corners = [[left, -9.0], [20.4, -9.0], [20.4, 50.0], [left, 50.0]]
    points = scenes.on_screen(corners, 0.5)[None]
    topology = MeshTopology.from_faces(torch.tensor([[0, 2, 1], [0, 3, 2]]), 4)
    for swap in (False, True):  # the same lying on its side
        placed = points[..., [1, 0, 2]] if swap else points
        _, silhouette, _, _ = scenes.draw(
            placed, placed[..., 2], torch.ones_like(points), topology, 32, 32
        )
        along = silhouette[0].T if swap else silhouette[0]
        columns = torch.arange(32, dtype=DOUBLE)
        low, high = (columns - 0.5).clamp(min=left), (columns + 0.5).clamp(max=20.4)
        expected = (high - low).clamp(min=0).expand(32, 32)
        torch.testing.assert_close(along, expected, atol=1e-12, rtol=0)


def _columns(scenes, spans: list[tuple[float, float]], depths: list[list[float]]):
    """Upright sheets between two columns, with a depth at the top (row −1) and at the bottom."""
    points = []
    for (left, right), (top, bottom) in zip(spans, depths, strict=True):
        above = scenes.on_screen([[left, -1.0], [right, -1.0]], top)
        below = scenes.on_screen([[right, 24.0], [left, 24.0]], bottom)
        points += [above, below]
    faces = [
        [4 * sheet + corner for corner in face]
        for sheet in range(len(spans))
        for face in ([0, 2, 1], [0, 3, 2])
    ]
    return torch.cat(points)[None], MeshTopology.from_faces(torch.tensor(faces), 4 * len(spans))


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_outlines_between_two_pixels_the_outer_counts(scenes, order: int) -> None:
    spans = [(5.8, 15.2), (5.6, 15.4)][::order]
    points, topology = _columns(scenes, spans, [[0.5, 0.5], [0.51, 0.51]][::order])
    _, silhouette, _, _ = scenes.draw(
        points, points[..., 2], torch.ones_like(points), topology, 24, 24
    )
    torch.testing.assert_close(silhouette[0].sum(1), torch.full((24,), 9.8, dtype=DOUBLE))


def test_an_outline_that_recedes_is_hidden_where_it_lies_behind(scenes) -> None:
    """A red sheet from depth 0.3 at the top to 3 at the bottom passes through one at depth 1."""
    points, topology = _columns(scenes, [(-5.0, 10.3), (-9.0, 40.0)], [[0.3, 3.0], [1.0, 1.0]])
    red = torch.tensor([1.0, 0, 0], dtype=DOUBLE).repeat(4, 1)
    colours = torch.cat((red, torch.zeros_like(red)))[None]
    image, _, _, _ = scenes.draw(points, points[..., 2], colours, topology, 24, 24)
    t = (torch.arange(24, dtype=DOUBLE) + 1) / 25
    before = (1 - t) / 0.3 + t / 3 > 1  # the inverse depth is linear on the screen
    assert before.sum() == 19
    expected = torch.where(before, 10.8, 0.0).double()
    torch.testing.assert_close(image[0, 0].sum(1), expected)


def test_what_is_nearer_than_the_near_plane_is_not_seen(scenes) -> None:
    """A sheet from column 10.3 on recedes from depth 0.3 at the top to 3 at the bottom."""
    points, topology = _columns(scenes, [(10.3, 40.0)], [[0.3, 3.0]])
    t = (torch.arange(24, dtype=DOUBLE) + 1) / 25
    depth_m = 1 / ((1 - t) / 0.3 + t / 3)  # the inverse depth is linear on the screen
    assert (depth_m < 1).sum() == 19
    for near_m, edge in ((0.01, 0.2), (1.0, 0.0)):  # an outline from before the plane is left out
        _, silhouette, seen_m, _ = scenes.draw(
            points, points[..., 2], torch.ones_like(points), topology, 24, 24, near_m=near_m
        )
        is_seen = (depth_m >= near_m).double()[:, None]
        covered = torch.tensor([0.0] * 10 + [edge] + [1.0] * 13, dtype=DOUBLE)
        torch.testing.assert_close(silhouette[0], is_seen * covered)
        expected = (is_seen * depth_m[:, None]).expand(24, 13)
        torch.testing.assert_close(seen_m[0, :, 11:].double(), expected, rtol=1e-5, atol=0)


def test_what_passes_between_pixel_centres_blends_nothing(scenes) -> None:
    """A sliver before a sheet that recedes: no pixel sees it, so neither do the neighbours mix."""
    spans, depths = [(-9.0, 40.0), (10.3, 10.6)], [[0.6, 0.7], [0.4, 0.4]]
    points, topology = _columns(scenes, spans, depths)
    points[:, 1:3] *= 1.3  # farther to the right
    colours = torch.rand(1, 8, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    both = scenes.draw(points, points[..., 2], colours, topology, 24, 24)
    alone, alone_topology = points[:, :4], MeshTopology.from_faces(topology.faces[:2], 4)
    without = scenes.draw(alone, alone[..., 2], colours[:, :4], alone_topology, 24, 24)
    for one, other in zip(both, without, strict=True):
        torch.testing.assert_close(one, other)


def test_the_rim_of_what_is_culled_blends_nothing(scenes) -> None:
    """A sheet seen from inside, whose right end lies just before one that recedes there."""
    points, topology = _columns(scenes, [(-9.0, 40.0), (10.3, 15.6)], [[0.6, 0.6], [0.677, 0.677]])
    points[:, 1:3] *= 1.3
    faces = torch.cat((topology.faces[:2], topology.faces[2:].flip(1)))
    colours = torch.rand(1, 8, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    both, uncovered = (
        scenes.draw(points, points[..., 2], colours, MeshTopology.from_faces(faces[:n], 8), 24, 24,
                    cull=True)
        for n in (4, 2)
    )  # fmt: skip
    assert (uncovered[1] == 1).all()
    for one, other in zip(both, uncovered, strict=True):
        torch.testing.assert_close(one, other)


def test_convention_the_first_pixel_s_centre_is_the_origin(scenes) -> None:
    corners = [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]
    points = scenes.on_screen(corners, 0.5)[None]
    topology = MeshTopology.from_faces(torch.tensor([[0, 2, 1], [0, 3, 2]]), 4)
    _, silhouette, _, _ = scenes.draw(
        points, points[..., 2], torch.ones_like(points), topology, 8, 8
    )
    expected = torch.zeros(8, 8, dtype=DOUBLE)
    expected[0, 0] = 1
    torch.testing.assert_close(silhouette[0], expected)


def test_colour_per_face_is_constant_on_the_face(scenes) -> None:
    vertices, topology = scenes.soup(_triangles(20))
    colours = torch.rand(1, 20, 3, dtype=DOUBLE)
    points = homogeneous_pixels(vertices[None], scenes.camera(SIZE)[None])
    per_face = scenes.draw(points, vertices[None, :, 2], colours, topology, SIZE, SIZE)
    corners = colours.repeat_interleave(3, dim=1)
    per_vertex = scenes.draw(points, vertices[None, :, 2], corners, topology, SIZE, SIZE)
    for one, other in zip(per_face, per_vertex, strict=True):
        torch.testing.assert_close(one, other)


def test_the_inside_is_left_out_when_culled(scenes) -> None:
    box = trimesh.creation.box((0.1, 0.1, 0.1))
    faces = torch.tensor(np.asarray(box.faces))
    vertices = torch.tensor(np.asarray(box.vertices))[None] + torch.tensor([0, 0, 0.5])
    points = homogeneous_pixels(vertices, scenes.camera(SIZE)[None])
    arguments = (points, vertices[..., 2], torch.ones_like(vertices))
    both = scenes.draw(*arguments, MeshTopology.from_faces(faces, 8), SIZE, SIZE)
    culled = scenes.draw(*arguments, MeshTopology.from_faces(faces, 8), SIZE, SIZE, cull=True)
    for one, other in zip(both, culled, strict=True):
        torch.testing.assert_close(one, other)
    turned = MeshTopology.from_faces(faces.flip(1), 8)
    inside = scenes.draw(*arguments, turned, SIZE, SIZE, cull=True)
    assert inside[2].max() > 0.54  # the far wall, seen through the near one
    torch.testing.assert_close(inside[1], both[1])  # the outline is still that of the box


def test_the_background_shows_where_nothing_is(scenes) -> None:
    vertices, topology = scenes.soup(_triangles(5))
    points = homogeneous_pixels(vertices[None], scenes.camera(SIZE)[None])
    arguments = (points, vertices[None, :, 2], torch.zeros_like(points), topology, SIZE, SIZE)
    image, silhouette, _, _ = scenes.draw(*arguments, background=(0.2, 0.4, 0.8))
    # With black faces, what is left of the background is what is not covered.
    for channel, value in enumerate((0.2, 0.4, 0.8)):
        torch.testing.assert_close(image[:, channel], value * (1 - silhouette))
    assert 0.05 < silhouette.mean() < 0.9


def test_images_of_a_batch_do_not_know_each_other(scenes) -> None:
    vertices, topology = scenes.hands(3)
    K = scenes.camera(SIZE).expand(3, 3, 3)
    points = homogeneous_pixels(vertices, K)
    together = scenes.draw(points, vertices[..., 2], vertices, topology, SIZE, SIZE)
    for i in range(3):
        alone = scenes.draw(
            points[i : i + 1], vertices[i : i + 1, :, 2], vertices[i : i + 1], topology, SIZE, SIZE
        )
        for one, other in zip(alone, together, strict=True):
            assert torch.equal(one[0], other[i])


def test_any_number_of_threads_gives_the_same_bits(
    scenes, set_threads: Callable[[int], None]
) -> None:
    vertices, topology = scenes.hands(4)
    results = []
    for threads in (1, 2):
        set_threads(threads)
        points = homogeneous_pixels(vertices, scenes.camera(SIZE).expand(4, 3, 3)).float()
        points.requires_grad_()
        outputs = scenes.draw(
            points, points[..., 2].detach(), vertices.float(), topology, SIZE, SIZE
        )
        (gradient,) = torch.autograd.grad(outputs[0].square().sum(), points)
        results.append((*outputs, gradient))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.fixture
def set_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_compiled_code_gets_torch_s_number_of_threads_and_gives_them_back(
    set_threads: Callable[[int], None],
) -> None:
    before, most = numba.get_num_threads(), numba.config.NUMBA_NUM_THREADS
    for threads in (1, most, most + 1):
        set_threads(threads)
        with as_many_threads_as_torch():
            assert numba.get_num_threads() == min(threads, most)
        assert numba.get_num_threads() == before


def test_drawing_leaves_torch_s_number_of_threads_alone() -> None:
    """In a fresh process: starting numba's threads there resets the number that torch uses."""
    code = (
        "import torch; torch.set_num_threads(1); from s2hand.rendering import MeshTopology;"
        "from s2hand.rendering.cpu import draw; x = torch.ones(1, 3, 3);"
        "mesh = MeshTopology.from_faces(torch.tensor([[0, 1, 2]]), 3);"
        "draw(x, x[..., 2], x, torch.zeros(3), mesh,"
        " height=4, width=4, near_m=0.01, cull_back_faces=False);"
        "assert torch.get_num_threads() == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
