"""Texture losses against NumPy written out, known outliers and finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_means import count_of, count_of_frames, mean_of

from s2hand.losses.appearance import texture_prior, texture_shape_loss

FORMS = ["paper", "released"]


def random_textures(seed, batch=3, points=40):
    """Textures with a few outliers, and confidences."""
    generator = torch.Generator().manual_seed(seed)
    options = {"generator": generator, "dtype": torch.float64}
    texture = 0.5 + 0.1 * torch.randn(batch, points, 3, **options)
    texture[:, :2] += torch.randn(batch, 2, 3, **options)
    return texture, torch.rand(batch, 21, **options)


def mean_texture_prior(texture, confidence, *, form="paper"):
    total = texture_prior(texture, confidence, form=form)
    return mean_of("texture_prior", total, confidence, photometric=form)


def test_one_outlier_costs_its_distance_from_the_mean():
    """Nine points at 0 and one at 1: mean 0.1, σ = √0.1 = 0.316, and 0.9 is beyond two σ."""
    texture = torch.zeros(1, 10, 3, dtype=torch.float64)
    texture[0, 4, 1] = 1.0
    loss = mean_texture_prior(texture, torch.ones(1, 21, dtype=torch.float64))
    assert loss.item() == pytest.approx(0.9 / 30)


def test_the_fewest_points_of_which_one_can_be_an_outlier_are_six():
    """Five at 0 and one at 6: mean 1, variance 30 / 5, and 5 is beyond two σ, 4.899."""
    texture = torch.zeros(1, 6, 3, dtype=torch.float64)
    texture[0, 2] = 6.0
    assert texture_prior(texture, torch.ones(1, 21)).item() == pytest.approx(5 / 6)


def test_convention_sigma_is_unbiased():
    """Four points at 0 and one at 1 deviate by 0.8: two σ are 0.894 unbiased, 0.8 otherwise."""
    texture = torch.zeros(1, 5, 3, dtype=torch.float64)
    texture[0, 0] = 1.0
    texture[0, 0, 2] = 1.01
    confidence = torch.ones(1, 21, dtype=torch.float64)
    assert texture_prior(texture, confidence).item() == 0


@pytest.mark.parametrize("form", FORMS)
def test_texture_prior_agrees_with_a_loop(form):
    texture, confidence = random_textures(0)
    total = count = 0.0
    for sample, con in zip(texture.numpy(), confidence.numpy(), strict=True):
        cost = 0.0
        for channel in sample.T:
            mean, sigma = channel.mean(), channel.std(ddof=1)
            cost += sum(abs(c - mean) for c in channel if abs(c - mean) > 2 * sigma)
        weight = 1.0 if form == "paper" else con.mean() ** 2
        total += weight * cost / sample.size
        count += weight
    loss = texture_prior(texture, confidence, form=form)
    assert total > 0
    assert loss.item() == pytest.approx(total, rel=1e-12)
    divisor = count_of("texture_prior", confidence, photometric=form)
    assert divisor.item() == pytest.approx(count, rel=1e-12)


def test_released_texture_prior_leaves_out_frames_below_the_least_confidence():
    texture, confidence = random_textures(1, batch=2)
    confidence = confidence.clamp(min=0.2)
    confidence[0, 3] = 0.1
    both = texture_prior(texture, confidence, form="released", min_confidence=0.1)
    second = texture_prior(texture[1:], confidence[1:], form="released")
    torch.testing.assert_close(both, second)
    counts = [
        count_of("texture_prior", *each, photometric="released", photometric_min_confidence=limit)
        for each, limit in (((confidence,), 0.1), ((confidence[1:],), 0.0))
    ]
    torch.testing.assert_close(*counts)


@pytest.mark.parametrize("form", FORMS)
def test_a_plain_texture_costs_nothing_and_has_finite_gradients(form):
    texture = torch.full((2, 778, 3), 0.6, requires_grad=True)
    loss = mean_texture_prior(texture, torch.ones(2, 21), form=form)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(texture.grad, torch.zeros_like(texture))


def test_released_texture_prior_without_any_confidence_is_zero():
    texture, confidence = random_textures(2)
    texture.requires_grad_()
    loss = mean_texture_prior(texture, torch.zeros_like(confidence), form="released")
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(texture.grad, torch.zeros_like(texture))


@pytest.mark.parametrize("form", FORMS)
def test_texture_prior_gradients_agree_with_finite_differences(form):
    texture, confidence = random_textures(3, batch=2, points=15)
    texture.requires_grad_()
    assert texture_prior(texture, confidence, form=form) > 0
    assert torch.autograd.gradcheck(lambda t: mean_texture_prior(t, confidence, form=form), texture)


def test_texture_and_shape_are_norms_over_all_elements_summed_over_the_frames():
    generator = np.random.default_rng(4)
    texture, betas = generator.random((2, 3, 5, 3)), generator.normal(size=(2, 3, 10))
    expected = 0.0
    for clip in range(2):
        for frame in range(3):
            for values in (texture[clip], betas[clip]):
                difference = (values[frame] - values.sum(axis=0) / 3).ravel()
                expected += math.sqrt((difference**2).sum())
    loss = texture_shape_loss(torch.from_numpy(texture), torch.from_numpy(betas))
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert count_of_frames("texture_shape", 6, clip_length=3).item() == 2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), shift=st.floats(-3, 3), scale=st.floats(0.1, 5))
def test_texture_and_shape_see_only_differences_and_grow_with_them(seed, shift, scale):
    generator = torch.Generator().manual_seed(seed)
    texture = torch.rand(2, 4, 6, 3, generator=generator, dtype=torch.float64)
    betas = torch.randn(2, 4, 10, generator=generator, dtype=torch.float64)
    loss = texture_shape_loss(texture, betas)
    changed = texture_shape_loss(scale * texture + shift, scale * betas - shift)
    torch.testing.assert_close(changed, scale * loss)


def test_a_clip_of_one_look_costs_nothing_and_has_finite_gradients():
    texture = torch.full((1, 4, 778, 3), 0.25, requires_grad=True)
    betas = torch.full((1, 4, 10), 0.5, requires_grad=True)
    loss = texture_shape_loss(texture, betas)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(texture.grad, torch.zeros_like(texture))
    assert torch.equal(betas.grad, torch.zeros_like(betas))


def test_texture_and_shape_gradients_agree_with_finite_differences():
    generator = torch.Generator().manual_seed(5)
    texture = torch.rand(2, 3, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    betas = torch.randn(2, 3, 10, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(texture_shape_loss, (texture, betas))
