"""Loading a finished training and predicting a dataset."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from s2hand.data.dataset import FrameDataset
from s2hand.errors import CheckpointError
from s2hand.inference import load_model, predict
from s2hand.metrics.evaluate import evaluate
from s2hand.training.checkpoint import load_checkpoint
from s2hand.training.loop import train


@pytest.fixture
def trained(config, make_context, in_tiny_data):
    context = make_context()
    train(config, seed=0, context=context)
    return context.checkpoint_dir


def test_predictions_are_the_model_s_whatever_the_batch(trained, config, table):
    model = load_model(trained, config)
    dataset = FrameDataset(table, 32)
    whole = predict(model, dataset, batch_size=100)
    parts = predict(model, dataset, batch_size=5)
    np.testing.assert_allclose(parts.joints, whole.joints, atol=1e-5)
    batch = dataset.batch([3])
    alone = model(batch.images, batch.intrinsics_px, batch.camera_rotation).hand
    np.testing.assert_allclose(whole.joints[3], alone.joints[0].detach(), atol=1e-5)
    np.testing.assert_allclose(
        whole.keypoints.projected[3], alone.projected_keypoints_px[0].detach(), atol=1e-3
    )
    assert len(whole) == len(table)
    # The hand alone, unless more is asked for.
    assert whole.texture is None
    assert whole.keypoints.heatmap is None
    assert not whole.fit


def test_everything_can_be_predicted_and_measured(trained, config, table):
    model = load_model(trained, config)
    dataset = FrameDataset(table, 32)
    with torch.no_grad():
        batch = dataset.batch(range(16))
        hands = model(batch.images, batch.intrinsics_px, batch.camera_rotation)
    known = replace(table, joints=hands.hand.joints.numpy(), vertices=hands.hand.vertices.numpy())
    predictions = predict(model, FrameDataset(known, 32), batch_size=7, outputs=model.outputs)
    assert predictions.texture.shape == (16, 778, 3)
    metrics = evaluate(predictions, known).metrics
    # Compared with its own hands: their joints and silhouettes fit, pictures of noise do not.
    assert metrics["projected_keypoint_px"] == pytest.approx(0, abs=1e-2)
    assert metrics["projected_keypoint_auc"] == pytest.approx(1, abs=0.02)
    assert metrics["silhouette_error"] < 0.1
    assert metrics["photometric_error"] > 0.05
    assert metrics["detected_keypoint_px"] > 5
    assert metrics["heatmap_keypoint_px"] > 5
    assert metrics["texture_sd"] > 0


def test_a_stage_s_checkpoint_is_no_whole_model(trained, config, make_context):
    stages = [load_checkpoint(path) for path in make_context().stage_dir.glob("*/final.pt")]
    parts = {frozenset(name.split(".")[0] for name in stage.model) for stage in stages}
    assert parts == {
        frozenset({"keypoint_estimator"}),
        frozenset({"encoder", "head", "texture_light_head"}),
    }
    for path in make_context().stage_dir.glob("*/final.pt"):
        with pytest.raises(CheckpointError, match="lacks the weights of"):
            load_model(path, config)


def test_loading_leaves_the_random_numbers_alone(trained, config):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_model(trained, config)
    assert torch.equal(torch.rand(1), expected)


def test_another_model_s_checkpoint_is_refused_by_field(trained, config):
    other = replace(config, model=replace(config.model, image_size_px=48))
    with pytest.raises(CheckpointError, match=r"model\.image_size_px: 32 in the file, 48 here"):
        load_model(trained, other)


def test_a_folder_without_a_finished_training_is_refused(tmp_path, config):
    with pytest.raises(CheckpointError, match=r"final\.pt: no checkpoint there"):
        load_model(tmp_path, config)
