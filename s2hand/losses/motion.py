"""Losses over the frames of a clip: quaternion (Eq. 17), temporal and smooth."""

from jaxtyping import Float
from torch import Tensor

from s2hand.geometry.rotations import quaternion_distance
from s2hand.losses.loss_sum import LossSum, count_like

ClipQuaternions = Float[Tensor, "clips frames rotations 4"]
"""Rotations of each frame of each clip as unit quaternions (w, x, y, z)."""


def quaternion_loss(quaternions: ClipQuaternions) -> LossSum:
    """Penalise detours: the way through the frames minus the direct way from first to last.

    Zero when every joint turns about a fixed axis, at whatever speed, without turning back; never
    negative, by the triangle inequality. Mean over clips and rotations, radians.

    References:
        Paper Eq. 17.
    """
    way = _neighbour_angles(quaternions).sum(dim=1)
    direct = quaternion_distance(quaternions[:, 0], quaternions[:, -1])
    return _mean_over_clips_and_rotations(way - direct)


def temporal_loss(quaternions: ClipQuaternions) -> LossSum:
    """Draw neighbouring frames together: the sum of squared rotations between them, rad².

    References:
        Compared with in the paper's Tables 4 and 5 without a formula; this one is ours.
    """
    return _mean_over_clips_and_rotations(_neighbour_angles(quaternions).square().sum(dim=1))


def smooth_loss(quaternions: ClipQuaternions, *, threshold_rad: float) -> LossSum:
    """Limit neighbouring frames: the sum of rotations beyond a threshold, radians.

    References:
        Compared with in the paper's Tables 4 and 5 without a formula; this one is ours.
    """
    excess = (_neighbour_angles(quaternions) - threshold_rad).clamp(min=0)
    return _mean_over_clips_and_rotations(excess.sum(dim=1))


def _neighbour_angles(
    quaternions: ClipQuaternions,
) -> Float[Tensor, "clips pairs rotations"]:
    return quaternion_distance(quaternions[:, :-1], quaternions[:, 1:])


def _mean_over_clips_and_rotations(values: Float[Tensor, "clips rotations"]) -> LossSum:
    return LossSum(total=values.sum(), count=count_like(values, values.numel()))
