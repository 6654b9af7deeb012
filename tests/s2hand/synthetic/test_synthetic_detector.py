import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import spearmanr

from s2hand.hand.embedded import embedded_hand
from s2hand.hand.layer import HandLayer
from s2hand.synthetic.detector import (
    DETECTORS,
    OBJECT_OCCLUDED,
    SELF_OCCLUDED,
    VISIBLE,
    DetectorInput,
    detect,
)

FRAMES = 400


def detected(
    *, visibility: int = VISIBLE, blur_px: float = 0.0, video: bool = False, unit_px: float = 0.01
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Detect a hand of extent 100 px; return error (frames, 21, 2), confidence, positions."""
    shape = np.random.default_rng(5).uniform(0, 1, (21, 2))
    shape[0], shape[1] = 0, 1
    truth = np.broadcast_to(60 + 70.7 * shape, (FRAMES, 21, 2)).copy()
    given = DetectorInput(
        truth_px=truth,
        visibility=np.full((FRAMES, 21), visibility),
        blur_px=np.broadcast_to([blur_px, 0.0], (FRAMES, 21, 2)).copy(),
        frames=np.arange(FRAMES) if video else None,
        image_size_px=(200, 200),
        unit_px=unit_px,
    )
    found, confidence = detect(given, DETECTORS["simulated"], np.random.default_rng(0))
    return found - truth, confidence, found


def typical(error: np.ndarray, confidence: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(error, axis=-1)[confidence > 0]))


def test_errors_grow_with_occlusion_and_confidence_falls() -> None:
    results = [detected(visibility=kind)[:2] for kind in (VISIBLE, SELF_OCCLUDED, OBJECT_OCCLUDED)]
    errors = [typical(*result) for result in results]
    confidences = [result[1][result[1] > 0].mean() for result in results]
    missing = [(result[1] == 0).mean() for result in results]
    assert errors[0] < 0.6 * errors[1] < 0.6 * errors[2]
    assert confidences[0] > confidences[1] > confidences[2]
    assert missing[0] < 0.02 < missing[2] < 0.2


def test_blur_stretches_the_error_along_the_motion() -> None:
    error, confidence, _ = detected(blur_px=30.0)
    along, across = (np.median(np.abs(error[..., axis][confidence > 0])) for axis in (0, 1))
    assert along > 2 * across


def test_confidence_tells_about_the_error_but_does_not_determine_it() -> None:
    error, confidence, _ = detected()
    found = confidence > 0
    distance = np.linalg.norm(error, axis=-1)[found]
    correlation = np.corrcoef(confidence[found], np.log(distance + 0.1))[0, 1]
    assert -0.85 < correlation < -0.2


def test_some_mistakes_are_gross() -> None:
    error, confidence, _ = detected(visibility=SELF_OCCLUDED)
    gross = np.linalg.norm(error, axis=-1)[confidence > 0] > 25
    assert 0.005 < gross.mean() < 0.1


@pytest.mark.parametrize(("video", "low", "high"), [(True, 0.3, 0.9), (False, -0.1, 0.1)])
def test_errors_are_correlated_in_videos_only(video: bool, low: float, high: float) -> None:
    error, confidence, _ = detected(video=video)
    both = (confidence[1:] > 0) & (confidence[:-1] > 0)
    small = (np.abs(error) < 8).all(-1)
    both &= small[1:] & small[:-1]
    correlation = np.corrcoef(error[1:][both][:, 0], error[:-1][both][:, 0])[0, 1]
    assert low < correlation < high


def test_convention_missing_points_are_zero_and_positions_lie_on_the_original_grid() -> None:
    _, confidence, found = detected(unit_px=1.0, visibility=OBJECT_OCCLUDED)
    assert ((found == 0).all(-1) == (confidence == 0)).all()
    assert (found == np.rint(found)).all()
    _, confidence, found = detected(unit_px=0.25)
    original = (found[confidence > 0] + 0.5) / 0.25 - 0.5
    assert np.abs(original - np.rint(original)).max() < 1e-9


def test_joints_outside_the_picture_are_not_found() -> None:
    truth = np.full((1, 21, 2), 50.0)
    truth[0, :5] = -30.0
    given = DetectorInput(
        truth_px=truth,
        visibility=np.zeros((1, 21), np.int64),
        blur_px=np.zeros((1, 21, 2)),
        frames=None,
        image_size_px=(100, 100),
        unit_px=1.0,
    )
    _, confidence = detect(given, DETECTORS["simulated"], np.random.default_rng(0))
    assert (confidence[0, :5] == 0).all()
    assert (confidence[0, 5:] > 0).mean() > 0.8


KINDS = np.array([VISIBLE] * 12 + [SELF_OCCLUDED] * 7 + [OBJECT_OCCLUDED] * 2)
"""About the shares that the kinds have in the pictures."""


def calibrated(
    *, video: bool = False, kinds: np.ndarray = KINDS, frames: int = 3000
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Detect a hand seen from random sides, joints of random kinds; a video has one of each.

    Return errors (frames, 21, 2) over the hand's extent, confidences, kinds of visibility.
    """
    draw = np.random.default_rng(6)
    different = 1 if video else frames
    hand = HandLayer(embedded_hand()).rest_joints.numpy()
    turned = np.einsum("nij,kj->nki", Rotation.random(different, draw).as_matrix(), hand)
    truth = np.broadcast_to(500 + 1000 * turned[..., :2], (frames, 21, 2))
    visibility = draw.permuted(np.broadcast_to(kinds, (different, 21)), axis=1)
    visibility = np.broadcast_to(visibility, (frames, 21))
    given = DetectorInput(
        truth_px=truth,
        visibility=visibility,
        blur_px=np.zeros((frames, 21, 2)),
        frames=np.arange(frames) if video else None,
        image_size_px=(1000, 1000),
        unit_px=0.01,
    )
    found, confidence = detect(given, DETECTORS["calibrated"], np.random.default_rng(7))
    extent = np.linalg.norm(np.ptp(truth, axis=1), axis=-1)[:, None, None]
    return (found - truth) / extent, confidence, visibility


@pytest.mark.parametrize(
    ("kind", "median", "gross"),
    [(VISIBLE, 0.035, 0.060), (SELF_OCCLUDED, 0.063, 0.063), (OBJECT_OCCLUDED, 0.134, 0.203)],
)
def test_calibrated_errors_are_those_measured(kind: int, median: float, gross: float) -> None:
    """The measured detector's, mean of collection and sequences."""
    error, confidence, visibility = calibrated()
    distance = np.linalg.norm(error, axis=-1)[(visibility == kind) & (confidence > 0)]
    assert np.median(distance) == pytest.approx(median, rel=0.12)
    assert (distance > 0.25).mean() == pytest.approx(gross, rel=0.4)


def test_calibrated_fingertips_are_worst_and_middle_joints_best() -> None:
    error, confidence, visibility = calibrated()
    distance = np.linalg.norm(error, axis=-1)
    distance[(visibility != VISIBLE) | (confidence == 0)] = np.nan
    wrist, *finger = np.nanmedian(distance, axis=0)
    measured = [0.026, 0.034, 0.0275, 0.0305, 0.048]
    levels = [wrist, *np.mean(np.reshape(finger, (5, 4)), axis=0)]
    np.testing.assert_allclose(levels, measured, rtol=0.2)


@pytest.mark.parametrize(
    ("behind_thing", "behind_hand", "measured"), [(0, 8, 0.090), (2, 7, 0.198), (9, 4, 0.429)]
)
def test_calibrated_hands_are_found_whole_or_not_at_all(
    behind_thing: int, behind_hand: int, measured: float
) -> None:
    """Of hands with so many joints hidden on average, the measured detector missed so many."""
    kinds = np.where(np.arange(21) < behind_thing, OBJECT_OCCLUDED, VISIBLE)
    kinds[21 - behind_hand :] = SELF_OCCLUDED
    _, confidence, _ = calibrated(kinds=kinds)
    missing = (confidence == 0).all(axis=1)
    np.testing.assert_array_equal((confidence == 0).any(axis=1), missing)
    assert missing.mean() == pytest.approx(measured, abs=0.06)


def test_calibrated_errors_and_misses_last_as_measured() -> None:
    error, confidence, _ = calibrated(video=True, frames=10_000)
    small = (np.linalg.norm(error, axis=-1) < 0.25) & (confidence > 0)
    for lag, measured in [(1, 0.89), (4, 0.73), (16, 0.37)]:
        both = small[lag:] & small[:-lag]
        correlation = np.corrcoef(error[lag:][both].ravel(), error[:-lag][both].ravel())[0, 1]
        assert correlation == pytest.approx(measured, abs=0.12)
    missing = (confidence == 0).all(axis=1)
    for lag, measured in [(1, 0.74), (4, 0.56)]:
        assert missing[lag:][missing[:-lag]].mean() == pytest.approx(measured, abs=0.12)


def test_calibrated_confidence_tells_less_of_the_error() -> None:
    error, confidence, _ = calibrated()
    found = confidence > 0
    rank = spearmanr(confidence[found], np.linalg.norm(error, axis=-1)[found]).statistic
    assert rank == pytest.approx(-0.40, abs=0.08)
