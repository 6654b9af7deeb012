"""The bones of the embedded hand at rest: joint positions, bone axes and anatomical frames."""

from dataclasses import dataclass
from typing import Final

import numpy as np

Array = np.ndarray

MM: Final = 1e-3
PARENTS: Final = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
"""MANO's tree: 0 wrist, 1-3 index, 4-6 middle, 7-9 little, 10-12 ring, 13-15 thumb."""
FINGERS: Final = ("thumb", "index", "middle", "ring", "little")
FIRST_JOINT: Final = {"thumb": 13, "index": 1, "middle": 4, "ring": 10, "little": 7}

WRIST: Final = np.array([0.0957, 0.0060, 0.0062])


@dataclass(frozen=True, kw_only=True)
class FingerBones:
    """How one finger leaves the wrist and where its bones point in the rest pose."""

    base_distance_mm: float
    """From the wrist to the first joint; MANO's own figures at zero shape."""
    base_offset_mm: tuple[float, float, float]
    """Direction from the wrist to the first joint (only its direction counts)."""
    lengths_mm: tuple[float, float, float]
    """First joint to second, second to third, third to the skin of the tip."""
    splay_deg: float
    """Turn of the first bone towards the thumb, about the dorsal axis."""
    pitch_deg: tuple[float, float, float]
    """Downward pitch of the three bones in the rest pose."""
    roll_deg: float
    """Tilt of the finger's back along the palm's arch, towards the thumb."""


# The lengths of the middle and distal segments: Buryanov & Kotiuk, "Proportions of hand
# segments", Int. J. Morphol. 28(3), 2010, tables of bone lengths and of the soft tissue at the
# tip (middle finger 26.3 and 17.4 + 4.0 mm), the distal one lengthened because MANO's last joints
# lie proximal of the bone's end. MANO's proximal bones are shorter than the phalanges (31.7
# against 44.6 mm), because its MCP joints lie distal of the knuckle; the fingers keep that ratio.
BONES: Final = {
    "index": FingerBones(
        base_distance_mm=90.6,
        base_offset_mm=(-87.9, -2.6, 21.6),
        lengths_mm=(29.6, 24.4, 25.0),
        splay_deg=5.5,
        pitch_deg=(-1.0, 3.0, 6.0),
        roll_deg=4.0,
    ),
    "middle": FingerBones(
        base_distance_mm=94.7,
        base_offset_mm=(-94.6, 0.6, -1.2),
        lengths_mm=(31.7, 28.2, 26.4),
        splay_deg=0.5,
        pitch_deg=(-1.0, 3.0, 6.0),
        roll_deg=0.0,
    ),
    "ring": FingerBones(
        base_distance_mm=86.1,
        base_offset_mm=(-83.3, -1.0, -21.6),
        lengths_mm=(30.2, 27.0, 26.0),
        splay_deg=-6.0,
        pitch_deg=(0.0, 4.0, 7.0),
        roll_deg=-5.0,
    ),
    "little": FingerBones(
        base_distance_mm=81.8,
        base_offset_mm=(-71.6, -5.4, -39.2),
        lengths_mm=(24.4, 19.6, 23.0),
        splay_deg=-14.0,
        pitch_deg=(1.0, 5.0, 8.0),
        roll_deg=-11.0,
    ),
}
THUMB_BASE_DISTANCE_MM: Final = 38.6
THUMB_BASE_OFFSET: Final = (-22.5, -12.0, 29.0)
THUMB_LENGTHS_MM: Final = (36.5, 28.5, 26.5)
THUMB_DIRECTIONS: Final = ((-0.70, -0.30, 0.65), (-0.80, -0.20, 0.56), (-0.85, -0.17, 0.50))
THUMB_NAIL: Final = (0.10, 0.60, 0.79)
"""Where the nail looks in the rest pose: between the back of the hand and the thumb's side."""


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Joints, fingertips and one right-handed frame per joint at rest (metres, MANO's frame)."""

    joints: Array
    """16 × 3."""
    tips: dict[str, Array]
    """Where the skin ends, per finger."""
    frames: Array
    """16 × 3 × 3, columns: twist axis (towards the wrist), spread axis (dorsal), bend axis.
    Positive bend is flexion, positive spread turns towards the thumb's side."""
    backs: Array
    """16 × 3, where the back of the segment looks; the fingers roll along the palm's arch."""

    def chain(self, finger: str) -> Array:
        """Give the four points of a finger: three joints and the tip."""
        first = FIRST_JOINT[finger]
        return np.vstack([self.joints[first : first + 3], self.tips[finger]])


def unit(vector: Array) -> Array:
    """Scale vectors along the last axis to length one."""
    vector = np.asarray(vector, dtype=np.float64)
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def build_skeleton() -> Skeleton:
    """Place all joints and frames of the rest pose."""
    joints = np.zeros((16, 3))
    joints[0] = WRIST
    directions = np.tile([-1.0, 0.0, 0.0], (16, 1))
    backs = np.tile([0.0, 1.0, 0.0], (16, 1))
    tips = {}
    for finger in FINGERS:
        base, bones, lengths, back = _finger_plan(finger)
        points = base + np.vstack([np.zeros(3), np.cumsum(bones * lengths[:, None], axis=0)])
        row = slice(FIRST_JOINT[finger], FIRST_JOINT[finger] + 3)
        joints[row], tips[finger] = points[:3], points[3]
        directions[row] = bones
        backs[row] = unit(back - bones * (bones @ back)[:, None])
    return Skeleton(joints=joints, tips=tips, frames=_frames(joints, directions), backs=backs)


def _finger_plan(finger: str) -> tuple[Array, Array, Array, Array]:
    """First joint, bone directions, bone lengths and the back of a finger."""
    if finger == "thumb":
        base = WRIST + unit(np.array(THUMB_BASE_OFFSET)) * THUMB_BASE_DISTANCE_MM * MM
        directions = unit(np.array(THUMB_DIRECTIONS))
        return base, directions, np.array(THUMB_LENGTHS_MM) * MM, unit(np.array(THUMB_NAIL))
    bones = BONES[finger]
    base = WRIST + unit(np.array(bones.base_offset_mm)) * bones.base_distance_mm * MM
    pitch = np.radians(bones.pitch_deg)
    splay = np.radians(bones.splay_deg)
    directions = np.stack(
        [-np.cos(pitch) * np.cos(splay), -np.sin(pitch), np.cos(pitch) * np.sin(splay)], axis=1
    )
    roll = np.radians(bones.roll_deg)
    back = np.array([0.0, np.cos(roll), np.sin(roll)])
    return base, directions, np.array(bones.lengths_mm) * MM, back


def _frames(joints: Array, directions: Array) -> Array:
    """Right-handed columns (twist, spread, bend): bend is perpendicular to bone and back.

    The fingers bend towards the palm's normal, the thumb against the mean of dorsal, radial and
    proximal; ``s2hand.hand.angle_limits`` measures its angles in the same frames.
    """
    dorsal = unit(np.cross(joints[7] - joints[0], joints[1] - joints[0]))
    proximal = unit(joints[0] - joints[4])
    proximal = unit(proximal - dorsal * (proximal @ dorsal))
    thumb_back = dorsal + proximal + np.cross(proximal, dorsal)
    frames = np.tile(np.eye(3), (16, 1, 1))
    for joint in range(1, 16):
        twist = -directions[joint]
        bend = unit(np.cross(twist, thumb_back if joint >= FIRST_JOINT["thumb"] else dorsal))
        frames[joint] = np.stack([twist, np.cross(bend, twist), bend], axis=1)
    return frames
