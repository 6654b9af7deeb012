import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from s2hand.metrics.alignment import align_procrustes, align_root, align_scale_translation


def official_alignment(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The published recipe for one sample, step by step with SciPy's solver."""
    truth_centred, predicted_centred = truth - truth.mean(0), predicted - predicted.mean(0)
    truth_size = np.linalg.norm(truth_centred) + 1e-8
    predicted_size = np.linalg.norm(predicted_centred) + 1e-8
    turn, scale = orthogonal_procrustes(
        truth_centred / truth_size, predicted_centred / predicted_size
    )
    aligned = predicted_centred / predicted_size @ turn.T * scale
    return aligned * truth_size + truth.mean(0)


def test_alignment_agrees_with_scipys_solver_sample_by_sample():
    random = np.random.default_rng(0)
    truth, predicted = random.normal(size=(2, 40, 21, 3))
    expected = np.stack([official_alignment(t, p) for t, p in zip(truth, predicted, strict=True)])
    np.testing.assert_allclose(align_procrustes(predicted, truth), expected, atol=1e-6)


def test_residual_is_scipys_procrustes_disparity():
    random = np.random.default_rng(1)
    truth, predicted = random.normal(size=(2, 1, 778, 3))
    aligned = align_procrustes(predicted, truth)
    squared = ((aligned - truth) ** 2).sum() / ((truth - truth.mean(1)) ** 2).sum()
    assert squared == pytest.approx(procrustes(truth[0], predicted[0])[2], rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    scale=st.floats(0.1, 10),
    shift=st.tuples(*[st.floats(-2, 2)] * 3),
    mirrored=st.booleans(),
)
def test_similarities_are_undone_reflections_included(angles, scale, shift, mirrored):
    truth = np.random.default_rng(2).normal(scale=0.05, size=(1, 21, 3))
    turn = Rotation.from_rotvec(angles).as_matrix() @ np.diag([-1.0 if mirrored else 1.0, 1, 1])
    predicted = scale * truth @ turn.T + np.array(shift)
    np.testing.assert_allclose(align_procrustes(predicted, truth), truth, atol=1e-6)


def test_a_collapsed_prediction_lands_on_the_mean_of_the_truth():
    truth = np.random.default_rng(3).normal(size=(2, 21, 3))
    aligned = align_procrustes(np.zeros((2, 21, 3)), truth)
    np.testing.assert_allclose(aligned, np.broadcast_to(truth.mean(1, keepdims=True), truth.shape))


def test_a_nearly_collapsed_prediction_grows_as_the_official_evaluation_lets_it():
    """Where its size is that of the addend of the norms, it gets a quarter of the truth's."""
    truth = np.random.default_rng(5).normal(size=(3, 21, 3))
    centred = truth - truth.mean(1, keepdims=True)
    tiny = 1e-8 * centred / np.linalg.norm(centred, axis=(1, 2), keepdims=True)
    expected = truth.mean(1, keepdims=True) + centred / 4
    np.testing.assert_allclose(align_procrustes(tiny, truth), expected, atol=1e-6)


def test_root_alignment_puts_the_wrist_at_zero_and_keeps_differences():
    joints = np.random.default_rng(4).normal(size=(3, 21, 3)).astype(np.float32)
    rooted = align_root(joints, joints)
    assert np.all(rooted[:, 0] == 0)
    np.testing.assert_allclose(rooted[:, 5] - rooted[:, 9], joints[:, 5] - joints[:, 9], atol=1e-6)


def official_scale_translation(mtx1: np.ndarray, mtx2: np.ndarray) -> np.ndarray:
    """HO-3D's second alignment of one hand, from its description, in HO-3D's joint order."""
    size = np.sqrt(((mtx2[4] - mtx2[0]) ** 2).sum())
    scaled = mtx2 / size if size > 0 else mtx2
    scaled = scaled * np.sqrt(((mtx1[4] - mtx1[0]) ** 2).sum())
    return scaled - scaled[:1] + mtx1[:1]


def test_scale_and_translation_are_aligned_as_ho3d_does():
    random = np.random.default_rng(4)
    predicted, truth = random.normal(size=(2, 5, 21, 3)) + 3
    predicted[2, 9] = predicted[2, 0]  # a bone without length
    predicted[3] = predicted[3, :1]  # collapsed
    in_ho3d = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]
    expected = [
        official_scale_translation(aim[in_ho3d], points[in_ho3d])
        for points, aim in zip(predicted, truth, strict=True)
    ]
    aligned = align_scale_translation(predicted, truth)
    np.testing.assert_allclose(aligned[:, in_ho3d], expected, atol=1e-12)
    np.testing.assert_array_equal(aligned[3], np.broadcast_to(truth[3, 0], (21, 3)))


def test_a_scaled_and_moved_hand_fits_and_a_turned_one_does_not():
    truth = np.random.default_rng(5).normal(size=(3, 21, 3))
    moved = 2.5 * truth + [0.1, -0.2, 0.3]
    np.testing.assert_allclose(align_scale_translation(moved, truth), truth, atol=1e-12)
    turned = align_scale_translation(truth * [-1, -1, 1], truth)
    assert np.abs(turned - truth).max() > 0.1
