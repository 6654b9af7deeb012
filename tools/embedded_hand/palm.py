"""The palm's mesh: a planar Delaunay start in an annulus, then relaxed on the skin.

The palm between the fingers' bases, the thumb's base and the wrist is an annulus with one hole;
it is triangulated there, lifted by a harmonic map, and then smoothed, re-triangulated by edge
flips and projected until its triangles are even.
"""

from typing import Final

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve
from scipy.spatial import Delaunay

from tools.embedded_hand.fingers import Fingers, MeshBuilder
from tools.embedded_hand.skeleton import WRIST, Array, unit
from tools.embedded_hand.surface import HandSurface

WRIST_SIDES: Final = 16
WRIST_CUT_X: Final = 0.1085
OUTER: Final = 3.0
INNER: Final = 1.0
THUMB_CENTRE: Final = 1.85
THUMB_RADIUS: Final = 0.42
REFERENCE_RADIUS: Final = 0.022
"""Skin bent more than this radius (metres) gets smaller triangles."""


def wrist_ring(surface: HandSurface) -> Array:
    """Sixteen points around the wrist, starting radially, dorsal side first."""
    angles = np.arange(WRIST_SIDES) * (2 * np.pi / WRIST_SIDES)
    # Equal steps along an oval rather than equal angles.
    directions = np.stack([np.zeros(WRIST_SIDES), 0.68 * np.sin(angles), np.cos(angles)], axis=1)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    origin = np.array([WRIST_CUT_X, WRIST[1], WRIST[2]])
    return surface.cast(np.tile(origin, (WRIST_SIDES, 1)), directions, reach=0.05)


def build_palm(surface: HandSurface, mesh: MeshBuilder, fingers: Fingers, count: int) -> list[int]:
    """Fill the palm with ``count`` vertices; give the wrist's boundary ring."""
    wrist = mesh.add(wrist_ring(surface))
    chart, numbers = _boundary_chart(fingers, wrist)
    interior = _interior_chart(count)
    triangles = _triangulate(chart, interior)
    inner = mesh.add(np.zeros((count, 3)))
    number_of = np.array([*numbers, *inner])
    faces = _orient(number_of[triangles], mesh)
    points = np.array(mesh.points)
    points[inner] = _harmonic(points, faces, inner)
    points[inner] = surface.project(points[inner], steps=20)
    faces = relax(surface, points, faces, np.array(inner), rounds=70)
    mesh.points = list(points)
    mesh.faces += [tuple(int(i) for i in face) for face in faces]
    return wrist


def _boundary_chart(fingers: Fingers, wrist: list[int]) -> tuple[Array, list[int]]:
    """Planar places of the fixed vertices: knuckle line outside, wrist inside, thumb as a hole."""
    loop = fingers.knuckle_line
    # Radial edge at angle 0, dorsal first: index 0 radial side, 14 ulnar side of 28.
    outer_angle = np.arange(len(loop)) * (2 * np.pi / len(loop))
    inner_angle = np.arange(len(wrist)) * (2 * np.pi / len(wrist))
    thumb = fingers.base["thumb"]
    # Around the thumb: its radial side (0) looks to the wrist, its ulnar side (5) to the index
    # finger, its dorsal side to the back of the hand.
    turn = np.pi - np.arange(len(thumb)) * (2 * np.pi / len(thumb))
    hole = np.stack(
        [THUMB_CENTRE + THUMB_RADIUS * np.cos(turn), THUMB_RADIUS * np.sin(turn)], axis=1
    )
    outer = OUTER * np.stack([np.cos(outer_angle), np.sin(outer_angle)], axis=1)
    inner = INNER * np.stack([np.cos(inner_angle), np.sin(inner_angle)], axis=1)
    return np.vstack([outer, inner, hole]), [*loop, *wrist, *thumb]


def _interior_chart(count: int) -> Array:
    """Evenly spread points of the annulus away from its borders (farthest-point selection)."""
    rings = np.linspace(INNER, OUTER, 60)[3:-3]
    turn = 2 * np.pi * (np.arange(180)[None] + 0.37 * np.arange(len(rings))[:, None]) / 180
    candidates = (rings[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=2)).reshape(
        -1, 2
    )
    away = np.linalg.norm(candidates - [THUMB_CENTRE, 0.0], axis=1) > THUMB_RADIUS + 0.12
    candidates = candidates[away]
    borders = _border_samples()
    distance = np.min(np.linalg.norm(candidates[:, None] - borders[None], axis=2), axis=1)
    chosen = []
    for _ in range(count):
        best = int(np.argmax(distance))
        chosen.append(candidates[best])
        distance = np.minimum(distance, np.linalg.norm(candidates - candidates[best], axis=1))
    return np.array(chosen)


def _border_samples() -> Array:
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.vstack([OUTER * circle, INNER * circle, [THUMB_CENTRE, 0.0] + THUMB_RADIUS * circle])


