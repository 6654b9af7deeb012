"""Smooth skinning weights from the distance along and between the bones."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from tools.embedded_hand.implicit import nearest_sample
from tools.embedded_hand.skeleton import FINGERS, FIRST_JOINT, MM, WRIST, Array, Skeleton
from tools.embedded_hand.surface import HandSurface

# Half-widths of the zone in which a joint bends: the back stretches in a short zone, the palm
# side folds over a long one, so that its vertices crowd instead of crossing at 100 degrees.
DORSAL_BLEND_MM: Final = 5.5
PALMAR_BLEND_MM: Final = 9.5
_SMOOTHING: Final = {"palm": 6, "thumb": 3}


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """Per vertex and finger: place along the axis and direction around it."""

    along: Array
    """V × 5, in segments: 0 first joint, 3 tip; negative before the first joint."""
    along_mm: Array
    """V × 5, signed distance from the first joint, along the axis."""
    around: Array
    """V × 5 × 2, unit (dorsal, radial)."""
    distance_mm: Array
    """V × 5, to the finger's axis."""
    finger: Array
    """V: the finger a vertex was made for (index in ``FINGERS``), −1 for the palm."""


def anatomy(surface: HandSurface, points: Array, finger: Array) -> Anatomy:
    """Measure where each vertex lies with respect to each finger's axis."""
    along, along_mm, around, distance = [], [], [], []
    for name in FINGERS:
        tube = surface.tubes[name]
        nearest = nearest_sample(points, tube.points)
        offset = points - tube.points[nearest]
        tangent = np.einsum("pi,pi->p", offset, tube.tangents[nearest])
        first = float(np.interp(0.0, tube.along, tube.arc))
        arc = tube.arc[nearest] + tangent
        step = np.gradient(tube.along, tube.arc)
        along.append(tube.along[nearest] + tangent * step[nearest])
        along_mm.append((arc - first) / MM)
        local = np.stack(
            [
                np.einsum("pi,pi->p", offset, tube.normals[nearest]),
                np.einsum("pi,pi->p", offset, tube.radials[nearest]),
            ],
            axis=1,
        )
        radius = np.linalg.norm(local, axis=1)
        around.append(local / np.maximum(radius, 1e-9)[:, None])
        distance.append(np.linalg.norm(offset, axis=1) / MM)
    return Anatomy(
        along=np.stack(along, 1),
        along_mm=np.stack(along_mm, 1),
        around=np.stack(around, 1),
        distance_mm=np.stack(distance, 1),
        finger=finger,
    )


def build_weights(skeleton: Skeleton, points: Array, faces: Array, place: Anatomy) -> Array:
    """Give V × 16 weights: rows sum to one, at most four bones each."""
    weights = np.zeros((len(points), 16))
    share = _finger_share(place)
    thumb = _thumb_share(skeleton, points, place)
    smooth = _smoother(faces, len(points))
    loose = place.finger < 0
    base = share.copy()
    for _ in range(_SMOOTHING["palm"]):
        base = np.where(loose[:, None], smooth @ base, share)
    for _ in range(_SMOOTHING["thumb"]):
        thumb = np.where(place.finger == 0, thumb, smooth @ thumb)
    thumb *= smoothstep((WRIST[0] + 0.0008 - points[:, 0]) / 0.010)  # the wrist's rim is still
    base *= (1.0 - thumb)[:, None]
    for column, name in enumerate(FINGERS):
        amount = thumb if name == "thumb" else base[:, column]
        chain = _chain_weights(skeleton, place, column)
        first = FIRST_JOINT[name]
        weights[:, first : first + 3] = amount[:, None] * chain
    weights[:, 0] = np.maximum(1.0 - weights[:, 1:].sum(axis=1), 0.0)
    return _keep_four(weights)


