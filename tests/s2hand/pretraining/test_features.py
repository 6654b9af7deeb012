"""Pretraining of features: what is learnt, from what, and that it goes on where it stopped."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from s2hand.data.augmentation import Augmentation
from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import FrameTable
from s2hand.errors import CheckpointError, ConfigurationError, NonFiniteLossError
from s2hand.geometry.cameras import project
from s2hand.networks.encoder import ConvNetEncoder
from s2hand.networks.geometry_head import GeometryHead
from s2hand.pretraining.features import (
    FeaturePretraining,
    KeypointClassifier,
    keypoint_error_px,
    pretrain_features,
)

SIZE_PX = 32


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """Return 64 pictures of a bright spot, about which all keypoints lie as on a dial."""
    folder, random, count = tmp_path_factory.mktemp("spots"), np.random.default_rng(0), 64
    camera = np.array([[50.0, 0, 23.5], [0, 50.0, 23.5], [0, 0, 1]], np.float32)
    turns = np.linspace(0, 2 * np.pi, 21, endpoint=False)
    dial = 0.1 * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    centre = random.uniform(-0.15, 0.15, (count, 1, 2))
    joints = np.concatenate([centre + dial, np.full((count, 21, 1), 0.6)], axis=-1)
    keypoints_px = joints[..., :2] / 0.6 * 50 + 23.5
    y, x = np.mgrid[:48, :48]
    paths = tuple(folder / f"{row}.png" for row in range(count))
    for path, (u, v) in zip(paths, centre[:, 0] / 0.6 * 50 + 23.5, strict=True):
        spot = 255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 50)
        Image.fromarray(np.repeat(spot[..., None], 3, axis=2).astype(np.uint8)).save(path)
    return FrameTable(
        sample_ids=tuple(str(row) for row in range(count)),
        image_paths=paths,
        intrinsics_px=np.tile(camera, (count, 1, 1)),
        sequences=("",) * count,
        frames=np.arange(count),
        detected_keypoints_px=keypoints_px.astype(np.float32),
        detection_confidence=np.full((count, 21), 0.7, np.float32),
        crop_box_px=np.full((count, 4), np.nan, np.float32),
        joints=joints.astype(np.float32),
    )


def packed(table):
    augmentation = Augmentation(rotation_deg=10.0, colour_jitter=0.2, picture_jitter=0.1)
    return FrameDataset(table, SIZE_PX, augmentation=augmentation)


@pytest.fixture
def dataset(collection):
    return packed(collection)


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    encoder = ConvNetEncoder(image_size_px=SIZE_PX)
    head = GeometryHead(encoder.num_features, initial_orient=(0.0, 0.0, 0.0))
    return KeypointClassifier(encoder, head.trunk)


def settings(steps, **changes):
    return FeaturePretraining(
        **{"steps": steps, "batch_size": 16, "report_every_steps": 4} | changes
    )


def weights(classifier):
    return torch.cat([value.flatten().double() for value in classifier.state_dict().values()])


def test_keypoints_are_learnt(classifier, dataset, tmp_path):
    """Better than the best constant answer, on the pictures that were seen."""
    pretrain_features(classifier, dataset, settings(120), seed=0, state_path=tmp_path / "state.pt")
    batch = dataset.batch(range(len(dataset)))
    truth = torch.from_numpy(dataset.table.joints)
    true_px = project(truth, batch.intrinsics_px)
    constant = (true_px - true_px.mean(dim=0)).norm(dim=-1).mean() * 224 / SIZE_PX
    assert keypoint_error_px(classifier, dataset) < 0.5 * constant


def test_truth_is_never_looked_at(classifier, dataset, tmp_path):
    blind, trained = packed(replace(dataset.table, joints=None)), copy.deepcopy(classifier)
    pretrain_features(classifier, dataset, settings(4), seed=0, state_path=tmp_path / "one.pt")
    pretrain_features(trained, blind, settings(4), seed=0, state_path=tmp_path / "two.pt")
    assert torch.equal(weights(classifier), weights(trained))
    with pytest.raises(ConfigurationError, match="needs a dataset with true joints, got none"):
        keypoint_error_px(trained, blind)


def test_an_interrupted_pretraining_ends_with_the_same_weights(classifier, dataset, tmp_path):
    """Eleven steps of four batches an epoch, stopped after the first and the second report."""

    class StoppedError(Exception):
        pass

    def stop(_steps, _metrics):
        raise StoppedError

    whole, parts = copy.deepcopy(classifier), copy.deepcopy(classifier)
    pretrain_features(whole, dataset, settings(11), seed=3, state_path=tmp_path / "whole.pt")
    path = tmp_path / "parts.pt"
    for _ in range(2):
        with pytest.raises(StoppedError):
            pretrain_features(parts, dataset, settings(11), seed=3, state_path=path, report=stop)
        parts = copy.deepcopy(classifier)  # as a new process has it
    pretrain_features(parts, dataset, settings(11), seed=3, state_path=path)
    assert torch.equal(weights(parts), weights(whole))
    assert not torch.equal(weights(parts), weights(classifier))


def test_a_finished_state_is_loaded_and_not_trained_on(classifier, dataset, tmp_path):
    path, reports = tmp_path / "state.pt", []
    finished, again = copy.deepcopy(classifier), copy.deepcopy(classifier)
    pretrain_features(finished, dataset, settings(5), seed=0, state_path=path)
    pretrain_features(
        again, dataset, settings(5), seed=0, state_path=path, report=lambda *r: reports.append(r)
    )
    assert torch.equal(weights(again), weights(finished))
    assert not reports


def test_reports_tell_steps_mean_loss_and_rate(classifier, dataset, tmp_path):
    reports = {}
    pretrain_features(
        classifier,
        dataset,
        settings(6, learning_rate=1e-3, warm_up=0.5),
        seed=0,
        state_path=tmp_path / "state.pt",
        report=lambda steps, metrics: reports.update({steps: metrics}),
    )
    assert list(reports) == [4, 6]
    # Of six steps the fourth has half a step of the three that fall behind it.
    assert reports[4]["learning_rate"] == pytest.approx(1e-3 * 2.5 / 3)
    assert reports[6]["learning_rate"] == pytest.approx(1e-3 * 0.5 / 3)
    assert 0 < reports[6]["loss"] < 20


def test_another_state_is_refused(classifier, dataset, tmp_path):
    path = tmp_path / "state.pt"
    pretrain_features(classifier, dataset, settings(2), seed=0, state_path=path)
    with pytest.raises(CheckpointError, match=r"settings\.steps: 2 in the file, 3 here"):
        pretrain_features(classifier, dataset, settings(3), seed=0, state_path=path)
    with pytest.raises(CheckpointError, match="seed: 0 in the file, 1 here"):
        pretrain_features(classifier, dataset, settings(2), seed=1, state_path=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a whole state of a pretraining") as refused:
        pretrain_features(classifier, dataset, settings(2), seed=0, state_path=path)
    assert "weights_only" not in str(refused.value)
    for content in ({"format": "other"}, {"format": "s2hand-pretraining-1", "identity": {}}):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match="expected a state of format s2hand-pretraining"):
            pretrain_features(classifier, dataset, settings(2), seed=0, state_path=path)


def test_a_loss_that_is_not_finite_stops(classifier, dataset, tmp_path):
    with torch.no_grad():
        classifier.scores.bias[0] = float("nan")
    with pytest.raises(NonFiniteLossError, match="'coordinate_classes' must be finite, got nan"):
        pretrain_features(classifier, dataset, settings(4), seed=0, state_path=tmp_path / "s.pt")
    assert not (tmp_path / "s.pt").exists()


def test_the_error_is_in_pixels_of_224(classifier, dataset):
    """A classifier that puts every keypoint in the picture's centre."""
    with torch.no_grad():
        classifier.scores.weight.zero_()
        classifier.scores.bias.zero_()
    classifier.eval()
    camera = dataset.table.intrinsics_px
    joints = dataset.table.joints
    pixels = np.einsum("nij,npj->npi", camera, joints)
    pixels = pixels[..., :2] / pixels[..., 2:]
    expected = np.linalg.norm(pixels - 23.5, axis=-1).mean() * 224 / 48
    assert keypoint_error_px(classifier, dataset) == pytest.approx(expected, rel=1e-3)


def test_settings_out_of_range_are_refused():
    for changes in ({"steps": 0}, {"batch_size": 0}, {"report_every_steps": 0}):
        (name,) = changes
        with pytest.raises(ConfigurationError, match=f"{name} must be at least 1, got 0"):
            FeaturePretraining(**{"steps": 1} | changes)
    with pytest.raises(ConfigurationError, match=r"warm_up must lie in 0 up to 1, got 1\.0"):
        FeaturePretraining(steps=1, warm_up=1.0)
