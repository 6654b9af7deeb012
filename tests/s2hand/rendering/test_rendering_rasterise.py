import numpy as np
import pytest
import trimesh
from numpy.testing import assert_allclose, assert_array_equal

from s2hand.rendering import interpolate, rasterise

K = np.array([[60.0, 0.0, 31.5], [0.0, 62.0, 23.5], [0.0, 0.0, 1.0]])
HEIGHT, WIDTH = 48, 64


def reference(
    vertices: np.ndarray, K: np.ndarray, faces: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Intersect every pixel's ray with every face (Möller and Trumbore), in float64."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    rays = np.linalg.solve(K, pixels.T.astype(float)).T
    nearest = np.full(len(rays), np.inf)
    face_id = np.full(len(rays), -1)
    for index, (a, b, c) in enumerate(vertices[faces]):
        p = np.cross(rays, c - a)
        determinant = p @ (b - a)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = -(p @ a) / determinant
            q = np.cross(-a, b - a)
            v = (rays @ q) / determinant
            depth = (c - a) @ q / determinant
            hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (depth >= 0.01) & (depth < nearest)
        nearest[hit], face_id[hit] = depth[hit], index
    return face_id.reshape(height, width), nearest.reshape(height, width)


def agreement(vertices: np.ndarray, faces: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    raster = rasterise(vertices[None], K[None], faces, height=HEIGHT, width=WIDTH)
    expected_id, expected_depth = reference(vertices, K, faces, HEIGHT, WIDTH)
    return float((raster.face_id[0] == expected_id).mean()), raster.depth_m[0], expected_depth


def test_random_triangles_agree_with_ray_casting() -> None:
    generator = np.random.default_rng(0)
    centres = generator.uniform([-0.5, -0.4, 0.4], [0.5, 0.4, 1.5], (150, 1, 3))
    vertices = (centres + generator.normal(0, 0.08, (150, 3, 3))).reshape(-1, 3)
    share, depth, expected = agreement(vertices, np.arange(450).reshape(-1, 3))
    assert share > 0.999
    both = np.isfinite(depth) & np.isfinite(expected)
    assert np.median(np.abs(depth[both] - expected[both])) < 1e-6


def test_closed_mesh_agrees_with_ray_casting_with_and_without_culling() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=3, radius=0.15)
    vertices = np.asarray(sphere.vertices) + np.array([0.02, -0.01, 0.6])
    faces = np.asarray(sphere.faces)
    share, depth, expected = agreement(vertices, faces)
    assert share > 0.999
    assert_allclose(depth[20:28, 28:36], expected[20:28, 28:36], rtol=1e-6)
    both = rasterise(vertices[None], K[None], faces, height=HEIGHT, width=WIDTH)
    culled = rasterise(
        vertices[None], K[None], faces, height=HEIGHT, width=WIDTH, cull_back_faces=True
    )
    assert (culled.face_id == both.face_id).mean() > 0.999


def test_faces_that_reach_behind_the_camera_agree_with_ray_casting() -> None:
    generator = np.random.default_rng(1)
    vertices = generator.normal(0, 0.5, (90, 3))
    share, depth, _ = agreement(vertices, np.arange(90).reshape(-1, 3))
    assert share > 0.999
    assert not np.isnan(depth).any()


def test_convention_pixel_zero_is_the_centre_of_the_top_left_pixel() -> None:
    # A square at depth 1 that covers pixel coordinates 9.5..20.5 by 4.5..10.5.
    corners_px = np.array([[9.5, 4.5], [20.5, 4.5], [20.5, 10.5], [9.5, 10.5]])
    vertices = np.concatenate([(corners_px - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones((4, 1))], 1)
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    raster = rasterise(vertices[None], K[None], faces, height=HEIGHT, width=WIDTH)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[5:11, 10:21] = True
    assert_array_equal(raster.face_id[0] >= 0, expected)
    assert_allclose(raster.depth_m[0][expected], 1.0, rtol=1e-6)
    assert np.isinf(raster.depth_m[0][~expected]).all()


def test_weights_are_perspective_correct() -> None:
    vertices = np.array([[[-0.4, -0.3, 0.5], [0.5, -0.2, 2.0], [0.0, 0.4, 1.0]]])
    faces = np.array([[0, 1, 2]])
    raster = rasterise(vertices, K[None], faces, height=HEIGHT, width=WIDTH)
    seen = raster.face_id[0] == 0
    assert seen.sum() > 100
    points = interpolate(vertices, faces, raster)[0]
    rows, columns = np.nonzero(seen)
    projected = points[seen] @ K.T
    assert_allclose(projected[:, 0] / projected[:, 2], columns, atol=1e-4)
    assert_allclose(projected[:, 1] / projected[:, 2], rows, atol=1e-4)
    assert_allclose(points[seen][:, 2], raster.depth_m[0][seen], rtol=1e-5)
    assert_allclose(raster.barycentric[0][seen].sum(-1), 1, atol=1e-6)
    assert_array_equal(points[~seen], 0)


def test_what_is_nearer_than_the_near_plane_is_not_seen() -> None:
    vertices = np.array([[[-0.4, -0.3, 0.5], [0.5, -0.2, 2.0], [0.0, 0.4, 1.0]]])
    size = {"height": HEIGHT, "width": WIDTH}
    whole = rasterise(vertices, K[None], np.array([[0, 1, 2]]), **size)
    cut = rasterise(vertices, K[None], np.array([[0, 1, 2]]), **size, near_m=0.8)
    beyond = np.isfinite(whole.depth_m) & (whole.depth_m >= 0.8)
    assert 50 < beyond.sum() < (whole.face_id == 0).sum() - 50
    assert_array_equal(cut.face_id, np.where(beyond, 0, -1))
    assert_array_equal(cut.depth_m, np.where(beyond, whole.depth_m, np.inf))


def test_convention_front_faces_turn_counter_clockwise_seen_from_outside() -> None:
    box = trimesh.creation.box((0.2, 0.2, 0.2))
    vertices = np.asarray(box.vertices)[None] + [0, 0, 0.7]
    raster = rasterise(
        vertices, K[None], np.asarray(box.faces), height=HEIGHT, width=WIDTH, cull_back_faces=True
    )
    assert_allclose(raster.depth_m[0, 23, 31], 0.6, rtol=1e-6)


def test_unusual_faces_are_invisible_and_leave_no_nan() -> None:
    vertices = np.array(
        [
            [[0, 0, -1], [1, 0, -1], [0, 1, -1]],  # behind the camera
            [[0, 0, 1], [0.1, 0.1, 1], [0.2, 0.2, 1]],  # a line
            [[0.1, 0.1, 1]] * 3,  # a point
            [[0, 0, 1], [0, 0, 2], [0.1, 0, 3]],  # its plane holds the camera centre
            # The same but for rounding, along the centres of a column.
            [[-1 / 120, -0.3, 1], [-1 / 120 + 1e-14, 0.3, 1], [-2 / 120, 0, 2]],
            [[np.nan, 0, 1], [0.1, 0, 1], [0, 0.1, 1]],
            [[1e9, 1e9, 1], [2e9, 1e9, 1], [1e9, 2e9, 1]],  # far outside the image
        ],
        float,
    ).reshape(1, -1, 3)
    faces = np.arange(21).reshape(-1, 3)
    raster = rasterise(vertices, K[None], faces, height=HEIGHT, width=WIDTH)
    assert_array_equal(raster.face_id, -1)
    assert_array_equal(raster.barycentric, 0)


EXACT = np.array([[64.0, 0.0, 32.0], [0.0, 64.0, 16.0], [0.0, 0.0, 1.0]])
"""A camera in whose products of small numbers nothing is rounded."""


def at_pixels(corners_px: list[list[float]], depth_m: float) -> np.ndarray:
    rays = (np.array(corners_px) - EXACT[:2, 2]) / 64
    return depth_m * np.concatenate([rays, np.ones((len(rays), 1))], 1)[None]


@pytest.mark.parametrize("corners", [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1]])
def test_a_pixel_whose_centre_lies_on_an_edge_belongs_to_the_face(corners: list[int]) -> None:
    vertices = at_pixels([[10, 5], [20, 5], [10, 15]], 0.5)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    expected = (columns >= 10) & (rows >= 5) & (columns + rows <= 25)
    # What lies exactly on the near plane is seen.
    raster = rasterise(
        vertices, EXACT[None], np.array([corners]), height=HEIGHT, width=WIDTH, near_m=0.5
    )
    assert_array_equal(raster.face_id[0] == 0, expected)
    assert_array_equal(raster.depth_m[0][expected], 0.5)


def test_the_image_s_outermost_pixels_are_seen_and_none_beyond() -> None:
    """A face that ends on the centres of the first or the last pixels, and one just outside."""
    last, lowest = WIDTH - 1, HEIGHT - 1
    for corners, pixels in (
        ([[-5, -5], [0, -5], [0, 5]], (slice(0, 6), 0)),
        ([[-5, -5], [5, 0], [-5, 0]], (0, slice(0, 6))),
        ([[last, 4], [last + 5, 4], [last, 9]], (slice(4, 10), last)),
        ([[4, lowest], [9, lowest], [4, lowest + 5]], (lowest, slice(4, 10))),
        ([[-5, -5], [-0.5, -5], [-0.5, 5]], None),
        ([[4, lowest + 0.5], [9, lowest + 0.5], [4, lowest + 5]], None),
    ):
        vertices = at_pixels(corners, 0.5)
        raster = rasterise(vertices, EXACT[None], np.array([[0, 1, 2]]), height=HEIGHT, width=WIDTH)
        expected = np.full((HEIGHT, WIDTH), -1)
        if pixels is not None:
            expected[pixels] = 0
        assert_array_equal(raster.face_id[0], expected)


def test_of_two_faces_at_equal_depth_the_first_is_seen() -> None:
    vertices = at_pixels([[10, 5], [20, 5], [10, 15]], 0.5)
    faces = np.array([[0, 1, 2], [2, 0, 1], [0, 1, 2]])
    raster = rasterise(vertices, EXACT[None], faces, height=HEIGHT, width=WIDTH)
    assert set(raster.face_id.ravel()) == {-1, 0}


def test_without_faces_nothing_is_seen() -> None:
    faces = np.empty((0, 3), int)
    raster = rasterise(np.zeros((1, 0, 3)), K[None], faces, height=4, width=5)
    assert_array_equal(raster.face_id, np.full((1, 4, 5), -1))


def test_each_image_can_have_its_own_faces() -> None:
    vertices = np.tile(np.array([[-1.0, -1, 1], [3, -1, 1], [-1, 3, 1], [0, 0, 5]]), (2, 1, 1))
    faces = np.array([[[0, 1, 2]], [[3, 3, 3]]])
    raster = rasterise(vertices, np.stack([K, K]), faces, height=HEIGHT, width=WIDTH)
    assert (raster.face_id[0] == 0).all()
    assert (raster.face_id[1] == -1).all()


def test_bad_arguments_are_refused() -> None:
    vertices = np.zeros((1, 3, 3))
    with pytest.raises(ValueError, match="height and width must be at least 1, got 0 and 4"):
        rasterise(vertices, K[None], np.array([[0, 1, 2]]), height=0, width=4)
    with pytest.raises(ValueError, match=r"faces must name vertices 0..2, got 0..3"):
        rasterise(vertices, K[None], np.array([[0, 1, 3]]), height=4, width=4)
    with pytest.raises(ValueError, match="height and width must be at least 1, got 4 and 0"):
        rasterise(vertices, K[None], np.array([[0, 1, 2]]), height=4, width=0)
    with pytest.raises(ValueError, match=r"faces must name vertices 0..2, got -1..2"):
        rasterise(vertices, K[None], np.array([[0, -1, 2]]), height=4, width=4)
