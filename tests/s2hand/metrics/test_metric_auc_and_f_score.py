import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from s2hand.metrics.f_score import f_scores
from s2hand.metrics.pck import pck_thresholds_m, sample_auc


def official_auc(errors_m: np.ndarray) -> float:
    """Per point: share of samples within each threshold, trapezoid; then the mean over points."""
    thresholds = np.linspace(0, 0.05, 100)
    areas = [
        np.trapezoid([(point <= t).mean() for t in thresholds], thresholds) / 0.05
        for point in errors_m.T
    ]
    return float(np.mean(areas))


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (4, 3), elements=st.floats(0, 0.08)))
def test_mean_of_sample_aucs_is_the_official_auc(errors_m):
    assert sample_auc(errors_m).mean() == pytest.approx(official_auc(errors_m), abs=1e-12)


def test_errors_exactly_on_a_threshold_count_as_within():
    thresholds = pck_thresholds_m()
    for index in (0, 1, 50, 99):
        errors = np.full((1, 21), thresholds[index])
        assert sample_auc(errors)[0] == pytest.approx(official_auc(errors), abs=1e-12)
    assert sample_auc(np.zeros((1, 21)))[0] == 1
    assert sample_auc(np.full((1, 21), 0.0501))[0] == 0


def test_auc_of_evenly_spread_errors_is_one_half():
    errors_m = np.linspace(0, 0.05, 20001).reshape(1, -1)
    assert sample_auc(errors_m)[0] == pytest.approx(0.5, abs=1e-4)


def brute_force_f_score(predicted: np.ndarray, truth: np.ndarray, threshold_m: float) -> float:
    distances = np.linalg.norm(predicted[:, None] - truth[None], axis=-1)
    precision = (distances.min(axis=1) < threshold_m).mean()
    recall = (distances.min(axis=0) < threshold_m).mean()
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def test_f_scores_agree_with_all_pairs_of_distances():
    random = np.random.default_rng(5)
    truth = random.uniform(-0.08, 0.08, size=(4, 300, 3))
    predicted = truth[:, :250] + random.normal(scale=0.006, size=(4, 250, 3))
    found = f_scores(predicted, truth)
    for sample in range(4):
        for column, threshold_m in enumerate((0.005, 0.015)):
            expected = brute_force_f_score(predicted[sample], truth[sample], threshold_m)
            assert found[sample, column] == pytest.approx(expected, abs=1e-12)


def test_f_score_counts_strictly_nearer_points_only():
    truth = np.zeros((1, 1, 3))
    on_the_edge = np.array([[[0.25, 0, 0]]])
    inside = np.array([[[np.nextafter(0.25, 0), 0, 0]]])
    assert f_scores(on_the_edge, truth, (0.25,))[0, 0] == 0
    assert f_scores(inside, truth, (0.25,))[0, 0] == 1


def test_f_score_of_equal_and_of_distant_meshes():
    mesh = np.random.default_rng(6).normal(size=(1, 778, 3))
    np.testing.assert_array_equal(f_scores(mesh, mesh), [[1, 1]])
    np.testing.assert_array_equal(f_scores(mesh + 9, mesh), [[0, 0]])
