"""Compiled helpers around light: vertex normals, shadow maps and ambient visibility."""

from typing import no_type_check

import numpy as np

from s2hand.compiled import compiled

SHADOW_MAP_PX = 96
AMBIENT_MAP_PX = 40
_BIAS_M = 0.004


@compiled(nogil=True, error_model="numpy")
@no_type_check
def smooth_normals(vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> None:
    """Write unit vertex normals, weighted by area; zero where a vertex has no face."""
    normals[:] = 0
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, az = vertices[a, 0], vertices[a, 1], vertices[a, 2]
        ux, uy, uz = vertices[b, 0] - ax, vertices[b, 1] - ay, vertices[b, 2] - az
        vx, vy, vz = vertices[c, 0] - ax, vertices[c, 1] - ay, vertices[c, 2] - az
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for vertex in range(vertices.shape[0]):
        nx, ny, nz = normals[vertex, 0], normals[vertex, 1], normals[vertex, 2]
        length = np.sqrt(nx * nx + ny * ny + nz * nz)
        if length > 0:
            normals[vertex, 0], normals[vertex, 1] = nx / length, ny / length
            normals[vertex, 2] = nz / length


@compiled(nogil=True, error_model="numpy")
@no_type_check
def light_frame(direction: np.ndarray) -> np.ndarray:
    """Give rows (right, down, into the scene) of the frame that looks along a light's rays."""
    frame = np.empty((3, 3))
    helper = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(helper, direction)
    right /= np.sqrt((right**2).sum())
    frame[0] = right
    frame[1] = np.cross(direction, right)
    frame[2] = -direction
    return frame


@compiled(nogil=True, error_model="numpy")
@no_type_check
def depth_map(
    vertices: np.ndarray,
    faces: np.ndarray,
    frame: np.ndarray,
    centre: np.ndarray,
    radius: float,
    depth: np.ndarray,
) -> None:
    """Draw the least depth along a light's rays; the map covers ``centre`` ± ``radius``."""
    size = depth.shape[0]
    depth[:] = np.inf
    scale = 0.5 * size / radius
    points = np.empty((vertices.shape[0], 3))
    for i in range(vertices.shape[0]):
        x, y, z = vertices[i, 0] - centre[0], vertices[i, 1] - centre[1], vertices[i, 2] - centre[2]
        points[i, 0] = (frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z + radius) * scale - 0.5
        points[i, 1] = (frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z + radius) * scale - 0.5
        points[i, 2] = frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, bx, by = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        cx, cy = points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-9:
            continue
        left, right = max(min(ax, bx, cx), 0.0), min(max(ax, bx, cx), size - 1.0)
        top, bottom = max(min(ay, by, cy), 0.0), min(max(ay, by, cy), size - 1.0)
        for row in range(int(np.ceil(top)), int(np.floor(bottom)) + 1):
            for column in range(int(np.ceil(left)), int(np.floor(right)) + 1):
                w1 = ((column - ax) * (cy - ay) - (row - ay) * (cx - ax)) / area
                w2 = ((bx - ax) * (row - ay) - (by - ay) * (column - ax)) / area
                if w1 < 0 or w2 < 0 or w1 + w2 > 1:
                    continue
                z = (1 - w1 - w2) * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
                depth[row, column] = min(depth[row, column], z)


@compiled(nogil=True, error_model="numpy", inline="always")
@no_type_check
def lit_share(
    depth: np.ndarray,
    frame: np.ndarray,
    centre: np.ndarray,
    radius: float,
    softness: float,
    shift: float,
    x: float,
    y: float,
    z: float,
) -> float:
    """Give the share (0 to 1) of a light that reaches a point.

    The depth map is compared at four taps, ``softness`` map pixels apart, all moved by ``shift``
    map pixels: the average over several shifts has a soft border.
    """
    size = depth.shape[0]
    dx, dy, dz = x - centre[0], y - centre[1], z - centre[2]
    scale = 0.5 * size / radius
    u = (frame[0, 0] * dx + frame[0, 1] * dy + frame[0, 2] * dz + radius) * scale
    v = (frame[1, 0] * dx + frame[1, 1] * dy + frame[1, 2] * dz + radius) * scale
    own = frame[2, 0] * dx + frame[2, 1] * dy + frame[2, 2] * dz - _BIAS_M
    half, reach = 0.5 * softness, 0.5 * softness + abs(shift) + 1
    if not (reach < u < size - reach and reach < v < size - reach):
        return 1.0
    left, right = int(u - half + shift), int(u + half + shift)
    top, bottom = int(v - half - shift), int(v + half - shift)
    lit = 0
    lit += depth[top, left] >= own
    lit += depth[top, right] >= own
    lit += depth[bottom, left] >= own
    lit += depth[bottom, right] >= own
    return lit * 0.25


@compiled(nogil=True, error_model="numpy")
@no_type_check
def ambient_visibility(
    vertices: np.ndarray,
    normals: np.ndarray,
    faces: np.ndarray,
    directions: np.ndarray,
    centre: np.ndarray,
    radius: float,
    visibility: np.ndarray,
) -> None:
    """Write the cosine-weighted share of ``directions`` from which each vertex is seen."""
    depth = np.empty((AMBIENT_MAP_PX, AMBIENT_MAP_PX), np.float32)
    weight = np.full(vertices.shape[0], 1e-6)
    visibility[:] = 0
    for k in range(directions.shape[0]):
        frame = light_frame(directions[k])
        depth_map(vertices, faces, frame, centre, radius, depth)
        for i in range(vertices.shape[0]):
            nx, ny, nz = normals[i, 0], normals[i, 1], normals[i, 2]
            cosine = nx * directions[k, 0] + ny * directions[k, 1] + nz * directions[k, 2]
            if cosine > 0:
                seen = lit_share(
                    depth, frame, centre, radius, 1.0, 0.0,
                    vertices[i, 0] + 0.003 * nx,
                    vertices[i, 1] + 0.003 * ny,
                    vertices[i, 2] + 0.003 * nz,
                )  # fmt: skip
                visibility[i] += cosine * seen
                weight[i] += cosine
    visibility /= weight
