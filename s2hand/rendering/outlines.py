"""Where outlines pass between pixel centres: what anti-aliases an image and moves its edges.

An outline is an edge whose faces lie, as seen, on one side of it: the rim of a surface. Where it
crosses the line between the centres of two neighbouring pixels, and the farther one of them sees
something behind it, the two are blended by the place of the crossing. Steep outlines cross
horizontal pairs of pixels, flat ones vertical pairs, so that every row (or column) that an outline
passes has one crossing, however small the faces are.

References:
    The idea of a distance-weighted blend between two pixels is that of Laine et al., "Modular
    Primitives for High-Performance Differentiable Rendering", 2020, section 3.3, which looks at the
    edges of the faces that pixels see; walking along the outlines instead misses none of them where
    faces are smaller than pixels.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from s2hand.compiled import compiled
from s2hand.rendering.rasterise import NO_FACE, UNSEEN, turn
from s2hand.rendering.topology import NO_NEIGHBOUR

HORIZONTAL, VERTICAL = 0, 1
"""Pairs of pixels: one and its right neighbour, one and the one below; named by the first."""
NO_EDGE = -1
NO_INFLOW = -1.0
_SAME_SURFACE = 0.5
"""A pixel sees the outline's surface when it is nearer to it than this share of the gap behind."""


class Crossings(NamedTuple):
    """The crossings of one image."""

    edge: np.ndarray
    """The edge that crosses each horizontal and vertical pair, or −1."""
    flow: np.ndarray
    """The share of colour that flows from the first pixel to the second, −0.5 to 0.5; negative
    from the second to the first. It grows by one when the outline moves by one pixel."""
    touched: np.ndarray
    """Which pixels belong to a crossed pair."""


@compiled(error_model="numpy")
@no_type_check
def find_crossings(
    points: np.ndarray,
    depth_m: np.ndarray,
    edges: np.ndarray,
    edge_faces: np.ndarray,
    edge_opposite: np.ndarray,
    facing: np.ndarray,
    near_m: float,
    face_id: np.ndarray,
    seen_depth: np.ndarray,
) -> Crossings:
    """Find where outlines pass between the centres of neighbouring pixels that see them.

    Edges with an end nearer than ``near_m`` are left out.
    """
    height, width = face_id.shape
    crossings = Crossings(
        np.full((2, height, width), NO_EDGE, np.int32),
        np.empty((2, height, width)),
        np.zeros((height, width), np.bool_),
    )
    for edge in range(len(edges)):
        a, b = edges[edge, 0], edges[edge, 1]
        if not (min(points[a, 2], points[b, 2]) > 0 and min(depth_m[a], depth_m[b]) >= near_m):
            continue
        side = 0
        for k in range(2):
            face = edge_faces[edge, k]
            if face != NO_NEIGHBOUR and facing[face] != UNSEEN:
                side += turn(points, a, b, edge_opposite[edge, k])
        if side != 0:  # two faces on different sides cancel
            _walk(edge, a, b, side, points, depth_m, face_id, seen_depth, crossings)
    return crossings


