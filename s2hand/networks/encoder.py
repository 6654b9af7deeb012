"""Image encoders: EfficientNet, and a small convolutional network for CPUs and small images."""

import math
from dataclasses import dataclass

import torch
from efficientnet_pytorch import EfficientNet
from efficientnet_pytorch.utils import get_model_params
from jaxtyping import Float
from torch import Tensor, nn

from s2hand.config import ModelConfig
from s2hand.errors import ConfigurationError
from s2hand.networks.imagenet_weights import load_imagenet_weights

RANDOM_WEIGHTS = {"name": "none"}
"""Origin of initial weights that are random."""

_LITE = "efficientnet-lite0"

_LOW_LEVEL_CHANNELS = {"efficientnet-b0": 24, "efficientnet-b3": 32, "efficientnet-lite0": 24}


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
    stage at a quarter of the image, 24×56×56 (b0, lite0) or 32×56×56 (b3) at 224 pixels. lite0 is
    b0 without squeeze and excitation and with ReLU6, and its weights expect (255 x - 127) / 128 for
    a value x; the others see values as they are.

    References:
        Paper §3.2.1 (b0); the released code uses b3 from random weights, and the same map.
        EfficientNet-Lite: TensorFlow's TPU models, ``efficientnet/lite``.
    """

    def __init__(self, name: str, *, image_size_px: int) -> None:
        super().__init__()
        self.name = name
        self.image_size_px = image_size_px
        self.network = _network(name, image_size_px)
        self.num_features: int = self.network._bn1.num_features  # noqa: SLF001
        self.num_low_level_channels = _LOW_LEVEL_CHANNELS[name]
        self.initial_weights = RANDOM_WEIGHTS
        """Where they came from: ``name`` of the published file, and its ``sha256``."""

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> ImageFeatures:
        """Encode images with values in 0 to 1; no mean or deviation is taken out first."""
        check_image_size(images, self.image_size_px)
        if self.name == _LITE:
            images = (255 * images - 127) / 128
        maps = self.network.extract_endpoints(images)
        return ImageFeatures(
            pooled=maps["reduction_6"].mean(dim=(2, 3)), low_level=maps["reduction_2"]
        )

    def load_imagenet_weights(self) -> None:
        """Load the published weights.

        Raises:
            ConfigurationError: if they are not to be had, or the file is another.
        """
        features, origin = load_imagenet_weights(self.name)
        self.network.load_state_dict(features)
        self.initial_weights = origin


def _network(name: str, image_size_px: int) -> EfficientNet:
    if name != _LITE:
        network = EfficientNet.from_name(name, image_size=image_size_px, include_top=False)
        network.set_swish(memory_efficient=False)
        return network
    size = {"image_size": image_size_px, "include_top": False}
    blocks, shared = get_model_params("efficientnet-b0", size)
    network = EfficientNet([block._replace(se_ratio=None) for block in blocks], shared)
    for module in (network, *network._blocks):  # noqa: SLF001
        module._swish = nn.ReLU6()  # noqa: SLF001
    return network


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
