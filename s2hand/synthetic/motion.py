"""Postures, and how hands move: key postures, quaternion paths, varied speed, pauses, reversals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from s2hand.geometry.rotations import (
    axis_angle_to_quaternion,
    quaternion_multiply,
    quaternion_to_axis_angle,
    slerp,
)
from s2hand.hand.model_data import HandModelData
from s2hand.synthetic.interpenetration import part_fingers, penetration_depths

FRAMES_PER_SECOND = 30
_DELAY_S = 0.07  # fingers do not start together
_CHOICES, _LOOKS = 4, 3
"""Postures to choose a sequence's key from, and how often the way to each is looked at."""

_PROFILES: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda u: u * u * (3 - 2 * u),  # ease in and out
    lambda u: u,
    lambda u: 1 - (1 - u) ** 2.5,  # fast start
    lambda u: u**2.2,  # slow start
    lambda u: u**3 * (u * (6 * u - 15) + 10),  # minimum jerk
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HandMotion:
    """A hand over time."""

    rotations: Float[np.ndarray, "times 16 3"]
    """Axis-angle: global orientation in the camera frame, then full ``hand_pose``."""
    offset: Float[np.ndarray, "times 3"]
    """Place of the hand relative to the middle of its path, in units of its range."""


def sample_postures(
    data: HandModelData,
    examples: Int[np.ndarray, "examples"],
    count: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, "count 15 3"]:
    """Draw hand postures: some of the model's own example postures, and mixtures of two of them.

    Fingers that would run into each other or into the palm are opened until they touch.
    """
    rows = data.hands_coeffs[examples[generator.integers(0, len(examples), (2, count))]]
    share = generator.uniform(0, 0.5, (count, 1)) * (generator.random((count, 1)) < 0.5)
    coefficients = rows[0] * (1 - share) + rows[1] * share
    pose = data.hands_mean + coefficients @ data.hands_components
    return part_fingers(data, pose.reshape(count, 15, 3))


def sample_orientations(count: int, generator: np.random.Generator) -> Float[np.ndarray, "count 3"]:
    """Draw global orientations: seen from all sides, fingers mostly up, forearm mostly below.

    A forearm that points at the camera would end in the picture; those are drawn again.
    """
    drawn = np.empty((0, 3))
    while len(drawn) < count:
        drawn = np.concatenate([drawn, _facing_away(_any_orientations(2 * count, generator))])
    return drawn[:count]


def _facing_away(orientations: np.ndarray) -> np.ndarray:
    forearm_depth = rotation_matrices(orientations)[:, 2, 0]
    return orientations[forearm_depth > -0.5]


def _any_orientations(count: int, generator: np.random.Generator) -> np.ndarray:
    # Fingers (−x) up, palm (−y) to the camera: x to y, y to z, z to x, a third of a turn.
    upright = np.full(3, 2 * np.pi / 3 / np.sqrt(3))
    yaw = generator.uniform(-np.pi, np.pi, count)
    pitch = generator.normal(0, 0.6, count)
    roll = generator.normal(0, 0.8, count)
    zero = np.zeros(count)
    result = _quaternion(np.broadcast_to(upright, (count, 3)))
    for vector in ((zero, yaw, zero), (pitch, zero, zero), (zero, zero, roll)):
        result = quaternion_multiply(_quaternion(np.stack(vector, -1)), result)
    return quaternion_to_axis_angle(result).numpy()


def sample_frames(count: int, generator: np.random.Generator) -> Int[np.ndarray, "count"]:
    """Number the annotated frames of a sequence: consecutive, with a few short gaps."""
    steps = np.ones(count, np.int64)
    gaps = generator.random(count) < 0.03
    steps[gaps] += generator.integers(1, 7, int(gaps.sum()))
    return np.cumsum(steps) - steps[0] + int(generator.integers(0, 4))


def sample_motion(
    data: HandModelData,
    examples: Int[np.ndarray, "examples"],
    times_s: Float[np.ndarray, "times"],
    generator: np.random.Generator,
) -> HandMotion:
    """Move a hand: fingers, orientation and place each follow a course of their own."""
    duration = float(times_s.max()) + 1.0
    fingers = _Course(duration, generator)
    postures = _sample_keys(data, examples, fingers, generator)
    delays = np.repeat(generator.uniform(-_DELAY_S, _DELAY_S, 5), 3)
    hand_pose = fingers.rotations(postures, times_s[:, None] + delays)
    turning = _Course(duration, generator)
    base = sample_orientations(1, generator)
    keys = _turned(base, turning.num_keys, generator)[:, None]
    global_orient = turning.rotations(keys, times_s[:, None])
    moving = _Course(duration, generator)
    places = generator.uniform(-1, 1, (moving.num_keys, 3))
    offset = moving.points(places, times_s) + 0.01 * _tremor(times_s, generator)
    return HandMotion(rotations=np.concatenate([global_orient, hand_pose], 1), offset=offset)


