"""The texture and light head's shapes and initial values (docs/method.md, network)."""

import pytest
import torch
from torch.nn import functional

from s2hand.networks.texture_light_head import TextureLightHead
from s2hand.rendering import Lighting


@pytest.fixture
def head():
    torch.manual_seed(0)
    return TextureLightHead(24, 778)


@pytest.mark.parametrize(("num_channels", "num_points"), [(24, 778), (32, 1538)])
@pytest.mark.parametrize("size", [8, 24, 56, 75])
def test_outputs_for_maps_of_any_size(num_channels, num_points, size):
    appearance = TextureLightHead(num_channels, num_points)(
        torch.randn(2, num_channels, size, size)
    )
    assert appearance.texture.shape == (2, num_points, 3)
    assert appearance.lighting_vector.shape == (2, 11)


def test_the_untrained_head_shows_the_mean_colour(head):
    shown = head(torch.randn(4, 24, 56, 56)).texture.tanh()
    mean = torch.tensor([0.653, 0.527, 0.527]).expand(4, 778, 3)
    torch.testing.assert_close(shown, mean, atol=0.02, rtol=0)
    assert shown.std(dim=1).max() > 0  # near the mean, not without weights


def test_the_untrained_light_shows_the_hand_in_its_own_colours(head):
    """White, of strength one on what faces the camera, whatever the image."""
    light = Lighting.from_vector(head(torch.randn(4, 24, 56, 56)).lighting_vector)
    ambient = light.ambient_intensity * light.ambient_colour
    towards_camera = torch.tensor([0.0, 0.0, -1.0])
    directional = light.directional_intensity * light.directional_colour
    seen = ambient + directional * (-light.direction @ towards_camera)[:, None]
    torch.testing.assert_close(seen, torch.ones(4, 3), atol=0.02, rtol=0)


def test_the_untrained_head_passes_a_gradient_on(head):
    """Of about the last layers' strength: a second layer of such weights would stop it."""
    maps = torch.randn(8, 24, 56, 56)
    head(maps).texture.sum().backward()
    first, last = head.trunk[1].weight.grad, head.texture[-1].weight
    assert first.norm() > 10 * last.norm()


def test_maps_of_56_cells_are_not_pooled(head):
    maps = torch.randn(2, 24, 56, 56)
    features = functional.max_pool2d(head.trunk[1](maps).relu(), 3, stride=2)
    features = functional.max_pool2d(head.trunk[4](features).relu(), 2, stride=2)
    expected = head.light(features.flatten(1))
    torch.testing.assert_close(head(maps).lighting_vector, expected)


@pytest.mark.parametrize(("rows", "columns"), [(24, 32), (56, 60), (1, 113)])
def test_maps_are_pooled_as_torch_pools(head, rows, columns):
    maps = torch.randn(2, 24, rows, columns, requires_grad=True)
    pooled, expected = head.trunk[0](maps), functional.adaptive_avg_pool2d(maps, 56)
    torch.testing.assert_close(pooled, expected)
    send = torch.randn_like(pooled)
    (gradient,), (same,) = (torch.autograd.grad(x, maps, send) for x in (pooled, expected))
    torch.testing.assert_close(gradient, same, atol=1e-5, rtol=1e-5)


def test_larger_maps_are_averaged(head):
    maps = torch.randn(2, 24, 56, 56)
    enlarged = maps.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(head(enlarged).lighting_vector, head(maps).lighting_vector)


def test_layers_are_those_of_the_released_code():
    head = TextureLightHead(32, 1538)
    sizes = {name: tuple(p.shape) for name, p in head.named_parameters() if p.ndim > 1}
    assert list(sizes.values()) == [
        *((48, 32, 10, 10), (64, 48, 3, 3)),
        *((64, 256), (4614, 64)),
        *((64, 256), (11, 64)),
    ]


def test_every_parameter_learns(head):
    appearance = head(torch.randn(4, 24, 24, 24))
    (appearance.texture.square().sum() + appearance.lighting_vector.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_only_learned_weights_are_saved(head):
    assert set(head.state_dict()) == {name for name, _ in head.named_parameters()}
