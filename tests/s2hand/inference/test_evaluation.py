"""Evaluating a model on a dataset, and again from its file or from kept parameters."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import s2hand
from s2hand.data.dataset import FrameDataset
from s2hand.errors import DataError
from s2hand.evaluation import evaluate_model, predict_frames, predictions_from_parameters
from s2hand.inference import Predictor
from s2hand.metrics.curves import curves_of
from s2hand.metrics.descriptions import METRICS
from s2hand.metrics.evaluate import HAND_PARAMETERS, comparable_joints, evaluate
from s2hand.trained_model import save_model


@pytest.fixture
def dataset(table):
    return FrameDataset(table, 32)


def test_every_frame_is_predicted_in_order_whatever_the_batch(model, dataset):
    predictor = Predictor(model)
    whole = predict_frames(predictor, dataset, batch_size=100, outputs=model.outputs)
    parts = predict_frames(predictor, dataset, batch_size=5, outputs=model.outputs)
    np.testing.assert_allclose(parts.joints, whole.joints, atol=1e-5)
    np.testing.assert_allclose(parts.keypoints.heatmap, whole.keypoints.heatmap, atol=1e-2)
    assert len(whole) == len(dataset) == 12
    assert whole.texture.shape == (12, 778, 3)
    batch = dataset.batch([3])
    with torch.no_grad():
        camera = (batch.intrinsics_px, batch.camera_rotation)
        alone = model(batch.images, *camera, outputs=model.outputs)
    np.testing.assert_allclose(whole.joints[3], alone.hand.joints[0], atol=1e-5)
    projected_px = alone.hand.projected_keypoints_px[0]
    np.testing.assert_allclose(whole.keypoints.projected[3], projected_px, atol=1e-3)
    # Of the hourglasses, the last one's.
    heatmap_px = alone.heatmap_keypoints_px[-1, 0]
    np.testing.assert_allclose(whole.keypoints.heatmap[3], heatmap_px, atol=1e-2)


def test_the_hand_alone_is_predicted_unless_more_is_asked_for(model, dataset):
    predictions = predict_frames(Predictor(model), dataset, batch_size=100)
    assert predictions.texture is None
    assert predictions.keypoints.heatmap is None
    assert not predictions.fit
    assert predictions.parameters.keys() == set(HAND_PARAMETERS)


def test_without_true_vertices_the_picture_alone_tells_how_the_rendering_fits(model, table):
    unknown = FrameDataset(replace(table, vertices=None), 32)
    predicted = predict_frames(Predictor(model), unknown, batch_size=5, outputs=model.outputs)
    assert predicted.fit.keys() == {"photometric_error"}


def test_everything_that_can_be_measured_is(model, table, dataset):
    hands = predict_frames(Predictor(model), dataset, batch_size=100)
    known = replace(table, joints=hands.joints, vertices=hands.vertices)
    evaluation = evaluate_model(
        Predictor(model), FrameDataset(known, 32), batch_size=7, outputs=model.outputs
    )
    metrics = evaluation.metrics
    assert metrics.keys() == METRICS.keys()
    # Compared with its own hands: their joints and silhouettes fit, pictures of noise do not.
    assert metrics["projected_keypoint_px"] == pytest.approx(0, abs=1e-2)
    assert metrics["projected_keypoint_auc"] == pytest.approx(1, abs=0.02)
    assert metrics["silhouette_error"] < 0.1
    assert metrics["photometric_error"] > 0.05
    assert metrics["detected_keypoint_px"] > 5
    assert metrics["heatmap_keypoint_px"] > 5
    assert metrics["texture_sd"] > 0


def test_a_model_s_file_and_the_data_are_enough_to_evaluate_again(model, saved, dataset):
    before, after = (
        evaluate_model(predictor, dataset, batch_size=5, outputs=model.outputs)
        for predictor in (Predictor(model), s2hand.load(saved))
    )
    assert after.metrics == before.metrics
    assert after.sample_ids == before.sample_ids
    for name, values in before.samples.items():
        np.testing.assert_array_equal(after.samples[name], values)


@pytest.mark.parametrize("preset", ["wrist", "origin_flipped"])
def test_kept_parameters_give_the_evaluation_again(
    config, make_model, record, table, dataset, tmp_path, preset
):
    config = replace(config, model=replace(config.model, rotation_centre=preset))
    model = make_model(config)
    kept = evaluate_model(Predictor(model), dataset, batch_size=5, outputs=model.outputs)
    assert kept.parameters.keys() == {*HAND_PARAMETERS, "heatmap_keypoints_px"}
    for values in kept.parameters.values():
        assert values.dtype == np.float32
        assert len(values) == len(kept.sample_ids)
        values.flags.writeable = False  # as they come from a file
    path = tmp_path / "again.safetensors"
    save_model(model, replace(record, config=config), path)
    again = predictions_from_parameters(kept.parameters, s2hand.load(path).model)
    predicted = predict_frames(Predictor(model), dataset, batch_size=5)
    np.testing.assert_allclose(again.joints, predicted.joints, atol=1e-6)
    np.testing.assert_allclose(again.vertices, predicted.vertices, atol=1e-6)
    evaluation = evaluate(again, table)
    of_pictures = {
        name
        for name in METRICS
        if name.startswith(("detected", "projected_k", "heatmap", "photo", "silh", "texture"))
    }
    assert evaluation.metrics.keys() == METRICS.keys() - of_pictures
    for name, value in evaluation.metrics.items():
        assert value == pytest.approx(kept.metrics[name], rel=1e-4, abs=1e-6), name
    for name in HAND_PARAMETERS:
        np.testing.assert_array_equal(evaluation.parameters[name], kept.parameters[name])


def test_an_orthographic_model_is_measured_by_its_own_projection_and_without_places(
    config, make_model, table
):
    """Its pixels are known in the turned crop alone: moved to the picture by hand, camera by
    camera, they are the metric's."""
    model = make_model(replace(config, model=replace(config.model, projection="orthographic")))
    dataset = FrameDataset(table, 32)
    predictions = predict_frames(Predictor(model), dataset, batch_size=5, outputs=model.outputs)
    found = evaluate(predictions, table)
    places = {name for name in METRICS if name.startswith(("abs_", "f_score_"))}
    assert len(places) == 6
    assert found.metrics.keys() == METRICS.keys() - places
    assert {name for name in curves_of(predictions, table) if name.startswith("abs")} == set()
    assert "pa_vertices" in curves_of(predictions, table)
    batch = dataset.batch(range(len(table)))
    with torch.no_grad():
        hand = model(batch.images, None, batch.camera_rotation).hand
    crop_px = torch.cat((hand.projected_keypoints_px, torch.ones(12, 21, 1)), dim=-1).double()
    rays = crop_px @ torch.linalg.inv(batch.intrinsics_px.double()).mT
    seen = rays @ batch.camera_rotation.double().mT
    seen_px, true_px = (
        (each @ torch.from_numpy(table.intrinsics_px).double().mT)
        for each in (seen, torch.from_numpy(comparable_joints(predictions, table)).double())
    )
    errors_px = (seen_px[..., :2] / seen_px[..., 2:] - true_px[..., :2] / true_px[..., 2:]).norm(
        dim=-1
    )
    assert found.metrics["projected_mpjpe_px"] == pytest.approx(float(errors_px.mean()), rel=1e-4)
    again = predictions_from_parameters(found.parameters, model)
    assert evaluate(again, table).metrics.keys() & {*places, "projected_mpjpe_px"} == set()


def test_a_prediction_that_is_not_finite_is_refused(model, dataset):
    with torch.no_grad():
        next(iter(model.head.parameters())).fill_(torch.nan)
    with pytest.raises(DataError, match=r"must be finite"):
        evaluate_model(Predictor(model), dataset, batch_size=5)
