"""What the model can compute, and the trained parts that do it.

This file needs Python alone: whoever plans a training asks it what a stage trains.
"""

from collections.abc import Collection
from typing import Literal

Output = Literal["hand", "appearance", "rendering", "heatmaps"]
"""What a forward pass can be asked for. ``rendering`` needs ``appearance``, that needs ``hand``."""

BranchName = Literal["3d", "2d", "both"]

HAND_ALONE: frozenset[Output] = frozenset({"hand"})
"""What is computed at inference."""

OUTPUTS_OF_BRANCHES: dict[BranchName, frozenset[Output]] = {
    "3d": frozenset({"hand", "appearance", "rendering"}),
    "2d": frozenset({"heatmaps"}),
    "both": frozenset({"hand", "appearance", "rendering", "heatmaps"}),
}
"""What a stage that trains a branch can ask for."""

PARTS: dict[str, Output] = {
    "encoder": "hand",
    "head": "hand",
    "texture_light_head": "appearance",
    "keypoint_estimator": "heatmaps",
}
"""The trained parts, and the output that each is for."""

WeightsName = Literal["hands", "s2hand"]

WEIGHTS: dict[WeightsName, tuple[str, ...]] = {
    "hands": ("encoder", "head.trunk"),
    "s2hand": tuple(PARTS),
}
"""The project's own starting weights, and the parts of the model, or modules in them, that they
are of."""


def parts_of_outputs(outputs: Collection[Output]) -> tuple[str, ...]:
    """Return the parts of the model that compute some outputs."""
    return tuple(part for part, output in PARTS.items() if output in outputs)
