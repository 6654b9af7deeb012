"""Anatomical frames and angles: conventions, SciPy, gradients, and the embedded hand's postures."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from s2hand.hand.angle_limits import (
    ANATOMICAL_LIMITS_DEG,
    RELEASED_LIMITS_DEG,
    anatomical_frames,
    full_pose_to_anatomical,
    limits_rad,
)
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.joints import FINGERS, JOINT_NAMES, MANO_JOINTS
from s2hand.hand.layer import HandLayer

NAMES = MANO_JOINTS[1:]
FINGER_JOINTS = [k for k, name in enumerate(NAMES) if not name.startswith("thumb")]


@pytest.fixture(scope="module")
def layer() -> HandLayer:
    return HandLayer(embedded_hand(), use_mean_pose=False, dtype=torch.float64)


@pytest.fixture(scope="module")
def frames(layer: HandLayer) -> torch.Tensor:
    return anatomical_frames(layer.rest_joints)


def _bent(layer: HandLayer, frames: torch.Tensor, joint: str, angle: str) -> torch.Tensor:
    """Displacement of the fingertip when one angle of one joint is 0.3 rad."""
    axis = {"twist": 0, "spread": 1, "bend": 2}[angle]
    pose = torch.zeros(1, 15, 3, dtype=torch.float64)
    pose[0, NAMES.index(joint)] = 0.3 * frames[NAMES.index(joint), :, axis]
    zeros = torch.zeros(1, 10).double(), torch.zeros(1, 3).double()
    posed = layer(betas=zeros[0], global_orient=zeros[1], hand_pose=pose).joints[0]
    tip = JOINT_NAMES["openpose"].index(joint.split("_", maxsplit=1)[0] + "_tip")
    return posed[tip] - layer.rest_joints[tip]


def test_frames_are_right_handed_rotations(frames: torch.Tensor) -> None:
    identity = torch.eye(3, dtype=torch.float64).expand(15, 3, 3)
    torch.testing.assert_close(frames.transpose(-1, -2) @ frames, identity)
    torch.testing.assert_close(torch.linalg.det(frames), torch.ones(15, dtype=torch.float64))


def test_convention_the_fingers_axes_lie_near_those_of_manos_frame(frames: torch.Tensor) -> None:
    """So the released limits of x, y and z mean twist, spread and bend."""
    alignment = frames[FINGER_JOINTS].diagonal(dim1=-2, dim2=-1)
    assert alignment.min() > math.cos(math.radians(25))


def test_convention_axes_of_a_schematic_hand() -> None:
    """Fingers along -x in the palm's plane have MANO's axes; the thumb's back is (1, 1, 1)/√3."""
    places = {"wrist": (0.0, 0.0, 0.0)}
    for finger, side in zip(FINGERS[1:], (0.3, 0.1, -0.1, -0.3), strict=True):
        places |= {f"{finger}_{k}": (-1 - 0.2 * k, 0.0, side) for k in (1, 2, 3)}
        places[f"{finger}_tip"] = (-1.8, -0.2, side)  # bent, which is to be of no effect
    places["middle_2"], places["middle_3"] = (-1.4, 0.3, 0.1), (-1.6, 0.3, 0.1)
    places["middle_1"] = (-1.2, 0.3, 0.0)  # above the plane, which is to be of no effect
    places |= {f"thumb_{k}": (-0.2 * k, 0.0, 0.2 * k) for k in (1, 2)}
    places |= {"thumb_3": (-0.4, 0.3, 0.4), "thumb_tip": (0.0, 0.0, 0.0)}
    joints = torch.tensor([places[name] for name in JOINT_NAMES["openpose"]]).double()
    found = anatomical_frames(3 * joints + 5)
    fingers = [k for k in FINGER_JOINTS if not NAMES[k].startswith("middle_1")]
    torch.testing.assert_close(found[fingers], torch.eye(3).double().expand(len(fingers), 3, 3))
    first = torch.tensor([[1.0, 0, -1], [1, 1, 1], [1, -2, 1]]).double()  # twist, spread, bend
    torch.testing.assert_close(found[12], (first / first.norm(dim=1, keepdim=True)).T)
    second = torch.tensor([[0.0, -1, 0], [1, 0, 1], [-1, 0, 1]]).double()
    for row in (13, 14):  # the last bone lies in line with the one before
        torch.testing.assert_close(found[row], (second / second.norm(dim=1, keepdim=True)).T)


@pytest.mark.parametrize("finger", FINGERS[1:])
def test_convention_bend_flexes_and_spread_goes_to_the_thumb(
    layer: HandLayer, frames: torch.Tensor, finger: str
) -> None:
    for joint in (f"{finger}_1", f"{finger}_2", f"{finger}_3"):
        assert _bent(layer, frames, joint, "bend")[1] < -0.004  # towards the palm
    assert _bent(layer, frames, f"{finger}_1", "spread")[2] > 0.01  # towards the thumb
    assert _bent(layer, frames, f"{finger}_1", "twist").norm() < 0.008


