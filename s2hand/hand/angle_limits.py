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

from s2hand.geometry.rotations import (
    axis_angle_to_quaternion,
    quaternion_conjugate,
    quaternion_multiply,
    quaternion_to_axis_angle,
)
from s2hand.hand.joints import FINGERS, JOINT_NAMES, MANO_JOINTS

Ranges = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""Lowest and highest angle of each of a joint's three axes."""

_KNUCKLE: Ranges = ((-5.0, 5.0), (-10.0, 10.0), (-10.0, 100.0))
_HINGE: Ranges = ((-5.0, 5.0), (-5.0, 5.0), (-10.0, 100.0))

RELEASED_LIMITS_DEG: dict[str, Ranges] = {
    **{f"{finger}_1": _KNUCKLE for finger in ("index", "middle", "ring")},
    "little_1": ((-20.0, 5.0), (-10.0, 20.0), (-10.0, 100.0)),
    **{f"{finger}_{k}": _HINGE for finger in FINGERS[1:] for k in (2, 3)},
    "thumb_1": ((0.0, 90.0), (-22.5, 33.75), (-22.5, 22.5)),
    "thumb_2": ((-5.0, 5.0), (-5.0, 5.0), (-22.5, 22.5)),
    "thumb_3": ((-5.0, 5.0), (-5.0, 5.0), (-20.0, 100.0)),
}
"""Ranges of the raw axis-angle components x, y, z in degrees; S2HAND code, ``losses.py``."""

ANATOMICAL_LIMITS_DEG: dict[str, Ranges] = RELEASED_LIMITS_DEG | {
    "thumb_1": ((-22.5, 45.0), (-22.5, 45.0), (-22.5, 45.0)),
    "thumb_2": ((-5.0, 5.0), (-5.0, 5.0), (-10.0, 60.0)),
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

_HALF_TURN = 1e-10
"""Square of the cosine of half the swing below which the swing counts as half a turn."""


def limits_rad(
    table: dict[str, Ranges],
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

    A finger's last bone ends in no joint, so it is taken to lie at rest in line with the one
    before it; the choice of fingertip vertices must not change the axes.

    The back of the fingers is the palm's normal; that of the thumb, which is turned against the
    palm, is the mean of the directions dorsal, radial and towards the wrist.

    Args:
        rest_joints: Joints of the hand at rest, OpenPose order (``HandLayer.rest_joints``).

    References:
        The choice of the thumb's back follows manotorch's ``AxisLayer`` (Yang et al., CPF, 2021).
    """
    joints = dict(zip(JOINT_NAMES["openpose"], rest_joints.unbind(0), strict=True))
    to_index = joints["index_1"] - joints["wrist"]
    to_little = joints["little_1"] - joints["wrist"]
    dorsal = _unit(torch.linalg.cross(to_little, to_index))
    proximal = _unit(joints["wrist"] - joints["middle_1"])
    proximal = _unit(proximal - (proximal @ dorsal) * dorsal)
    radial = torch.linalg.cross(proximal, dorsal)
    thumb_back = _unit(dorsal + radial + proximal)
    frames = []
    for name in MANO_JOINTS[1:]:
        finger, number = name.split("_")
        bone = min(int(number), 2)
        twist = _unit(joints[f"{finger}_{bone}"] - joints[f"{finger}_{bone + 1}"])
        back = thumb_back if finger == "thumb" else dorsal
        bend = _unit(torch.linalg.cross(twist, back))
        frames.append(torch.stack((twist, torch.linalg.cross(bend, twist), bend), dim=-1))
    return torch.stack(frames)


def full_pose_to_anatomical(
    hand_pose: Float[Tensor, "*batch 15 3"], frames: Float[Tensor, "15 3 3"]
) -> Float[Tensor, "*batch 15 3"]:
    """Decompose joint rotations into twist, spread and bend.

    Each rotation is a twist about the bone followed by a swing without twist; spread and bend are
    the components of the swing's rotation vector. So for a rotation without twist the angles are
    its axis-angle vector seen in the joint's frame, and postures that mix such vectors linearly,
    as principal components do, stay free of twist. Euler angles lack that property.

    Angles lie in -pi..pi; gradients are finite everywhere, also at zero and where a swing of 180°
    leaves the twist undetermined (there it is 0).

    Args:
        hand_pose: Axis-angle, MANO's order, the mean pose included.
        frames: From :func:`anatomical_frames`.

    References:
        Baerlocher & Boulic, "Parametrization and range of motion of the ball-and-socket joint",
        2001; Grassia, "Practical parameterization of rotations using the exponential map", 1998.
    """
    local = (frames.transpose(-1, -2) @ hand_pose[..., None]).squeeze(-1)
    rotation = axis_angle_to_quaternion(local)
    about_bone = torch.cat((rotation[..., :2], torch.zeros_like(rotation[..., 2:])), dim=-1)
    squared = (about_bone * about_bone).sum(-1, keepdim=True)
    identity = torch.zeros_like(rotation)
    identity[..., 0] = 1
    twist = torch.where(squared < _HALF_TURN, identity, about_bone)
    swing = quaternion_multiply(rotation, quaternion_conjugate(twist))
    twist_angle = quaternion_to_axis_angle(twist)[..., :1]
    return torch.cat((twist_angle, quaternion_to_axis_angle(swing)[..., 1:]), dim=-1)


def _unit(vector: Tensor) -> Tensor:
    return vector / torch.linalg.vector_norm(vector)
