"""The geometry head: from image features to pose, shape, rotation, translation and scale."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from s2hand.geometry.rotations import axis_angle_to_quaternion, quaternion_to_axis_angle

RotationOutput = Literal["axis_angle", "quaternion"]

INITIAL_DEPTH_M = 0.65
"""Where the hand stands before training (released code)."""

INITIAL_SCALE = 0.95
"""The scale before training (released code)."""

_SMALL_STD = 0.001  # released code: initial weights of the translation and scale branches


@dataclass(frozen=True, kw_only=True, slots=True)
class HandParameters:
    """What the head regresses for each image."""

    hand_pose_pca: Float[Tensor, "batch 30"]
    betas: Float[Tensor, "batch 10"]
    global_orient: Float[Tensor, "batch 3"]
    transl: Float[Tensor, "batch 3"]
    scale: Float[Tensor, "batch 1"]
    """Positive: the absolute value of the branch's output."""


class GeometryHead(nn.Module):
    """A shared trunk and one branch for each group of parameters.

    Args:
        num_features: length of the encoder's feature vector.
        initial_orient: axis-angle, radians, that the rotation branch starts from.
        rotation_output: what the rotation branch regresses; the paper's is ``axis_angle``.

    References:
        Paper §3.2.2 names the outputs; layers and initial values are the released code's.
    """

    def __init__(
        self,
        num_features: int,
        *,
        initial_orient: tuple[float, float, float],
        rotation_output: RotationOutput = "axis_angle",
    ) -> None:
        super().__init__()
        self.rotation_output = rotation_output
        start = torch.tensor(initial_orient)
        if rotation_output == "quaternion":
            start = axis_angle_to_quaternion(start)
        self.trunk = nn.Sequential(
            *(nn.Linear(num_features, 1024), nn.BatchNorm1d(1024), nn.ReLU()),
            *(nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.ReLU()),
        )
        self.pose = _branch(128, 30)
        self.shape = _branch(128, 10)
        self.rotation = _branch(128, 32, len(start))
        self.translation = _branch(128, 32, 3)
        self.scale = _branch(128, 32, 1)
        with torch.no_grad():
            _last_bias(self.rotation).add_(start)
            _start_at(self.translation, (0.0, 0.0, INITIAL_DEPTH_M))
            _start_at(self.scale, (INITIAL_SCALE,))

    def forward(self, features: Float[Tensor, "batch features"]) -> HandParameters:
        """Regress the hand's parameters."""
        shared = self.trunk(features)
        rotation = self.rotation(shared)
        if self.rotation_output == "quaternion":
            rotation = quaternion_to_axis_angle(rotation)
        return HandParameters(
            hand_pose_pca=self.pose(shared),
            betas=self.shape(shared),
            global_orient=rotation,
            transl=self.translation(shared),
            scale=self.scale(shared).abs(),
        )


def _branch(hidden: int, *sizes: int) -> nn.Sequential:
    """Linear 512→hidden, ReLU, then linear layers without activations between them."""
    layers: list[nn.Module] = [nn.Linear(512, hidden), nn.ReLU()]
    for before, after in zip((hidden, *sizes[:-1]), sizes, strict=True):
        layers.append(nn.Linear(before, after))
    return nn.Sequential(*layers)


def _last_bias(branch: nn.Sequential) -> nn.Parameter:
    last = branch[-1]
    assert isinstance(last, nn.Linear)
    return last.bias


def _start_at(branch: nn.Sequential, values: tuple[float, ...]) -> None:
    """Make the branch's first outputs nearly constant."""
    for layer in branch:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=_SMALL_STD)
            nn.init.zeros_(layer.bias)
    _last_bias(branch).copy_(torch.tensor(values))
