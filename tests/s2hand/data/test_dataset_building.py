from dataclasses import replace

import numpy as np
import pytest
import torch

from s2hand.config import DataConfig, ModelConfig, RuntimeConfig, S2HandConfig
from s2hand.data.build import (
    _held_out,
    load_test,
    load_train,
    load_validation,
)
from s2hand.data.dataset import FrameDataset
from s2hand.data.fingerprint import fingerprint_training_data
from s2hand.errors import DataError


def load_datasets(config):
    return load_train(config), load_test(config)


def config_of(root, **settings) -> S2HandConfig:
    return S2HandConfig(data=DataConfig(root=str(root), **settings))


def test_settings_reach_the_loaders(make_ho3d):
    root = make_ho3d()
    settings = {"dataset": "ho3d", "keypoints": "ground_truth", "max_frames": 4}
    train, test = load_datasets(config_of(root, **settings))
    assert len(train) == 4
    assert np.all(train.detection_confidence == 1)
    assert len(test) == 6
    boxes = load_datasets(config_of(root, dataset="ho3d", train_crop="detections"))[0].crop_box_px
    assert not np.allclose(boxes[:4], train.crop_box_px)


def test_validation_holds_images_out_of_a_collection(make_freihand):
    root = make_freihand()
    config = config_of(root, validation_fraction=0.3)
    train, held = load_train(config), load_validation(config)
    assert len(train) == 3
    assert len(held) == 2
    assert train.sample_ids + held.sample_ids == load_train(config_of(root)).sample_ids
    assert load_validation(config_of(root)) is None


def test_evaluation_and_validation_sets_are_chosen_apart(make_freihand, make_ho3d):
    freihand, ho3d = make_freihand(), make_ho3d()
    apart = {"evaluation_dataset": "ho3d", "evaluation_root": str(ho3d)}
    train, test = load_datasets(config_of(freihand, **apart))
    assert not any(train.sequences)
    assert set(test.sequences) == {"SM1"}
    beside = config_of(freihand.parent, evaluation_dataset="ho3d")
    assert load_test(beside).sample_ids == test.sample_ids
    held = load_validation(config_of(freihand, validation_root=str(freihand)))
    assert held.vertices is not None
    assert held.sample_ids == load_test(config_of(freihand)).sample_ids
    assert len(load_train(config_of(freihand, validation_root=str(freihand)))) == 5


def test_validation_holds_out_whole_sequences(make_ho3d):
    table = load_train(config_of(make_ho3d(), dataset="ho3d"))
    names = ("A", "B", "C", "A", "B", "C")
    held = _held_out(replace(table, sequences=names), 0.3)
    assert held.tolist() == [False, False, True, False, False, True]
    with pytest.raises(DataError, match="leaves none of 1 sequences"):
        _held_out(table, 0.3)


def test_dataset_takes_size_and_cache_from_the_configuration(make_ho3d, tmp_path):
    config = replace(
        config_of(make_ho3d(), dataset="ho3d", crop_jitter=False),
        model=ModelConfig(image_size_px=32, pretrained="none"),
        runtime=RuntimeConfig(cache_dir=str(tmp_path / "cache")),
    )
    dataset = FrameDataset.from_config(load_datasets(config)[0], config)
    plain, drawn = (
        dataset.batch([0, 2], generator=generator)
        for generator in (None, torch.Generator().manual_seed(0))
    )
    assert plain.images.shape == (2, 3, 32, 32)
    assert torch.equal(plain.images, drawn.images)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_pictures_are_jittered_as_the_configuration_says(make_freihand):
    root = make_freihand()
    drawn = {}
    for strength in (0.0, 0.3):
        config = config_of(root, rotation_deg=0.0, picture_jitter=strength)
        config = replace(config, model=ModelConfig(image_size_px=32, pretrained="none"))
        dataset = FrameDataset.from_config(load_datasets(config)[0], config)
        drawn[strength] = dataset.batch([0, 1], generator=torch.Generator().manual_seed(0))
    focal = {strength: batch.intrinsics_px[:, 0, 0] for strength, batch in drawn.items()}
    assert focal[0.0].tolist() == pytest.approx([400 * 32 / 48] * 2)
    enlargement = (focal[0.3] / focal[0.0]).log().abs()
    assert (enlargement > 0).all()
    assert (enlargement <= 0.3).all()


def test_root_may_be_the_folder_above_the_layout(make_freihand):
    root = make_freihand()
    below, above = (load_datasets(config_of(path))[0] for path in (root, root.parent))
    assert below.image_paths == above.image_paths


def test_a_layout_s_folder_that_is_a_broken_link_is_named(tmp_path):
    (tmp_path / "freihand").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"freihand: is a symbolic link to .*gone, which does not"):
        load_datasets(config_of(tmp_path))


def test_missing_root_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"data.root must name the folder .* data make synthetic"):
        load_datasets(config_of(""))
    with pytest.raises(DataError, match=r"nowhere: folder of the dataset is missing"):
        load_datasets(config_of(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"nowhere: folder of the dataset is missing"):
        fingerprint_training_data(config_of(tmp_path / "nowhere"))
