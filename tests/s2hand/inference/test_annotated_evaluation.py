"""Evaluation on YouTube-3D-Hands' annotated vertices, on files in the published layout."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import s2hand
from s2hand import annotated_evaluation
from s2hand.annotated_evaluation import evaluate_annotated
from s2hand.data.youtube3d_files import read_annotations
from s2hand.errors import DataError
from s2hand.inference import Predictor
from s2hand.reconstruction import HandView, PictureHand

RECONSTRUCT = annotated_evaluation.reconstruct_views
Predict = Callable[[Predictor, list[HandView]], list[PictureHand]]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return s2hand.load()


@pytest.fixture
def root(make_youtube3d) -> Path:
    root = make_youtube3d(count=3)
    for split in ("test", "val"):
        (root / f"youtube_{split}.json").write_bytes((root / "youtube_train.json").read_bytes())
    return root


def seen_as(root: Path, moved: Callable[[np.ndarray], np.ndarray]) -> Predict:
    """Predict the annotated hands, after a change in pixels of the annotated picture."""
    hands = iter(read_annotations(root / "youtube_test.json", with_vertices=True))

    def predict(predictor: Predictor, views: list[HandView]) -> list[PictureHand]:
        found = RECONSTRUCT(predictor, views)
        return [
            replace(hand, vertices=placed(view)) for hand, view in zip(found, views, strict=True)
        ]

    def placed(view: HandView) -> np.ndarray:
        annotated = next(hands)
        assert annotated.vertices_px is not None
        assert view.is_left == annotated.is_left
        seen = moved(annotated.vertices_px.astype(np.float64))
        # Stored at half the size, with the longer side, 160 px, as the focal length. The inverse
        # of a projection at mean depth 1.
        z = 1 + (seen[:, 2] - seen[:, 2].mean()) / 2 / 160
        z = z / z.mean()
        x = ((seen[:, 0] + 0.5) / 2 - 0.5 - 79.5) / 160 * z
        y = ((seen[:, 1] + 0.5) / 2 - 0.5 - 44.5) / 160 * z
        return np.stack([x, y, z], axis=1)

    return predict


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (lambda seen: seen, (0, 0, 0, 0)),
        (lambda seen: seen + np.array([6, 8, 0]), (10, 10, 14 / 3, 0)),
        (lambda seen: seen + np.array([0, 0, 9]), (0, 0, 0, 0)),
    ],
)
def test_errors_are_pixels_of_the_annotated_picture(root, predictor, monkeypatch, moved, expected):
    monkeypatch.setattr(annotated_evaluation, "reconstruct_views", seen_as(root, moved))
    found = evaluate_annotated(predictor, root, "test")
    names = ("projected_mpvpe_px", "mpvpe_px", "mae_px", "pa_mpvpe_px")
    for name, value in zip(names, expected, strict=True):
        assert found.metrics[name] == pytest.approx(value, abs=1e-3)
        assert found.samples[name].shape == (9,)
    assert found.sample_ids[0] == "vidA/100#7"
    assert found.notes.keys() == {"camera", "truth"}


def test_batches_change_nothing(root, predictor, monkeypatch):
    whole = evaluate_annotated(predictor, root, "val")
    monkeypatch.setattr(annotated_evaluation, "_BATCH", 4)
    parts = evaluate_annotated(predictor, root, "val")
    assert parts.sample_ids == whole.sample_ids
    for name, values in whole.samples.items():
        np.testing.assert_allclose(parts.samples[name], values, atol=1e-2)
        assert whole.metrics[name] == pytest.approx(values.mean())


def test_detections_are_not_read(root, predictor):
    whole = evaluate_annotated(predictor, root, "test")
    for path in (root / "keypoints").iterdir():
        path.unlink()
    assert evaluate_annotated(predictor, root, "test").metrics == whole.metrics


def test_what_cannot_be_looked_at_is_left_out_and_told(root, predictor):
    whole = evaluate_annotated(predictor, root, "test")
    frames = root / "youtube/vidA/video/frames"
    (frames / "100.png").unlink()
    (frames / "101.png").write_bytes((frames / "101.png").read_bytes()[:200])
    content = json.loads((root / "youtube_test.json").read_text())
    far = content["annotations"][-1]
    far["vertices"] = (np.array(far["vertices"]) + np.array([9000, 0, 0])).tolist()
    (root / "youtube_test.json").write_text(json.dumps(content))
    found = evaluate_annotated(predictor, root, "test")
    # Two hands in each of the images that are gone and damaged, and the one outside its image.
    assert len(found.sample_ids) == 9 - 2 - 2 - 1
    assert found.notes["missing images"] == "2 of 9 annotated hands are left out"
    assert found.notes["unreadable"].startswith("3 hands are left out: ")
    assert "(1 images)" in found.notes["unreadable"]
    rows = [whole.sample_ids.index(name) for name in found.sample_ids]
    for name, values in found.samples.items():
        np.testing.assert_allclose(values, whole.samples[name][rows], atol=1e-2)


def test_a_set_without_the_split_is_refused(root, predictor):
    (root / "youtube_val.json").unlink()
    with pytest.raises(DataError, match=r"youtube_val.json: annotation file is missing"):
        evaluate_annotated(predictor, root, "val")
    for path in (root / "youtube").rglob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"none of the frames that it lists is there"):
        evaluate_annotated(predictor, root, "test")


def test_numbers_that_are_none_are_named(root, predictor, monkeypatch):
    def broken(seen: np.ndarray) -> np.ndarray:
        return seen * np.nan

    monkeypatch.setattr(annotated_evaluation, "reconstruct_views", seen_as(root, broken))
    with pytest.raises(DataError, match=r"got others for 9 of 9 hands, such as vidA/100#7"):
        evaluate_annotated(predictor, root, "test")
