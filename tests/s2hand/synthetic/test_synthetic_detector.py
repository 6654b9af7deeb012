import numpy as np
import pytest

from s2hand.synthetic.detector import (
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
    found, confidence = detect(given, np.random.default_rng(0))
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
    _, confidence = detect(given, np.random.default_rng(0))
    assert (confidence[0, :5] == 0).all()
    assert (confidence[0, 5:] > 0).mean() > 0.8
