"""How smooth predictions are over the consecutive frames of a sequence."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from s2hand.geometry.rotations import axis_angle_to_quaternion, quaternion_distance
from s2hand.metrics.errors import MM_PER_M

WINDOW_FRAMES = 3
"""Both an acceleration and the quaternion metric look at three consecutive frames."""


def consecutive_windows(
    sequences: Sequence[str], frames: Int[np.ndarray, "n"]
) -> Int[np.ndarray, "windows 3"]:
    """Return the samples of every three consecutive frames of a sequence, in order of time.

    Convention:
        Consecutive means that the true frame numbers differ by one. Windows never cross from one
        sequence to the next, nor a gap in the numbering. Samples may come in any order; those of
        sequence ``""`` (image collections) belong to none.
    """
    sample_of = {
        (sequence, int(frame)): sample
        for sample, (sequence, frame) in enumerate(zip(sequences, frames, strict=True))
        if sequence
    }
    windows = [
        [sample_of[sequence, frame + step] for step in range(WINDOW_FRAMES)]
        for sequence, frame in sorted(sample_of)
        if all((sequence, frame + step) in sample_of for step in range(1, WINDOW_FRAMES))
    ]
    return np.asarray(windows, dtype=np.int64).reshape(-1, WINDOW_FRAMES)


def acceleration_mm(
    joints: Float[np.ndarray, "n 21 3"], windows: Int[np.ndarray, "windows 3"]
) -> Float[np.ndarray, "windows"]:
    """Return ACC: the length of the second difference, mean over joints, mm per frame².

    Convention:
        Joints are taken relative to the wrist, whose own zero is part of the mean, and nothing is
        divided by the frame time: papers that print mm/s² mean this number. The wrist is taken
        out because HMMR's and VIBE's bodies are root-centred too, and because the distance to the
        camera, which one image hardly shows, would drown everything else.

    References:
        Kanazawa et al., "Learning 3D Human Dynamics from Video", 2019; VIBE's evaluation. Unlike
        VIBE's, windows do not run over the borders of sequences.
    """
    return _length_mm(_second_difference(joints, windows))


def acceleration_error_mm(
    predicted: Float[np.ndarray, "n 21 3"],
    truth: Float[np.ndarray, "n 21 3"],
    windows: Int[np.ndarray, "windows 3"],
) -> Float[np.ndarray, "windows"]:
    """Return ACC-ERR: the distance between predicted and true second differences.

    Convention:
        As ``acceleration_mm``: relative to the wrist, mean over joints, mm per frame².
    """
    return _length_mm(_second_difference(predicted, windows) - _second_difference(truth, windows))


def quaternion_detour_rad(
    full_pose: Float[np.ndarray, "n 16 3"], windows: Int[np.ndarray, "windows 3"]
) -> Float[np.ndarray, "windows"]:
    """Return how far each window's rotations stray from the shortest way, mean over 16 joints.

    With Ψ the angle between two rotations and frames 1, 2, 3, the value is
    Ψ(1, 2) + Ψ(2, 3) − Ψ(1, 3): zero for a rotation about a fixed axis that does not turn back.

    Args:
        full_pose: Axis-angle vectors, wrist first, radians.
        windows: Samples of three consecutive frames.

    References:
        Paper Eq. 17 with n = 3 at interval 1, as the metric of Table 5.
    """
    poses = torch.from_numpy(np.asarray(full_pose, np.float64))
    quaternions = axis_angle_to_quaternion(poses)[torch.from_numpy(windows)]
    first, second, third = quaternions.unbind(dim=1)
    detour = (
        quaternion_distance(first, second)
        + quaternion_distance(second, third)
        - quaternion_distance(first, third)
    )
    return detour.mean(dim=-1).numpy()


def _second_difference(
    joints: Float[np.ndarray, "n 21 3"], windows: Int[np.ndarray, "windows 3"]
) -> Float[np.ndarray, "windows 21 3"]:
    relative = np.asarray(joints, np.float64)
    relative = relative - relative[:, :1]
    before, centre, after = (relative[windows[:, step]] for step in range(WINDOW_FRAMES))
    return before - 2 * centre + after


def _length_mm(vectors: Float[np.ndarray, "windows 21 3"]) -> Float[np.ndarray, "windows"]:
    return np.linalg.norm(vectors, axis=-1).mean(axis=1) * MM_PER_M
