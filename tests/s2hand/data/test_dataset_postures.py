"""Poses that are not those of the joints."""

import pickle

import numpy as np
import pytest

from s2hand.data.ho3d import load_ho3d
from s2hand.data.postures import posture_share
from s2hand.errors import DataError

COUNT = 12


@pytest.fixture
def table(make_ho3d):
    return load_ho3d(make_ho3d(count=COUNT), "train")


def share(table, joints, sequences=("AB1",) * COUNT):
    return posture_share(joints.astype(np.float32), table.rotations, sequences, "here").value


def test_a_sequence_agrees_with_itself_whatever_the_hands_of_others(table):
    sequences = ("AB1",) * 6 + ("CD1",) * 6
    joints = table.joints.copy()
    assert share(table, joints) == 1
    joints[6:] *= 1.3
    assert share(table, joints, sequences) == 1
    assert share(table, joints) < 0.1


@pytest.mark.parametrize(("by", "bones"), [(0.08, 0), (0.12, 1)])
def test_a_bone_may_differ_by_a_tenth_of_its_length(table, by, bones):
    joints = table.joints.copy()
    joints[3, 7] += by * (joints[3, 7] - joints[3, 6])  # the tip behind it is no joint of MANO's
    assert share(table, joints) == pytest.approx(1 - bones / (15 * COUNT))


def change_poses(root, change):
    paths = sorted(root.glob("train/*/meta/*.pkl"))
    metas = [pickle.loads(path.read_bytes()) for path in paths]
    poses = change(np.array([meta["handPose"] for meta in metas]))
    for path, meta, pose in zip(paths, metas, poses, strict=True):
        path.write_bytes(pickle.dumps(meta | {"handPose": pose}, protocol=2))


@pytest.mark.parametrize(
    "change",
    [
        lambda poses: np.roll(poses, 1, axis=0),
        lambda poses: -poses,
        lambda poses: np.concatenate([np.full((len(poses), 3), 0.1), poses[:, 3:]], axis=1),
    ],
    ids=["of the frame before", "inverse", "no wrist"],
)
def test_poses_of_other_hands_are_refused(make_ho3d, change):
    root = make_ho3d(count=COUNT)
    change_poses(root, change)
    message = r"/train/\*/meta/\*.pkl: only \d+% of the bones, turned back .*; handPose and"
    with pytest.raises(DataError, match=message):
        load_ho3d(root, "train")


def test_a_few_poses_of_other_frames_are_noted(make_ho3d):
    root = make_ho3d(count=COUNT)
    change_poses(root, lambda poses: np.concatenate([poses[:8], np.roll(poses[8:], 1, axis=0)]))
    (note,) = load_ho3d(root, "train").notes.items()
    assert note[0] == "poses and joints agree"
