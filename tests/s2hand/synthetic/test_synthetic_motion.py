"""Postures, orientations and courses of motion."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.transform import Rotation

from s2hand.geometry.rotations import axis_angle_to_quaternion, quaternion_distance
from s2hand.hand.embedded import embedded_hand
from s2hand.synthetic import motion
from s2hand.synthetic.motion import (
    _PROFILES,
    _along_arc,
    _Course,
    rotation_matrices,
    sample_frames,
    sample_motion,
    sample_orientations,
    sample_postures,
)
from s2hand.synthetic.namespaces import posture_examples

HAND = embedded_hand()
EXAMPLES = posture_examples(HAND, "test")


def test_postures_are_the_models_own_and_orientations_face_away() -> None:
    generator = np.random.default_rng(0)
    pose = sample_postures(HAND, EXAMPLES, 500, generator)
    limit = np.abs(HAND.hands_mean + HAND.hands_coeffs @ HAND.hands_components).max(0)
    assert (np.abs(pose.reshape(500, 45)) <= limit + 1e-9).all()
    turns = rotation_matrices(sample_orientations(500, generator))
    assert (turns[:, 2, 0] > -0.5).all()
    facing = turns[:, 2, 1]
    assert facing.min() < -0.8
    assert facing.max() > 0.8


def test_motion_is_continuous_varied_and_pauses() -> None:
    times = np.arange(300) / 30
    speeds = []
    for seed in range(6):
        moved = sample_motion(HAND, EXAMPLES, times, np.random.default_rng(seed))
        quaternions = axis_angle_to_quaternion(torch.from_numpy(moved.rotations))
        steps = quaternion_distance(quaternions[1:], quaternions[:-1]).numpy()
        assert steps.max() < 0.5, "a joint jumps between two frames"
        speeds.append(steps.mean(1))
    speeds = np.stack(speeds)
    assert (speeds < 1e-3).any(), "no pauses"
    assert 0.01 < np.median(speeds) < 0.1
    assert speeds.std() > 0.3 * speeds.mean()


def test_frames_increase_with_occasional_gaps() -> None:
    frames = sample_frames(2000, np.random.default_rng(0))
    steps = np.diff(frames)
    assert (steps >= 1).all()
    assert 0.01 < (steps > 1).mean() < 0.06


def test_motion_is_drawn_as_before(assert_drawn_as_before: Callable[..., None]) -> None:
    draw = np.random.default_rng
    moved = sample_motion(HAND, EXAMPLES, np.arange(40) / 5, draw(0))
    assert_drawn_as_before(
        "motion",
        postures=sample_postures(HAND, EXAMPLES, 40, draw(1)),
        orientations=sample_orientations(200, draw(2)),
        frames=sample_frames(300, draw(3)),
        rotations=moved.rotations,
        offset=moved.offset,
    )


def test_half_of_the_postures_are_examples_and_half_mix_two_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(motion, "part_fingers", lambda _data, postures: postures)
    rows = HAND.hands_coeffs[EXAMPLES[:2]]
    pose = sample_postures(HAND, EXAMPLES[:2], 4000, np.random.default_rng(0))
    difference = (rows[1] - rows[0]) @ HAND.hands_components
    start = HAND.hands_mean + rows[0] @ HAND.hands_components
    share = (pose.reshape(-1, 45) - start) @ difference / (difference @ difference)
    assert_allclose(pose.reshape(-1, 45), start + share[:, None] * difference, atol=1e-9)
    mixed = (share > 1e-9) & (share < 1 - 1e-9)
    # Of half the hands, half have two different examples.
    assert mixed.mean() == pytest.approx(0.25, abs=0.03)
    assert_allclose(np.histogram(share[mixed], 4, (0, 1))[0] / mixed.sum(), 0.25, atol=0.06)


def test_a_speed_profile_leads_from_rest_to_the_end_and_never_back() -> None:
    shares = np.linspace(0, 1, 401)
    middles = []
    for profile in _PROFILES:
        course = profile(shares)
        assert course[[0, -1]] == pytest.approx([0, 1])
        assert (np.diff(course) >= 0).all()
        middles.append(course[200])
    # Two are symmetrical, one is even, one starts fast, one slowly.
    assert middles == pytest.approx([0.5, 0.5, 1 - 0.5**2.5, 0.5**2.2, 0.5])
    assert _PROFILES[0](shares)[100] == pytest.approx(5 / 32)
    assert _PROFILES[1](shares) == pytest.approx(shares)
    assert _PROFILES[4](shares)[100] == pytest.approx(53 / 512)


def test_the_way_between_postures_is_an_arc_of_constant_speed() -> None:
    start, ends = np.zeros((15, 3)), np.zeros((2, 15, 3))
    ends[0, :, 0], ends[1, :, 2] = 1.2, -0.8
    shares = np.array([0.25, 0.5, 1.0])
    ways = _along_arc(start, ends, shares)
    assert ways.shape == (2, 3, 15, 3)
    assert_allclose(ways, shares[:, None, None] * ends[:, None], atol=1e-12)


@pytest.fixture
def course() -> _Course:
    return _Course(60.0, np.random.default_rng(2))


def test_a_course_goes_through_its_keys_and_often_back(course: _Course) -> None:
    keys = np.random.default_rng(3).normal(size=(course.num_keys, 3))
    for moments, numbers in ((course._starts, course._sources), (course._ends, course._targets)):
        assert_allclose(course.points(keys, moments), keys[numbers], atol=1e-9)
    assert_array_equal(course._sources[1:], course._targets[:-1])
    # Every key is reached, the first time from the one that came before it.
    assert {0, *course._targets} == set(range(course.num_keys))
    for key in range(1, course.num_keys):
        first = list(course._targets).index(key)
        assert course.came_from(key) == course._sources[first]
    back = course._targets[1:] == course._sources[:-1]
    assert 0.1 < back.mean() < 0.5
    paused = course._starts[1:] - course._ends[:-1]
    assert ((paused == 0) | ((paused >= 0.1) & (paused <= 0.7))).all()
    assert 0.1 < (paused > 0).mean() < 0.5
    spans = course._ends - course._starts
    assert 0.3 <= spans.min() < 0.35
    assert 1.25 < spans.max() <= 1.3
    assert set(course._profiles) == set(range(5))
    assert -0.5 <= course._starts[0] <= 0.2
    assert 60 <= course._ends[-1] < 62


def test_a_course_rests_in_its_pauses_and_turns_along_great_arcs(course: _Course) -> None:
    turns = Rotation.random(2 * course.num_keys, np.random.default_rng(4))
    keys = turns.as_rotvec().reshape(-1, 2, 3)
    pause = int((course._starts[1:] - course._ends[:-1]).argmax())
    resting = np.linspace(course._ends[pause], course._starts[pause + 1], 5)
    still = course.rotations(keys, np.stack([resting, resting], 1))
    expected = rotation_matrices(keys[course._targets[pause]])
    assert_allclose(rotation_matrices(still), np.broadcast_to(expected, (5, 2, 3, 3)), atol=1e-9)
    # Each joint has its own times.
    moments = np.array([[course._starts[1], course._ends[2]]])
    found = rotation_matrices(course.rotations(keys, moments))[0]
    wanted = rotation_matrices(np.stack([keys[course._sources[1], 0], keys[course._targets[2], 1]]))
    assert_allclose(found, wanted, atol=1e-9)


def test_hands_are_upright_on_average() -> None:
    """Fingers, at −x, mostly up, which is −y; seen from all sides, as often from each."""
    turns = rotation_matrices(sample_orientations(4000, np.random.default_rng(0)))
    up = turns[:, 1, 0]
    assert up.mean() > 0.5
    assert (up > 0).mean() > 0.85
    facing = np.arctan2(turns[:, 0, 1], turns[:, 2, 1])
    quarters = np.histogram(facing, 4, (-np.pi, np.pi))[0] / 4000
    assert_allclose(quarters, 0.25, atol=0.06)
