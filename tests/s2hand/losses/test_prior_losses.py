"""The priors at their minimum, at known distances from it, and against finite differences."""

import math

import numpy as np
import pytest
import torch
from loss_means import count_of_frames, mean_of_frames
from scipy.spatial.transform import Rotation

from s2hand.hand.angle_limits import (
    ANATOMICAL_LIMITS_DEG,
    RELEASED_LIMITS_DEG,
    anatomical_frames,
)
from s2hand.hand.joints import MANO_JOINTS
from s2hand.losses.priors import (
    REFERENCE_BONE_LENGTH_M,
    JointAnglePrior,
    bone_length_prior,
    posture_prior,
    shape_prior,
)


@pytest.fixture
def rest_joints():
    """A schematic hand in MANO's frame: fingers along -x, palm towards -y, thumb at +z."""
    fan = {"index": 0.03, "middle": 0.01, "ring": -0.01, "little": -0.03}
    joints = [[0.0, 0.0, 0.0]]
    joints += [[-0.02 - 0.025 * k, -0.01, 0.03 + 0.02 * k] for k in range(4)]
    for side in fan.values():
        joints += [[-0.09 - 0.03 * k, 0.0, side] for k in range(4)]
    return torch.tensor(joints, dtype=torch.float64)


def mean_shape_prior(betas, form):
    return mean_of_frames(
        "shape_prior", shape_prior(betas, form=form), len(betas), shape_prior=form
    )


def test_shape_prior_squared_is_the_mean_square():
    betas = torch.arange(20.0).reshape(2, 10)
    mean = mean_shape_prior(betas, "squared")
    assert mean.item() == pytest.approx(np.mean(np.arange(20.0) ** 2))
    assert mean_shape_prior(torch.zeros(2, 10), "squared").item() == 0


def test_shape_prior_as_printed_is_the_mean_length():
    betas = torch.zeros(3, 10, dtype=torch.float64)
    betas[0, :2] = torch.tensor([3.0, 4.0])
    betas[1] = 0.3
    expected = (5 + 0.3 * math.sqrt(10) + 0) / 3
    assert mean_shape_prior(betas, "norm").item() == pytest.approx(expected, rel=1e-12)


def test_shape_prior_as_printed_pulls_alike_from_everywhere_but_at_the_mean_shape():
    """Its gradient has length 1 a hand, towards zero; exactly there it is 0, not NaN."""
    betas = torch.zeros(3, 10, dtype=torch.float64)
    betas[0, 4], betas[1] = 1e-9, 0.3
    betas.requires_grad_()
    shape_prior(betas, form="norm").backward()
    expected = torch.zeros(3, 10, dtype=torch.float64)
    expected[0, 4], expected[1] = 1.0, 1 / math.sqrt(10)
    torch.testing.assert_close(betas.grad, expected)


@pytest.mark.parametrize("form", ["norm", "squared"])
def test_shape_prior_gradients_agree_with_finite_differences(form):
    generator = torch.Generator().manual_seed(1)
    betas = torch.randn(3, 10, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: mean_shape_prior(b, form), betas)


def test_posture_prior_is_the_mean_square_of_the_coefficients():
    coefficients = torch.full((2, 30), 0.5)
    mean = mean_of_frames("posture_prior", posture_prior(coefficients), 2)
    assert mean.item() == pytest.approx(0.25)
    assert posture_prior(torch.zeros(2, 30)).item() == 0


@pytest.mark.parametrize(("form", "expected"), [("squared", 2.5e-5), ("absolute", 5e-3)])
def test_bone_length_prior_at_five_millimetres(form, expected):
    joints = torch.tensor([0.1, -0.2, 0.5], dtype=torch.float64).repeat(2, 21, 1)
    joints[:, 10, 1] += REFERENCE_BONE_LENGTH_M + 0.005
    mean = mean_of_frames("bone_length_prior", bone_length_prior(joints, form=form), 2)
    assert mean.item() == pytest.approx(expected)


def test_convention_the_reference_bone_has_the_released_code_s_length():
    assert REFERENCE_BONE_LENGTH_M == 0.0282


