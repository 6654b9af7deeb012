"""Joint orders against the lists that other projects publish."""

import itertools
from typing import get_args

import pytest
import torch
from smplx.vertex_ids import vertex_ids

from s2hand.hand.fingertips import FINGERTIP_SETS, SMPLX_FINGERTIPS
from s2hand.hand.joints import (
    BONES,
    JOINT_NAMES,
    MANO_JOINTS,
    PARENTS,
    JointOrder,
    joint_permutation,
    reorder_joints,
)

MANO_TIPS_TO_OPENPOSE = [
    0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20,
]  # fmt: skip
"""As in manopth, HaMeR and HO-3D's own tools."""

S2HAND_TO_FREIHAND = [
    0, 17, 18, 19, 20, 1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 15, 16, 9, 10, 11, 12,
]  # fmt: skip
"""As in the released code."""


def test_convention_openpose_goes_thumb_to_little_from_base_to_tip() -> None:
    names = JOINT_NAMES["openpose"]
    assert names[:6] == ("wrist", "thumb_1", "thumb_2", "thumb_3", "thumb_tip", "index_1")
    assert [names[tip] for tip in (4, 8, 12, 16, 20)] == [
        "thumb_tip", "index_tip", "middle_tip", "ring_tip", "little_tip",
    ]  # fmt: skip


def test_permutations_are_the_published_ones() -> None:
    assert joint_permutation("mano_tips", "openpose") == MANO_TIPS_TO_OPENPOSE
    assert joint_permutation("s2hand", "openpose") == S2HAND_TO_FREIHAND


@pytest.mark.parametrize(
    ("source", "target"), list(itertools.product(get_args(JointOrder), repeat=2))
)
def test_there_and_back_is_the_identity(source: JointOrder, target: JointOrder) -> None:
    joints = torch.rand(2, 21, 3)
    there = reorder_joints(joints, source=source, target=target)
    assert sorted(joint_permutation(source, target)) == list(range(21))
    assert torch.equal(reorder_joints(there, source=target, target=source), joints)


def test_bones_and_parents_name_the_same_tree() -> None:
    names = JOINT_NAMES["openpose"]
    bones = {names[child]: names[parent] for parent, child in BONES}
    assert len(bones) == 20
    assert PARENTS[0] == -1
    for joint, parent in zip(MANO_JOINTS[1:], PARENTS[1:], strict=True):
        assert bones[joint] == MANO_JOINTS[parent]
    assert bones["ring_tip"] == "ring_3"


def test_fingertips_are_those_of_the_published_codes() -> None:
    names = ("thumb", "index", "middle", "ring", "pinky")
    assert tuple(vertex_ids["mano"][name] for name in names) == SMPLX_FINGERTIPS
    # Copied from where each is published: FreiHAND's, smplx's vertex_ids.py, manopth's manolayer.py
    # for the right side, HO-3D's setup_mano.py. Evaluator ids name them so.
    assert FINGERTIP_SETS == {
        "s2hand": (744, 320, 443, 555, 672),
        "smplx": (744, 320, 443, 554, 671),
        "manopth": (745, 317, 444, 556, 673),
        "ho3d": (744, 333, 444, 555, 672),
    }
