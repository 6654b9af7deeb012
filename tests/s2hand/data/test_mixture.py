"""Trainings on several sets: their rows, their clips, and what identifies them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from s2hand.config import (
    ClipConfig,
    DataConfig,
    LossConfig,
    LossWeights,
    ModelConfig,
    S2HandConfig,
    StageConfig,
)
from s2hand.data.build import load_extra, load_train, load_validation
from s2hand.data.clips import ClipSampler
from s2hand.data.dataset import FrameDataset
from s2hand.data.fingerprint import fingerprint_data, fingerprint_training_data
from s2hand.data.mixture import FrameMixture
from s2hand.data.record import describe_datasets, identify_training_data
from s2hand.errors import ConfigurationError, DataError

Make = Callable[..., Path]
PX = 32
COLUMNS = ("images", "intrinsics_px", "camera_rotation", "detected_keypoints_px")


@pytest.fixture
def roots(make_ho3d: Make, tmp_path: Path) -> tuple[Path, Path]:
    """Two sets whose sequences have one name; the second has one frame less."""
    first = make_ho3d()
    second = Path(shutil.copytree(first, tmp_path / "second"))
    lines = (second / "train.txt").read_text().splitlines()
    (second / "train.txt").write_text("\n".join(lines[1:]) + "\n")
    return first, second


def config_of(root: Path, *extra: tuple[str, Path], **settings: object) -> S2HandConfig:
    is_supervised = settings.get("supervision") == "3d"
    return S2HandConfig(
        model=ModelConfig(image_size_px=PX),
        losses=LossConfig(weights=LossWeights(joint_3d=float(is_supervised))),
        data=DataConfig(
            dataset="ho3d",
            root=str(root),
            extra_datasets=tuple(name for name, _ in extra),
            extra_roots=tuple(str(path) for _, path in extra),
            **settings,
        ),
    )


def test_rows_are_those_of_each_set_as_it_gives_them(
    roots: tuple[Path, Path], make_freihand: Make
) -> None:
    """A collection among them: each set crops and turns its own frames."""
    config = config_of(roots[0], ("freihand", make_freihand()), ("ho3d", roots[1]))
    mixture = FrameMixture.from_config(config)
    parts = [
        FrameDataset.from_config(table, config)
        for table in (load_train(config), *load_extra(config))
    ]
    assert len(mixture) == 6 + 5 + 5
    rows = [15, 0, 7, 5, 11, 6]
    batch = mixture.batch(rows)
    places = [(2, 4), (0, 0), (1, 1), (0, 5), (2, 0), (1, 0)]
    assert batch.sample_index.tolist() == rows
    for column in COLUMNS:
        expected = [getattr(parts[part].batch([row]), column)[0] for part, row in places]
        assert torch.equal(getattr(batch, column), torch.stack(expected)), column
    ids = [parts[part].table.sample_ids[row] for part, row in places]
    assert [mixture.sample_ids[row] for row in rows] == ids


def test_supervised_trainings_see_true_joints_and_need_them_of_every_set(
    make_freihand: Make, make_ho3d: Make
) -> None:
    root, extra = make_freihand(), make_ho3d()
    config = config_of(extra, ("freihand", root), supervision="3d")
    mixture = FrameMixture.from_config(config)
    tables = (load_train(config), *load_extra(config))
    joints = np.concatenate([table.joints for table in tables])
    rows = [7, 2, 0, 9]
    np.testing.assert_array_equal(mixture.batch(rows).joints, joints[rows])
    unsupervised = FrameMixture.from_config(config_of(extra, ("freihand", root)))
    assert unsupervised.batch(rows).joints is None
    (root / "training_xyz.json").unlink()
    with pytest.raises(DataError, match="needs true joints of every training set, and the freihan"):
        FrameMixture.from_config(config)


def test_one_set_is_drawn_as_without_a_mixture(roots: tuple[Path, Path]) -> None:
    config = config_of(roots[0])
    dataset = FrameDataset.from_config(load_train(config), config)
    mixture = FrameMixture([dataset])
    assert mixture.sequences == dataset.table.sequences
    wanted, found = (
        each.batch([4, 1], generator=torch.Generator().manual_seed(3))
        for each in (dataset, mixture)
    )
    assert torch.equal(wanted.images, found.images)


def test_clips_stay_whole_in_batches_and_never_cross_sets(roots: tuple[Path, Path]) -> None:
    mixture = FrameMixture.from_config(config_of(roots[0], ("ho3d", roots[1])))
    clips = ClipConfig(num_frames=3, frame_interval=2, frames_per_batch=6)
    # Frames 0, 2, 4 and 1, 3, 5 of the first; of the second, which lacks frame 0, only 1, 3, 5.
    known = {(0, 2, 4), (1, 3, 5), (6, 8, 10)}
    drawn = set()
    for epoch in range(20):
        for rows in ClipSampler(mixture.sequences, mixture.frames, clips, seed=1).epoch(epoch):
            found = {tuple(clip) for clip in rows.reshape(-1, 3).tolist()}
            assert found <= known
            assert (6, 8, 10) in found  # each batch takes every sequence before one again
            drawn |= found
            batch = mixture.batch(rows, clip_length=3, generator=torch.Generator())
            assert batch.clip_length == 3
            assert batch.sample_index.tolist() == rows.tolist()
            rotations = batch.camera_rotation.reshape(2, 3, 3, 3)
            assert not torch.equal(rotations[0], rotations[1])
    assert drawn == known


def test_a_whole_clip_shares_its_jitter_where_sets_are_mixed(roots: tuple[Path, Path]) -> None:
    """Crops of equal boxes are equal in a clip, and differ between clips."""
    config = config_of(roots[0], ("ho3d", roots[1]), sequence_rotation_deg=180.0)
    mixture = FrameMixture.from_config(config)
    rows = np.array([6, 6, 0, 0, 7, 7])
    generator = torch.Generator().manual_seed(0)
    images = mixture.batch(rows, clip_length=2, generator=generator).images
    for first in (0, 2, 4):
        assert torch.equal(images[first], images[first + 1])
    assert not torch.equal(images[0], images[4])


def test_the_identity_covers_every_set_and_their_order(
    roots: tuple[Path, Path], make_freihand: Make
) -> None:
    freihand = make_freihand()
    alone = config_of(roots[0])
    mixed = config_of(roots[0], ("ho3d", roots[1]), ("freihand", freihand))
    swapped = config_of(roots[0], ("freihand", freihand), ("ho3d", roots[1]))
    found = {fingerprint_training_data(each) for each in (alone, mixed, swapped)}
    assert len(found) == 3
    assert identify_training_data(mixed).fingerprint == fingerprint_training_data(mixed)
    before = fingerprint_training_data(mixed), fingerprint_data(mixed)
    picture = next(iter(sorted((freihand / "training" / "rgb").iterdir())))
    picture.write_bytes(picture.read_bytes() + b"\0")
    after = fingerprint_training_data(mixed), fingerprint_data(mixed)
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_records_tell_of_every_set(roots: tuple[Path, Path], make_freihand: Make) -> None:
    config = config_of(roots[0], ("freihand", make_freihand()))
    records = describe_datasets(config)
    assert [record.name for record in records.extra] == ["freihand"]
    assert records.title == (
        "own data in HO-3D's layout, trained on own data in HO-3D's layout and own data in "
        "FreiHAND's layout"
    )
    assert identify_training_data(config).extra == records.extra


def test_only_the_first_set_is_held_out_of(make_freihand: Make, roots: tuple[Path, Path]) -> None:
    settings = {"validation_fraction": 0.4}
    config = S2HandConfig(
        data=DataConfig(
            root=str(make_freihand()),
            extra_datasets=("ho3d",),
            extra_roots=(str(roots[0]),),
            **settings,
        )
    )
    held = load_validation(config)
    assert held is not None
    assert (len(load_train(config)), len(held), len(load_extra(config)[0])) == (3, 2, 6)


def test_a_set_named_twice_or_without_a_folder_is_refused(roots: tuple[Path, Path]) -> None:
    for load in (load_extra, fingerprint_training_data):
        with pytest.raises(DataError, match="is named twice, so that its frames would count"):
            load(config_of(roots[0], ("ho3d", roots[0] / ".." / "ho3d")))
    config = S2HandConfig(data=DataConfig(root=str(roots[0]), extra_datasets=("freihand",)))
    with pytest.raises(DataError, match="extra_roots must name"):
        load_extra(config)


def test_folders_and_clips_must_fit_the_sets() -> None:
    with pytest.raises(ConfigurationError, match="must name one folder for each"):
        DataConfig(extra_datasets=("ho3d",), extra_roots=("a", "b"))
    clips = StageConfig(
        name="motion", epochs=1, learning_rate=1e-3, decay_every_epochs=1, decay_factor=0.5,
        samples="clips",
    )  # fmt: skip
    mixed = DataConfig(dataset="ho3d", extra_datasets=("freihand",))
    with pytest.raises(ConfigurationError, match=r"needs a dataset of sequences.*'freihand'"):
        S2HandConfig(data=mixed, stages=(clips,))
