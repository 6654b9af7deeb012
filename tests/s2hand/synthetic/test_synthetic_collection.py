"""Where the collection puts its hands; the pictures themselves are not taken."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from faked_pictures import Chances, Taken, bare_stage, picture_of
from numpy.testing import assert_allclose, assert_array_equal

from s2hand.synthetic import collection
from s2hand.synthetic.collection import make_collection_shard
from s2hand.synthetic.detector import DETECTORS, DetectorInput, detect
from s2hand.synthetic.picture import Picture
from s2hand.synthetic.shard import ShardRecord

PX, COUNT = 32, 160


class Made(NamedTuple):
    """A shard, what its pictures were asked to show, and what the detector was told."""

    record: ShardRecord
    taken: list[Taken]
    told: DetectorInput
    root: Path


def made(namespace: str, count: int, root: Path) -> Made:
    stage = bare_stage(namespace, PX)
    taken, told = [], []

    def take(*arguments: object) -> Picture:
        taken.append(Taken(*arguments))
        return picture_of(taken[-1])

    def find(given: DetectorInput, *rest: object) -> tuple[np.ndarray, np.ndarray]:
        told.append(given)
        return detect(given, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collection, "take_picture", take)
        patch.setattr(collection, "detect", find)
        record = make_collection_shard(stage, root, 2, count, PX, DETECTORS["simulated"])
    return Made(record=record, taken=taken, told=told[0], root=root)


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made("training", COUNT, tmp_path_factory.mktemp("collection"))


def stacked(shard: Made, name: str) -> np.ndarray:
    return np.stack([getattr(taken.exposure, name) for taken in shard.taken])


def test_a_shard_s_pictures_are_numbered_on(shard: Made) -> None:
    names = [f"freihand/training/rgb/{2 * 64 + k:08d}.jpg" for k in range(COUNT)]
    assert list(shard.record.hashes) == names
    assert all((shard.root / name).is_file() for name in names)


def test_cameras_look_at_the_middle_with_focal_lengths_of_phones(shard: Made) -> None:
    K = shard.record.arrays["K"]
    focal = K[:, 0, 0] / PX
    assert 1.8 <= focal.min() < 1.82
    assert 2.88 < focal.max() <= 2.9
    expected = np.zeros((COUNT, 3, 3))
    expected[:, 0, 0] = expected[:, 1, 1] = focal * PX
    expected[:, :2, 2], expected[:, 2, 2] = 15.5, 1
    assert_array_equal(K, expected)
    assert_array_equal(np.stack([taken.intrinsics_px for taken in shard.taken]), K)
    assert {taken.size for taken in shard.taken} == {(PX, PX)}


def test_hands_fill_about_half_of_the_picture_near_its_middle(shard: Made) -> None:
    joints, K = stacked(shard, "joints")[:, 1], shard.record.arrays["K"]
    low, high = joints.min(1), joints.max(1)
    middle, extent = (low + high) / 2, (high - low)[:, :2].max(1)
    share = K[:, 0, 0] * np.maximum(extent, 0.11) / middle[:, 2] / PX
    assert 0.45 <= share.min() < 0.46
    assert 0.79 < share.max() <= 0.8
    assert (extent < 0.11).any()
    offset = middle[:, :2] / middle[:, 2:] * K[:, :1, 0] / PX
    assert offset.std() == pytest.approx(0.035, rel=0.1)
    assert np.abs(offset.mean(0)).max() < 0.01


def test_a_third_of_the_hands_move_during_the_exposure(shard: Made) -> None:
    wrists, turns = stacked(shard, "joints")[:, :, 0], stacked(shard, "global_orient")
    assert_allclose(wrists[:, 0] + wrists[:, 2], 2 * wrists[:, 1])
    assert_allclose(turns[:, 0] + turns[:, 2], 2 * turns[:, 1])
    shift, turn = wrists[:, 2] - wrists[:, 1], turns[:, 2] - turns[:, 1]
    moves = (shift != 0).all(1)
    assert_array_equal(moves, (turn != 0).all(1))
    assert moves.mean() == pytest.approx(0.35, abs=0.07)
    assert shift[moves].std() == pytest.approx(0.0025, rel=0.12)
    assert turn[moves].std() == pytest.approx(0.018, rel=0.12)
    vertices = stacked(shard, "vertices")
    assert_array_equal(vertices[~moves, 0], vertices[~moves, 2])
    assert (vertices[moves, 0] != vertices[moves, 2]).any((1, 2)).all()


def test_the_record_holds_the_hand_at_half_time(shard: Made) -> None:
    arrays = shard.record.arrays
    assert arrays.keys() == {"K", "keypoints", "confidence", "xyz", "verts", "mano"}
    assert_array_equal(arrays["xyz"], stacked(shard, "joints")[:, 1])
    assert_array_equal(arrays["verts"], stacked(shard, "vertices")[:, 1].astype(np.float32))
    mano, stage = arrays["mano"], shard.taken[0].stage
    pose = np.concatenate([mano[:, :3], mano[:, 3:48] + stage.hand.hands_mean], 1)
    _, joints = stage.pose(mano[:, 48:58], pose.reshape(-1, 16, 3))
    root = arrays["xyz"][:, 9]
    assert_allclose(joints - joints[:, 9:10], arrays["xyz"] - root[:, None], atol=1e-9)
    assert_array_equal(mano[:, :3], stacked(shard, "global_orient")[:, 1])
    assert_allclose(mano[:, 58:60], shard.told.truth_px[:, 9])
    assert_allclose(mano[:, 60], arrays["K"][:, 0, 0] / root[:, 2])
    betas = np.stack([taken.person.betas for taken in shard.taken])
    assert_array_equal(mano[:, 48:58], betas)
    assert len(np.unique(betas, axis=0)) == 3


def test_the_detector_knows_where_each_joint_is_and_how_fast(shard: Made) -> None:
    pictures = [picture_of(taken) for taken in shard.taken]
    for name in ("truth_px", "visibility", "blur_px"):
        expected = np.stack([getattr(picture, name) for picture in pictures])
        assert_array_equal(getattr(shard.told, name), expected)
    assert shard.told.frames is None
    assert shard.told.image_size_px == (PX, PX)
    assert shard.told.unit_px == PX / 224


def test_a_set_without_truth_keeps_cameras_and_detections(tmp_path: Path) -> None:
    arrays = made("pretraining", 2, tmp_path).record.arrays
    assert arrays.keys() == {"K", "keypoints", "confidence"}
    assert "evaluation" in next(iter(made("test", 1, tmp_path).record.hashes))


@pytest.mark.parametrize(
    ("chances", "held", "in_front"),
    [((0.399, 0.149), 1, 1), ((0.401, 0.149), 0, 1), ((0.399, 0.151), 1, 0), ((0.5, 0.5), 0, 0)],
)
def test_some_hands_hold_a_thing_and_some_are_behind_one(
    shard: Made, chances: tuple[float, float], held: int, in_front: int
) -> None:
    exposure, stage = shard.taken[0].exposure, shard.taken[0].stage
    things = collection._things(stage, exposure, Chances(*chances))
    assert len(things) == held + in_front
    if held:  # it touches the skin
        shape, thing = stage.things[things[0].model], things[0]
        surface = shape.vertices @ thing.axes.T + thing.centre
        gaps = np.linalg.norm(surface[:, None] - exposure.vertices[1], axis=2)
        assert gaps.min() < 0.02
    if in_front:
        distance = np.linalg.norm(things[-1].centre - exposure.joints[1], axis=1)
        assert distance.min() < 0.25


def test_a_collection_is_drawn_as_before(
    shard: Made, assert_drawn_as_before: Callable[..., None]
) -> None:
    things = [pair[0] for taken in shard.taken for pair in taken.things]
    assert_drawn_as_before(
        "collection",
        **shard.record.arrays,
        lights=np.concatenate([taken.scene.lights.ravel() for taken in shard.taken]),
        sensor=np.stack([taken.scene.sensor for taken in shard.taken]),
        places=np.stack([thing.centre for thing in things]),
        axes=np.stack([thing.axes for thing in things]),
        noise=np.array([taken.noise_seed / 2**62 for taken in shard.taken]),
    )
