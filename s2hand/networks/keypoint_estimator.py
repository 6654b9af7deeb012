"""The 2D keypoint estimator: a stacked hourglass network and integral regression."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from s2hand.networks.encoder import check_image_size

NUM_KEYPOINTS = 21

_MAP_STRIDE = 4
_DEPTH = 4
_SIZE_STEP_PX = _MAP_STRIDE * 2**_DEPTH  # the innermost maps are whole for multiples of this
_NUM_RESIDUALS = 2  # wherever the published network has residual modules


class KeypointEstimator(nn.Module):
    """A stacked hourglass network whose heat maps are read as expected positions.

    Args:
        image_size_px: side of the images. They are padded at the right and at the bottom to the
            next multiple of 64, 224 to 256 as in the released code.
        num_stacks: hourglasses, each of which refines what the one before it found.
        num_channels: features of the hourglasses, a multiple of 4; the first layers have a
            quarter and half as many.

    References:
        Paper §3.2.3; Newell et al., "Stacked Hourglass Networks for Human Pose Estimation", 2016.
        Sizes are the released code's.
    """

    def __init__(self, image_size_px: int, *, num_stacks: int = 2, num_channels: int = 256) -> None:
        super().__init__()
        self.image_size_px = image_size_px
        self.padding_px = -image_size_px % _SIZE_STEP_PX
        quarter, half = num_channels // 4, num_channels // 2
        self.stem = nn.Sequential(
            *(nn.Conv2d(3, quarter, 7, stride=2, padding=3), nn.BatchNorm2d(quarter)),
            nn.ReLU(inplace=True),
            _Residual(quarter, half),
            nn.MaxPool2d(2),
            _Residual(half, half),
            _Residual(half, num_channels),
        )
        self.stacks = nn.ModuleList(_Stack(num_channels) for _ in range(num_stacks))
        self.links = nn.ModuleList(_Link(num_channels) for _ in range(num_stacks - 1))

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "stacks batch 21 2"]:
        """Find the keypoints, in pixels of the image; the last stack's are the best.

        Args:
            images: RGB, 0 to 1, ``image_size_px`` square.

        Convention:
            The padding leaves the image's pixels their coordinates. A keypoint can lie in the
            padding, but never left of or above the image.

        Raises:
            ConfigurationError: if the images have another size.
        """
        check_image_size(images, self.image_size_px)
        padded = functional.pad(images, (0, self.padding_px, 0, self.padding_px)) - 0.5
        features = self.stem(padded)
        refined, heatmaps = self.stacks[0](features)
        keypoints_px = [_read(heatmaps)]
        for link, stack in zip(self.links, self.stacks[1:], strict=True):
            features = features + link(refined, heatmaps)
            refined, heatmaps = stack(features)
            keypoints_px.append(_read(heatmaps))
        return torch.stack(keypoints_px)


def integral_regression(
    heatmaps: Float[Tensor, "batch maps rows columns"],
) -> Float[Tensor, "batch maps 2"]:
    """Turn heat maps at a quarter of the image into expected positions (x, y) in pixels.

    The maps are up-sampled ×4, a softmax over all their cells makes them probabilities.

    Convention:
        The cells of the up-sampled map are the pixels of the image, and their indices the
        coordinates of pixel centres: no half-pixel lies between them. Corners are aligned, so
        that cell k of a map of n cells means pixel k·(4n − 1)/(n − 1).

    References:
        Sun et al., "Integral Human Pose Regression", 2018; without a temperature, as the released
        code.
    """
    of_rows, of_columns = (_upsampling(size, heatmaps) for size in heatmaps.shape[2:])
    fine = of_rows @ heatmaps.contiguous() @ of_columns.T
    probability = fine.flatten(2).softmax(dim=2).view_as(fine)
    return torch.stack(
        [_mean_index(probability.sum(dim=2)), _mean_index(probability.sum(dim=3))], dim=2
    )


def _read(heatmaps: Tensor) -> Tensor:
    """Regress in float32, whatever the precision of the convolutions."""
    with torch.autocast(heatmaps.device.type, enabled=False):
        return integral_regression(heatmaps.float())


def _upsampling(size: int, like: Tensor) -> Float[Tensor, "fine size"]:
    """Build linear interpolation as a matrix.

    Products with it are twice as fast as ``interpolate`` in two dimensions, and their gradients
    deterministic on CUDA.
    """
    cells = torch.eye(size, device=like.device, dtype=like.dtype)[None]
    return functional.interpolate(
        cells, scale_factor=_MAP_STRIDE, mode="linear", align_corners=True
    )[0].T


def _mean_index(probability: Tensor) -> Tensor:
    indices = torch.arange(
        probability.shape[-1], device=probability.device, dtype=probability.dtype
    )
    return probability @ indices


class _Stack(nn.Module):
    """One hourglass; gives refined features and the heat maps that are read off them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.refine = nn.Sequential(
            _Hourglass(_DEPTH, channels),
            _residuals(channels),
            *(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)),
        )
        self.predict = nn.Conv2d(channels, NUM_KEYPOINTS, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        refined = self.refine(features)
        return refined, self.predict(refined)


class _Link(nn.Module):
    """What one stack hands to the next, beside the features that it was given itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.of_features = nn.Conv2d(channels, channels, 1)
        self.of_heatmaps = nn.Conv2d(NUM_KEYPOINTS, channels, 1)

    def forward(self, refined: Tensor, heatmaps: Tensor) -> Tensor:
        return self.of_features(refined) + self.of_heatmaps(heatmaps)


class _Hourglass(nn.Module):
    """Residual modules at this size, beside the same at half the size, and so on inwards."""

    def __init__(self, depth: int, channels: int) -> None:
        super().__init__()
        self.beside = _residuals(channels)
        self.below = nn.Sequential(
            nn.MaxPool2d(2),
            _residuals(channels),
            _Hourglass(depth - 1, channels) if depth > 1 else _residuals(channels),
            _residuals(channels),
            nn.Upsample(scale_factor=2),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.beside(features) + self.below(features)


class _Residual(nn.Module):
    """A bottleneck, normalised before its convolutions, beside the identity."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        half = after // 2
        self.bottleneck = nn.Sequential(
            *(nn.BatchNorm2d(before), nn.ReLU(inplace=True), nn.Conv2d(before, half, 1)),
            *(nn.BatchNorm2d(half), nn.ReLU(inplace=True), nn.Conv2d(half, half, 3, padding=1)),
            *(nn.BatchNorm2d(half), nn.ReLU(inplace=True), nn.Conv2d(half, after, 1)),
        )
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.skip(features) + self.bottleneck(features)


def _residuals(channels: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(channels, channels) for _ in range(_NUM_RESIDUALS)))
