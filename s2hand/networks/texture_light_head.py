"""The texture and light head: from a low-level feature map to colours and lighting."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

MEAN_COLOUR = (200 / 256, 150 / 256, 150 / 256)
"""RGB that the texture is regressed around (released code)."""

INITIAL_LIGHT = (0.6, 0.4, *(1.0, 1.0, 1.0), *(1.0, 1.0, 1.0), *(0.0, 0.0, 1.0))
"""White light, most of it ambient, the rest from the camera: the hand starts in its own colours.
The released code's last weights, around 1, on nearly empty features start it nearly black."""

_MAP_SIZE = 56  # a quarter of the paper's 224 pixels, for which the layers were drawn
_SMALL_STD = 0.001  # released code: initial weights of both branches' last layers


@dataclass(frozen=True, kw_only=True, slots=True)
class TextureAndLight:
    """What the head regresses for each image."""

    texture: Float[Tensor, "batch points 3"]
    """The paper's C, RGB, unbounded: what is rendered is tanh(C)."""
    lighting_vector: Float[Tensor, "batch 11"]
    """Unbounded: ambient intensity, directional intensity, ambient RGB, directional RGB,
    direction, whose length has no meaning."""


class TextureLightHead(nn.Module):
    """Two convolutions that look at the low-level map, then a branch each for texture and light.

    Args:
        num_channels: channels of the low-level map.
        num_points: 778 for a colour per vertex, as the paper; 1538 for one per face, as the
            released code.

    The layers fit a map of 56×56. A map of another size is pooled to that first.

    References:
        Paper §3.2.1 names the outputs; layers and initial values are the released code's, but for
        ``INITIAL_LIGHT`` and the branches' first layers, whose weights are He's.
    """

    mean_colour: Tensor

    def __init__(self, num_channels: int, num_points: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _Pooling(),
            *(nn.Conv2d(num_channels, 48, 10, stride=4, padding=1), nn.ReLU()),
            nn.MaxPool2d(3, stride=2),
            *(nn.Conv2d(48, 64, 3), nn.ReLU()),
            nn.MaxPool2d(2, stride=2),
            nn.Flatten(),
        )
        self.texture = _branch(num_points * 3)
        self.light = _branch(11)
        with torch.no_grad():
            last = self.light[-1]
            assert isinstance(last, nn.Linear)
            last.bias.copy_(torch.tensor(INITIAL_LIGHT))
        self.register_buffer("mean_colour", torch.tensor(MEAN_COLOUR), persistent=False)

    def forward(self, low_level: Float[Tensor, "batch channels rows columns"]) -> TextureAndLight:
        """Regress colours and lighting."""
        shared = self.trunk(low_level)
        return TextureAndLight(
            texture=self.mean_colour + self.texture(shared).unflatten(1, (-1, 3)),
            lighting_vector=self.light(shared),
        )


class _Pooling(nn.Module):
    """Average a map to 56×56, the windows of ``nn.AdaptiveAvgPool2d``; one of that size is left.

    As products with matrices, whose gradients have the same bits every time on CUDA, too.
    """

    def forward(self, low_level: Tensor) -> Tensor:
        if low_level.shape[2:] == (_MAP_SIZE, _MAP_SIZE):
            return low_level
        of_rows, of_columns = (_windows(size, low_level) for size in low_level.shape[2:])
        return of_rows @ (low_level @ of_columns.T)


def _windows(size: int, like: Tensor) -> Float[Tensor, "56 size"]:
    """Return the matrix that averages a line of ``size`` places over each of 56 windows."""
    place = torch.arange(size, device=like.device)
    window = torch.arange(_MAP_SIZE, device=like.device)[:, None]
    start, stop = window * size // _MAP_SIZE, ((window + 1) * size - 1) // _MAP_SIZE + 1
    is_inside = ((place >= start) & (place < stop)).to(like.dtype)
    return is_inside / is_inside.sum(dim=1, keepdim=True)


def _branch(num_outputs: int) -> nn.Sequential:
    """Linear 256→64, ReLU, linear, without bias to start with.

    The last layer begins nearly constant, as in the released code. Its first layer does, too, which
    leaves the convolutions without a gradient worth the name for thousands of steps.
    """
    first, last = nn.Linear(256, 64), nn.Linear(64, num_outputs)
    nn.init.kaiming_normal_(first.weight, nonlinearity="relu")
    nn.init.normal_(last.weight, std=_SMALL_STD)
    nn.init.zeros_(first.bias)
    nn.init.zeros_(last.bias)
    return nn.Sequential(first, nn.ReLU(), last)