@compiled(error_model="numpy")
@no_type_check
def _walk(
    edge: int,
    a: int,
    b: int,
    side: int,
    points: np.ndarray,
    depth_m: np.ndarray,
    face_id: np.ndarray,
    seen_depth: np.ndarray,
    crossings: Crossings,
) -> None:
    """Note the crossings of one edge, row by row when it is steep, else column by column."""
    height, width = face_id.shape
    wa, wb = points[a, 2], points[b, 2]
    au, av, bu, bv = points[a, 0] / wa, points[a, 1] / wa, points[b, 0] / wb, points[b, 1] / wb
    steep = abs(bv - av) >= abs(bu - au)
    if steep:
        pair, start, end, at_start, at_end = HORIZONTAL, av, bv, au, bu
        lines, places, surface_is_second = height, width, side * (av - bv) > 0
    else:
        pair, start, end, at_start, at_end = VERTICAL, au, bu, av, bv
        lines, places, surface_is_second = width, height, side * (bu - au) > 0
    # Half-open: where two edges meet on a line, one of them crosses it. Clip before converting.
    first = int(min(max(np.ceil(min(start, end)), 0.0), lines))
    last = int(min(max(np.ceil(max(start, end)), 0.0), lines))
    for line in range(first, last):
        t = (line - start) / (end - start)
        at = at_start + t * (at_end - at_start)
        # A pixel centre on the outline sees the surface.
        place = np.ceil(at) - 1 if surface_is_second else np.floor(at)
        if not 0 <= place < places - 1:
            continue
        i = int(place)
        y0, x0, y1, x1 = (line, i, line, i + 1) if steep else (i, line, i + 1, line)
        z0 = seen_depth[y0, x0] if face_id[y0, x0] != NO_FACE else np.inf
        z1 = seen_depth[y1, x1] if face_id[y1, x1] != NO_FACE else np.inf
        near, far = (z1, z0) if surface_is_second else (z0, z1)
        share_a, share_b = (1 - t) / wa, t / wb  # linear on the screen is not linear in space
        z = (share_a * depth_m[a] + share_b * depth_m[b]) / (share_a + share_b)
        if not (near < far and z < far and near - z < _SAME_SURFACE * (far - z)):
            continue
        flow = at - i - 0.5
        if crossings.edge[pair, y0, x0] != NO_EDGE:
            # Several rims in one pair: the one that covers most is the outline of their union.
            gain = flow - crossings.flow[pair, y0, x0]
            if (gain >= 0) if surface_is_second else (gain <= 0):
                continue
        crossings.edge[pair, y0, x0], crossings.flow[pair, y0, x0] = edge, flow
        crossings.touched[y0, x0] = crossings.touched[y1, x1] = True


@compiled(inline="always", error_model="numpy")
@no_type_check
def neighbour(k: int, row: int, column: int) -> tuple[int, int, int, int, int]:
    """Return the place of neighbour k, and the kind and the place of the pair.

    The neighbours are left, right, above and below; in the pairs with the first and the third
    the pixel is the second.
    """
    if k == 0:
        return row, column - 1, HORIZONTAL, row, column - 1
    if k == 1:
        return row, column + 1, HORIZONTAL, row, column
    if k == 2:
        return row - 1, column, VERTICAL, row - 1, column
    return row + 1, column, VERTICAL, row, column


@compiled(error_model="numpy")
@no_type_check
def inflows(crossings: Crossings, row: int, column: int, weights: np.ndarray) -> float:
    """Write with which weights the four neighbours flow into a pixel, −1 for not at all.

    Returns their sum; where it is above one, the weights written are divided by it.
    """
    total = 0.0
    for k in range(4):
        _, _, pair, y, x = neighbour(k, row, column)
        weights[k] = NO_INFLOW
        if y < 0 or x < 0 or crossings.edge[pair, y, x] == NO_EDGE:
            continue
        flow = crossings.flow[pair, y, x]
        if k % 2 == 0 and flow >= 0:
            weights[k] = flow
        elif k % 2 == 1 and flow < 0:
            weights[k] = -flow
        total += max(weights[k], 0.0)
    if total > 1:
        for k in range(4):
            weights[k] /= total
    return total


@compiled(error_model="numpy")
@no_type_check
def move_edge(
    ends: np.ndarray,
    pair: int,
    line: int,
    gradient: float,
    points: np.ndarray,
    to_points: np.ndarray,
) -> None:
    """Add the gradient of where an edge crosses a row (or column) to those of its two ends."""
    along, across = (1, 0) if pair == HORIZONTAL else (0, 1)
    a, b = ends[0], ends[1]
    start, end = points[a, along] / points[a, 2], points[b, along] / points[b, 2]
    at_start, at_end = points[a, across] / points[a, 2], points[b, across] / points[b, 2]
    t = (line - start) / (end - start)
    slope = (at_end - at_start) / (end - start)
    for vertex, share in ((a, 1 - t), (b, t)):
        w = points[vertex, 2]
        to_across = share * gradient / w
        to_along = -slope * to_across
        to_points[vertex, across] += to_across
        to_points[vertex, along] += to_along
        to_points[vertex, 2] -= (
            to_across * points[vertex, across] + to_along * points[vertex, along]
        ) / w
