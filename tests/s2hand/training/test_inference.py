"""Loading a finished training and predicting a dataset."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from s2hand.data.dataset import FrameDataset
from s2hand.errors import CheckpointError
from s2hand.inference import load_model, predict
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
    alone = model(batch.images, batch.intrinsics_px)
    np.testing.assert_allclose(whole.joints[3], alone.joints[0].detach(), atol=1e-5)
    np.testing.assert_allclose(
        whole.projected_keypoints_px[3], alone.projected_keypoints_px[0].detach(), atol=1e-3
    )
    assert len(whole) == len(table)


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
