"""Pose correctives: what linear blend skinning loses at a bent joint, fitted per joint."""

from typing import Final

import numpy as np
from scipy.spatial.transform import Rotation

from tools.embedded_hand.skeleton import PARENTS, Array, Skeleton

_BENDS_DEG: Final = (-15.0, 0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
_SPREADS_DEG: Final = (-12.0, 0.0, 12.0)
_RIDGE: Final = 2e-3


def build_correctives(skeleton: Skeleton, points: Array, weights: Array) -> Array:
    """Fit displacements linear in (R_j − I), row by row: V × 3 × 135.

    The target turns a vertex that follows a joint by the fraction W through W times the joint's
    rotation vector, about the joint: it keeps its distance from the joint, where linear blending
    cuts the corner. The difference, taken back to the rest pose, is fitted over bends and
    spreads of that joint alone. It vanishes where W is 0 or 1.
    """
    posedirs = np.zeros((len(points), 3, 135))
    for joint in range(1, 16):
        follow = weights[:, _subtree(joint)].sum(axis=1)
        near = np.flatnonzero((follow > 1e-3) & (follow < 1.0 - 1e-3))
        rotations = _sample_rotations(skeleton.frames[joint], thumb=joint == 13)
        features = (rotations.as_matrix() - np.eye(3)).reshape(-1, 9)
        targets = np.stack(
            [
                _correction(points[near] - skeleton.joints[joint], follow[near], rotation)
                for rotation in rotations
            ]
        )
        gram = features.T @ features + _RIDGE * np.eye(9)
        solved = np.linalg.solve(gram, features.T @ targets.reshape(len(features), -1))
        posedirs[near, :, 9 * (joint - 1) : 9 * joint] = solved.reshape(9, -1, 3).transpose(1, 2, 0)
    return posedirs


def _subtree(joint: int) -> list[int]:
    """A joint and all joints that it carries."""
    members = [joint]
    for child in range(joint + 1, 16):
        if PARENTS[child] in members:
            members.append(child)
    return members


def _sample_rotations(frame: Array, *, thumb: bool) -> Rotation:
    if thumb:
        grid = np.array([-20.0, 0.0, 20.0, 40.0])
        degrees = np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1, 3)
    else:
        degrees = np.array([(0.0, spread, bend) for bend in _BENDS_DEG for spread in _SPREADS_DEG])
    return Rotation.from_rotvec(np.radians(degrees) @ frame.T)


def _correction(arm: Array, follow: Array, rotation: Rotation) -> Array:
    """The rest-pose displacement after which linear blending meets the target."""
    matrix = rotation.as_matrix()
    blend = (1.0 - follow)[:, None, None] * np.eye(3) + follow[:, None, None] * matrix
    partial = Rotation.from_rotvec(follow[:, None] * rotation.as_rotvec())
    wanted = partial.apply(arm)
    return np.linalg.solve(blend, wanted[:, :, None])[:, :, 0] - arm
