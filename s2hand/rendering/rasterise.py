"""The CPU rasteriser: nearest face, barycentric coordinates and depth of every pixel.

The compiled core works on homogeneous pixels p = (u·w, v·w, w) and on camera-frame depths. A face
with corners p0, p1, p2 gives three planes, the cross products of its corners taken in pairs; at
pixel x = (u, v, 1) their values are to each other as the perspective-correct weights of the point
seen, whatever the signs of w. An orthographic camera is the case w = 1.
"""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import prange

from s2hand.compiled import compiled
from s2hand.rendering.threads import as_many_threads_as_torch

NO_FACE = -1
"""The face id of a pixel that sees no face."""
FRONT, UNSEEN, BACK = 1, 0, -1
"""How a face turns to the camera; edge-on, non-finite and culled faces are unseen."""
_MIN_SINE_SQUARED = 1e-24  # of the angles between the first corner and two sides: below is edge-on


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Raster:
    """What the pixels of a batch of images see."""

    face_id: Int[np.ndarray, "batch height width"]
    """Index of the nearest face, −1 where there is none."""
    barycentric: Float[np.ndarray, "batch height width 3"]
    """Perspective-correct weights of that face's three corners; zero where there is no face."""
    depth_m: Float[np.ndarray, "batch height width"]
    """Camera-frame z of the seen point; infinite where there is no face."""


def rasterise(
    vertices: Float[np.ndarray, "batch vertices 3"],
    intrinsics_px: Float[np.ndarray, "batch 3 3"],
    faces: Int[np.ndarray, "faces 3"] | Int[np.ndarray, "batch faces 3"],
    *,
    height: int,
    width: int,
    near_m: float = 0.01,
    cull_back_faces: bool = False,
) -> Raster:
    """Find the nearest face at every pixel centre of every image.

    Convention:
        Vertices are metres in the OpenCV camera frame, ``(0, 0)`` is the centre of the top-left
        pixel, and a face whose corners run counter-clockwise seen from outside is a front face.

    Each pixel's ray is intersected with the faces' planes, so that faces that cross the near
    plane or reach behind the camera need no clipping, and weights are perspective-correct. A point
    nearer than ``near_m``, a face seen exactly edge-on and a face with a non-finite corner are
    invisible. Of two faces at equal depth the one with the lower index is seen.

    Raises:
        ValueError: When the image has no pixels or a face names a vertex that does not exist.
    """
    if height < 1 or width < 1:
        raise ValueError(f"height and width must be at least 1, got {height} and {width}")
    num_images, num_vertices = vertices.shape[:2]
    if faces.size and (faces.min() < 0 or faces.max() >= num_vertices):
        raise ValueError(
            f"faces must name vertices 0..{num_vertices - 1}, got {faces.min()}..{faces.max()}"
        )
    face_id = np.empty((num_images, height, width), np.int32)
    barycentric = np.empty((num_images, height, width, 3), np.float32)
    depth_m = np.empty((num_images, height, width), np.float32)
    points = vertices.astype(np.float64) @ intrinsics_px.astype(np.float64).swapaxes(1, 2)
    with as_many_threads_as_torch():
        _rasterise_batch(
            points,
            np.ascontiguousarray(vertices[..., 2], np.float64),
            np.asarray(np.broadcast_to(faces, (num_images, *faces.shape[-2:])), np.int64),
            near_m,
            cull_back_faces,
            face_id,
            barycentric,
            depth_m,
        )
    return Raster(face_id=face_id, barycentric=barycentric, depth_m=depth_m)


def interpolate(
    attributes: Float[np.ndarray, "batch vertices channels"],
    faces: Int[np.ndarray, "faces 3"] | Int[np.ndarray, "batch faces 3"],
    raster: Raster,
) -> Float[np.ndarray, "batch height width channels"]:
    """Blend the corners' attributes at every pixel; zero where no face is seen."""
    num_images, height, width = raster.face_id.shape
    result = np.zeros((num_images, height, width, attributes.shape[-1]), attributes.dtype)
    batched_faces = np.broadcast_to(faces, (num_images, *faces.shape[-2:]))
    for image in range(num_images):
        seen = raster.face_id[image] != NO_FACE
        corners = batched_faces[image][raster.face_id[image][seen]]
        weights = raster.barycentric[image][seen]
        result[image][seen] = np.einsum("pk,pkc->pc", weights, attributes[image][corners])
    return result


