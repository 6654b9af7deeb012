"""Motion losses on motions whose angles are known, and against roma and finite differences."""

import math

import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_means import count_of_frames

from s2hand.geometry.rotations import axis_angle_to_quaternion
from s2hand.losses.motion import quaternion_loss, smooth_loss, temporal_loss


def turning(angles, axis=(0.0, 0.6, 0.8)):
    """One clip of one joint that stands at the given angles about one axis."""
    vectors = torch.tensor(angles, dtype=torch.float64)[:, None] * torch.tensor(
        axis, dtype=torch.float64
    )
    return axis_angle_to_quaternion(vectors)[None, :, None]


def random_clips(seed, clips=2, frames=4, rotations=3):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(clips, frames, rotations, 3, generator=generator, dtype=torch.float64)
    return axis_angle_to_quaternion(vectors)


def test_a_monotone_motion_about_one_axis_costs_nothing_at_any_speed():
    loss = quaternion_loss(turning([0.0, 0.05, 0.8, 0.9]))
    assert loss.item() == pytest.approx(0, abs=1e-12)


def test_turning_back_costs_twice_the_way_back():
    loss = quaternion_loss(turning([0.0, 0.5, 0.3]))
    assert loss.item() == pytest.approx(2 * 0.2)


def test_temporal_is_the_sum_of_squared_angles_and_smooth_the_excess():
    clip = turning([0.0, 0.05, 0.35])
    assert temporal_loss(clip).item() == pytest.approx(0.05**2 + 0.3**2)
    assert smooth_loss(clip, threshold_rad=0.1).item() == pytest.approx(0.2)
    assert smooth_loss(clip, threshold_rad=0.3).item() == pytest.approx(0, abs=1e-9)


def test_losses_are_sums_over_clips_and_rotations():
    clips = random_clips(0)
    for loss in (quaternion_loss, temporal_loss, lambda q: smooth_loss(q, threshold_rad=0.1)):
        each = [loss(clips[c : c + 1, :, r : r + 1]) for c in range(2) for r in range(3)]
        torch.testing.assert_close(loss(clips), torch.stack(each).sum())


@pytest.mark.parametrize("name", ["quaternion", "temporal", "smooth"])
def test_what_is_divided_by_are_the_clips_times_the_hands_rotations(name):
    assert count_of_frames(name, 12, clip_length=4).item() == 3 * 16
    assert count_of_frames(name, 12, clip_length=6).item() == 2 * 16


def test_the_detour_agrees_with_rotation_matrices():
    clips = random_clips(1)
    matrices = roma.unitquat_to_rotmat(roma.quat_wxyz_to_xyzw(clips))
    steps = roma.rotmat_geodesic_distance(matrices[:, :-1], matrices[:, 1:]).sum(1)
    direct = roma.rotmat_geodesic_distance(matrices[:, 0], matrices[:, -1])
    torch.testing.assert_close(quaternion_loss(clips), (steps - direct).sum())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), frames=st.integers(2, 6))
def test_the_detour_is_never_negative_and_the_same_for_both_signs(seed, frames):
    clips = random_clips(seed, frames=frames)
    loss = quaternion_loss(clips)
    assert loss.item() >= -1e-12
    signs = torch.ones_like(clips[..., :1])
    signs[:, ::2] = -1
    torch.testing.assert_close(quaternion_loss(clips * signs), loss)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_the_detour_runs_backwards_alike(seed):
    clips = random_clips(seed)
    torch.testing.assert_close(quaternion_loss(clips.flip(1)), quaternion_loss(clips))


@pytest.mark.parametrize(
    "loss", [quaternion_loss, temporal_loss, lambda q: smooth_loss(q, threshold_rad=0.2)]
)
def test_motion_gradients_agree_with_finite_differences(loss):
    generator = torch.Generator().manual_seed(3)
    vectors = 0.5 * torch.randn(2, 3, 2, 3, generator=generator, dtype=torch.float64)
    vectors.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: loss(axis_angle_to_quaternion(v)), vectors)


def test_a_hand_at_rest_has_finite_gradients():
    vectors = torch.zeros(1, 3, 16, 3, requires_grad=True)
    clips = axis_angle_to_quaternion(vectors)
    total = quaternion_loss(clips) + temporal_loss(clips)
    (total + smooth_loss(clips, threshold_rad=0.0)).backward()
    assert vectors.grad.isfinite().all()


def test_half_turns_are_seen_from_the_shorter_side():
    loss = temporal_loss(turning([0.0, 1.5 * math.pi]))
    assert loss.item() == pytest.approx((0.5 * math.pi) ** 2)
