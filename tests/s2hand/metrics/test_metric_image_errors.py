"""Errors of meshes in pixels, against closed forms."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s2hand.metrics.image_errors import image_errors_px, mesh_in_pixels

RANDOM = np.random.default_rng(5)
MESHES = RANDOM.normal(size=(3, 50, 3)) * 30


def test_a_mesh_far_away_is_scaled_and_moved():
    """Weak perspective: k = f / z pixels a metre, in all three coordinates alike."""
    points = RANDOM.normal(size=(2, 40, 3)) * 0.01
    points[..., 2] -= points[..., 2].mean(axis=1, keepdims=True)
    camera = np.array([[[5e5, 0, 70.0], [0, 5e5, 30], [0, 0, 1]]] * 2)
    place = np.array([[0.1, -0.04, 1000], [0, 0, 500]])[:, None]
    seen_px = mesh_in_pixels(points + place, camera)
    k = (5e5 / place[..., 2])[..., None]
    expected = points * k
    expected[..., :2] += k * place[..., :2] + np.array([70, 30])
    np.testing.assert_allclose(seen_px, expected, atol=1e-2)


def test_near_points_are_projected():
    points = np.array([[[0.1, 0.2, 0.5], [0.0, 0.0, 1.5]]])
    camera = np.array([[[100.0, 0, 7], [0, 200, 9], [0, 0, 1]]])
    expected = [[0.1 / 0.5 * 100 + 7, 0.2 / 0.5 * 200 + 9, -50], [7, 9, 50]]
    np.testing.assert_allclose(mesh_in_pixels(points, camera)[0], expected)


def test_a_shift_in_the_picture_is_its_length():
    errors = image_errors_px(MESHES + np.array([3, 4, 0]), MESHES)
    for name, expected in (
        ("projected_mpvpe_px", 5), ("mpvpe_px", 5), ("mae_px", 7 / 3), ("pa_mpvpe_px", 0),
    ):  # fmt: skip
        np.testing.assert_allclose(errors[name], np.full(3, expected), atol=1e-7)


def test_depth_counts_from_the_mean_and_not_in_the_picture():
    for name, values in image_errors_px(MESHES + np.array([0, 0, 80]), MESHES).items():
        np.testing.assert_allclose(values, 0, atol=1e-7, err_msg=name)
    deeper = MESHES * [1, 1, 2]
    errors = image_errors_px(deeper, MESHES)
    about_mean = np.abs(MESHES[..., 2] - MESHES[..., 2].mean(axis=1, keepdims=True)).mean(axis=1)
    np.testing.assert_allclose(errors["projected_mpvpe_px"], 0, atol=1e-7)
    np.testing.assert_allclose(errors["mpvpe_px"], about_mean)
    np.testing.assert_allclose(errors["mae_px"], about_mean / 3)


def test_procrustes_takes_a_similarity_away_and_nothing_else_does():
    turned = MESHES @ Rotation.from_rotvec([0.4, -0.2, 1.0]).as_matrix().T * 1.7 + np.array(
        [20, 5, 3]
    )
    errors = image_errors_px(turned, MESHES)
    np.testing.assert_allclose(errors["pa_mpvpe_px"], 0, atol=1e-7)
    assert all(errors[name].min() > 10 for name in errors if name != "pa_mpvpe_px")
    # What is left is the least over all similarities: no better than by the truth's own motion.
    noisy = MESHES + RANDOM.normal(size=MESHES.shape)
    left = image_errors_px(noisy, MESHES)
    assert (left["pa_mpvpe_px"] < left["mpvpe_px"] + 0.1).all()
    assert left["pa_mpvpe_px"].mean() == pytest.approx(1.6, abs=0.2)  # of 3 normal coordinates
    for name, values in image_errors_px(np.stack([noisy[0], MESHES[1]]), MESHES[:2]).items():
        np.testing.assert_allclose(values, [left[name][0], 0], atol=1e-7, err_msg=name)
