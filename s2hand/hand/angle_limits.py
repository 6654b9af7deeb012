"""Anatomical angles of the hand's joints, and the ranges in which they stay.

A finger joint turns by bending, by spreading and hardly by twisting. :func:`anatomical_frames`
finds these three axes for each joint from the hand at rest; :func:`full_pose_to_anatomical`
decomposes rotations along them. The released code applies the same ranges to the raw axis-angle
components in the model's frame, whose axes x, y, z lie near twist, spread and bend.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from s2hand.geometry.rotations import axis_angle_to_matrix
from s2hand.hand.joints import FINGERS, JOINT_NAMES, MANO_JOINTS

_Ranges = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

_KNUCKLE: _Ranges = ((-5, 5), (-10, 10), (-10, 100))
_HINGE: _Ranges = ((-5, 5), (-5, 5), (-10, 100))

RELEASED_LIMITS_DEG: dict[str, _Ranges] = {
    **{f"{finger}_1": _KNUCKLE for finger in ("index", "middle", "ring")},
    "little_1": ((-20, 5), (-10, 20), (-10, 100)),
    **{f"{finger}_{k}": _HINGE for finger in FINGERS[1:] for k in (2, 3)},
    "thumb_1": ((0, 90), (-22.5, 33.75), (-22.5, 22.5)),
    "thumb_2": ((-5, 5), (-5, 5), (-22.5, 22.5)),
    "thumb_3": ((-5, 5), (-5, 5), (-20, 100)),
}
"""Ranges of the raw axis-angle components x, y, z in degrees; S2HAND code, ``losses.py``."""

ANATOMICAL_LIMITS_DEG: dict[str, _Ranges] = RELEASED_LIMITS_DEG | {
    "thumb_1": ((-22.5, 45), (-22.5, 45), (-22.5, 45)),
    "thumb_2": ((-5, 5), (-5, 5), (-10, 60)),
}
"""Ranges of twist, spread and bend in degrees.

For the four fingers the released numbers, as the paper means them. The released numbers of the
thumb's first two joints describe MANO's axes, which lie across the thumb; here they are replaced
by ranges of its own axes: at the CMC joint wide enough for the 53° of flexion, 42° of abduction
and 17° of axial rotation that Cooney et al. measured, opposition included, and at the MCP joint
the clinical 0-60° of flexion with 10° of extension.

References:
    Cooney et al., "The kinesiology of the thumb trapeziometacarpal joint", JBJS 63-A, 1981.
"""

_TINY = 1e-12


def limits_rad(
    table: dict[str, _Ranges],
) -> tuple[Float[Tensor, "15 3"], Float[Tensor, "15 3"]]:
    """Return a table's lower and upper limits in radians, joints in MANO's order."""
    degrees = torch.tensor([table[name] for name in MANO_JOINTS[1:]], dtype=torch.float64)
    radians = (degrees * (math.pi / 180)).float()
    return radians[..., 0], radians[..., 1]


def anatomical_frames(rest_joints: Float[Tensor, "21 3"]) -> Float[Tensor, "15 3 3"]:
    """Return each articulated joint's axes (columns twist, spread, bend), MANO's joint order.

    Convention:
        Right-handed. Twist runs along the bone towards the wrist; bend is perpendicular to it and
        to the finger's back, positive for flexion; spread is what remains, close to the direction
        of the nail, positive towards the thumb. In MANO's frame a finger along -x has the axes
        x, y, z.

    The back of the fingers is the palm's normal; that of the thumb, which is turned against the
    palm, is the mean of the directions dorsal, radial and towards the wrist.

    Args:
        rest_joints: Joints of the hand at rest, OpenPose order (``HandLayer.rest_joints``).

    References:
        The choice of the thumb's back follows manotorch's ``AxisLayer`` (Yang et al., CPF, 2021).
    """
    names = JOINT_NAMES["openpose"]
    joints = dict(zip(names, rest_joints.unbind(0), strict=True))
    to_index = joints["index_1"] - joints["wrist"]
    to_little = joints["little_1"] - joints["wrist"]
    dorsal = _unit(torch.linalg.cross(to_little, to_index))
    proximal = _unit(joints["wrist"] - joints["middle_1"])
    proximal = _unit(proximal - (proximal @ dorsal) * dorsal)
    radial = torch.linalg.cross(proximal, dorsal)
    thumb_back = _unit(dorsal + radial + proximal)
    frames = []
    for name in MANO_JOINTS[1:]:
        child = joints[names[names.index(name) + 1]]
        twist = _unit(joints[name] - child)
        back = thumb_back if name.startswith("thumb") else dorsal
        bend = _unit(torch.linalg.cross(twist, back))
        frames.append(torch.stack((twist, torch.linalg.cross(bend, twist), bend), dim=-1))
    return torch.stack(frames)


def full_pose_to_anatomical(
    hand_pose: Float[Tensor, "*batch 15 3"], frames: Float[Tensor, "15 3 3"]
) -> Float[Tensor, "*batch 15 3"]:
    """Decompose joint rotations into twist, spread and bend.

    The rotation is bend ∘ spread ∘ twist: bend about the parent's axis, twist about the bone
    itself, spread about the axis between them. So bend and spread say where the bone points.
    Angles lie in -pi..pi, spread in -pi/2..pi/2; gradients are finite everywhere, also where a
    spread of 90° leaves the other two undetermined.

    Args:
        hand_pose: Axis-angle, MANO's order, the mean pose included.
        frames: From :func:`anatomical_frames`.

    References:
        Grood & Suntay, "A joint coordinate system for the clinical description of
        three-dimensional motions", J. Biomech. Eng. 105, 1983; recommended for the hand by Wu et
        al., "ISB recommendation …, part II", J. Biomech. 38, 2005.
    """
    rotation = frames.transpose(-1, -2) @ axis_angle_to_matrix(hand_pose) @ frames
    bone_x, bone_y, bone_z = rotation[..., 0].unbind(-1)  # the twist axis after the rotation
    in_plane = (bone_x * bone_x + bone_y * bone_y).clamp_min(_TINY).sqrt()
    twist = _safe_atan2(rotation[..., 2, 1], rotation[..., 2, 2])
    spread = torch.atan2(-bone_z, in_plane)
    bend = _safe_atan2(bone_y, bone_x)
    return torch.stack((twist, spread, bend), dim=-1)


def anatomical_to_full_pose(
    angles: Float[Tensor, "*batch 15 3"], frames: Float[Tensor, "15 3 3"]
) -> Float[Tensor, "*batch 15 3 3"]:
    """Return the rotation matrices of twist, spread and bend: the inverse decomposition."""
    axes = torch.eye(3, dtype=angles.dtype, device=angles.device)
    twist, spread, bend = (axis_angle_to_matrix(angles[..., k : k + 1] * axes[k]) for k in range(3))
    return frames @ bend @ spread @ twist @ frames.transpose(-1, -2)


def _safe_atan2(y: Tensor, x: Tensor) -> Tensor:
    """Return atan2, with zero gradients where both arguments vanish."""
    undetermined = x * x + y * y < _TINY
    return torch.atan2(y, torch.where(undetermined, torch.ones_like(x), x))


def _unit(vector: Tensor) -> Tensor:
    return vector / torch.linalg.vector_norm(vector)
