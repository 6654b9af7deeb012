from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.fingertips import HO3D_FINGERTIPS, S2HAND_FINGERTIPS
from s2hand.hand.layer import HandLayer
from s2hand.metrics.alignment import align_procrustes
from s2hand.metrics.descriptions import METRICS
from s2hand.metrics.errors import point_errors
from s2hand.metrics.evaluate import (
    KeypointPredictions,
    Predictions,
    evaluate,
)
from s2hand.metrics.f_score import f_scores
from s2hand.metrics.pck import sample_auc


def hand(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    offset = np.array([0, 0, 0.6])
    joints = random.normal(scale=0.04, size=(count, 21, 3)) + offset
    vertices = random.normal(scale=0.04, size=(count, 778, 3)) + offset
    return joints.astype(np.float32), vertices.astype(np.float32)


def table_of(count: int, *, sequence: str = "SM1") -> FrameTable:
    joints, vertices = hand(count)
    camera = np.array([[500, 0, 112], [0, 500, 112], [0, 0, 1]], np.float32)
    return FrameTable(
        sample_ids=tuple(f"{sequence}/{frame:04d}" for frame in range(count)),
        image_paths=(Path("x.jpg"),) * count,
        intrinsics_px=np.tile(camera, (count, 1, 1)),
        sequences=(sequence,) * count,
        frames=np.arange(count),
        detected_keypoints_px=np.zeros((count, 21, 2), np.float32),
        detection_confidence=np.zeros((count, 21), np.float32),
        crop_box_px=np.full((count, 4), np.nan, np.float32),
        joints=joints,
        vertices=vertices,
    )


def test_convention_a_metrics_key_ends_in_its_unit_and_tells_which_way_is_better():
    units = {"cm": "cm", "px": "px", "rad": "rad", "mm": "mm/frame²", "error": "1", "sd": "1"}
    for name, metric in METRICS.items():
        is_share = "auc" in name or "f_score" in name
        assert metric.unit == ("1" if is_share else units[name.rpartition("_")[2]]), name
        assert metric.direction == ("higher" if is_share else "lower"), name


def predictions_of(joints: np.ndarray, vertices: np.ndarray) -> Predictions:
    count = len(joints)
    return Predictions(
        joints=joints,
        vertices=vertices,
        hand_pose=np.zeros((count, 15, 3)),
        global_orient=np.zeros((count, 3)),
        betas=np.zeros((count, 10)),
    )


def test_truth_as_prediction_is_perfect_in_every_metric():
    table = table_of(6)
    camera = table.intrinsics_px
    seen = np.einsum("nij,nkj->nki", camera, table.joints)
    keypoints_px = seen[..., :2] / seen[..., 2:]
    turns = np.tile(np.eye(3), (6, 1, 1))
    predictions = replace(
        predictions_of(table.joints, table.vertices),
        keypoints=KeypointPredictions(
            image_size_px=224, intrinsics_px=camera, camera_rotation=turns, detected=keypoints_px,
            projected=keypoints_px, heatmap=keypoints_px,
        ),
        texture=np.full((6, 778, 3), 0.7),
        fit={"photometric_error": np.zeros(6), "silhouette_error": np.zeros(6)},
    )  # fmt: skip
    result = evaluate(predictions, table)
    assert set(result.metrics) == {name for name in METRICS if "dataset_tips" not in name}
    for name, value in result.metrics.items():
        if name == "acc_mm":
            continue
        best = 1 if METRICS[name].direction == "higher" else 0
        # Rounding puts a keypoint beyond the threshold of 0 px: half a step of 49.
        tolerance = 0.6 / 49 if name.endswith("keypoint_auc") else 6e-3
        assert value == pytest.approx(best, abs=tolerance if "auc" in name else 1e-4), name
    assert result.sample_ids == table.sample_ids
    # Stored results stand under it: a new one makes them incomparable.
    assert result.evaluator_id == (
        "s2hand/2 joints=openpose root=wrist pa=similarity+reflection,joints|vertices "
        "auc=0:50mm:100 f=strict acc=wrist-relative,per-sequence quat=n3,i1,16 "
        "sta=wrist,middle_1 tips=s2hand|s2hand"
    )


def posed_hand(fingertips: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return four frames' joints, with the tips at these vertices, and vertices."""
    random = torch.Generator().manual_seed(5)
    layer = HandLayer(embedded_hand(), fingertips=fingertips)
    output = layer(
        betas=torch.randn(4, 10, generator=random),
        hand_pose_pca=torch.randn(4, 30, generator=random),
        global_orient=torch.randn(4, 3, generator=random),
        transl=torch.tensor([[0.0, 0.0, 0.6]]).expand(4, 3),
    )
    return output.joints.numpy(), output.vertices.numpy()


def official_error_cm(predicted: np.ndarray, truth: np.ndarray) -> float:
    """The alignment of HO-3D's and FreiHAND's evaluation, from its description."""
    total = []
    for points, target in zip(predicted.astype(float), truth.astype(float), strict=True):
        centred, aim = points - points.mean(0), target - target.mean(0)
        size, aim_size = (np.linalg.norm(x) + 1e-8 for x in (centred, aim))
        rotation, scale = orthogonal_procrustes(aim / aim_size, centred / size)
        aligned = (centred / size) @ rotation.T * scale * aim_size + target.mean(0)
        total.append(np.linalg.norm(aligned - target, axis=1))
    return 100 * np.stack(total).mean(axis=0).mean()


def test_convention_a_perfect_mesh_has_no_error_whatever_tips_the_truth_has():
    predicted, vertices = posed_hand(S2HAND_FINGERTIPS)
    truth, _ = posed_hand(HO3D_FINGERTIPS)
    table = replace(table_of(4), joints=truth, vertices=vertices, fingertips=HO3D_FINGERTIPS)
    seen = np.einsum("nij,nkj->nki", table.intrinsics_px, predicted)
    keypoints_px = seen[..., :2] / seen[..., 2:]
    perfect = replace(
        predictions_of(predicted, vertices),
        keypoints=KeypointPredictions(
            image_size_px=224, intrinsics_px=table.intrinsics_px,
            camera_rotation=np.tile(np.eye(3), (4, 1, 1)),
            detected=keypoints_px, projected=keypoints_px,
        ),
    )  # fmt: skip
    result = evaluate(perfect, table)
    names = ("pa_mpjpe_cm", "root_mpjpe_cm", "projected_mpjpe_px", "projected_keypoint_px")
    for name in (*names, "acc_err_mm"):
        assert result.metrics[name] == pytest.approx(0, abs=2e-4), name
    assert result.metrics["pa_auc_j_0_50mm"] == pytest.approx(1, abs=6e-3)
    official = result.metrics["pa_mpjpe_dataset_tips_cm"]
    assert official == pytest.approx(official_error_cm(predicted, truth), abs=1e-12)
    assert official > 0.02
    assert result.metrics["pa_auc_j_dataset_tips_0_50mm"] < result.metrics["pa_auc_j_0_50mm"]
    assert result.evaluator_id.endswith("tips=s2hand|s2hand dataset_tips=ho3d")
    not_predicted = {"heatmap_keypoint_px", "heatmap_keypoint_auc", "texture_sd"}
    of_pictures = {"photometric_error", "silhouette_error"}
    assert result.metrics.keys() == METRICS.keys() - not_predicted - of_pictures
    assert {len(values) for values in result.samples.values()} == {4}
    own = replace(table, fingertips=(1, 2, 3, 4, 5))
    assert evaluate(perfect, own).evaluator_id.endswith("tips=s2hand|s2hand dataset_tips=own")


def test_without_true_vertices_joints_are_compared_as_they_are():
    predicted, vertices = posed_hand(S2HAND_FINGERTIPS)
    truth, _ = posed_hand(HO3D_FINGERTIPS)
    table = replace(table_of(4), joints=truth, vertices=None, fingertips=HO3D_FINGERTIPS)
    result = evaluate(predictions_of(predicted, vertices), table)
    assert result.metrics["pa_mpjpe_cm"] == result.metrics["pa_mpjpe_dataset_tips_cm"] > 0.02
    assert result.evaluator_id.endswith("tips=s2hand|ho3d dataset_tips=ho3d")


def test_keypoints_are_measured_in_224_equivalent_pixels_of_the_input():
    """The input's camera is turned: its axes, in the dataset camera's frame, are the columns."""
    table = table_of(4)
    turns = Rotation.from_rotvec([[0.2, 0, 0], [0, -0.3, 0], [0, 0, 1], [0.1, 0.2, 2]]).as_matrix()
    in_input = np.einsum("nji,nkj->nki", turns, table.joints)
    seen = np.einsum("nij,nkj->nki", table.intrinsics_px, in_input)
    keypoints_px = seen[..., :2] / seen[..., 2:]
    moved = keypoints_px + np.array([3.0, 4.0])
    predictions = replace(
        predictions_of(table.joints, table.vertices),
        keypoints=KeypointPredictions(
            image_size_px=112, intrinsics_px=table.intrinsics_px, camera_rotation=turns,
            detected=moved, projected=keypoints_px,
        ),
    )  # fmt: skip
    metrics = evaluate(predictions, table).metrics
    assert metrics["detected_keypoint_px"] == pytest.approx(10, abs=1e-3)
    assert metrics["projected_keypoint_px"] == pytest.approx(0, abs=1e-3)
    assert metrics["detected_keypoint_auc"] == pytest.approx(39 / 49, abs=0.02)
    assert "heatmap_keypoint_px" not in metrics


def test_shifted_hand_changes_raw_metrics_and_leaves_aligned_ones():
    table = table_of(4)
    shift = np.array([0.02, 0, 0], np.float32)
    metrics = evaluate(predictions_of(table.joints + shift, table.vertices + shift), table).metrics
    assert metrics["pa_mpjpe_cm"] == pytest.approx(0, abs=1e-5)
    assert metrics["root_mpvpe_cm"] == pytest.approx(0, abs=1e-5)
    assert metrics["pa_f_score_5mm"] == 1
    assert metrics["f_score_5mm"] < 0.9
    expected_px = (500 * 0.02 / table.joints[..., 2]).mean()
    assert metrics["projected_mpjpe_px"] == pytest.approx(expected_px, rel=1e-4)


def test_absolute_errors_are_those_of_the_camera_s_frame():
    """All points 5 mm along x: the curves rise from 0 to 1 there, a tenth of the way."""
    table, move = table_of(4), np.array([0.005, 0, 0])
    metrics = evaluate(predictions_of(table.joints + move, table.vertices + move), table).metrics
    for kind, letter in (("mpjpe", "j"), ("mpvpe", "v")):
        assert metrics[f"abs_{kind}_cm"] == pytest.approx(0.5, rel=1e-5)
        assert metrics[f"abs_auc_{letter}_0_50mm"] == pytest.approx(0.9, abs=0.5 / 99 + 1e-3)
    assert metrics["sta_mpjpe_cm"] == pytest.approx(0, abs=1e-5)
    assert metrics["sta_auc_j_0_50mm"] == pytest.approx(1, abs=6e-3)


def test_another_program_s_joints_are_compared_as_they_are():
    """Its fingertips are not known: a file's joints are the truth's of the official script."""
    predicted, vertices = posed_hand(S2HAND_FINGERTIPS)
    truth, _ = posed_hand(HO3D_FINGERTIPS)
    table = replace(table_of(4), joints=truth, vertices=vertices, fingertips=HO3D_FINGERTIPS)
    ours = evaluate(predictions_of(predicted, vertices), table)
    given = evaluate(Predictions(joints=predicted, vertices=vertices, fingertips=None), table)
    for name in ("pa_mpjpe_{}cm", "pa_auc_j_{}0_50mm"):
        official = ours.metrics[name.format("dataset_tips_")]
        assert given.metrics[name.format("")] == official != ours.metrics[name.format("")]
    assert not any("dataset_tips" in name for name in given.metrics)
    assert given.metrics["acc_err_mm"] > 0
    assert given.metrics.keys() & {"quaternion_rad", "shape_sd"} == set()
    assert given.evaluator_id.endswith(" tips=given|ho3d")
    assert given.evaluator_id.partition(" tips")[0] == ours.evaluator_id.partition(" tips")[0]
    of_freihand = replace(table, fingertips=S2HAND_FINGERTIPS)
    other = Predictions(joints=predicted, vertices=vertices, fingertips=None)
    assert evaluate(other, of_freihand).evaluator_id.endswith(" tips=given|s2hand")


def test_one_moved_joint_gives_the_root_error_of_its_share():
    table = table_of(3)
    joints = table.joints.copy()
    joints[:, 7, 1] += 0.021
    metrics = evaluate(predictions_of(joints, table.vertices), table).metrics
    assert metrics["root_mpjpe_cm"] == pytest.approx(2.1 / 21, rel=1e-4)


def test_metrics_of_vertices_are_those_of_their_modules():
    table, predicted = table_of(3), predictions_of(*hand(3, seed=1))
    nearer = (0.8 * table.vertices + 0.2 * predicted.vertices).astype(np.float32)
    samples = evaluate(replace(predicted, vertices=nearer), table).samples
    aligned = align_procrustes(nearer, table.vertices)
    errors_m = point_errors(aligned, table.vertices)
    raw, of_aligned = f_scores(nearer, table.vertices), f_scores(aligned, table.vertices)
    expected = {
        "pa_mpvpe_cm": 100 * errors_m.mean(axis=1),
        "pa_auc_v_0_50mm": sample_auc(errors_m),
        "abs_mpvpe_cm": 100 * point_errors(nearer, table.vertices).mean(axis=1),
        "abs_auc_v_0_50mm": sample_auc(point_errors(nearer, table.vertices)),
        "f_score_5mm": raw[:, 0],
        "f_score_15mm": raw[:, 1],
        "pa_f_score_5mm": of_aligned[:, 0],
        "pa_f_score_15mm": of_aligned[:, 1],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(samples[name], values, err_msg=name)
    assert len({round(float(values[0]), 6) for values in expected.values()}) == len(expected)


def test_root_errors_of_vertices_are_those_about_each_hand_s_own_wrist():
    table = table_of(3)
    joints = table.joints + np.array([0.02, 0, 0], np.float32)
    metrics = evaluate(predictions_of(joints, table.vertices), table).metrics
    assert metrics["root_mpvpe_cm"] == pytest.approx(2, rel=1e-5)


def test_joints_and_vertices_are_aligned_separately():
    table = table_of(2)
    scaled = (table.vertices * 1.3 + 0.2).astype(np.float32)
    metrics = evaluate(predictions_of(table.joints, scaled), table).metrics
    assert metrics["pa_mpvpe_cm"] == pytest.approx(0, abs=1e-4)


def test_collapsed_prediction_scores_the_spread_of_the_truth():
    table = table_of(5)
    zero = predictions_of(np.full((5, 21, 3), 0.6), np.full((5, 778, 3), 0.6))
    metrics = evaluate(zero, table).metrics
    spread = np.linalg.norm(table.joints - table.joints.mean(1, keepdims=True), axis=-1).mean()
    assert metrics["pa_mpjpe_cm"] == pytest.approx(spread * 100, rel=1e-5)
    assert metrics["acc_mm"] == 0


def test_only_metrics_with_truth_are_measured():
    table = replace(table_of(4, sequence=""), vertices=None)
    metrics = evaluate(predictions_of(*hand(4, seed=1)), table).metrics
    joints_only = {
        "pa_mpjpe_cm", "root_mpjpe_cm", "pa_auc_j_0_50mm", "projected_mpjpe_px", "sta_mpjpe_cm",
        "sta_auc_j_0_50mm", "abs_mpjpe_cm", "abs_auc_j_0_50mm",
    }  # fmt: skip
    assert set(metrics) == joints_only
    meshes_only = replace(table_of(4, sequence=""), joints=None, fingertips=HO3D_FINGERTIPS)
    metrics = evaluate(predictions_of(*hand(4, seed=1)), meshes_only).metrics
    assert set(metrics) == {
        "pa_mpvpe_cm", "pa_auc_v_0_50mm", "f_score_5mm", "f_score_15mm", "pa_f_score_5mm",
        "pa_f_score_15mm", "abs_mpvpe_cm", "abs_auc_v_0_50mm",
    }  # fmt: skip
    without_truth = replace(table_of(4), joints=None, vertices=None, fingertips=HO3D_FINGERTIPS)
    keypoints = KeypointPredictions(
        image_size_px=224, intrinsics_px=without_truth.intrinsics_px,
        camera_rotation=np.tile(np.eye(3), (4, 1, 1)), detected=np.zeros((4, 21, 2)),
        projected=np.zeros((4, 21, 2)),
    )  # fmt: skip
    predictions = replace(predictions_of(*hand(4, seed=1)), keypoints=keypoints)
    result = evaluate(predictions, without_truth)
    assert set(result.metrics) == {"acc_mm", "quaternion_rad", "shape_sd"}
    assert result.evaluator_id.endswith("tips=s2hand|s2hand")


def test_hands_without_a_place_are_compared_where_nothing_depends_on_it():
    """Their joints in the stored image follow from the input's: turned and half as large there."""
    table = table_of(4)
    turns = Rotation.from_rotvec([[0, 0, angle] for angle in (0, 1, 2, 3)]).as_matrix()
    camera = np.tile(np.array([[250, 0, 50], [0, 250, 60], [0, 0, 1]], np.float32), (4, 1, 1))
    seen = np.einsum("nij,nkj->nki", camera, np.einsum("nji,nkj->nki", turns, table.joints))
    keypoints = KeypointPredictions(
        image_size_px=112, intrinsics_px=camera, camera_rotation=turns,
        detected=np.zeros((4, 21, 2)), projected=seen[..., :2] / seen[..., 2:] + np.array([3, 4]),
    )  # fmt: skip
    placed = replace(predictions_of(*hand(4, seed=1)), keypoints=keypoints)
    without = evaluate(replace(placed, is_placed=False), table).metrics
    assert without["projected_mpjpe_px"] == pytest.approx(10, abs=1e-3)
    expected = {
        name: value
        for name, value in evaluate(placed, table).metrics.items()
        if not name.startswith(("abs_", "f_score_"))
    }
    expected["projected_mpjpe_px"] = without["projected_mpjpe_px"]
    assert without == expected
    unseen = evaluate(replace(placed, is_placed=False, keypoints=None), table).metrics
    assert unseen.keys() == {name for name in expected if "_keypoint" not in name} - {
        "projected_mpjpe_px"
    }


@pytest.mark.parametrize("missing", ["global_orient", "hand_pose"])
def test_rotations_are_compared_where_all_16_are_predicted(missing: str):
    predictions = predictions_of(*hand(4, seed=1))
    whole = evaluate(predictions, table_of(4)).metrics
    without = evaluate(replace(predictions, **{missing: None}), table_of(4)).metrics
    assert without.keys() == whole.keys() - {"quaternion_rad"}


def test_pictures_without_a_hand_are_no_part_of_the_mean_and_alone_have_none():
    table, seen = table_of(3), np.array([0.2, np.nan, 0.4])
    fit = {"photometric_error": seen, "silhouette_error": np.full(3, np.nan)}
    result = evaluate(replace(predictions_of(*hand(3)), fit=fit), table)
    assert result.metrics["photometric_error"] == pytest.approx(0.3)
    assert "silhouette_error" not in result.metrics
    np.testing.assert_array_equal(result.samples["photometric_error"], seen)


def test_parameters_are_those_that_were_predicted_in_single_precision():
    keypoints = KeypointPredictions(
        image_size_px=224, intrinsics_px=table_of(3).intrinsics_px,
        camera_rotation=np.tile(np.eye(3), (3, 1, 1)), detected=np.zeros((3, 21, 2)),
        projected=np.ones((3, 21, 2)), heatmap=np.full((3, 21, 2), 2.0),
    )  # fmt: skip
    found = {
        "betas": np.full((3, 10), 3.0), "hand_pose_pca": np.full((3, 30), 4.0),
        "global_orient": np.full((3, 3), 5.0), "transl": np.full((3, 3), 6.0),
        "scale": np.full((3, 1), 7.0),
    }  # fmt: skip
    given = replace(predictions_of(*hand(3)), keypoints=keypoints, **found)
    parameters = evaluate(given, table_of(3)).parameters
    assert parameters.keys() == {*found, "heatmap_keypoints_px"}
    for name, values in (found | {"heatmap_keypoints_px": keypoints.heatmap}).items():
        np.testing.assert_array_equal(parameters[name], values)
        assert parameters[name].dtype == np.float32
    without = replace(given, keypoints=replace(keypoints, heatmap=None), scale=None)
    assert without.parameters.keys() == found.keys() - {"scale"}


def test_metrics_are_means_of_their_samples():
    table = table_of(7)
    result = evaluate(predictions_of(*hand(7, seed=1)), table)
    for name, values in result.samples.items():
        assert len(values) == 7
        assert np.nanmean(values) == pytest.approx(result.metrics[name])
    assert np.isnan(result.samples["acc_mm"][[0, 6]]).all()
    assert np.isfinite(result.samples["acc_mm"][1:6]).all()


def test_many_samples_are_measured_in_chunks_alike(monkeypatch):
    table, predicted = table_of(7), predictions_of(*hand(7, seed=1))
    whole = evaluate(predicted, table)
    monkeypatch.setattr("s2hand.metrics.evaluate._CHUNK_SAMPLES", 3)
    np.testing.assert_array_equal(
        evaluate(predicted, table).samples["pa_mpvpe_cm"], whole.samples["pa_mpvpe_cm"]
    )


def test_non_finite_and_missing_predictions_are_refused_by_name():
    table = table_of(3)
    joints = table.joints.copy()
    joints[1, 4, 0] = np.nan
    with pytest.raises(DataError, match=r"predicted joints must be finite.*'SM1/0001'"):
        evaluate(predictions_of(joints, table.vertices), table)
    with pytest.raises(DataError, match="cover the table's 3 frames"):
        evaluate(predictions_of(table.joints[:2], table.vertices[:2]), table)
    joints[2] = np.inf
    with pytest.raises(DataError, match=r"infinity for 2 samples, the first being 'SM1/0001'"):
        evaluate(predictions_of(joints, table.vertices), table)
    none = table.select(np.arange(0))
    with pytest.raises(DataError, match=r"the table's 0 frames \(at least one\), got 0"):
        evaluate(predictions_of(none.joints, none.vertices), none)