@pytest.mark.parametrize("form", ["squared", "absolute"])
def test_bone_length_prior_is_exactly_zero_at_its_minimum(form):
    joints = torch.zeros(1, 21, 3, dtype=torch.float64)
    joints[:, 10, 2] = REFERENCE_BONE_LENGTH_M
    joints.requires_grad_()
    loss = bone_length_prior(joints, form=form)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(joints.grad, torch.zeros_like(joints))


def test_joint_angles_within_the_released_limits_cost_nothing(rest_joints):
    prior = JointAnglePrior("axis_angle", rest_joints)
    limits = np.array([RELEASED_LIMITS_DEG[name] for name in MANO_JOINTS[1:]])
    for corner in (limits[..., 0], limits[..., 1], limits.mean(-1)):
        pose = torch.tensor(np.deg2rad(0.999 * corner))[None]
        assert prior(pose).item() == 0


def test_released_form_counts_the_third_axis_twice_and_the_wrist_row(rest_joints):
    pose = torch.zeros(1, 15, 3, dtype=torch.float64)
    pose[0, 0] = torch.tensor([math.radians(15), 0.0, math.radians(-30)])  # index: 10 and 20 out
    loss = JointAnglePrior("axis_angle", rest_joints)(pose)
    assert loss.item() == pytest.approx(math.radians(10 + 2 * 20), rel=1e-5)
    count = count_of_frames("joint_angle_prior", 2, joint_angle_prior="axis_angle")
    assert count.item() == 2 * 16 * 3


@pytest.mark.parametrize(("axis", "limit"), [(0, 5), (1, 10), (2, 100)])
def test_anatomical_form_of_a_straight_finger(rest_joints, axis, limit):
    """The middle finger lies along -x, so that its frame is MANO's and angles are components."""
    middle = MANO_JOINTS.index("middle_1") - 1
    assert ANATOMICAL_LIMITS_DEG["middle_1"][axis][1] == limit
    prior = JointAnglePrior("anatomical", rest_joints)
    pose = torch.zeros(1, 15, 3, dtype=torch.float64)
    pose[0, middle, axis] = math.radians(limit - 1)
    assert prior(pose).item() == 0
    pose[0, middle, axis] = math.radians(limit + 12)
    loss = prior(pose)
    assert loss.item() == pytest.approx(math.radians(12), rel=1e-4)
    count = count_of_frames("joint_angle_prior", 2, joint_angle_prior="anatomical")
    assert count.item() == 2 * 15 * 3


def test_a_twisted_and_bent_finger_is_judged_by_its_anatomy_not_by_its_components(rest_joints):
    """18° of twist, then 95° of bend: feasible, though a component of the one vector is not."""
    little = MANO_JOINTS.index("little_1") - 1
    turn = Rotation.from_euler("z", 95, degrees=True) * Rotation.from_euler("x", -18, degrees=True)
    vector = torch.tensor(turn.as_rotvec())
    pose = torch.zeros(1, 15, 3, dtype=torch.float64)
    pose[0, little] = vector
    assert JointAnglePrior("anatomical", rest_joints)(pose).item() == 0
    assert math.degrees(vector[1].item()) < RELEASED_LIMITS_DEG["little_1"][1][0]


def test_anatomical_form_has_the_thumb_s_own_ranges(rest_joints):
    """Its second joint bends by up to 60°, of which the released table has 22.5."""
    thumb = MANO_JOINTS.index("thumb_2") - 1
    bend = anatomical_frames(rest_joints)[thumb, :, 2]
    pose = torch.zeros(1, 15, 3, dtype=torch.float64)
    prior = JointAnglePrior("anatomical", rest_joints)
    for degrees, excess in ((59, 0), (70, 10)):
        pose[0, thumb] = math.radians(degrees) * bend
        assert prior(pose).item() == pytest.approx(math.radians(excess), abs=1e-6)


@pytest.mark.parametrize("form", ["anatomical", "axis_angle"])
def test_prior_gradients_agree_with_finite_differences(rest_joints, form):
    generator = torch.Generator().manual_seed(0)
    pose = 0.6 * torch.randn(1, 15, 3, generator=generator, dtype=torch.float64)
    pose.requires_grad_()
    prior = JointAnglePrior(form, rest_joints)
    assert torch.autograd.gradcheck(prior, pose)
    joints = torch.randn(2, 21, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    for length_form in ("squared", "absolute"):
        assert torch.autograd.gradcheck(
            lambda j, f=length_form: bone_length_prior(j, form=f), joints
        )
