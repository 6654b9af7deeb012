"""What is known of hands before any image: E_beta, E_s and E_J (Eq. 9)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from s2hand.hand.angle_limits import (
    ANATOMICAL_LIMITS_DEG,
    RELEASED_LIMITS_DEG,
    anatomical_frames,
    full_pose_to_anatomical,
    limits_rad,
)
from s2hand.losses.formula import Formula, per_frame
from s2hand.losses.norm import safe_norm
from s2hand.types import Joints

ShapeForm = Literal["norm", "squared"]
BoneLengthForm = Literal["squared", "absolute"]
JointAngleForm = Literal["anatomical", "axis_angle"]

REFERENCE_BONE_LENGTH_M = 0.0282
"""Middle finger, joints 9 to 10; released code, ``mscale``."""

_MIDDLE_MCP, _MIDDLE_PIP = 9, 10


def shape_prior(betas: Float[Tensor, "batch 10"], *, form: ShapeForm = "norm") -> Float[Tensor, ""]:
    """Keep the shape near the mean (E_beta).

    Args:
        betas: shape coefficients.
        form: ``norm`` is the Euclidean length of a hand's coefficients, one value per frame, with
            a gradient of zero where all are zero; ``squared`` takes the square of each of the ten,
            which pulls ever less the nearer they are to zero. Summed up, both.

    References:
        Paper §3.2.4 prints the norm; the released code's ``mshape`` is the mean of the squares.
    """
    return (safe_norm(betas) if form == "norm" else betas.square()).sum()


def posture_prior(hand_pose_pca: Float[Tensor, "batch components"]) -> Float[Tensor, ""]:
    """Keep postures plausible: the squares of their PCA coefficients, summed up.

    MANO scales its components to unit variance, so this is the negative logarithm of a Gaussian
    prior, up to a factor. Neither the paper nor the released code has it.
    """
    return hand_pose_pca.square().sum()


def bone_length_prior(joints: Joints, *, form: BoneLengthForm = "squared") -> Float[Tensor, ""]:
    """Keep the size real: the length of the middle finger's first bone (E_s), summed over frames.

    Args:
        joints: metres, after the scale was applied.
        form: ``squared`` (m²) or ``absolute`` (m), as the released code.

    References:
        Paper §3.2.4, without a formula; its weight of 100 only makes sense with the square.
    """
    length = torch.linalg.vector_norm(
        joints[..., _MIDDLE_MCP, :] - joints[..., _MIDDLE_PIP, :], dim=-1
    )
    error = length - REFERENCE_BONE_LENGTH_M
    return (error.square() if form == "squared" else error.abs()).sum()


class JointAnglePrior:
    """Keep joint angles in their ranges: the angle by which each leaves its own, radians (E_J).

    Args:
        form: ``anatomical`` takes twist, spread and bend in each joint's frame, all alike;
            ``axis_angle`` takes MANO's raw components and counts the third twice, as the released
            code, whose mean also runs over the wrist's constant row.
        rest_joints: joints of the hand at rest, OpenPose order; the frames follow from them.

    References:
        Paper §3.2.4 ("feasible range for each rotation angle"); released code, ``tsa_poses``.
    """

    def __init__(self, form: JointAngleForm, rest_joints: Float[Tensor, "21 3"]) -> None:
        is_anatomical = form == "anatomical"
        lower, upper = limits_rad(ANATOMICAL_LIMITS_DEG if is_anatomical else RELEASED_LIMITS_DEG)
        self._lower, self._upper = lower.to(rest_joints), upper.to(rest_joints)
        self._emphasis = rest_joints.new_tensor([1.0, 1.0, 1.0 if is_anatomical else 2.0])
        self._frames = anatomical_frames(rest_joints) if is_anatomical else None
        self.num_angles = (15 if is_anatomical else 16) * 3
        """Angles of a frame, over which the mean is taken."""

    def __call__(self, hand_pose: Float[Tensor, "batch 15 3"]) -> Float[Tensor, ""]:
        """Sum the prior up over axis-angle rotations that include the mean pose."""
        angles = hand_pose
        if self._frames is not None:
            angles = full_pose_to_anatomical(hand_pose, self._frames)
        excess = (angles - self._upper).clamp(min=0) + (self._lower - angles).clamp(min=0)
        return (excess * self._emphasis).sum()


FORMULAS = {
    "shape_prior": Formula(
        count=lambda batch, settings: per_frame(batch, 1 if settings.shape_prior == "norm" else 10),
        total=lambda given, settings: shape_prior(given.hand.betas, form=settings.shape_prior),
    ),
    "posture_prior": Formula(
        count=lambda batch, _: per_frame(batch, 30),
        total=lambda given, _: posture_prior(given.hand.hand_pose_pca),
    ),
    "bone_length_prior": Formula(
        count=lambda batch, _: per_frame(batch, 1),
        total=lambda given, settings: bone_length_prior(
            given.hand.joints, form=settings.bone_length_prior
        ),
    ),
    "joint_angle_prior": Formula(
        prepare=lambda settings, rest_hand: JointAnglePrior(
            settings.joint_angle_prior, rest_hand.joints
        ),
        count=lambda batch, prior: per_frame(batch, prior.num_angles),
        total=lambda given, prior: prior(given.hand.hand_pose),
    ),
}
