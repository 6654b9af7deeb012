"""Losses over the frames of a clip: quaternion (Eq. 17), temporal and smooth."""

import torch
from jaxtyping import Float
from torch import Tensor

from s2hand.geometry.rotations import axis_angle_to_quaternion, quaternion_distance
from s2hand.losses.formula import Formula, Given, per_clip

ClipQuaternions = Float[Tensor, "clips frames rotations 4"]
"""Rotations of each frame of each clip as unit quaternions (w, x, y, z)."""


def quaternion_loss(quaternions: ClipQuaternions) -> Float[Tensor, ""]:
    """Penalise detours: the way through the frames minus the direct way from first to last.

    Zero when every joint turns about a fixed axis, at whatever speed, without turning back; never
    negative, by the triangle inequality. Summed over clips and rotations, radians.

    References:
        Paper Eq. 17.
    """
    way = _neighbour_angles(quaternions).sum(dim=1)
    direct = quaternion_distance(quaternions[:, 0], quaternions[:, -1])
    return (way - direct).sum()


def temporal_loss(quaternions: ClipQuaternions) -> Float[Tensor, ""]:
    """Draw neighbouring frames together: the squared rotations between them, rad², summed up.

    References:
        Compared with in the paper's Tables 4 and 5 without a formula; this one is ours.
    """
    return _neighbour_angles(quaternions).square().sum(dim=1).sum()


def smooth_loss(quaternions: ClipQuaternions, *, threshold_rad: float) -> Float[Tensor, ""]:
    """Limit neighbouring frames: the rotations beyond a threshold, radians, summed up.

    References:
        Compared with in the paper's Tables 4 and 5 without a formula; this one is ours.
    """
    excess = (_neighbour_angles(quaternions) - threshold_rad).clamp(min=0)
    return excess.sum(dim=1).sum()


def _neighbour_angles(
    quaternions: ClipQuaternions,
) -> Float[Tensor, "clips pairs rotations"]:
    return quaternion_distance(quaternions[:, :-1], quaternions[:, 1:])


def _quaternions(given: Given) -> ClipQuaternions:
    full_pose = torch.cat([given.hand.global_orient[:, None], given.hand.hand_pose], dim=1)
    return given.clips(axis_angle_to_quaternion(full_pose))


FORMULAS = {
    "quaternion": Formula(
        count=lambda batch, _: per_clip(batch, 16),
        total=lambda given, _: quaternion_loss(_quaternions(given)),
    ),
    "temporal": Formula(
        count=lambda batch, _: per_clip(batch, 16),
        total=lambda given, _: temporal_loss(_quaternions(given)),
    ),
    "smooth": Formula(
        count=lambda batch, _: per_clip(batch, 16),
        total=lambda given, settings: smooth_loss(
            _quaternions(given), threshold_rad=settings.smooth_threshold_rad
        ),
    ),
}