def _triangulate(chart: Array, interior: Array) -> Array:
    # Rounded, so that the last bits of a sine decide no triangle.
    points = np.round(np.vstack([chart, interior]), 6)
    triangles = Delaunay(points).simplices
    centres = points[triangles].mean(axis=1)
    fixed = len(chart)
    all_fixed = (triangles < fixed).all(axis=1)
    in_wrist = np.linalg.norm(centres, axis=1) < INNER
    in_thumb = np.linalg.norm(centres - [THUMB_CENTRE, 0.0], axis=1) < THUMB_RADIUS
    triangles = triangles[~(all_fixed & (in_wrist | in_thumb))]
    corner = points[triangles]
    one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    clockwise = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] < 0
    triangles[clockwise] = triangles[clockwise][:, ::-1]
    return triangles


def _orient(faces: Array, mesh: MeshBuilder) -> Array:
    """Turn all palm faces over if they run along a finger's border in the finger's direction."""
    used = {(f[k], f[(k + 1) % 3]) for f in mesh.faces for k in range(3)}
    clashes = sum((int(f[k]), int(f[(k + 1) % 3])) in used for f in faces for k in range(3))
    return faces[:, ::-1].copy() if clashes else faces


def _edges(faces: Array) -> Array:
    return np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)


def _harmonic(points: Array, faces: Array, inner: list[int]) -> Array:
    edges = _edges(faces)
    size = len(points)
    ones = np.ones(len(edges))
    adjacency = coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(size, size)).tocsr()
    adjacency = adjacency + adjacency.T
    laplacian = diags(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency
    free = np.array(inner)
    fixed = np.setdiff1d(np.unique(faces), free)
    right = -laplacian[free][:, fixed] @ points[fixed]
    return spsolve(laplacian[free][:, free].tocsc(), right)


def relax(surface: HandSurface, points: Array, faces: Array, free: Array, *, rounds: int) -> Array:
    """Even out triangles in place: flips, tangential smoothing, projection. Gives the faces."""
    normals = unit(surface.gradient(points))
    for step in range(rounds):
        faces = flip_edges(points, faces)
        normals[free] = unit(surface.gradient(points[free]))
        move = _weighted_neighbours(points, faces, normals)[free] - points[free]
        move -= normals[free] * np.sum(move * normals[free], axis=1, keepdims=True)
        points[free] += (0.7 if step < rounds - 5 else 0.4) * move
        points[free] = surface.project(points[free], steps=2)
    return flip_edges(points, faces)


def _weighted_neighbours(points: Array, faces: Array, normals: Array) -> Array:
    """For each vertex the mean of its faces' centres, weighted by area and bending of the skin.

    Strongly bent places (webs, creases, knuckles) thereby gather smaller triangles.
    """
    corners = points[faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    bending = []
    for k in range(3):
        turned = np.linalg.norm(normals[faces[:, k]] - normals[faces[:, k - 1]], axis=1)
        bending.append(turned / np.linalg.norm(corners[:, k] - corners[:, k - 1], axis=1))
    curvature = np.mean(bending, axis=0)
    area *= np.clip(0.5 + curvature * REFERENCE_RADIUS, 0.7, 4.0)
    total = np.zeros(len(points))
    summed = np.zeros_like(points)
    for k in range(3):
        np.add.at(total, faces[:, k], area)
        np.add.at(summed, faces[:, k], area[:, None] * corners.mean(axis=1))
    return summed / np.maximum(total, 1e-15)[:, None]


def flip_edges(points: Array, faces: Array, passes: int = 4) -> Array:
    """Flip interior edges whose opposite angles sum to more than 180 degrees (Delaunay)."""
    faces = faces.copy()
    for _ in range(passes):
        owner: dict[tuple[int, int], list[int]] = {}
        for index, face in enumerate(faces):
            for k in range(3):
                a, b = int(face[k]), int(face[(k + 1) % 3])
                owner.setdefault((min(a, b), max(a, b)), []).append(index)
        touched: set[int] = set()
        known = set(owner)
        for (a, b), pair in owner.items():
            if len(pair) != 2 or touched & set(pair):
                continue
            one, two = pair
            c = int(next(i for i in faces[one] if i not in (a, b)))
            d = int(next(i for i in faces[two] if i not in (a, b)))
            if (min(c, d), max(c, d)) in known:
                continue
            if _angle(points, c, a, b) + _angle(points, d, a, b) <= np.pi + 1e-6:
                continue
            forward = any(faces[one][k] == a and faces[one][(k + 1) % 3] == b for k in range(3))
            first, second = (a, b) if forward else (b, a)
            faces[one] = (first, d, c)
            faces[two] = (d, second, c)
            known.add((min(c, d), max(c, d)))
            touched |= {one, two}
        if not touched:
            break
    return faces


def _angle(points: Array, at: int, a: int, b: int) -> float:
    u, v = points[a] - points[at], points[b] - points[at]
    return float(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v))