def smoothstep(x: Array) -> Array:
    """Rise from 0 at −1 to 1 at +1 with a continuous slope."""
    t = np.clip(0.5 * (x + 1.0), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _chain_weights(skeleton: Skeleton, place: Anatomy, column: int) -> Array:
    """How a finger's own part of a vertex is shared among its three bones."""
    first = FIRST_JOINT[FINGERS[column]]
    joints = skeleton.joints[first : first + 3]
    lengths = np.linalg.norm(np.diff(joints, axis=0), axis=1) / MM
    dorsal = place.around[:, column, 0]
    scale = 0.85 if FINGERS[column] == "little" else 1.0
    half = scale * (
        DORSAL_BLEND_MM + (PALMAR_BLEND_MM - DORSAL_BLEND_MM) * smoothstep(-1.2 * dorsal)
    )
    second = smoothstep((place.along_mm[:, column] - lengths[0]) / half)
    third = smoothstep((place.along_mm[:, column] - lengths.sum()) / half)
    return np.stack([1 - second, second * (1 - third), second * third], axis=1)


def _finger_share(place: Anatomy) -> Array:
    """How much of a vertex moves with each long finger rather than with the palm."""
    share = np.zeros((len(place.finger), 5))
    closeness = np.exp(-((place.distance_mm[:, 1:] / 7.0) ** 2))
    closeness /= np.maximum(closeness.sum(axis=1, keepdims=True), 1e-12)
    for column in range(1, 5):
        dorsal = place.around[:, column, 0]
        # The knuckle's back bends at the joint; the palm side bends where the palm ends.
        centre = 1.0 + 3.5 * smoothstep(-1.2 * dorsal)
        half = 9.0 + 2.0 * smoothstep(-1.2 * dorsal)
        bend = smoothstep((place.along_mm[:, column] - centre) / half)
        mine = place.finger == column
        beyond = smoothstep((place.along_mm[:, column] - 15.0) / 6.0)
        amount = closeness[:, column - 1]
        share[:, column] = np.where(mine, amount + (1 - amount) * beyond, amount) * bend
        others = (place.finger >= 0) & ~mine
        share[others, column] *= 1.0 - smoothstep((place.along_mm[others, column] - 13.0) / 6.0)
    total = share.sum(axis=1, keepdims=True)
    return share / np.maximum(total, 1.0)


def _segment_distance(points: Array, start: Array, end: Array) -> tuple[Array, Array]:
    axis = end - start
    t = (points - start) @ axis / (axis @ axis)
    nearest = start + np.clip(t, 0.0, 1.0)[:, None] * axis
    return np.linalg.norm(points - nearest, axis=1) / MM, t


def _thumb_share(skeleton: Skeleton, points: Array, place: Anatomy) -> Array:
    """How much a vertex moves with the thumb: near its metacarpal, away from the palm's own."""
    joints = skeleton.joints
    near, t = _segment_distance(points, joints[13], joints[14])
    carpus = np.array([0.088, WRIST[1], WRIST[2] + 0.008])
    others = np.min(
        [
            _segment_distance(points, carpus, joints[FIRST_JOINT[name]])[0]
            for name in ("index", "middle")
        ],
        axis=0,
    )
    side = smoothstep((others - near + 1.0) / 13.0)
    start = smoothstep((t - 0.12) / 0.42)
    share = side * start
    own = place.finger == 0
    share[own] = np.maximum(share[own], smoothstep((place.along[own, 0] - 0.55) / 0.3))
    long_finger = place.finger > 0
    share[long_finger] = 0.0
    return share


def _smoother(faces: Array, size: int) -> csr_matrix:
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    rows = np.concatenate([edges[:, 0], edges[:, 1], np.arange(size).repeat(2)])
    columns = np.concatenate([edges[:, 1], edges[:, 0], np.arange(size).repeat(2)])
    matrix = coo_matrix((np.ones(rows.size), (rows, columns)), shape=(size, size)).tocsr()
    scale = 1.0 / np.asarray(matrix.sum(axis=1)).ravel()
    return matrix.multiply(scale[:, None]).tocsr()


def _keep_four(weights: Array) -> Array:
    weights = np.where(weights < 2e-3, 0.0, weights)
    fifth = np.sort(weights, axis=1)[:, -5][:, None]
    weights = np.maximum(weights - fifth, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)
