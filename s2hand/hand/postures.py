"""Named postures of the hand, for pictures and checks."""

import numpy as np
from jaxtyping import Float

_FLEXION, _SPREAD, _TWIST = 2, 1, 0
_FINGERS = {"index": 0, "middle": 3, "little": 6, "ring": 9, "thumb": 12}
"""Row of each finger's first joint among MANO's 15 articulated joints."""

_CURLS_DEG: dict[str, dict[str, tuple[float, float, float]]] = {
    "rest": {},
    "fist": {
        **dict.fromkeys(("index", "middle", "ring", "little"), (80.0, 95.0, 60.0)),
        "thumb": (15.0, 20.0, 55.0),
    },
    "pinch": {
        "index": (50.0, 50.0, 30.0),
        "middle": (25.0, 30.0, 15.0),
        "ring": (18.0, 25.0, 12.0),
        "little": (12.0, 20.0, 10.0),
        "thumb": (15.0, 10.0, 25.0),
    },
    "point": {
        **dict.fromkeys(("middle", "ring", "little"), (75.0, 90.0, 55.0)),
        "thumb": (15.0, 20.0, 45.0),
    },
    "spread": {},
}
"""Flexion of each finger's three joints."""

_SPREADS_DEG: dict[str, dict[str, float]] = {
    "spread": {"index": -12.0, "middle": -2.0, "ring": 8.0, "little": 18.0, "thumb": -15.0},
}
"""Abduction of each finger's first joint, about MANO's y axis."""

_OPPOSITIONS_DEG: dict[str, tuple[float, float]] = {
    "fist": (45.0, 20.0),
    "pinch": (40.0, 5.0),
    "point": (45.0, 20.0),
}
"""The thumb's first joint about MANO's x and y axes."""

POSTURES = tuple(_CURLS_DEG)
"""The names that ``named_posture`` knows: rest is the flat hand."""


def named_posture(name: str) -> Float[np.ndarray, "15 3"]:
    """Give a posture as axis-angle vectors relative to the flat hand, radians, MANO's order.

    Raises:
        KeyError: If the name is not one of ``POSTURES``.
    """
    pose_deg = np.zeros((15, 3))
    for finger, curls in _CURLS_DEG[name].items():
        first = _FINGERS[finger]
        pose_deg[first : first + 3, _FLEXION] = curls
    for finger, spread in _SPREADS_DEG.get(name, {}).items():
        pose_deg[_FINGERS[finger], _SPREAD] = spread
    if name in _OPPOSITIONS_DEG:
        twist, spread = _OPPOSITIONS_DEG[name]
        pose_deg[_FINGERS["thumb"], _TWIST] = twist
        pose_deg[_FINGERS["thumb"], _SPREAD] = spread
    return np.deg2rad(pose_deg)