def _sample_keys(
    data: HandModelData,
    examples: np.ndarray,
    course: "_Course",
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw a course's key postures: of a few for each, the one whose way there is the freest."""
    shares = np.linspace(0, 1, _LOOKS + 2)[1:-1]
    drawn = sample_postures(data, examples, course.num_keys * _CHOICES, generator)
    choices = drawn.reshape(course.num_keys, _CHOICES, 15, 3)
    keys = choices[:, 0].copy()
    for key in range(1, course.num_keys):
        ways = _along_arc(keys[course.came_from(key)], choices[key], shares)
        depths = penetration_depths(data, ways.reshape(-1, 15, 3)).reshape(_CHOICES, -1)
        keys[key] = choices[key, depths.max(1).argmin()]
    return keys


def _along_arc(start: np.ndarray, ends: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Give postures (ends, shares, joints, 3) between one and several others."""
    first, last = _quaternion(start), _quaternion(ends)[:, None]
    first, last = torch.broadcast_tensors(first, last.expand(-1, len(shares), -1, -1))
    path = slerp(first, last, torch.from_numpy(shares)[:, None].expand(first.shape[:-1]))
    return quaternion_to_axis_angle(path).numpy()


def rotation_matrices(
    axis_angle: Float[np.ndarray, "*batch 3"],
) -> Float[np.ndarray, "*batch 3 3"]:
    """Turn axis-angle vectors into matrices."""
    return Rotation.from_rotvec(axis_angle.reshape(-1, 3)).as_matrix().reshape(*axis_angle.shape, 3)


def _turned(base: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Draw orientations near a base orientation."""
    drawn = np.empty((0, 3))
    while len(drawn) < count:
        turns = _quaternion(generator.normal(0, 0.38, (2 * count, 3)))
        start = _quaternion(base).expand_as(turns)
        near = quaternion_to_axis_angle(quaternion_multiply(turns, start))
        drawn = np.concatenate([drawn, _facing_away(near.numpy())])
    return drawn[:count]


class _Course:
    """When a motion is between which keys: segments with a speed profile, pauses between them."""

    def __init__(self, duration_s: float, generator: np.random.Generator) -> None:
        starts, ends, sources, targets, profiles = [], [], [], [], []
        time, current, previous, newest = -0.5, 0, 0, 0
        while time < duration_s:
            if generator.random() < 0.3:
                time += generator.uniform(0.1, 0.7)  # a pause
            reverses = previous != current and generator.random() < 0.3
            newest += not reverses
            target = previous if reverses else newest
            starts.append(time)
            time += generator.uniform(0.3, 1.3)
            ends.append(time)
            sources.append(current)
            targets.append(target)
            profiles.append(int(generator.integers(len(_PROFILES))))
            previous, current = current, target
        self.num_keys = newest + 1
        self._starts, self._ends = np.array(starts), np.array(ends)
        self._sources, self._targets = np.array(sources), np.array(targets)
        self._profiles = np.array(profiles)

    def came_from(self, key: int) -> int:
        """Name the key from which a key is reached first; every other way to it is a way back."""
        return int(self._sources[np.argmax(self._targets == key)])

    def points(self, keys: np.ndarray, times_s: np.ndarray) -> np.ndarray:
        """Interpolate points (keys, 3) at times."""
        source, target, share = self._at(times_s)
        return keys[source] + share[:, None] * (keys[target] - keys[source])

    def rotations(self, keys: np.ndarray, times_s: np.ndarray) -> np.ndarray:
        """Interpolate axis-angle keys (keys, joints, 3) along great arcs of quaternions."""
        source, target, share = self._at(times_s)
        joints = np.arange(keys.shape[1])
        quaternions = _quaternion(keys)
        path = slerp(
            quaternions[source, joints], quaternions[target, joints], torch.from_numpy(share)
        )
        return quaternion_to_axis_angle(path).numpy()

    def _at(self, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        segment = np.clip(np.searchsorted(self._starts, times_s, "right") - 1, 0, None)
        span = self._ends[segment] - self._starts[segment]
        progress = np.clip((times_s - self._starts[segment]) / span, 0, 1)
        share = np.select(
            [self._profiles[segment] == k for k in range(len(_PROFILES))],
            [profile(progress) for profile in _PROFILES],
        )
        return self._sources[segment], self._targets[segment], share


def _tremor(times_s: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Small unsteadiness of 2 to 6 Hz."""
    frequency = generator.uniform(2, 6, (3, 3))
    phase = generator.uniform(0, 2 * np.pi, (3, 3))
    return np.sin(2 * np.pi * times_s[:, None, None] * frequency + phase).mean(-1)


def _quaternion(axis_angle: np.ndarray) -> torch.Tensor:
    return axis_angle_to_quaternion(torch.from_numpy(np.array(axis_angle, np.float64)))
