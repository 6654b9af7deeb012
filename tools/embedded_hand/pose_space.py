"""Finger postures: a generative model of natural ones, and its principal components.

A posture is given in anatomical angles (bend, spread, twist in each joint's own frame, see
``Skeleton.frames``), as the rotation vector spread · dorsal axis + bend · radial axis + twist ·
bone axis. Vectors without twist stay so under linear mixing, so postures drawn from the
components respect the limits of twist exactly up to the small physiological twist put in.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tools.embedded_hand.skeleton import FIRST_JOINT, Array, Skeleton

COUNT: Final = 1554
LONG_FINGERS: Final = ("index", "middle", "ring", "little")
LONE_FINGER: Final = 0.4
"""Chance that a finger leaves its cluster's posture (counting, signs, playing)."""


@dataclass(frozen=True, kw_only=True)
class Grasp:
    """One cluster of postures: mean bend per finger (MCP, PIP), thumb angles, spread, share."""

    share: float
    mcp: tuple[float, float, float, float]
    pip: tuple[float, float, float, float]
    thumb: tuple[float, float, float, float, float]
    """Twist, spread, bend of the CMC joint; bend of MCP and IP (degrees)."""
    spread: float = 0.0
    """Fan of the long fingers: degrees between neighbours."""


GRASPS: Final = {
    "relaxed": Grasp(
        share=0.08, mcp=(20, 24, 28, 32), pip=(28, 32, 34, 34), thumb=(8, 2, 10, 8, 14)
    ),
    "flat": Grasp(share=0.15, mcp=(4, 4, 5, 6), pip=(4, 4, 5, 6), thumb=(8, -2, -2, 0, 2)),
    "spread": Grasp(
        share=0.10, mcp=(3, 3, 3, 4), pip=(6, 6, 6, 7), thumb=(4, 6, -6, -2, -2), spread=5.5
    ),
    "fist": Grasp(
        share=0.20, mcp=(72, 76, 78, 77), pip=(86, 87, 86, 83), thumb=(30, 6, 33, 16, 30)
    ),
    "cylinder": Grasp(
        share=0.12, mcp=(38, 42, 46, 50), pip=(46, 48, 48, 44), thumb=(22, 18, 30, 12, 12)
    ),
    "sphere": Grasp(
        share=0.07,
        mcp=(26, 28, 30, 32),
        pip=(36, 36, 36, 36),
        thumb=(22, 26, 26, 14, 8),
        spread=4.0,
    ),
    "pinch": Grasp(
        share=0.07, mcp=(50, 32, 27, 23), pip=(52, 36, 31, 27), thumb=(13, 3, 29, 13, 15)
    ),
    "tripod": Grasp(
        share=0.05, mcp=(44, 48, 50, 52), pip=(44, 48, 62, 66), thumb=(8, -4, 34, 8, 8)
    ),
    "point": Grasp(
        share=0.06, mcp=(8, 62, 68, 70), pip=(8, 80, 82, 80), thumb=(20, -4, 34, 14, 20)
    ),
    "hook": Grasp(share=0.05, mcp=(6, 8, 10, 10), pip=(74, 76, 76, 74), thumb=(8, -6, 10, 6, 14)),
    "tabletop": Grasp(share=0.05, mcp=(66, 68, 70, 70), pip=(6, 8, 8, 10), thumb=(14, 2, 14, 4, 8)),
}


@dataclass(frozen=True, kw_only=True)
class PoseSpace:
    """MANO's pose arrays, axis-angle in MANO's frame (radians)."""

    mean: Array
    components: Array
    coefficients: Array


def build_pose_space(skeleton: Skeleton) -> PoseSpace:
    """Draw postures and compute their mean and principal components (unit-variance rows)."""
    angles = sample_angles(np.random.default_rng(20210625), COUNT)
    vectors = to_axis_angle(skeleton, angles).reshape(COUNT, 45)
    mean = vectors.mean(axis=0)
    _, singular, rows = np.linalg.svd(vectors - mean, full_matrices=False)
    signs = np.sign(rows[np.arange(45), np.argmax(np.abs(rows), axis=1)])
    deviation = singular / np.sqrt(COUNT - 1)
    components = rows * (signs * deviation)[:, None]
    coefficients = (vectors - mean) @ (rows * signs[:, None]).T / deviation
    return PoseSpace(mean=mean, components=components, coefficients=coefficients)


def to_axis_angle(skeleton: Skeleton, angles: Array) -> Array:
    """Turn (..., 15, 3) degrees of (twist, spread, bend) into axis-angle in MANO's frame."""
    return np.einsum("jac,...jc->...ja", skeleton.frames[1:], np.radians(angles))


