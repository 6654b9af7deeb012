"""Named postures of the hand, for pictures and checks."""

import torch
from jaxtyping import Float
from torch import Tensor

_ROWS = {"index": 0, "middle": 3, "little": 6, "ring": 9, "thumb": 12}
"""Row of each finger's first joint among MANO's 15 articulated joints."""

_CLOSED = (72.0, 92.0, 58.0)
_BENDS_DEG: dict[str, dict[str, tuple[float, float, float]]] = {
    "flat": {},
    "spread": {},
    "fist": dict.fromkeys(("index", "middle", "ring", "little"), _CLOSED),
    "point": dict.fromkeys(("middle", "ring", "little"), _CLOSED),
    "pinch": {
        "index": (50.0, 52.0, 32.0),
        "middle": (30.0, 36.0, 20.0),
        "ring": (24.0, 32.0, 18.0),
        "little": (20.0, 28.0, 16.0),
    },
}
"""Bend of a long finger's three joints; 0 where a finger is not named."""

_SPREADS_DEG: dict[str, dict[str, float]] = {
    "spread": {"index": 9.0, "middle": 1.0, "ring": -8.0, "little": -9.0},
}

_THUMBS_DEG: dict[str, tuple[float, float, float, float, float]] = {
    "spread": (0.0, 0.0, -15.0, 0.0, 0.0),
    "fist": (19.0, 10.0, 31.0, 25.0, 42.0),
    "point": (19.0, 10.0, 31.0, 25.0, 42.0),
    "pinch": (26.0, 19.0, 22.0, 19.0, 31.0),
}
"""Twist, spread and bend of the thumb's first joint, bend of its second and third."""

POSTURES = tuple(_BENDS_DEG)
"""The names that ``named_posture`` knows."""


def named_posture(name: str, frames: Float[Tensor, "15 3 3"]) -> Float[Tensor, "15 3"]:
    """Give a posture as axis-angle vectors relative to the flat hand, radians, MANO's order.

    Args:
        name: One of ``POSTURES``.
        frames: The hand's ``anatomical_frames``.

    Raises:
        KeyError: If there is no posture of that name.
    """
    angles_deg = frames.new_zeros(15, 3)
    for finger, bends in _BENDS_DEG[name].items():
        angles_deg[_ROWS[finger] : _ROWS[finger] + 3, 2] = frames.new_tensor(bends)
    for finger, spread in _SPREADS_DEG.get(name, {}).items():
        angles_deg[_ROWS[finger], 1] = spread
    if name in _THUMBS_DEG:
        *first, second, third = _THUMBS_DEG[name]
        thumb = _ROWS["thumb"]
        angles_deg[thumb] = frames.new_tensor(first)
        angles_deg[thumb + 1, 2], angles_deg[thumb + 2, 2] = second, third
    return torch.einsum("jca,ja->jc", frames, torch.deg2rad(angles_deg))
