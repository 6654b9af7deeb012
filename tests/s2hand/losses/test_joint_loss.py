"""The loss of supervised baselines, at known distances and against finite differences."""

import math

import pytest
import torch
from loss_means import count_of_frames
from scipy.spatial.transform import Rotation

from s2hand.losses.joint import joint_3d_loss


@pytest.fixture
def joints():
    return torch.randn(3, 21, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_a_joint_that_is_off_counts_its_squared_distance(joints):
    moved = joints.clone()
    moved[1, 8] += torch.tensor([0.03, 0.0, -0.04])
    assert joint_3d_loss(moved, joints).item() == pytest.approx(0.05**2)
    assert count_of_frames("joint_3d", 3) == 3 * 21


def test_the_place_of_the_hand_does_not_count_and_its_size_and_turn_do(joints):
    places = torch.tensor([[0.1, 0, 0], [0, -2, 0], [0, 0, 0.5]]).double()[:, None]
    assert joint_3d_loss(joints + places, joints).item() == pytest.approx(0, abs=1e-24)
    lengths = (joints - joints[:, :1]).square().sum()
    grown = joint_3d_loss(1.1 * joints, joints)
    assert grown.item() == pytest.approx(0.01 * lengths.item())
    half = torch.from_numpy(Rotation.from_rotvec([0, 0, math.pi]).as_matrix())
    across = (joints - joints[:, :1])[..., :2].square().sum()
    assert joint_3d_loss(joints @ half.T, joints).item() == pytest.approx(4 * across.item())


def test_a_wrong_wrist_moves_every_other_joint(joints):
    moved = joints.clone()
    moved[0, 0] += torch.tensor([0.02, 0.0, 0.0])
    assert joint_3d_loss(moved, joints).item() == pytest.approx(20 * 0.02**2)


def test_gradients_are_those_of_finite_differences(joints):
    predicted = (joints + 0.1).flip(0).requires_grad_()
    assert torch.autograd.gradcheck(lambda each: joint_3d_loss(each, joints), (predicted,))
