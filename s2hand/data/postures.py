"""Whether true joints lie where the true pose turns them, told without the hand model.

A pose turns each bone of the hand at rest. Turned back, a bone is the same in all frames of one
hand, whatever hand model the set was made with: MANO need not be at hand. What only the model can
tell is not compared: the shape coefficients, the translation, and the fingertips.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32

from s2hand.data.plausibility import Share
from s2hand.geometry.rotations import axis_angle_to_matrix
from s2hand.hand.joints import MANO_JOINTS, PARENTS, joint_permutation

_NEAR = 0.1
"""Of a bone's length. On the synthetic benchmark bones agree to 4e-6, the rounding of float32; of
poses from another frame of the sequence half do to 0.1, from another sequence none. The margin is
for joints that were rounded or smoothed after the fit: with 1 mm of noise 98 % agree."""
_MANO_ORDER = joint_permutation("openpose", "mano_tips")[: len(MANO_JOINTS)]


def posture_share(
    joints: Float32[np.ndarray, "n 21 3"],
    rotations: Float32[np.ndarray, "n 16 3"],
    sequences: Sequence[str],
    where: str,
) -> Share:
    """Compare the joints of each sequence, which shows one hand, with its poses.

    Args:
        joints: Metres, OpenPose order.
        rotations: Axis-angle, wrist first, in the frame of ``joints``.
        sequences: Of each row; one that has a single row agrees with itself.
        where: The files that hold both.

    References:
        Romero et al., "Embodied Hands", 2017: joints are posed along the kinematic tree.
    """
    bones = _at_rest(joints, rotations)
    names = np.array(sequences)
    near = np.empty(bones.shape[:2], bool)
    for name in dict.fromkeys(sequences):
        own = bones[names == name]
        usual = np.median(own, axis=0)
        limits = _NEAR * np.linalg.norm(usual, axis=-1)
        near[names == name] = np.linalg.norm(own - usual, axis=-1) <= limits
    return Share(
        subject="poses and joints agree",
        value=float(near.mean()),
        of=f"of the bones, turned back by their pose, lie within {_NEAR:.0%} of their length of "
        "the same bone in the other frames of the sequence",
        where=where,
        remedy="handPose and handJoints3D must be of the same frame and release, the pose absolute "
        "(a flat hand is zero), in MANO's order of joints",
    )


def _at_rest(
    joints: Float32[np.ndarray, "n 21 3"], rotations: Float32[np.ndarray, "n 16 3"]
) -> Float32[np.ndarray, "n 15 3"]:
    """Turn the bones between MANO's joints back to where they are at rest, wrist outwards."""
    own = axis_angle_to_matrix(torch.from_numpy(rotations)).numpy()
    places, turns, bones = joints[:, _MANO_ORDER], [own[:, 0]], []
    for joint, parent in list(enumerate(PARENTS))[1:]:
        bone = places[:, joint] - places[:, parent]
        bones.append(np.einsum("nba,nb->na", turns[parent], bone))
        turns.append(turns[parent] @ own[:, joint])
    return np.stack(bones, axis=1)