def test_convention_the_bent_thumb_goes_to_the_little_finger(
    layer: HandLayer, frames: torch.Tensor
) -> None:
    little = layer.rest_joints[JOINT_NAMES["openpose"].index("little_1")]
    tip = layer.rest_joints[4]
    for joint in ("thumb_1", "thumb_2", "thumb_3"):
        moved = tip + _bent(layer, frames, joint, "bend")
        assert (moved - little).norm() < (tip - little).norm()


def test_frames_do_not_depend_on_the_fingertip_vertices(layer: HandLayer) -> None:
    joints = layer.rest_joints.clone()
    joints[[4, 8, 12, 16, 20]] += 0.01
    assert torch.equal(anatomical_frames(joints), anatomical_frames(layer.rest_joints))


@settings(max_examples=60, deadline=None)
@given(st.floats(-3.0, 3.0), st.floats(-2.0, 2.0), st.floats(-2.2, 2.2), st.integers(0, 14))
def test_angles_are_those_of_the_rotation_that_scipy_composes(
    twist: float, spread: float, bend: float, joint: int
) -> None:
    frames = torch.tensor(Rotation.random(15, rng=np.random.default_rng(joint)).as_matrix())
    local = Rotation.from_rotvec([0, spread, bend]) * Rotation.from_rotvec([twist, 0, 0])
    frame = Rotation.from_matrix(frames[joint].numpy())
    pose = torch.zeros(15, 3, dtype=torch.float64)
    pose[joint] = torch.tensor((frame * local * frame.inv()).as_rotvec())
    angles = full_pose_to_anatomical(pose, frames)[joint]
    expected = torch.tensor([twist, spread, bend], dtype=torch.float64)
    torch.testing.assert_close(angles, expected, atol=1e-7, rtol=0)


def test_without_twist_the_angles_are_the_axis_angle_vector(frames: torch.Tensor) -> None:
    angles = torch.rand(4, 15, 3, generator=torch.Generator().manual_seed(0)).double()
    angles[..., 0] = 0
    pose = (frames @ angles[..., None]).squeeze(-1)
    torch.testing.assert_close(full_pose_to_anatomical(pose, frames), angles)


def test_gradients_are_those_of_finite_differences(frames: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(1)
    pose = torch.randn(2, 15, 3, generator=generator, dtype=torch.float64)
    pose[1] = 0
    assert torch.autograd.gradcheck(
        lambda pose: full_pose_to_anatomical(pose, frames), pose.requires_grad_()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_half_a_turn_has_finite_angles_and_gradients(
    frames: torch.Tensor, dtype: torch.dtype
) -> None:
    frames = frames.to(dtype)
    pose = (math.pi * frames[:, :, 2]).clone().requires_grad_()
    angles = full_pose_to_anatomical(pose, frames)
    angles.sum().backward()
    expected = torch.tensor([0.0, 0.0, math.pi], dtype=dtype).expand(15, 3)  # the twist is 0
    torch.testing.assert_close(angles.abs(), expected, atol=1e-5, rtol=0)
    assert pose.grad is not None
    assert pose.grad.isfinite().all()


def test_the_released_table_is_the_published_one() -> None:
    lower, upper = limits_rad(RELEASED_LIMITS_DEG)
    assert lower.shape == upper.shape == (15, 3)
    degrees = torch.stack((lower, upper), dim=-1) * (180 / math.pi)
    knuckle, hinge = [[-5, 5], [-10, 10], [-10, 100]], [[-5, 5], [-5, 5], [-10, 100]]
    little = [[-20, 5], [-10, 20], [-10, 100]]
    thumb = [
        [[0, 90], [-22.5, 33.75], [-22.5, 22.5]],
        [[-5, 5], [-5, 5], [-22.5, 22.5]],
        [[-5, 5], [-5, 5], [-20, 100]],
    ]
    index = [knuckle, hinge, hinge]
    expected = torch.tensor([*index, *index, little, hinge, hinge, *index, *thumb])
    torch.testing.assert_close(degrees, expected)


def test_the_anatomical_table_holds_rest_and_differs_at_the_thumb_only() -> None:
    lower, upper = limits_rad(ANATOMICAL_LIMITS_DEG)
    assert (lower < 0).all()
    assert (upper > 0).all()
    changed = {name for name in NAMES if ANATOMICAL_LIMITS_DEG[name] != RELEASED_LIMITS_DEG[name]}
    assert changed == {"thumb_1", "thumb_2"}
    assert ANATOMICAL_LIMITS_DEG["thumb_1"] == ((-22.5, 45.0),) * 3
    assert ANATOMICAL_LIMITS_DEG["thumb_2"] == ((-5.0, 5.0), (-5.0, 5.0), (-10.0, 60.0))


def test_the_embedded_hands_postures_lie_in_the_anatomical_limits(frames: torch.Tensor) -> None:
    data = embedded_hand()
    poses = torch.tensor(data.hands_coeffs @ data.hands_components + data.hands_mean)
    angles = full_pose_to_anatomical(poses.view(-1, 15, 3), frames)
    lower, upper = limits_rad(ANATOMICAL_LIMITS_DEG)
    excess = (angles - upper).clamp(min=0) + (lower - angles).clamp(min=0)
    assert excess.max() < math.radians(1)
    assert (excess > 0).double().mean() < 1e-3
