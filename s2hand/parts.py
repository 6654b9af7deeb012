"""What the model can compute, and the trained parts that do it.

This file needs Python alone: whoever plans a training asks it what a stage trains.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Output = Literal["hand", "appearance", "rendering", "heatmaps"]
"""What a forward pass can be asked for. ``rendering`` needs ``appearance``, that needs ``hand``."""

BranchName = Literal["3d", "2d", "both", "appearance"]

HAND_ALONE: frozenset[Output] = frozenset({"hand"})
"""What is computed at inference."""

PARTS: dict[str, Output] = {
    "encoder": "hand",
    "head": "hand",
    "texture_light_head": "appearance",
    "keypoint_estimator": "heatmaps",
}
"""The trained parts, and the output that each is for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """What a stage can train together."""

    outputs: frozenset[Output]
    """What the stage can ask the model for."""
    parts: tuple[str, ...]
    """What it trains, as far as some loss asks for it; other parts stay as they are."""


BRANCHES: dict[BranchName, Branch] = {
    "3d": Branch(
        outputs=frozenset({"hand", "appearance", "rendering"}),
        parts=("encoder", "head", "texture_light_head"),
    ),
    "2d": Branch(outputs=frozenset({"heatmaps"}), parts=("keypoint_estimator",)),
    "both": Branch(
        outputs=frozenset({"hand", "appearance", "rendering", "heatmaps"}), parts=tuple(PARTS)
    ),
    "appearance": Branch(
        outputs=frozenset({"hand", "appearance", "rendering"}), parts=("texture_light_head",)
    ),
}

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
