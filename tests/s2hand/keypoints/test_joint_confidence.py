"""A confidence for each joint: what it is made of, how it was fitted, and that it tells more."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from scipy.stats import spearmanr

from s2hand.keypoints.detector import mediapipe
from s2hand.keypoints.detector.confidence import (
    FACTORS,
    NEAR,
    SHIFTS,
    SPREADS,
    fit_factors,
    joint_confidence,
    relative_spreads,
)
from s2hand.keypoints.detector.mediapipe import MediaPipeHands
from s2hand.keypoints.detector.models import LANDMARKS, PALM, SHA256
from s2hand.keypoints.detector.regions import Square, hand_region, whole_picture
from tools.joint_confidence import RECORDED, fitted, joints_of, reliability, scores


def test_the_spread_is_that_of_a_joint_s_places_over_the_hand_s_extent() -> None:
    first = np.zeros((21, 2))
    first[:2] = [[0, 0], [30, 40]]
    looks_px = np.stack([first] * 5)
    looks_px[:, 3] = [[0, 0], [10, 0], [-10, 0], [0, 10], [0, -10]]
    looks_px[:, 4] += np.arange(5)[:, None] * [3, 4]
    spreads = relative_spreads(looks_px)
    assert spreads[3] == pytest.approx(np.sqrt(4 * 100 / 5) / 50)
    assert spreads[4] == pytest.approx(np.std([0, 5, 10, 15, 20]) / 50)
    assert not np.delete(spreads, [3, 4]).any()
    assert not relative_spreads(np.zeros((5, 21, 2))).any()


def test_confidence_is_presence_times_a_factor_that_falls_with_the_spread() -> None:
    spreads = np.array([[0.0, SPREADS[1], (SPREADS[1] + SPREADS[2]) / 2, 10.0]])
    between = (FACTORS[1] + FACTORS[2]) / 2
    expected = np.array([[FACTORS[0], FACTORS[1], between, FACTORS[-1]]])
    found = joint_confidence(np.array([0.5]), spreads)
    np.testing.assert_allclose(found, 0.5 * expected, rtol=1e-6)
    assert joint_confidence(0.9, np.zeros(21)).shape == (21,)
    assert list(SPREADS) == sorted(SPREADS)
    assert list(FACTORS) == sorted(FACTORS, reverse=True)
    assert 0 <= FACTORS[-1] < FACTORS[0] / 3


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_the_fit_is_the_best_of_all_lines_that_do_not_rise(seed: int) -> None:
    """With a knot at each spread it is weighted isotonic regression, which scipy has too."""
    random = np.random.default_rng(seed)
    knots = np.linspace(0, 1, 8)
    spreads = random.choice(knots, 200)
    presence, is_near = random.uniform(0.5, 1, 200), random.random(200) < 0.9 - 0.7 * spreads
    found = fit_factors(presence, spreads, is_near, knots)
    means = [
        np.average((is_near / presence)[spreads == knot], weights=(presence**2)[spreads == knot])
        for knot in knots
    ]
    totals = [(presence**2)[spreads == knot].sum() for knot in knots]
    best = isotonic_regression(means, weights=totals, increasing=False).x
    np.testing.assert_allclose(found, best, atol=1e-8)


def test_the_fit_finds_the_probability_that_was_put_in() -> None:
    random = np.random.default_rng(0)
    presence, spreads = random.uniform(0.5, 1, 200_000), random.uniform(0, 0.1, 200_000)
    knots = np.array([0, 0.02, 0.05, 0.1])
    true = np.array([0.95, 0.8, 0.3, 0.05])
    is_near = random.random(200_000) < presence * np.interp(spreads, knots, true)
    np.testing.assert_allclose(fit_factors(presence, spreads, is_near, knots), true, atol=0.02)


recorded = np.load(RECORDED)


def test_the_factors_are_those_of_the_recorded_fit() -> None:
    assert fitted(joints_of(recorded, "fit")) == (SPREADS, FACTORS)


def test_on_other_subjects_it_tells_more_of_the_error_than_presence() -> None:
    joints = joints_of(recorded, "measure")
    told = scores(joints)
    by_hand = spearmanr(joints["presence"], joints["error"]).statistic
    assert told["presence"]["rank correlation"] == pytest.approx(by_hand)
    assert told["joint"]["rank correlation"] < told["presence"]["rank correlation"] - 0.1
    assert told["joint"]["Brier score"] < 0.75 * told["presence"]["Brier score"]


def test_on_other_subjects_it_is_the_probability_of_a_small_error() -> None:
    joints = joints_of(recorded, "measure")
    told = scores(joints)["joint"]
    assert told["mean"] == pytest.approx(told["small"], abs=0.05)
    for confidence, share in reliability(joints):
        assert confidence == pytest.approx(share, abs=0.1)


def test_convention_a_square_moves_along_its_own_axes() -> None:
    square = Square(centre_px=np.array([10.0, 20]), side_px=8.0, angle_rad=np.pi / 2)
    moved = square.moved((0.25, 0.0))
    np.testing.assert_allclose(moved.centre_px, [10, 22])
    assert (moved.side_px, moved.angle_rad) == (8.0, np.pi / 2)
    for shift in SHIFTS:
        inside = np.random.default_rng(0).random((5, 2))
        expected = square.to_pixels(inside + shift)
        np.testing.assert_allclose(square.moved(shift).to_pixels(inside), expected)


def test_a_hand_is_looked_at_in_four_more_crops_around_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model that points at the same places of every crop finds them as far apart as crops are."""
    points = np.random.default_rng(0).uniform(50, 170, (21, 2))
    presences = [0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.8, 0.1, 0.2, 0.3, 0.4]

    def find_points(shown: np.ndarray) -> list[np.ndarray]:
        landmarks = np.column_stack([points, np.zeros(21)]).astype(np.float32).reshape(1, 63)
        one = np.ones((1, 1), np.float32)
        return [landmarks, one * presences.pop(0), one, np.zeros((1, 63), np.float32)]

    def find_no_palms(shown: np.ndarray) -> list[np.ndarray]:
        return [np.zeros((1, 2016, 18), np.float32), np.full((1, 2016, 1), -9, np.float32)]

    models = {PALM.encode(): find_no_palms, LANDMARKS.encode(): find_points}
    monkeypatch.setattr(
        mediapipe, "read_models", lambda _: {name: name.encode() for name in SHA256}
    )
    monkeypatch.setattr(mediapipe, "_Model", models.__getitem__)
    detector = MediaPipeHands(Path(), is_crop=True, has_joint_confidence=True)
    (hand,) = detector.see_hands(np.zeros((100, 100, 3), np.uint8))
    assert not presences
    assert hand.presence == pytest.approx(0.8)
    second = hand_region(whole_picture(100, 100, angle_rad=3 * np.pi / 4).to_pixels(points / 224))
    np.testing.assert_allclose(hand.keypoints_px, second.to_pixels(points / 224), atol=1e-3)
    extent_px = np.linalg.norm(np.ptp(hand.keypoints_px, axis=0))
    spread = np.sqrt((np.array(SHIFTS) ** 2).sum() / 5) * second.side_px / extent_px
    np.testing.assert_allclose(hand.spreads, spread, rtol=1e-4)
    expected = joint_confidence(0.8, np.full(21, spread))
    np.testing.assert_allclose(hand.found().confidence, expected, rtol=1e-4)


def test_what_is_looked_at_is_in_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediapipe, "read_models", lambda _: dict.fromkeys(SHA256, b""))
    monkeypatch.setattr(mediapipe, "_Model", lambda _: None)
    plain = MediaPipeHands(Path()).version
    assert (MediaPipeHands.name, plain) == ("mediapipe-hands", "0.10.21 1b14e942 11c272b8")
    both = MediaPipeHands(Path(), is_crop=True, has_joint_confidence=True).version
    assert both == f"{plain} crops joints-1"
    assert MediaPipeHands(Path(), has_joint_confidence=True).version == f"{plain} joints-1"
    # What the factors of this version were fitted to.
    assert set(SHIFTS) == set(product((-0.05, 0.05), repeat=2))
    assert NEAR == 0.05
