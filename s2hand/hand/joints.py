"""Names of the hand's joints, and the joint orders in use, as data.

Inside this project joints are in OpenPose order; every other order is converted here, by name.
"""

from typing import Literal

import torch
from jaxtyping import Shaped
from torch import Tensor

JointOrder = Literal["openpose", "mano_tips", "s2hand"]
"""``openpose``: OpenPose's, FreiHAND's and ours. ``mano_tips``: smplx's joints with the tips after
them, which is HO-3D's. ``s2hand``: the released code's raw order."""

FINGERS = ("thumb", "index", "middle", "ring", "little")
"""From the thumb to the little finger, which MANO's papers call pinky."""

_MANO_FINGERS = ("index", "middle", "little", "ring", "thumb")


def _whole_fingers(fingers: tuple[str, ...]) -> tuple[str, ...]:
    return ("wrist", *(f"{finger}_{k}" for finger in fingers for k in (1, 2, 3, "tip")))


JOINT_NAMES: dict[JointOrder, tuple[str, ...]] = {
    "openpose": _whole_fingers(FINGERS),
    "mano_tips": (
        "wrist",
        *(f"{finger}_{k}" for finger in _MANO_FINGERS for k in (1, 2, 3)),
        *(f"{finger}_tip" for finger in FINGERS),
    ),
    "s2hand": _whole_fingers(_MANO_FINGERS),
}
"""The 21 names in each order. 1, 2 and 3 are the joints at which a finger's bones begin: MCP, PIP
and DIP, for the thumb CMC, MCP and IP."""

MANO_JOINTS = JOINT_NAMES["mano_tips"][:16]
"""The joints that rotate, in the order of MANO's kinematic tree."""

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
"""Parent of each joint in MANO's kinematic tree; -1 for the wrist."""

BONES = tuple(
    (0 if k == 0 else 4 * finger + k, 4 * finger + k + 1) for finger in range(5) for k in range(4)
)
"""The 20 pairs (parent, child) in OpenPose order, thumb first, from the wrist outwards."""


def joint_permutation(source: JointOrder, target: JointOrder) -> list[int]:
    """Return the indices that bring joints from one order to another.

    ``joints[..., joint_permutation(source, target), :]`` works on arrays and tensors alike.
    """
    position = {name: index for index, name in enumerate(JOINT_NAMES[source])}
    return [position[name] for name in JOINT_NAMES[target]]


def reorder_joints(
    joints: Shaped[Tensor, "*batch 21 values"], *, source: JointOrder, target: JointOrder
) -> Shaped[Tensor, "*batch 21 values"]:
    """Bring joints, or anything that is kept per joint, from one order to another."""
    permutation = torch.tensor(joint_permutation(source, target), device=joints.device)
    return joints.index_select(-2, permutation)
