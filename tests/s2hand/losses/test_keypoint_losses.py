"""Keypoint losses against numbers computed by hand, obvious loops and finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_means import count_of, count_of_frames, mean_of
from scipy.optimize import approx_fprime

from s2hand.hand.joints import BONES
from s2hand.losses.keypoint import (
    bone_direction_loss,
    heatmap_keypoint_loss,
    keypoint_2d_loss,
    keypoint_consistency_loss,
    keypoint_weights,
    smooth_l1,
)


def random_keypoints(seed, batch=3):
    generator = torch.Generator().manual_seed(seed)
    projected = torch.rand(batch, 21, 2, generator=generator, dtype=torch.float64) * 100
    detected = projected + 8 * torch.randn(batch, 21, 2, generator=generator, dtype=torch.float64)
    confidence = torch.rand(batch, 21, generator=generator, dtype=torch.float64)
    return projected, detected, confidence


def mean_keypoint_2d(projected, detected, confidence, *, px_scale=1.0, form="paper"):
    total = keypoint_2d_loss(projected, detected, confidence, px_scale=px_scale, form=form)
    return mean_of("keypoint_2d", total, confidence, keypoint_2d=form)


def mean_heatmap_keypoint(heatmap, detected, confidence, *, form, **options):
    total = heatmap_keypoint_loss(heatmap, detected, confidence, form=form, **options)
    return mean_of("heatmap_keypoint", total, confidence, heatmap_keypoint=form)


def test_smooth_l1_is_quadratic_then_linear_and_agrees_with_torch():
    distance = torch.tensor([0.0, 1.0, 4.999, 5.0, 12.0], dtype=torch.float64)
    expected = torch.nn.functional.smooth_l1_loss(
        distance, torch.zeros_like(distance), beta=5.0, reduction="none"
    )
    torch.testing.assert_close(smooth_l1(distance, 5.0), expected)
    assert smooth_l1(distance, 5.0)[-1] == 9.5


def test_paper_form_is_the_mean_of_weighted_distances():
    projected = torch.zeros(1, 21, 2)
    detected = torch.zeros(1, 21, 2)
    confidence = torch.zeros(1, 21)
    detected[0, 3] = torch.tensor([3.0, 4.0])  # distance 5 at scale 1, 10 at scale 2
    confidence[0, 3] = 0.5
    loss = keypoint_2d_loss(projected, detected, confidence, px_scale=2.0)
    assert loss.item() == pytest.approx(0.5 * (10 - 2.5))
    assert count_of("keypoint_2d", confidence, keypoint_2d="paper").item() == 21


def test_released_form_emphasises_wrist_and_tips_and_divides_by_the_weights():
    projected, detected, confidence = random_keypoints(0)
    total = weights = 0.0
    for sample in range(3):
        for joint in range(21):
            emphasis = 2.0 if joint == 0 else 1.5 if joint in {4, 8, 12, 16, 20} else 1.0
            weight = (confidence[sample, joint].item() * emphasis) ** 2
            d = math.dist(projected[sample, joint].tolist(), detected[sample, joint].tolist())
            total += weight * (d * d / 10 if d < 5 else d - 2.5)
            weights += weight
    loss = mean_keypoint_2d(projected, detected, confidence, form="released")
    assert loss.item() == pytest.approx(total / weights, rel=1e-12)


@pytest.mark.parametrize("form", ["paper", "released"])
def test_without_any_confidence_the_loss_and_its_gradient_are_zero(form):
    projected, detected, confidence = random_keypoints(2)
    projected.requires_grad_()
    loss = mean_keypoint_2d(projected, detected, torch.zeros_like(confidence), form=form)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(projected.grad, torch.zeros_like(projected))


def test_convention_pixel_losses_do_not_depend_on_the_image_size():
    projected, detected, confidence = random_keypoints(3)
    at_224 = keypoint_2d_loss(projected, detected, confidence, px_scale=1.0)
    at_64 = keypoint_2d_loss(
        projected * 64 / 224, detected * 64 / 224, confidence, px_scale=224 / 64
    )
    torch.testing.assert_close(at_64, at_224)


@pytest.mark.parametrize("form", ["paper", "released"])
def test_keypoint_gradients_agree_with_finite_differences(form):
    projected, detected, confidence = random_keypoints(4)
    projected[0, 0] = detected[0, 0]  # no distance: the gradient is zero, not NaN
    projected.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda points: mean_keypoint_2d(points, detected, confidence, px_scale=1.5, form=form),
        projected,
    )


def test_bone_directions_of_a_turned_skeleton():
    """A skeleton turned by an angle differs by 2·sin(angle/2) in every direction."""
    detected, _, _ = random_keypoints(5, batch=1)
    angle = 0.3
    turn = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
    )
    confidence = torch.ones(1, 21, dtype=torch.float64)
    loss = bone_direction_loss(detected @ turn.T, detected, confidence)
    mean = mean_of("bone_direction", loss, confidence)
    assert mean.item() == pytest.approx((2 * math.sin(angle / 2)) ** 2, rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(0.2, 5.0), shift=st.floats(-500, 500), seed=st.integers(0, 2**16))
def test_bone_directions_ignore_place_and_size(scale, shift, seed):
    projected, _, confidence = random_keypoints(seed)
    loss = bone_direction_loss(scale * projected + shift, projected, confidence)
    assert loss.item() < 60e-6


def test_bone_directions_agree_with_a_loop_and_with_finite_differences():
    projected, detected, confidence = random_keypoints(6, batch=2)

    def slow(flat):
        points = flat.reshape(2, 21, 2)
        total = 0.0
        for sample in range(2):
            for start, end in BONES:
                ours = points[sample, end] - points[sample, start]
                theirs = (detected[sample, end] - detected[sample, start]).numpy()
                ours = ours / (np.linalg.norm(ours) + 1e-4)
                theirs = theirs / (np.linalg.norm(theirs) + 1e-4)
                weight = confidence[sample, start] * confidence[sample, end]
                total += weight.item() * ((ours - theirs) ** 2).sum()
        return total

    projected.requires_grad_()
    loss = bone_direction_loss(projected, detected, confidence)
    loss.backward()
    flat = projected.detach().numpy().ravel()
    assert loss.item() == pytest.approx(slow(flat), rel=1e-12)
    np.testing.assert_allclose(
        projected.grad.numpy().ravel(), approx_fprime(flat, slow, 1e-6), atol=1e-6
    )


def test_coinciding_keypoints_have_finite_gradients():
    points = torch.zeros(1, 21, 2, requires_grad=True)
    detected, _, confidence = random_keypoints(7, batch=1)
    bone_direction_loss(points, detected.float(), confidence.float()).backward()
    assert points.grad.isfinite().all()


def test_weights_of_the_paper_are_the_confidences():
    confidence = torch.rand(2, 21)
    assert torch.equal(keypoint_weights(confidence, "paper"), confidence)


def random_stacks(seed, stacks=2):
    """Keypoints of each stack of a 2D estimator, near and far from the detections."""
    projected, detected, confidence = random_keypoints(seed, batch=2)
    generator = torch.Generator().manual_seed(seed + 1)
    noise = torch.randn(stacks, 2, 21, 2, generator=generator, dtype=torch.float64)
    return projected + 5 * noise, detected, confidence


@pytest.mark.parametrize("form", ["paper", "released"])
def test_heatmap_keypoints_agree_with_a_loop_over_stacks(form):
    heatmap, detected, confidence = random_stacks(8)
    mean = 0.0
    for stack in heatmap:
        total = weights = 0.0
        for sample in range(2):
            for joint in range(21):
                con = confidence[sample, joint].item()
                d = 1.5 * math.dist(stack[sample, joint].tolist(), detected[sample, joint].tolist())
                if form == "paper":
                    total += con * (d * d / 8 if d < 4 else d - 2)
                    weights += 1
                else:
                    total += con * con * d
                    weights += con * con
        mean += total / weights
    loss = mean_heatmap_keypoint(
        heatmap, detected, confidence, px_scale=1.5, knee_px=4.0, form=form
    )
    assert loss.item() == pytest.approx(mean, rel=1e-12)


def test_one_stack_of_the_paper_is_the_location_loss():
    heatmap, detected, confidence = random_stacks(9, stacks=1)
    ours = heatmap_keypoint_loss(heatmap, detected, confidence, px_scale=2.0)
    expected = keypoint_2d_loss(heatmap[0], detected, confidence, px_scale=2.0)
    torch.testing.assert_close(ours, expected)
    assert count_of("heatmap_keypoint", confidence).item() == 42


@pytest.mark.parametrize("form", ["paper", "released"])
def test_heatmap_keypoints_without_any_confidence_cost_nothing(form):
    heatmap, detected, confidence = random_stacks(10)
    heatmap.requires_grad_()
    none = torch.zeros_like(confidence)
    loss = mean_heatmap_keypoint(heatmap, detected, none, px_scale=1.0, form=form)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(heatmap.grad, torch.zeros_like(heatmap))


@pytest.mark.parametrize("form", ["paper", "released"])
def test_heatmap_gradients_agree_with_finite_differences(form):
    heatmap, detected, confidence = random_stacks(11)
    if form == "paper":
        heatmap[0, 0, 0] = detected[0, 0]  # no distance: the gradient is zero, not NaN
    heatmap.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda points: mean_heatmap_keypoint(points, detected, confidence, px_scale=1.5, form=form),
        heatmap,
    )


def test_released_heatmap_gradient_is_zero_where_the_distance_is():
    _, detected, confidence = random_stacks(12)
    heatmap = detected[None].clone().requires_grad_()
    heatmap_keypoint_loss(heatmap, detected, confidence, px_scale=1.0, form="released").backward()
    assert torch.equal(heatmap.grad, torch.zeros_like(heatmap))


def test_consistency_is_the_mean_smooth_distance_of_the_branches():
    projected = torch.zeros(2, 21, 2, dtype=torch.float64)
    heatmap = projected.clone()
    heatmap[0, 4] = torch.tensor([3.0, 4.0])  # distance 5 at scale 1, 10 at scale 2
    heatmap[1, 9, 0] = 1.5  # distance 3 at scale 2
    loss = keypoint_consistency_loss(projected, heatmap, px_scale=2.0, knee_px=4.0)
    assert loss.item() == pytest.approx((10 - 2) + 9 / 8)
    assert count_of_frames("keypoint_consistency", 2).item() == 42


def test_consistency_gradients_reach_both_branches():
    projected, heatmap, _ = random_keypoints(13, batch=2)
    projected[0, 0] = heatmap[0, 0]
    projected.requires_grad_()
    heatmap.requires_grad_()

    def loss(ours, theirs):
        return keypoint_consistency_loss(ours, theirs, px_scale=1.5)

    assert torch.autograd.gradcheck(loss, (projected, heatmap))
    loss(projected, heatmap).backward()
    assert projected.grad.abs().max() > 0
    torch.testing.assert_close(projected.grad, -heatmap.grad)


def test_the_knee_lies_at_five_pixels() -> None:
    """ρ(d) is d²/10 below 5 px and d − 2.5 px from there on, in all three losses."""
    ours, theirs = torch.zeros(1, 21, 2), torch.zeros(1, 21, 2)
    theirs[0, 0, 0], theirs[0, 20, 1] = 4.9, 7.0
    expected = 4.9**2 / 10 + 7.0 - 2.5
    sure = torch.ones(1, 21)
    for total in (
        keypoint_consistency_loss(ours, theirs, px_scale=1.0),
        keypoint_2d_loss(ours, theirs, sure, px_scale=1.0, form="paper"),
        heatmap_keypoint_loss(ours[None], theirs, sure, px_scale=1.0, form="paper"),
    ):
        assert total.item() == pytest.approx(expected, rel=1e-5)
