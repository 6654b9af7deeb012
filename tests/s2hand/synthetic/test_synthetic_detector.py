from collections.abc import Callable
from dataclasses import asdict

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
    _correlated,
    _episodes,
    _memory,
    _mistakes,
    _outside,
    _snap,
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


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("video", [True, False])
def test_detections_are_drawn_as_before(
    assert_drawn_as_before: Callable[..., None], name: str, video: bool
) -> None:
    """Hands of all kinds of visibility that move, some of them out of the picture."""
    draw, frames = np.random.default_rng(8), 1500
    path = 60 + 55 * np.sin(np.arange(frames)[:, None, None] / [40, 55])
    given = DetectorInput(
        truth_px=path + draw.uniform(-25, 25, (1, 21, 2)),
        visibility=draw.integers(0, 3, (frames, 21)),
        blur_px=draw.normal(0, 6, (frames, 21, 2)),
        frames=np.cumsum(draw.choice([1, 1, 1, 3], frames)) if video else None,
        image_size_px=(140, 105),
        unit_px=0.25,
    )
    found, confidence = detect(given, DETECTORS[name], np.random.default_rng(9))
    missing = confidence == 0
    assert 0.05 < missing.mean() < 0.6
    settings = np.concatenate([np.ravel(value) for value in asdict(DETECTORS[name]).values()])
    error = np.where(missing[..., None], 0, found - given.truth_px)
    kind = "video" if video else "images"
    assert_drawn_as_before(
        f"detections_{name}_{kind}",
        settings=settings, error=error, confidence=confidence, missing=missing,
    )  # fmt: skip


def visible(truth: np.ndarray, size: tuple[int, int], unit_px: float = 1.0) -> DetectorInput:
    """Describe hands that are all visible and at rest."""
    return DetectorInput(
        truth_px=truth,
        visibility=np.zeros(truth.shape[:2], int),
        blur_px=np.zeros_like(truth),
        frames=None,
        image_size_px=size,
        unit_px=unit_px,
    )


def test_a_joint_a_little_outside_the_picture_can_still_be_found() -> None:
    """By 3 % of the hand's extent beyond the outermost pixels' edges, on each side."""
    size, margin = np.array([120, 90]), 0.03 * 100
    for axis in (0, 1):
        for beyond, edge in ((-1, -0.5), (1, size[axis] - 0.5)):
            for distance, is_outside in ((0.99 * margin, False), (1.01 * margin, True)):
                place = np.full(2, 45.0)
                place[axis] = edge + beyond * distance
                (outside,) = _outside(place[None], (120, 90), margin_px=np.array([margin]))
                assert outside == is_outside


def test_positions_are_clipped_into_the_picture_before_it_was_made_smaller() -> None:
    """A picture of 40 × 30 pixels, made from one of 160 × 120: centres of its pixels."""
    given = visible(np.zeros((1, 21, 2)), (40, 30), unit_px=0.25)
    found = np.array([[-9.0, -9.0], [99.0, 99.0], [10.03, 20.1]])
    first, last = 0.125 - 0.5, np.array([40.0, 30.0]) - 0.125 - 0.5
    expected = [[first, first], last, [10.125, 20.125]]
    np.testing.assert_allclose(_snap(found, given), expected)


def test_gross_mistakes_lie_on_a_neighbouring_finger_or_anywhere_about_the_hand() -> None:
    draw = np.random.default_rng(1)
    truth = np.repeat(draw.uniform(0, 1000, (1, 21, 2)), 4000, axis=0)
    extent = np.full((4000, 1), 1e-6)  # so little is added that the place shows what was taken
    taken = _mistakes(visible(truth, (1000, 1000)), extent, draw)
    distance = np.linalg.norm(taken[:, :, None] - truth[0], axis=-1)
    other = np.where(distance.min(-1) < 1e-3, distance.argmin(-1), -1)
    centre = np.linalg.norm(taken - truth[0].mean(0), axis=-1) < 1e-3
    assert centre.mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(centre, other < 0)
    for joint in range(21):
        found = set(other[:, joint]) - {-1}
        neighbours = {each for each in (joint - 4, joint + 4) if 1 <= each <= 20}
        assert found == (neighbours if joint else set(range(1, 21)))


@pytest.mark.parametrize("gap", [1, 3])
def test_correlated_noise_has_unit_variance_and_the_wanted_correlation(gap: int) -> None:
    memory = _memory(np.arange(60) * gap, 60, 0.8)
    noise = _correlated(memory, (20_000,), np.random.default_rng(2))
    assert noise.std(axis=1) == pytest.approx(np.ones(60), abs=0.03)
    for lag in (1, 2):
        correlation = (noise[40 + lag] * noise[40]).mean()
        assert correlation == pytest.approx(0.8 ** (gap * lag), abs=0.03)


def test_unrelated_images_share_nothing() -> None:
    assert not _memory(None, 3, 0.8).any()
    assert _memory(np.array([4, 5, 9]), 3, 0.5).tolist() == [0, 0.5, 0.0625]


def test_episodes_keep_their_chance_and_last() -> None:
    chance = np.full((50, 20_000), 0.1)
    memory = np.array([0.0] + [0.9] * 49)
    events = _episodes(chance, memory, 0.7, np.random.default_rng(3))
    assert events.mean(axis=1) == pytest.approx(np.full(50, 0.1), abs=0.01)
    assert events[1:][events[:-1]].mean() == pytest.approx(0.7, abs=0.01)
    assert not _episodes(chance, 0 * memory, 1.0, np.random.default_rng(3))[1:][events[:-1]].all()
