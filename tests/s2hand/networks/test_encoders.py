"""Encoders: sizes, padding, and that they are the networks they are called after."""

import pytest
import torch
from efficientnet_pytorch import EfficientNet
from torch.nn import functional

from s2hand.config import ModelConfig
from s2hand.errors import ConfigurationError
from s2hand.networks.encoder import build_encoder


def configure(name, size=64):
    return ModelConfig(encoder=name, image_size_px=size, pretrained="none")


@pytest.mark.parametrize(
    ("name", "size", "num_features", "low_level"),
    [
        ("convnet", 32, 384, (32, 8, 8)),
        ("convnet", 48, 864, (32, 12, 12)),
        ("convnet", 96, 1536, (32, 24, 24)),
        ("convnet", 224, 1536, (32, 56, 56)),
        ("efficientnet-b0", 64, 1280, (24, 16, 16)),
        ("efficientnet-b0", 224, 1280, (24, 56, 56)),
        ("efficientnet-lite0", 64, 1280, (24, 16, 16)),
        ("efficientnet-lite0", 224, 1280, (24, 56, 56)),
        ("efficientnet-b3", 64, 1536, (32, 16, 16)),
        ("efficientnet-b3", 224, 1536, (32, 56, 56)),
    ],
)
def test_features_of_every_encoder(name, size, num_features, low_level):
    encoder = build_encoder(configure(name, size)).eval()
    with torch.no_grad():
        features = encoder(torch.rand(2, 3, size, size))
    assert features.pooled.shape == (2, num_features) == (2, encoder.num_features)
    assert features.low_level.shape == (2, *low_level)
    assert low_level[0] == encoder.num_low_level_channels
    assert features.pooled.isfinite().all()


def test_efficientnet_at_its_own_size_is_the_library_s_network():
    encoder = build_encoder(configure("efficientnet-b0", 224)).eval()
    library = EfficientNet.from_name("efficientnet-b0").eval()
    library.load_state_dict(encoder.network.state_dict(), strict=False)
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        features = functional.adaptive_avg_pool2d(library.extract_features(images), 1).flatten(1)
        torch.testing.assert_close(encoder(images).pooled, features)


@pytest.mark.parametrize("size", [33, 96])
def test_efficientnet_s_pooled_features_are_those_of_its_forward(size):
    encoder = build_encoder(configure("efficientnet-b0", size)).eval()
    images = torch.rand(2, 3, size, size).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(encoder(images).pooled, encoder.network(images).flatten(1))


@pytest.mark.parametrize(("name", "block"), [("efficientnet-b0", 2), ("efficientnet-b3", 4)])
def test_the_low_level_map_is_the_last_of_the_second_stage(name, block):
    """Block 4 of b3 is the released code's; b0's stage ends earlier (counted from 0)."""
    encoder = build_encoder(configure(name)).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        maps = functional.silu(encoder.network._bn0(encoder.network._conv_stem(images)))
        for layer in encoder.network._blocks[: block + 1]:
            maps = layer(maps)
        torch.testing.assert_close(encoder(images).low_level, maps)


def test_the_convnet_s_low_level_map_is_its_second_convolution_s():
    encoder = build_encoder(configure("convnet")).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        maps = images - 0.5
        for convolve, normalise, _ in encoder.layers[:2]:
            maps = normalise(convolve(maps)).relu()
        torch.testing.assert_close(encoder(images).low_level, maps)


def test_every_parameter_of_the_convnet_learns():
    encoder = build_encoder(configure("convnet", 48))
    encoder(torch.rand(4, 3, 48, 48)).pooled.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_images_of_another_size_are_refused():
    encoder = build_encoder(configure("convnet", 48))
    with pytest.raises(ConfigurationError, match=r"48×48 .*, got 64×64"):
        encoder(torch.rand(2, 3, 64, 64))