def sample_angles(generator: np.random.Generator, count: int) -> Array:
    """Draw ``count`` postures as (15, 3) degrees of (twist, spread, bend)."""
    names = list(GRASPS)
    shares = np.array([GRASPS[name].share for name in names])
    picks = generator.choice(len(names), size=count, p=shares / shares.sum())
    return np.stack([_posture(generator, GRASPS[names[pick]]) for pick in picks])


def grasp_angles(name: str) -> Array:
    """The mean posture of one cluster as (15, 3) degrees of (twist, spread, bend)."""
    return _assemble(GRASPS[name], np.zeros(4), np.zeros(4), np.zeros(4), np.zeros(5))


def _posture(generator: np.random.Generator, grasp: Grasp) -> Array:
    """Vary a cluster: some fingers act alone, all bend together, neighbours alike, each a bit."""
    alone = generator.random(4) < LONE_FINGER
    # A finger that acts alone is mostly either stretched or folded.
    fold = generator.beta(0.5, 0.5, 4)
    mcp = np.where(alone, 3 + 77 * fold - np.array(grasp.mcp), 0.0)
    pip = np.where(alone, 4 + 88 * fold - np.array(grasp.pip), 0.0)
    together = generator.normal(size=2)
    wave = np.cumsum(generator.normal(size=4))
    own = generator.normal(size=(3, 4))
    mcp += 8.0 * together[0] + 3.5 * (wave - wave.mean()) + 4.0 * own[0]
    pip += 8.0 * together[1] + 4.0 * together[0] + 3.0 * (wave - wave.mean()) + 5.0 * own[1]
    spread = 1.9 * generator.normal() * np.array([1.0, 0.3, -0.4, -1.2]) + 1.6 * own[2]
    thumb = generator.normal(size=5) * np.array([5.0, 7.0, 6.5, 8.0, 10.0])
    angles = _assemble(grasp, mcp, pip, spread, thumb)
    dip_noise = 5.0 * generator.normal(size=4)
    for k, finger in enumerate(LONG_FINGERS):
        angles[FIRST_JOINT[finger] + 1, 2] += dip_noise[k]
    angles[:, :2] += generator.normal(size=(15, 2)) * np.array([0.8, 0.8])
    return limit(angles)


def _assemble(grasp: Grasp, mcp: Array, pip: Array, spread: Array, thumb: Array) -> Array:
    angles = np.zeros((15, 3))
    fan = np.array([1.1, 0.1, -0.8, -1.7]) * grasp.spread
    for k, finger in enumerate(LONG_FINGERS):
        row = FIRST_JOINT[finger] - 1
        bend = grasp.mcp[k] + mcp[k]
        # Abduction is lost as the knuckle bends (collateral ligaments tighten).
        angles[row, 1] = (fan[k] + spread[k]) * np.clip(1.0 - bend / 110.0, 0.2, 1.0)
        angles[row, 2] = bend
        angles[row + 1, 2] = grasp.pip[k] + pip[k]
        # The deep flexor couples the two inner joints: DIP is about two thirds of PIP.
        angles[row + 2, 2] = 0.64 * (grasp.pip[k] + pip[k])
    row = FIRST_JOINT["thumb"] - 1
    values = np.array(grasp.thumb) + thumb
    angles[row] = values[:3]
    angles[row + 1, 2] = values[3]
    angles[row + 2, 2] = values[4]
    return angles


def limit(angles: Array) -> Array:
    """Press angles softly into the anatomical limits, with a margin for linear mixing."""
    low, high = LIMITS[:, :, 0], LIMITS[:, :, 1]
    margin = 0.07 * (high - low)
    return np.clip(angles, low + margin, high - margin)


def _limits() -> Array:
    """Anatomical limits in degrees, (15, 3, 2) for twist, spread, bend.

    Those of ``s2hand.hand.angle_limits``; a test holds the two together.
    """
    limits = np.zeros((15, 3, 2))
    limits[:, 0] = limits[:, 1] = (-5, 5)
    limits[:, 2] = (-10, 100)
    for finger in ("index", "middle", "ring"):
        limits[FIRST_JOINT[finger] - 1, 1] = (-10, 10)
    little = FIRST_JOINT["little"] - 1
    limits[little, 0], limits[little, 1] = (-20, 5), (-10, 20)
    thumb = FIRST_JOINT["thumb"] - 1
    limits[thumb] = ((-22.5, 45), (-22.5, 45), (-22.5, 45))
    limits[thumb + 1, 2] = (-10, 60)
    limits[thumb + 2, 2] = (-20, 100)
    return limits


LIMITS: Final = _limits()
