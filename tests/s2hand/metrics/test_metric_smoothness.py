import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from s2hand.metrics.appearance import sequence_deviation
from s2hand.metrics.smoothness import (
    acceleration_error_mm,
    acceleration_mm,
    consecutive_windows,
    quaternion_detour_rad,
)


def windows_of(count: int) -> np.ndarray:
    return consecutive_windows(["a"] * count, np.arange(count))


def test_windows_follow_true_frame_numbers_and_stay_within_a_sequence():
    sequences = ["a", "a", "a", "a", "b", "b", "b", "", "", ""]
    frames = np.array([12, 10, 11, 14, 15, 16, 17, 0, 1, 2])
    np.testing.assert_array_equal(consecutive_windows(sequences, frames), [[1, 2, 0], [4, 5, 6]])


def test_no_windows_without_three_consecutive_frames():
    assert consecutive_windows(["a", "a", "a"], np.array([0, 2, 4])).shape == (0, 3)


def test_acceleration_of_a_parabola_is_twice_its_coefficient_in_mm():
    time = np.arange(6)[:, None, None]
    direction = np.random.default_rng(0).normal(size=(1, 21, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    direction[:, 0] = 0  # the wrist rests
    joints = 1.0 + 0.02 * time + 0.003 * time**2 * direction
    assert acceleration_mm(joints, windows_of(6)) == pytest.approx(np.full(4, 6 * 20 / 21))


def test_acceleration_ignores_the_hands_path_through_space():
    random = np.random.default_rng(1)
    joints = random.normal(scale=0.05, size=(8, 21, 3))
    path = random.normal(size=(8, 1, 3))
    windows = windows_of(8)
    np.testing.assert_allclose(
        acceleration_mm(joints + path, windows), acceleration_mm(joints, windows)
    )


def test_acceleration_error_is_zero_for_truth_and_acceleration_for_a_resting_truth():
    joints = np.random.default_rng(2).normal(scale=0.05, size=(5, 21, 3))
    windows, rest = windows_of(5), np.zeros((5, 21, 3))
    assert np.all(acceleration_error_mm(joints, joints, windows) == 0)
    np.testing.assert_allclose(
        acceleration_error_mm(joints, rest, windows), acceleration_mm(joints, windows)
    )


def test_quaternion_detour_agrees_with_scipys_rotations():
    poses = np.random.default_rng(3).normal(size=(5, 16, 3))
    windows = windows_of(5)
    expected = []
    for first, second, third in windows:
        a, b, c = (Rotation.from_rotvec(poses[row]) for row in (first, second, third))
        angles = [(y * x.inv()).magnitude() for x, y in ((a, b), (b, c), (a, c))]
        expected.append((angles[0] + angles[1] - angles[2]).mean())
    assert quaternion_detour_rad(poses, windows) == pytest.approx(np.array(expected), abs=1e-9)
    assert np.all(quaternion_detour_rad(poses, windows) > 0)


def test_quaternion_detour_is_zero_along_the_shortest_way_at_any_speed():
    ends = Rotation.from_rotvec([[0.1, 0.2, 0.3], [1.0, -0.5, 0.4]])
    path = Slerp([0, 1], ends)([0.0, 0.1, 0.7, 0.75, 1.0]).as_rotvec()
    poses = np.repeat(path[:, None], 16, axis=1)
    assert quaternion_detour_rad(poses, windows_of(5)) == pytest.approx(np.zeros(3), abs=1e-7)


def test_quaternion_detour_of_turning_back_is_twice_the_way():
    poses = np.zeros((3, 16, 3))
    poses[1, :, 0] = 0.2
    assert quaternion_detour_rad(poses, windows_of(3)) == pytest.approx([0.4])


def test_deviation_per_sequence_leaves_single_frames_and_collections_out():
    values = np.array([[0.0, 0], [2, 4], [7, 7], [1, 1], [5, 5]])
    assert sequence_deviation(values, ["a", "a", "b", "", ""]) == {"a": pytest.approx(1.5)}
