import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from s2hand.metrics.keypoints_2d import frame_auc, joint_auc, keypoint_errors_px

THRESHOLDS = np.arange(50)
ERRORS = arrays(
    np.float64, (4, 21), elements=st.one_of(st.floats(0, 60), st.integers(0, 60).map(float))
)


def curve_area(errors_px: np.ndarray) -> float:
    """Draw the curve point by point and integrate it."""
    curve = [float(np.mean(errors_px <= threshold)) for threshold in THRESHOLDS]
    return float(np.trapezoid(curve, THRESHOLDS) / 49)


@settings(max_examples=50, deadline=None)
@given(ERRORS)
def test_mean_of_frame_aucs_is_the_area_under_the_curve_of_worst_joints(errors_px):
    worst = np.array([max(frame) for frame in errors_px])
    assert frame_auc(errors_px).mean() == pytest.approx(curve_area(worst), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(ERRORS)
def test_mean_of_joint_aucs_is_the_area_under_the_pooled_curve(errors_px):
    pooled = errors_px.ravel()
    assert joint_auc(errors_px).mean() == pytest.approx(curve_area(pooled), abs=1e-12)
    assert np.all(frame_auc(errors_px) <= joint_auc(errors_px) + 1e-12)


@pytest.mark.parametrize(
    ("error_px", "area"), [(0.0, 1.0), (1.0, 48.5 / 49), (49.0, 0.5 / 49), (49.001, 0), (np.inf, 0)]
)
def test_convention_an_error_on_a_threshold_is_within_it(error_px, area):
    assert joint_auc(np.full((1, 21), error_px)) == pytest.approx([area])


def hands(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return joints, cameras, and where the cameras see the joints, one by one."""
    random = np.random.default_rng(3)
    joints = random.normal((0, 0, 0.6), 0.05, size=(count, 21, 3)).astype(np.float32)
    cameras = np.zeros((count, 3, 3), np.float32)
    cameras[:, 2, 2] = 1
    seen = np.zeros((count, 21, 2))
    for k in range(count):
        fx, fy, cx, cy = 200 + 10 * k, 205 + 7 * k, 50 + k, 53 - k
        cameras[k, 0, 0], cameras[k, 1, 1], cameras[k, 0, 2], cameras[k, 1, 2] = fx, fy, cx, cy
        for j, (x, y, z) in enumerate(joints[k]):
            seen[k, j] = fx * x / z + cx, fy * y / z + cy
    return joints, cameras, seen


def test_convention_keypoint_errors_are_in_pixels_of_an_image_224_wide():
    joints, cameras, seen = hands(3)
    shift = np.array([3.0, -4.0])
    for image_size_px, expected in ((224, 5.0), (112, 10.0), (448, 2.5)):
        found = keypoint_errors_px(seen + shift, joints, cameras, image_size_px)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_each_keypoint_is_measured_against_its_own_joint():
    joints, cameras, seen = hands(2)
    moved = seen.astype(np.float32)
    moved[1, 7, 0] += 6
    expected = np.zeros((2, 21))
    expected[1, 7] = 6 * 224 / 96
    np.testing.assert_allclose(keypoint_errors_px(moved, joints, cameras, 96), expected, atol=1e-3)
