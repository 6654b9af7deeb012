"""Encoders: sizes, padding, ImageNet weights and what happens without them."""

import hashlib

import pytest
import torch
from efficientnet_pytorch import EfficientNet
from torch.nn import functional

from s2hand.config import ModelConfig
from s2hand.errors import ConfigurationError
from s2hand.networks import encoder as encoder_module
from s2hand.networks.encoder import WEIGHTS_VARIABLE, build_encoder


def configure(name, size=64, pretrained="none"):
    return ModelConfig(encoder=name, image_size_px=size, pretrained=pretrained)


@pytest.mark.parametrize(
    ("name", "size", "num_features", "low_level"),
    [
        ("convnet", 32, 384, (32, 8, 8)),
        ("convnet", 48, 864, (32, 12, 12)),
        ("convnet", 96, 1536, (32, 24, 24)),
        ("convnet", 224, 1536, (32, 56, 56)),
        ("efficientnet-b0", 64, 1280, (24, 16, 16)),
        ("efficientnet-b0", 224, 1280, (24, 56, 56)),
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


@pytest.fixture
def weights_file(tmp_path, monkeypatch):
    """Random weights in the published layout, under a name that states their hash."""
    torch.manual_seed(1)
    path = tmp_path / "weights.pth"
    torch.save(EfficientNet.from_name("efficientnet-b0").state_dict(), path)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    names = {"efficientnet-b0": f"efficientnet-b0-{digits}.pth"}
    monkeypatch.setattr(encoder_module, "_WEIGHTS_FILES", names)
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(path))
    return path


def test_imagenet_weights_come_from_the_named_file(weights_file):
    encoder = build_encoder(configure("efficientnet-b0", pretrained="imagenet"))
    saved = torch.load(weights_file, weights_only=True)
    assert torch.equal(encoder.network._conv_stem.weight, saved["_conv_stem.weight"])
    digest = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    name = f"efficientnet-b0-{digest[:8]}.pth"
    assert encoder.initial_weights == {"name": name, "sha256": digest}


def test_random_weights_come_from_nowhere():
    for name in ("efficientnet-b0", "convnet"):
        assert build_encoder(configure(name)).initial_weights == {"name": "none"}


@pytest.fixture
def torch_cache(weights_file, monkeypatch, tmp_path):
    """The published file where torch keeps downloads, and no other way to get it."""
    monkeypatch.delenv(WEIGHTS_VARIABLE)
    monkeypatch.setattr(encoder_module, "_WEIGHTS_URL", "http://127.0.0.1:9/")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    cached = tmp_path / "checkpoints" / encoder_module._WEIGHTS_FILES["efficientnet-b0"]
    cached.parent.mkdir()
    return weights_file.rename(cached)


def test_imagenet_weights_come_from_torch_s_cache_if_they_are_whole_there(torch_cache):
    config = configure("efficientnet-b0", pretrained="imagenet")
    assert build_encoder(config).initial_weights["name"] == torch_cache.name
    torch_cache.write_bytes(torch_cache.read_bytes()[:-1])
    with pytest.raises(ConfigurationError, match=r"whose SHA-256 begins with .*; there is a zip"):
        build_encoder(config)
    torch_cache.write_bytes(b"<!DOCTYPE html><title>Too many requests</title>")
    with pytest.raises(
        ConfigurationError, match=r"; there is a web page, .* put \S+\.pth there"
    ) as no:
        build_encoder(config)
    assert "weights_only" not in str(no.value)


def test_imagenet_weights_are_downloaded_once_into_torch_s_cache(torch_cache, monkeypatch):
    elsewhere = torch_cache.rename(torch_cache.parents[1] / torch_cache.name)
    monkeypatch.setattr(encoder_module, "_WEIGHTS_URL", f"file://{elsewhere.parent}/")
    config = configure("efficientnet-b0", pretrained="imagenet")
    assert build_encoder(config).initial_weights["name"] == torch_cache.name
    elsewhere.unlink()
    assert build_encoder(config).initial_weights["name"] == torch_cache.name


def test_a_download_of_something_else_is_not_kept(torch_cache, monkeypatch):
    elsewhere = torch_cache.rename(torch_cache.parents[1] / torch_cache.name)
    elsewhere.write_bytes(b"<html>Please log in</html>")
    monkeypatch.setattr(encoder_module, "_WEIGHTS_URL", f"file://{elsewhere.parent}/")
    with pytest.raises(ConfigurationError, match=r"nor to be had from .*invalid hash value"):
        build_encoder(configure("efficientnet-b0", pretrained="imagenet"))
    assert not list(torch_cache.parent.iterdir())


def test_a_file_with_other_weights_is_refused(weights_file):
    weights_file.write_bytes(weights_file.read_bytes() + b" ")
    with pytest.raises(ConfigurationError, match=r"whose SHA-256 begins with .*, got one that"):
        build_encoder(configure("efficientnet-b0", pretrained="imagenet"))


def test_a_missing_weights_file_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv(WEIGHTS_VARIABLE, "/nowhere/weights.pth")
    config = configure("efficientnet-b0", pretrained="imagenet")
    expected = r"expected the published efficientnet-b0-355c32eb\.pth; there is"
    with pytest.raises(ConfigurationError, match=rf"/nowhere/weights.pth: {expected} nothing: put"):
        build_encoder(config)
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    with pytest.raises(ConfigurationError, match=rf"{expected} a folder: put"):
        build_encoder(config)
    link = tmp_path / "weights.pth"
    link.symlink_to(tmp_path / "gone")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(link))
    with pytest.raises(ConfigurationError, match=rf"{expected} a symbolic link to .*gone, which"):
        build_encoder(config)


def test_without_weights_and_network_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setattr(encoder_module, "_WEIGHTS_URL", "http://127.0.0.1:9/")
    torch_home = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path))
    try:
        with pytest.raises(ConfigurationError, match=r"set S2HAND_IMAGENET_WEIGHTS .*='none'"):
            build_encoder(configure("efficientnet-b0", pretrained="imagenet"))
    finally:
        torch.hub.set_dir(torch_home)


def test_a_model_about_to_be_loaded_needs_no_weights(monkeypatch):
    monkeypatch.setenv(WEIGHTS_VARIABLE, "/nowhere/weights.pth")
    config = configure("efficientnet-b0", pretrained="imagenet")
    assert build_encoder(config, use_pretrained=False).num_features == 1280
