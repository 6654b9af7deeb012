"""The stacked hourglass network and the integral regression that reads its maps."""

import numpy as np
import pytest
import torch
from scipy import ndimage, special
from torch.autograd import gradcheck

from s2hand.errors import ConfigurationError
from s2hand.networks.keypoint_estimator import KeypointEstimator, integral_regression


def build(size=64, **sizes):
    torch.manual_seed(0)
    return KeypointEstimator(size, **({"num_channels": 16} | sizes))


def peaks(*cells, size=16):
    """Make one map with sharp peaks, in cells given as (row, column)."""
    maps = torch.zeros(1, 1, size, size, dtype=torch.float64)
    for row, column in cells:
        maps[..., row, column] = 1000.0
    return maps


def test_convention_a_peak_lies_at_x_then_y_between_aligned_corners():
    """Cell k of 16 is pixel k · 63 / 15, counted from the first pixel's centre."""
    for cell, pixel in {(0, 0): (0, 0), (5, 10): (42, 21), (0, 15): (63, 0)}.items():
        found = integral_regression(peaks(cell))
        assert found.squeeze().tolist() == pytest.approx(pixel, abs=1e-9)


def test_two_equal_peaks_give_the_middle():
    found = integral_regression(peaks((0, 5), (10, 15)))
    assert found.squeeze().tolist() == pytest.approx(((21 + 63) / 2, (0 + 42) / 2), abs=1e-9)


def test_equal_maps_give_the_centre_of_the_padded_image():
    found = integral_regression(torch.full((1, 2, 16, 16), 3.0))
    torch.testing.assert_close(found, torch.full((1, 2, 2), 31.5))


def test_a_slope_gives_the_mean_of_a_geometric_distribution():
    """Up-sampling keeps planes; a softmax of i·s over i < n has a mean in closed form."""
    slopes, cells, pixels = (0.3, -0.07), 8, 32
    at_cells = torch.linspace(0, pixels - 1, cells, dtype=torch.float64)
    maps = slopes[0] * at_cells[None, :] + slopes[1] * at_cells[:, None]
    ratios = np.exp(slopes)
    expected = ratios / (1 - ratios) - pixels * ratios**pixels / (1 - ratios**pixels)
    found = integral_regression(maps[None, None]).squeeze()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_regression_equals_scipy_s_zoom_and_softmax():
    maps = np.random.default_rng(0).normal(scale=5.0, size=(2, 3, 6, 9))
    found = integral_regression(torch.from_numpy(maps))
    y, x = np.mgrid[:24, :36]
    for index in np.ndindex(2, 3):
        weights = special.softmax(ndimage.zoom(maps[index], 4, order=1, grid_mode=False))
        expected = (weights * x).sum(), (weights * y).sum()
        np.testing.assert_allclose(found[index], expected, rtol=1e-12)


def test_gradients_of_the_regression():
    torch.manual_seed(0)
    maps = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(integral_regression, maps)


@pytest.mark.parametrize(("size", "padded"), [(64, 64), (96, 128), (128, 128), (224, 256)])
def test_the_image_is_padded_at_the_right_and_at_the_bottom(size, padded):
    estimator = build(size, num_stacks=1, num_channels=8).eval()
    seen = {}
    estimator.stem.register_forward_pre_hook(lambda _, inputs: seen.update(images=inputs[0]))
    estimator.stacks[0].register_forward_pre_hook(lambda _, inputs: seen.update(maps=inputs[0]))
    images = torch.rand(2, 3, size, size)
    with torch.no_grad():
        keypoints_px = estimator(images)
    assert keypoints_px.shape == (1, 2, 21, 2)
    expected = torch.full((2, 3, padded, padded), -0.5)
    expected[..., :size, :size] = images - 0.5
    assert torch.equal(seen["images"], expected)
    assert seen["maps"].shape == (2, 8, padded // 4, padded // 4)


def test_the_number_of_parameters_is_that_of_the_published_network():
    """Newell et al.: 13 places in an hourglass and one after it, each with 2 residual modules."""

    def convolution(before, after, size=1):
        return before * after * size**2 + after

    def residual(before, after):
        half = after // 2
        norms = 2 * (before + half + half)
        skip = convolution(before, after) if before != after else 0
        middle = convolution(half, half, 3)
        return norms + convolution(before, half) + middle + convolution(half, after) + skip

    stem = convolution(3, 64, 7) + 2 * 64
    stem += residual(64, 128) + residual(128, 128) + residual(128, 256)
    stack = (13 + 1) * 2 * residual(256, 256) + convolution(256, 256) + 2 * 256
    stack += convolution(256, 21)
    link = convolution(256, 256) + convolution(21, 256)
    parameters = KeypointEstimator(224).parameters()
    assert sum(p.numel() for p in parameters) == stem + 2 * stack + link == 12_581_034


def test_every_stack_teaches_the_first_layer():
    for stack in range(3):
        estimator = build(num_stacks=3)
        estimator(torch.rand(2, 3, 64, 64))[stack].square().sum().backward()
        assert estimator.stem[0].weight.grad.abs().sum() > 0
        learns = [bool(s.predict.weight.grad.any()) for s in estimator.stacks]
        assert learns == [index <= stack for index in range(3)]  # later maps build on earlier ones


def test_a_stack_is_given_features_and_what_the_one_before_it_found():
    estimator = build().eval()
    first, second = estimator.stacks
    given, found = [], []
    for stack in (first, second):
        stack.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        stack.register_forward_hook(lambda *values: found.append(values[2]))
    with torch.no_grad():
        estimator(torch.rand(2, 3, 64, 64))
        refined, heatmaps = found[0]
        weights, biases = zip(*(p.parameters() for p in estimator.links[0].children()), strict=True)
        handed = torch.einsum("oi,birc->borc", weights[0][..., 0, 0], refined)
        handed += torch.einsum("oi,birc->borc", weights[1][..., 0, 0], heatmaps)
    torch.testing.assert_close(given[1], given[0] + handed + sum(biases)[:, None, None])


def test_every_weight_learns():
    estimator = build()
    estimator(torch.rand(2, 3, 64, 64)).square().sum().backward()
    gradients = {n: p.grad for n, p in estimator.named_parameters() if n.endswith("weight")}
    assert all(g is not None and g.abs().sum() > 0 for g in gradients.values())


@pytest.mark.parametrize("is_training", [True, False])
def test_an_image_s_keypoints_depend_on_its_batch_in_training_only(is_training):
    estimator = build().train(is_training)
    first, second, third = torch.rand(3, 1, 3, 64, 64)
    with torch.no_grad():
        beside_second = estimator(torch.cat([first, second]))[:, 0]
        beside_third = estimator(torch.cat([first, third]))[:, 0]
    assert beside_second.isfinite().all()
    assert torch.allclose(beside_second, beside_third, atol=1e-4) != is_training


def test_positions_are_float32_whatever_the_precision_of_the_convolutions():
    estimator = build(num_stacks=1).eval()
    maps = []
    estimator.stacks[0].predict.register_forward_hook(lambda *values: maps.append(values[2]))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        keypoints_px = estimator(torch.rand(2, 3, 64, 64))
    assert maps[0].dtype == torch.bfloat16
    assert keypoints_px.dtype == torch.float32
    assert torch.equal(keypoints_px[0], integral_regression(maps[0].float()))


def test_images_of_another_size_are_refused():
    with pytest.raises(ConfigurationError, match=r"96×96 .*, got 64×64"):
        build(96)(torch.rand(2, 3, 64, 64))
