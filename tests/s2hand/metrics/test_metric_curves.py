"""Curves against counting one by one, and against the metrics that are their areas."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s2hand.data.sample import FrameTable
from s2hand.metrics.curves import CURVES, Curve, curves_of, frames_curve, pck_curve
from s2hand.metrics.evaluate import KeypointPredictions, Predictions, evaluate

CAMERA = np.array([[500, 0, 112], [0, 500, 112], [0, 0, 1]], np.float32)
AREAS = {
    "pa_joints": "pa_auc_j_0_50mm",
    "sta_joints": "sta_auc_j_0_50mm",
    "abs_joints": "abs_auc_j_0_50mm",
    "pa_vertices": "pa_auc_v_0_50mm",
    "abs_vertices": "abs_auc_v_0_50mm",
    "detected": "detected_keypoint_auc",
    "projected": "projected_keypoint_auc",
    "heatmap": "heatmap_keypoint_auc",
}


def set_of(count: int) -> tuple[Predictions, FrameTable]:
    """Make hands, predictions a centimetre or so from them, keypoints some pixels."""
    random = np.random.default_rng(0)
    joints = random.normal((0, 0, 0.6), 0.04, (count, 21, 3))
    vertices = random.normal((0, 0, 0.6), 0.04, (count, 778, 3))
    seen = joints @ CAMERA.T.astype(float)
    keypoints_px = seen[..., :2] / seen[..., 2:]
    table = FrameTable(
        sample_ids=tuple(map(str, range(count))),
        image_paths=(Path("x.jpg"),) * count,
        intrinsics_px=np.tile(CAMERA, (count, 1, 1)),
        sequences=("",) * count,
        frames=np.arange(count),
        detected_keypoints_px=np.zeros((count, 21, 2), np.float32),
        detection_confidence=np.zeros((count, 21), np.float32),
        crop_box_px=np.full((count, 4), np.nan, np.float32),
        joints=joints.astype(np.float32),
        vertices=vertices.astype(np.float32),
    )
    detected, projected, heatmap = (
        keypoints_px + random.normal(scale=scale, size=keypoints_px.shape) for scale in (3, 8, 15)
    )
    predictions = Predictions(
        joints=joints + random.normal(scale=0.01, size=joints.shape),
        vertices=vertices + random.normal(scale=0.01, size=vertices.shape),
        keypoints=KeypointPredictions(
            image_size_px=224,
            intrinsics_px=table.intrinsics_px,
            camera_rotation=np.tile(np.eye(3), (count, 1, 1)),
            detected=detected,
            projected=projected,
            heatmap=heatmap,
        ),
    )
    return predictions, table


def test_shares_are_counted_with_what_lies_on_a_threshold():
    step = 0.05 / 99
    curve = pck_curve(np.array([[0.0, 3.5 * step], [99 * step, 1.0]]))
    expected = [sum(e <= t for e in (0, 3.5, 99, 1e9)) / 4 for t in range(100)]
    np.testing.assert_allclose(curve.shares, expected)
    assert (curve.unit, curve.thresholds[0], curve.thresholds[-1]) == ("mm", 0, 50)
    errors_px = np.zeros((4, 21))
    errors_px[:, 5] = 2, 2.5, 49, 60
    worst = frames_curve(errors_px)
    expected = [sum(e <= t for e in (2, 2.5, 49, 60)) / 4 for t in range(50)]
    np.testing.assert_allclose(worst.shares, expected)
    assert (worst.unit, worst.thresholds.tolist()) == ("px", list(range(50)))


def test_an_area_is_a_mean_share_wherever_the_thresholds_begin():
    curve = Curve(unit="px", thresholds=np.array([10.0, 20, 40]), shares=np.array([0.2, 0.4, 0.4]))
    assert curve.area == pytest.approx((0.3 * 10 + 0.4 * 20) / 30)


def test_areas_under_the_curves_are_the_metrics(monkeypatch):
    monkeypatch.setattr("s2hand.metrics.curves._CHUNK_SAMPLES", 4)
    predictions, table = set_of(7)
    curves, metrics = curves_of(predictions, table), evaluate(predictions, table).metrics
    assert curves.keys() == AREAS.keys()
    assert list(curves) == list(CURVES)
    assert {name: about.area_of for name, about in CURVES.items()} == AREAS
    for name, curve in curves.items():
        assert curve.area == pytest.approx(metrics[AREAS[name]], abs=1e-12), name
        assert curve.to_plain() == {
            "unit": curve.unit, "area": curve.area, "thresholds": curve.thresholds.tolist(),
            "shares": curve.shares.tolist(),
        }  # fmt: skip
    assert len({round(curve.area, 3) for curve in curves.values()}) == len(curves)


def test_curves_need_their_truth_and_their_predictions():
    predictions, table = set_of(3)
    assert curves_of(predictions, replace(table, joints=None)).keys() == {
        "pa_vertices", "abs_vertices",
    }  # fmt: skip
    without = replace(predictions, keypoints=None)
    assert curves_of(without, replace(table, vertices=None)).keys() == {
        "pa_joints", "sta_joints", "abs_joints",
    }  # fmt: skip


def test_hands_without_a_place_have_no_curve_that_compares_places():
    predictions, table = set_of(3)
    curves = curves_of(replace(predictions, is_placed=False), table)
    assert curves.keys() == AREAS.keys() - {"abs_joints", "abs_vertices"}
