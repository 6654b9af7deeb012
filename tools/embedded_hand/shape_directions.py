"""Ten ways in which hands differ, as displacement fields, and joints that follow them."""

from typing import Final

import numpy as np
from scipy.optimize import nnls

from tools.embedded_hand.skeleton import (
    FINGERS,
    FIRST_JOINT,
    WRIST,
    Array,
    Skeleton,
)
from tools.embedded_hand.skinning import Anatomy, anatomy, smoothstep
from tools.embedded_hand.surface import HandSurface

NAMES: Final = (
    "overall size",
    "palm breadth",
    "finger length",
    "finger thickness",
    "thumb length",
    "palm thickness",
    "taper from knuckle to tip",
    "little finger length",
    "index against ring finger length",
    "wrist breadth",
)
# One standard deviation each. Hand length and breadth vary by about 5 % between adults of both
# sexes (ANSUR II: 193 ± 10 and 181 ± 10 mm; breadth 88 ± 4 and 78 ± 4 mm).
_SIZE: Final = 0.050
_PALM_BREADTH: Final = 0.040
_FINGER_LENGTH: Final = 0.040
_THICKNESS: Final = 0.055
_THUMB_LENGTH: Final = 0.045
_PALM_THICKNESS: Final = 0.060
_TAPER: Final = 0.060
_LITTLE_LENGTH: Final = 0.055
_INDEX_RING: Final = 0.025
_WRIST_BREADTH: Final = 0.055


def shape_fields(surface: HandSurface, points: Array, place: Anatomy, share: Array) -> Array:
    """Displace points by one standard deviation of each direction: P × 3 × 10.

    Args:
        surface: The skin, for the fingers' axes.
        points: P × 3.
        place: Where the points lie with respect to the fingers.
        share: P × 5, how much each point belongs to each finger.
    """
    joints = surface.skeleton.joints
    palm = 1.0 - share.sum(axis=1)
    lengthen = {name: _lengthening(surface, place, share, name) for name in FINGERS}
    radial, tapered = _radial(surface, points, place, share)
    anchor = palm[:, None] * points + sum(
        share[:, [k]] * joints[FIRST_JOINT[name]] for k, name in enumerate(FINGERS)
    )
    reach = smoothstep((WRIST[0] - 0.035 - points[:, 0]) / 0.035)
    reach = palm * reach + (1 - palm)
    breadth = np.zeros_like(points)
    breadth[:, 2] = (anchor[:, 2] - WRIST[2]) * reach
    thickness = np.zeros_like(points)
    thickness[:, 1] = (points[:, 1] - joints[4, 1] + 0.004) * palm * reach
    near_wrist = 1.0 - smoothstep((WRIST[0] - 0.018 - points[:, 0]) / 0.026)
    wrist = (points - WRIST) * np.array([0.0, 0.7, 1.0]) * (near_wrist * palm)[:, None]
    long_fingers = [name for name in FINGERS if name != "thumb"]
    fields = [
        _SIZE * (points - WRIST),
        _PALM_BREADTH * breadth,
        _FINGER_LENGTH * (sum(lengthen[name] for name in long_fingers) + 0.6 * lengthen["thumb"]),
        _THICKNESS * radial,
        _THUMB_LENGTH * lengthen["thumb"],
        _PALM_THICKNESS * thickness,
        _TAPER * tapered,
        _LITTLE_LENGTH * lengthen["little"],
        _INDEX_RING * (lengthen["index"] - lengthen["ring"]),
        _WRIST_BREADTH * wrist,
    ]
    return np.stack(fields, axis=2)


def _lengthening(surface: HandSurface, place: Anatomy, share: Array, name: str) -> Array:
    """Slide along a finger's axis, growing from its base to its tip."""
    column = FINGERS.index(name)
    tube = surface.tubes[name]
    mm = place.along_mm[:, column]
    arc = np.interp(0.0, tube.along, tube.arc) + np.maximum(mm, 0.0) * 1e-3
    start = tube.points[np.argmin(np.abs(tube.along))]
    moved = np.stack([np.interp(arc, tube.arc, tube.points[:, k]) for k in range(3)], axis=1)
    weight = np.where(place.finger == column, smoothstep(mm / 12.0), share[:, column])
    weight = np.where((place.finger == column) & (mm > 12.0), 1.0, weight)
    return (moved - start) * weight[:, None]


def _radial(
    surface: HandSurface, points: Array, place: Anatomy, share: Array
) -> tuple[Array, Array]:
    """Swell away from the fingers' axes; the second field swells the knuckles, slims the tips."""
    swell = np.zeros_like(points)
    taper = np.zeros_like(points)
    for column, name in enumerate(FINGERS):
        tube = surface.tubes[name]
        along = place.along[:, column]
        axis = np.stack([np.interp(along, tube.along, tube.points[:, k]) for k in range(3)], axis=1)
        offset = (points - axis) * share[:, [column]]
        swell += offset
        taper += offset * np.clip((1.5 - along) / 1.5, -1.0, 1.0)[:, None]
    return swell, taper


def joint_fields(surface: HandSurface) -> Array:
    """The same directions at the joints: 16 × 3 × 10."""
    joints = surface.skeleton.joints
    finger = np.full(16, -1)
    share = np.zeros((16, 5))
    for column, name in enumerate(FINGERS):
        first = FIRST_JOINT[name]
        finger[first + 1 : first + 3] = column
        share[first + 1 : first + 3, column] = 1.0
    return shape_fields(surface, joints, anatomy(surface, joints, finger), share)


def build_regressor(
    skeleton: Skeleton, points: Array, fields: Array, wanted: Array, candidates: int = 44
) -> Array:
    """Find non-negative rows that give the joints and follow the shape directions.

    Least squares over the nearest vertices: position and sum are met exactly, the shape
    directions closely, the rest of the freedom keeps the weights even.
    """
    regressor = np.zeros((16, len(points)))
    for joint in range(16):
        target = skeleton.joints[joint]
        near = np.argsort(np.linalg.norm(points - target, axis=1), kind="stable")
        near = near[: candidates if joint else 2 * candidates]
        moves = fields[near].reshape(len(near), 30).T
        exact = np.vstack([np.ones(len(near)), (points[near] - target).T * 1e2])
        rows = np.vstack([exact * 1e4, moves * 1e4, np.eye(len(near)) * 0.2])
        right = np.concatenate(
            [[1e4, 0.0, 0.0, 0.0], wanted[joint].ravel() * 1e4, np.full(len(near), 0.2 / len(near))]
        )
        weight, _ = nnls(rows, right)
        regressor[joint, near] = _polish(weight, exact)
    return regressor


def _polish(weight: Array, exact: Array) -> Array:
    """Meet position and sum to rounding by the smallest change on the used vertices."""
    used = weight > 1e-4
    weight = np.where(used, weight, 0.0)
    fault = np.array([1.0, 0.0, 0.0, 0.0]) - exact @ weight
    scaled = exact[:, used] * weight[used]
    weight[used] += weight[used] * (np.linalg.pinv(scaled) @ fault)
    if (weight < 0).any():
        raise ValueError("a joint lies outside its vertices' hull: move the joint or the skin")
    return weight