@compiled(nogil=True, error_model="numpy")
@no_type_check
def face_planes(
    points: np.ndarray,
    faces: np.ndarray,
    cull_back_faces: bool,  # noqa: FBT001 (compiled code takes no keyword-only arguments)
    planes: np.ndarray,
    facing: np.ndarray,
) -> None:
    """Write three planes (rows) and ``FRONT``, ``UNSEEN`` or ``BACK`` for each face."""
    for face in range(faces.shape[0]):
        for i in range(3):
            j, k = faces[face, (i + 1) % 3], faces[face, (i + 2) % 3]
            planes[face, i, 0] = points[j, 1] * points[k, 2] - points[j, 2] * points[k, 1]
            planes[face, i, 1] = points[j, 2] * points[k, 0] - points[j, 0] * points[k, 2]
            planes[face, i, 2] = points[j, 0] * points[k, 1] - points[j, 1] * points[k, 0]
        # A front face turns counter-clockwise as seen, which makes the span negative.
        facing[face] = -turn(points, faces[face, 0], faces[face, 1], faces[face, 2])
        if cull_back_faces and facing[face] == BACK:
            facing[face] = UNSEEN


@compiled(nogil=True, inline="always", error_model="numpy")
@no_type_check
def turn(points: np.ndarray, a: int, b: int, c: int) -> int:
    """Return the sign of det(a, b, c), 0 where the camera centre lies in the corners' plane."""
    # Differences keep the digits that a product of three nearly equal corners would lose.
    ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
    bx, by, bz = points[b, 0] - ax, points[b, 1] - ay, points[b, 2] - az
    cx, cy, cz = points[c, 0] - ax, points[c, 1] - ay, points[c, 2] - az
    span = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
    size = (
        (ax * ax + ay * ay + az * az)
        * (bx * bx + by * by + bz * bz)
        * (cx * cx + cy * cy + cz * cz)
    )
    if not span * span > _MIN_SINE_SQUARED * size:
        return 0
    return 1 if span > 0 else -1


@compiled(nogil=True, error_model="numpy")
@no_type_check
def rasterise_image(
    points: np.ndarray,
    corner_depth_m: np.ndarray,
    faces: np.ndarray,
    planes: np.ndarray,
    facing: np.ndarray,
    near_m: float,
    face_id: np.ndarray,
    depth_m: np.ndarray,
) -> None:
    """Write the nearest face and its depth at every pixel centre of one image."""
    height, width = face_id.shape
    face_id[:] = NO_FACE
    depth_m[:] = np.inf
    round_depth = depth_m.dtype.type
    for face in range(faces.shape[0]):
        if facing[face] == UNSEEN:
            continue
        left, right, top, bottom = _bounding_box(
            points, corner_depth_m, faces[face], near_m, height, width
        )
        if left >= right or top >= bottom:
            continue
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        z0, z1, z2 = corner_depth_m[i], corner_depth_m[j], corner_depth_m[k]
        inside = -float(facing[face])
        x0, x1, x2 = planes[face, 0, 0], planes[face, 1, 0], planes[face, 2, 0]
        for row in range(top, bottom):
            v0 = planes[face, 0, 1] * row + planes[face, 0, 2]
            v1 = planes[face, 1, 1] * row + planes[face, 1, 2]
            v2 = planes[face, 2, 1] * row + planes[face, 2, 2]
            for column in range(left, right):
                e0 = inside * (x0 * column + v0)
                e1 = inside * (x1 * column + v1)
                e2 = inside * (x2 * column + v2)
                if e0 < 0 or e1 < 0 or e2 < 0:
                    continue
                depth = round_depth((e0 * z0 + e1 * z1 + e2 * z2) / (e0 + e1 + e2))
                if depth >= near_m and depth < depth_m[row, column]:
                    depth_m[row, column] = depth
                    face_id[row, column] = face


