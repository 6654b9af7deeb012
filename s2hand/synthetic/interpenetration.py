"""Fingers that run into each other or into the palm: how deep, and what opens them."""

from functools import lru_cache
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int

from s2hand.compiled import compiled
from s2hand.hand.layer import HandLayer
from s2hand.hand.model_data import HandModelData
from s2hand.synthetic.visibility import smooth_normals

TOUCH_M = 0.001
"""Flesh gives way: what lies less deep inside another part touches it."""
_NUM_PARTS, _PALM = 6, 0
_RINGS, _ROUNDS, _STEP = 2, 14, 0.12


def penetration_depths(
    data: HandModelData, hand_pose: Float[np.ndarray, "batch 15 3"]
) -> Float[np.ndarray, "batch 6 6"]:
    """Say how deep each part of the hand lies inside each other part.

    A vertex is inside another part when it lies behind the tangent plane of that part's nearest
    vertex; the depth is the distance to the plane. Where parts join, nothing is compared.

    Args:
        data: The hand model, taken in its mean shape.
        hand_pose: Full axis-angle, MANO's order.

    Returns:
        The largest depth in metres of a vertex of the first part inside the second, 0 if outside;
        parts are the palm, then the fingers in MANO's order (index, middle, little, ring, thumb).
    """
    layer, part, compared = _anatomy(data)
    zero = torch.zeros(len(hand_pose), 10, dtype=torch.float64)
    with torch.inference_mode():
        vertices = layer(
            betas=zero, global_orient=zero[:, :3], hand_pose=torch.from_numpy(hand_pose)
        ).vertices.numpy()
    depths = np.zeros((len(hand_pose), _NUM_PARTS, _NUM_PARTS))
    _measure(np.ascontiguousarray(vertices), data.faces, part, compared, depths)
    return depths


def part_fingers(
    data: HandModelData, hand_pose: Float[np.ndarray, "batch 15 3"]
) -> Float[np.ndarray, "batch 15 3"]:
    """Move fingers that penetrate step by step to the mean posture until they only touch.

    Postures that were free come back unchanged.
    """
    result = hand_pose.copy()
    rest = data.hands_mean.reshape(15, 3)
    left = np.arange(len(result))
    for _ in range(_ROUNDS):
        deep = penetration_depths(data, result[left]) > TOUCH_M
        involved = np.any(deep | deep.transpose(0, 2, 1), axis=2)
        left, involved = left[involved.any(1)], involved[involved.any(1)]
        if not len(left):
            break
        moves = np.repeat(involved[:, _PALM + 1 :], 3, axis=1)[..., None]
        result[left] += _STEP * moves * (rest - result[left])
    return result


@lru_cache(maxsize=1)
def _anatomy(
    data: HandModelData,
) -> tuple[HandLayer, Int[np.ndarray, "778"], np.ndarray]:
    """Give the layer, the part of each vertex and which ones are far enough from other parts."""
    part = (data.weights.argmax(1) + 2) // 3
    near = np.zeros(len(part), bool)
    border = (part[data.faces] != part[data.faces[:, :1]]).any(1)
    for _ in range(_RINGS + 1):
        near[data.faces[border]] = True
        border = near[data.faces].any(1)
    layer = HandLayer(data, use_mean_pose=False, dtype=torch.float64)
    return layer, part.astype(np.int64), ~near


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _measure(
    vertices: np.ndarray,
    faces: np.ndarray,
    part: np.ndarray,
    compared: np.ndarray,
    depths: np.ndarray,
) -> None:
    normals = np.empty(vertices.shape[1:])
    order = np.argsort(part)
    ends = np.searchsorted(part[order], np.arange(_NUM_PARTS), side="right")
    for hand in range(len(vertices)):
        points = vertices[hand]
        smooth_normals(points, faces, normals)
        for other in range(_NUM_PARTS):
            members = order[(ends[other - 1] if other else 0) : ends[other]]
            low, high = _bounds(points, members)
            for own in range(len(points)):
                x, y, z = points[own, 0], points[own, 1], points[own, 2]
                near = low[0] < x < high[0] and low[1] < y < high[1] and low[2] < z < high[2]
                if near and compared[own] and part[own] != other:
                    nearest = _nearest(points, members, own)
                    if compared[nearest]:
                        depth = ((points[nearest] - points[own]) * normals[nearest]).sum()
                        depths[hand, part[own], other] = max(depths[hand, part[own], other], depth)


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _bounds(points: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the corners of the box around some of the points."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for member in members:
        for axis in range(3):
            low[axis] = min(low[axis], points[member, axis])
            high[axis] = max(high[axis], points[member, axis])
    return low, high


@compiled(nogil=True, error_model="numpy")
@no_type_check
def _nearest(points: np.ndarray, members: np.ndarray, own: int) -> int:
    """Find the member nearest to a point."""
    nearest, least = 0, np.inf
    for member in members:
        dx = points[member, 0] - points[own, 0]
        dy = points[member, 1] - points[own, 1]
        dz = points[member, 2] - points[own, 2]
        squared = dx * dx + dy * dy + dz * dz
        if squared < least:
            nearest, least = member, squared
    return nearest
