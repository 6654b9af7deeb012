"""Image encoders: EfficientNet, and a small convolutional network for CPUs and small images."""

import hashlib
import math
import os
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch
from efficientnet_pytorch import EfficientNet
from jaxtyping import Float
from torch import Tensor, nn

from s2hand.config import ModelConfig
from s2hand.errors import ConfigurationError
from s2hand.files import what_lies_at

WEIGHTS_VARIABLE = "S2HAND_IMAGENET_WEIGHTS"
"""Environment variable: path of the ImageNet weights as efficientnet-pytorch publishes them."""

_WEIGHTS_URL = "https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0/"
_WEIGHTS_FILES = {
    "efficientnet-b0": "efficientnet-b0-355c32eb.pth",
    "efficientnet-b3": "efficientnet-b3-5fb5a3c3.pth",
}
"""File names that end in the first digits of the file's own SHA-256."""

RANDOM_WEIGHTS = {"name": "none"}
"""Origin of initial weights that are random."""

_LOW_LEVEL_CHANNELS = {"efficientnet-b0": 24, "efficientnet-b3": 32}


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFeatures:
    """What an encoder makes of a batch of images."""

    pooled: Float[Tensor, "batch features"]
    """What the geometry head looks at."""
    low_level: Float[Tensor, "batch channels rows columns"]
    """A map at a quarter of the image's size: what the texture and light head looks at."""


def build_encoder(
    config: ModelConfig, *, use_pretrained: bool = True
) -> "EfficientNetEncoder | ConvNetEncoder":
    """Build the encoder that the configuration names, with its initial weights.

    Args:
        config: names the encoder and its initial weights.
        use_pretrained: False leaves ImageNet weights out, for a model that is about to be loaded.

    Raises:
        ConfigurationError: if ImageNet weights are asked for and cannot be had.
    """
    if config.encoder == "convnet":
        return ConvNetEncoder(image_size_px=config.image_size_px)
    encoder = EfficientNetEncoder(config.encoder, image_size_px=config.image_size_px)
    if config.pretrained == "imagenet" and use_pretrained:
        encoder.load_imagenet_weights()
    return encoder


class EfficientNetEncoder(nn.Module):
    """EfficientNet up to its pooled features; drop-connect 0.2 acts in training.

    Padding is TensorFlow's SAME for the given image size. The low-level map is the last of the
    stage at a quarter of the image, 24×56×56 (b0) or 32×56×56 (b3) at 224 pixels.

    References:
        Paper §3.2.1 (b0); the released code uses b3 from random weights, and the same map.
    """

    def __init__(self, name: str, *, image_size_px: int) -> None:
        super().__init__()
        self.name = name
        self.image_size_px = image_size_px
        self.network = EfficientNet.from_name(name, image_size=image_size_px, include_top=False)
        self.network.set_swish(memory_efficient=False)
        self.num_features: int = self.network._bn1.num_features  # noqa: SLF001
        self.num_low_level_channels = _LOW_LEVEL_CHANNELS[name]
        self.initial_weights = RANDOM_WEIGHTS
        """Where they came from: ``name`` of the published file, and its ``sha256``."""

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> ImageFeatures:
        """Encode images with values in 0 to 1; no mean or deviation is taken out first."""
        check_image_size(images, self.image_size_px)
        maps = self.network.extract_endpoints(images)
        return ImageFeatures(
            pooled=maps["reduction_6"].mean(dim=(2, 3)), low_level=maps["reduction_2"]
        )

    def load_imagenet_weights(self) -> None:
        """Load the weights from ``S2HAND_IMAGENET_WEIGHTS``, torch's cache, or their publisher.

        Raises:
            ConfigurationError: if none of the three has the right file.
        """
        file_name = _WEIGHTS_FILES[self.name]
        path = _find_weights_file(file_name)
        sha256 = _require_published(path, file_name)
        state = torch.load(path, map_location="cpu", weights_only=True)
        features = {key: value for key, value in state.items() if not key.startswith("_fc.")}
        self.network.load_state_dict(features)
        self.initial_weights = {"name": file_name, "sha256": sha256}


class ConvNetEncoder(nn.Module):
    """A compact residual network that keeps a coarse map of where things are.

    Four strided convolutions, then a map of at most 4×4 that is flattened instead of averaged. Of
    the shapes that were tried (wider, deeper, patches, depthwise, spatial softmax) this one learnt
    keypoints best in a fixed time on one core. The low-level map is the second convolution's.
    """

    num_low_level_channels = 32
    initial_weights = RANDOM_WEIGHTS

    def __init__(self, *, image_size_px: int) -> None:
        super().__init__()
        self.image_size_px = image_size_px
        self.layers = nn.Sequential(
            _convolution(3, 16, stride=2),
            _convolution(16, self.num_low_level_channels, stride=2),
            _convolution(self.num_low_level_channels, 64, stride=2),
            _Residual(64),
            _convolution(64, 96, stride=2),
            _Residual(96),
        )
        map_size = min(4, math.ceil(image_size_px / 16))
        self.pool = nn.AdaptiveAvgPool2d(map_size)
        self.num_features = 96 * map_size**2

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> ImageFeatures:
        """Encode images with values in 0 to 1."""
        check_image_size(images, self.image_size_px)
        centred = images - 0.5
        low_level = self.layers[:2](centred)
        return ImageFeatures(
            pooled=self.pool(self.layers[2:](low_level)).flatten(1), low_level=low_level
        )


class _Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.second(self.first(features)))


def _convolution(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def check_image_size(images: Float[Tensor, "batch 3 height width"], image_size_px: int) -> None:
    """Refuse images of another size than the network was built for.

    Raises:
        ConfigurationError: if the images are not ``image_size_px`` square.
    """
    height, width = images.shape[-2:]
    if (height, width) != (image_size_px, image_size_px):
        raise ConfigurationError(
            f"images must be {image_size_px}×{image_size_px} (model.image_size_px), got "
            f"{height}×{width}; resize them together with their intrinsics"
        )


def _find_weights_file(file_name: str) -> Path:
    """Return the path of the user's copy, of torch's, or of one downloaded to torch's cache."""
    if path := os.environ.get(WEIGHTS_VARIABLE):
        return Path(path)
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


def _require_published(path: Path, file_name: str) -> str:
    """Return a file's SHA-256; it must be the published file: its content enters no identity."""
    digits = _digits(file_name)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _other_than_published(path, file_name) from error
    if not found.startswith(digits):
        fault = f", whose SHA-256 begins with {digits}, got one that begins with {found[:8]}"
        raise _other_than_published(path, file_name, fault)
    return found


def _other_than_published(path: Path, file_name: str, fault: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"{path}: expected the published {file_name}{fault}; there is {what_lies_at(path)}: put "
        f"{_WEIGHTS_URL}{file_name} there, or its path into {WEIGHTS_VARIABLE}"
    )


def _digits(file_name: str) -> str:
    """Return the first digits of a published file's SHA-256."""
    return file_name.removesuffix(".pth").rsplit("-", maxsplit=1)[-1]