@compiled(nogil=True, inline="always", error_model="numpy")
@no_type_check
def weights_at(
    planes: np.ndarray, face: int, row: int, column: int
) -> tuple[float, float, float, float]:
    """Return the barycentric weights of the point of a face that a pixel sees, and the planes' sum.

    The weights are the planes' values divided by their sum.
    """
    e0 = planes[face, 0, 0] * column + planes[face, 0, 1] * row + planes[face, 0, 2]
    e1 = planes[face, 1, 0] * column + planes[face, 1, 1] * row + planes[face, 1, 2]
    e2 = planes[face, 2, 0] * column + planes[face, 2, 1] * row + planes[face, 2, 2]
    total = e0 + e1 + e2
    return e0 / total, e1 / total, e2 / total, total


@compiled(nogil=True, error_model="numpy")
@no_type_check
def write_weights(planes: np.ndarray, face_id: np.ndarray, barycentric: np.ndarray) -> None:
    """Write the barycentric weights of every pixel of one image, zero where no face is seen."""
    for row in range(face_id.shape[0]):
        for column in range(face_id.shape[1]):
            face = face_id[row, column]
            if face == NO_FACE:
                barycentric[row, column] = 0
                continue
            weights = weights_at(planes, face, row, column)
            for corner in range(3):
                barycentric[row, column, corner] = weights[corner]


@compiled(nogil=True, inline="always", error_model="numpy")
@no_type_check
def _bounding_box(
    points: np.ndarray,
    depth_m: np.ndarray,
    corners: np.ndarray,
    near_m: float,
    height: int,
    width: int,
) -> tuple[int, int, int, int]:
    """Give the pixel range (left, right, top, bottom; ends excluded) that a face can cover."""
    left, right, top, bottom = np.inf, -np.inf, np.inf, -np.inf
    reaches_behind, farthest = False, -np.inf
    for i in range(3):
        u, v, w = points[corners[i], 0], points[corners[i], 1], points[corners[i], 2]
        farthest = max(farthest, depth_m[corners[i]])
        if w <= 0:
            reaches_behind = True
            continue
        left, right = min(left, u / w), max(right, u / w)
        top, bottom = min(top, v / w), max(bottom, v / w)
    if farthest < near_m:
        return 0, 0, 0, 0
    if reaches_behind:  # what is seen of such a face has no simple bound
        return 0, width, 0, height
    if right < 0 or bottom < 0 or left > width - 1 or top > height - 1:
        return 0, 0, 0, 0
    # Clip before converting: a far coordinate may not fit an integer.
    return (
        int(np.ceil(max(left, 0.0) - 1e-6)),
        int(np.floor(min(right, width - 1.0) + 1e-6)) + 1,
        int(np.ceil(max(top, 0.0) - 1e-6)),
        int(np.floor(min(bottom, height - 1.0) + 1e-6)) + 1,
    )


@compiled(parallel=True, error_model="numpy")
@no_type_check
def _rasterise_batch(
    points: np.ndarray,
    corner_depth_m: np.ndarray,
    faces: np.ndarray,
    near_m: float,
    cull_back_faces: bool,  # noqa: FBT001
    face_id: np.ndarray,
    barycentric: np.ndarray,
    depth_m: np.ndarray,
) -> None:
    for image in prange(face_id.shape[0]):
        planes = np.empty((faces.shape[1], 3, 3))
        facing = np.empty(faces.shape[1], np.int8)
        face_planes(points[image], faces[image], cull_back_faces, planes, facing)
        rasterise_image(
            points[image],
            corner_depth_m[image],
            faces[image],
            planes,
            facing,
            near_m,
            face_id[image],
            depth_m[image],
        )
        write_weights(planes, face_id[image], barycentric[image])
