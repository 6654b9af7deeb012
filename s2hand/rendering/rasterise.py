"""The CPU rasteriser: nearest face, barycentric coordinates and depth of every pixel."""

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int
from numba import njit, prange

NO_FACE = -1
"""The face id of a pixel that sees no face."""
_MIN_SPAN = 1e-18  # six times the volume of (camera centre, face) in m³; below it is seen edge-on


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
    batched_faces = np.broadcast_to(faces, (num_images, *faces.shape[-2:]))
    face_id = np.empty((num_images, height, width), np.int32)
    barycentric = np.empty((num_images, height, width, 3), np.float32)
    depth_m = np.empty((num_images, height, width), np.float32)
    _rasterise_batch(
        np.ascontiguousarray(vertices, np.float64),
        np.ascontiguousarray(np.linalg.inv(intrinsics_px.astype(np.float64))),
        np.ascontiguousarray(intrinsics_px, np.float64),
        np.asarray(batched_faces, np.int64),
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


@njit(cache=True, nogil=True)
@no_type_check
def rasterise_image(
    vertices: np.ndarray,
    inverse_intrinsics: np.ndarray,
    intrinsics: np.ndarray,
    faces: np.ndarray,
    near_m: float,
    cull_back_faces: bool,  # noqa: FBT001 (compiled code takes no keyword-only arguments)
    face_id: np.ndarray,
    barycentric: np.ndarray,
    depth_m: np.ndarray,
) -> None:
    """Rasterise one image into the three given arrays; the compiled core of ``rasterise``."""
    height, width = face_id.shape
    face_id[:] = NO_FACE
    barycentric[:] = 0
    depth_m[:] = np.inf
    edges = np.empty((3, 3))
    for face in range(faces.shape[0]):
        corners = faces[face]
        determinant = _edge_functions(vertices, corners, inverse_intrinsics, edges)
        # A front face turns counter-clockwise as seen, which makes this determinant negative.
        if not abs(determinant) > _MIN_SPAN or (cull_back_faces and determinant > 0):
            continue
        left, right, top, bottom = _bounding_box(
            vertices, corners, intrinsics, near_m, height, width
        )
        inverse = 1.0 / determinant
        for row in range(top, bottom):
            for column in range(left, right):
                e0 = (edges[0, 0] * column + edges[0, 1] * row + edges[0, 2]) * inverse
                e1 = (edges[1, 0] * column + edges[1, 1] * row + edges[1, 2]) * inverse
                e2 = (edges[2, 0] * column + edges[2, 1] * row + edges[2, 2]) * inverse
                if e0 < 0 or e1 < 0 or e2 < 0:
                    continue
                inverse_depth = e0 + e1 + e2
                if not inverse_depth * near_m <= 1.0 or inverse_depth <= 0:
                    continue
                depth = np.float32(1.0 / inverse_depth)
                if depth < depth_m[row, column]:
                    depth_m[row, column] = depth
                    face_id[row, column] = face
                    barycentric[row, column, 0] = e0 / inverse_depth
                    barycentric[row, column, 1] = e1 / inverse_depth
                    barycentric[row, column, 2] = e2 / inverse_depth


@njit(cache=True, nogil=True, inline="always")
@no_type_check
def _edge_functions(
    vertices: np.ndarray, corners: np.ndarray, inverse_intrinsics: np.ndarray, edges: np.ndarray
) -> float:
    """Write the three functions of (u, v, 1) that are positive inside; return det(v0, v1, v2).

    Function i is the ray's triple product with the other two corners. Divided by the determinant,
    the three add up to the inverse depth, and are to each other as the barycentric weights.
    """
    determinant = 0.0
    for i in range(3):
        j, k = corners[(i + 1) % 3], corners[(i + 2) % 3]
        x = vertices[j, 1] * vertices[k, 2] - vertices[j, 2] * vertices[k, 1]
        y = vertices[j, 2] * vertices[k, 0] - vertices[j, 0] * vertices[k, 2]
        z = vertices[j, 0] * vertices[k, 1] - vertices[j, 1] * vertices[k, 0]
        for axis in range(3):
            edges[i, axis] = (
                x * inverse_intrinsics[0, axis]
                + y * inverse_intrinsics[1, axis]
                + z * inverse_intrinsics[2, axis]
            )
        if i == 0:
            first = corners[0]
            determinant = x * vertices[first, 0] + y * vertices[first, 1] + z * vertices[first, 2]
    return determinant


@njit(cache=True, nogil=True, inline="always")
@no_type_check
def _bounding_box(
    vertices: np.ndarray,
    corners: np.ndarray,
    intrinsics: np.ndarray,
    near_m: float,
    height: int,
    width: int,
) -> tuple[int, int, int, int]:
    """Give the pixel range (left, right, top, bottom; ends excluded) that a face can cover."""
    left, right, top, bottom = np.inf, -np.inf, np.inf, -np.inf
    num_behind = 0
    for i in range(3):
        x, y, z = vertices[corners[i], 0], vertices[corners[i], 1], vertices[corners[i], 2]
        if z < near_m:
            num_behind += 1
            continue
        u = (intrinsics[0, 0] * x + intrinsics[0, 1] * y) / z + intrinsics[0, 2]
        v = (intrinsics[1, 0] * x + intrinsics[1, 1] * y) / z + intrinsics[1, 2]
        left, right = min(left, u), max(right, u)
        top, bottom = min(top, v), max(bottom, v)
    if num_behind == 3:
        return 0, 0, 0, 0
    if num_behind > 0:  # the projection of a face that crosses the near plane has no simple bound
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


@njit(cache=True, parallel=True)
@no_type_check
def _rasterise_batch(
    vertices: np.ndarray,
    inverse_intrinsics: np.ndarray,
    intrinsics: np.ndarray,
    faces: np.ndarray,
    near_m: float,
    cull_back_faces: bool,  # noqa: FBT001
    face_id: np.ndarray,
    barycentric: np.ndarray,
    depth_m: np.ndarray,
) -> None:
    for image in prange(face_id.shape[0]):
        rasterise_image(
            vertices[image],
            inverse_intrinsics[image],
            intrinsics[image],
            faces[image],
            near_m,
            cull_back_faces,
            face_id[image],
            barycentric[image],
            depth_m[image],
        )
