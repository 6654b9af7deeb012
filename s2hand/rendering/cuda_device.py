"""Functions on the device that the CUDA backend's kernels share, in Triton.

Corners are taken relative to the pixel under test, where edge functions are small and lose no
digits. Without fused multiply-add (a launch option) two faces that share an edge find it with
exactly opposite signs, so that no pixel falls between them.

A vector is a tuple of three tensors, a corner one of four, (u·w, v·w, w, z); so is a colour: red,
green, blue and coverage.
"""

from typing import no_type_check

import triton
import triton.language as tl

EMPTY = tl.constexpr(0x7F800000_FFFFFFFF)
"""The word of a pixel that sees nothing: infinity, then face −1; also of a pair without outline."""
MIRROR = tl.constexpr(0x3FFFFFFF)
"""Exclusive or with it turns the order of the bits of 0..1 round, and back."""
SHARE_FIELDS = tl.constexpr(8)
"""Numbers in a share of a vertex's gradient: u·w, v·w, w, z, red, green, blue, and one unused."""
_MIN_SINE_SQUARED = tl.constexpr(1e-24)  # the CPU rasteriser's
_MARGIN_PX = tl.constexpr(0.01)  # more than rounding moves a corner that is near the image


@triton.jit
@no_type_check
def read_vector(table: tl.tensor, index: tl.tensor, mask: tl.tensor) -> tl.tuple:
    """Read rows of a table of three columns."""
    at = table + index * 3
    return tl.load(at, mask, 0), tl.load(at + 1, mask, 0), tl.load(at + 2, mask, 0)


@triton.jit
@no_type_check
def read_rgb(at: tl.tensor, size: int, mask: tl.tensor) -> tl.tuple:
    """Read pixels of an image whose channels lie ``size`` numbers apart."""
    return tl.load(at, mask, 0.0), tl.load(at + size, mask, 0.0), tl.load(at + 2 * size, mask, 0.0)


@triton.jit
@no_type_check
def read_corner(
    points: tl.tensor, depth_m: tl.tensor, vertex: tl.tensor, mask: tl.tensor
) -> tl.tuple:
    """Read vertices as corners."""
    u, v, w = read_vector(points, vertex, mask)
    return u, v, w, tl.load(depth_m + vertex, mask, 0.0)


@triton.jit
@no_type_check
def read_triangle(
    points: tl.tensor, depth_m: tl.tensor, faces: tl.tensor, face: tl.tensor, mask: tl.tensor
) -> tl.tuple:
    """Read the three corners of faces."""
    a, b, c = read_vector(faces, face, mask)
    return (
        read_corner(points, depth_m, a, mask),
        read_corner(points, depth_m, b, mask),
        read_corner(points, depth_m, c, mask),
    )


@triton.jit
@no_type_check
def cross(p: tl.tuple, q: tl.tuple) -> tl.tuple:
    """Return the cross product of two vectors."""
    return p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]


@triton.jit
@no_type_check
def dot(p: tl.tuple, q: tl.tuple) -> tl.tensor:
    """Return the dot product of two vectors."""
    return p[0] * q[0] + p[1] * q[1] + p[2] * q[2]


@triton.jit
@no_type_check
def subtract(p: tl.tuple, q: tl.tuple) -> tl.tuple:
    """Return p − q."""
    return p[0] - q[0], p[1] - q[1], p[2] - q[2]


@triton.jit
@no_type_check
def add_scaled(p: tl.tuple, factor: tl.tensor, q: tl.tuple) -> tl.tuple:
    """Return p + factor · q of tuples of four."""
    return p[0] + factor * q[0], p[1] + factor * q[1], p[2] + factor * q[2], p[3] + factor * q[3]


@triton.jit
@no_type_check
def add_moment(m: tl.tuple, gradient: tl.tensor, x: tl.tensor, y: tl.tensor) -> tl.tuple:
    """Return m + gradient · (x, y, 1)."""
    return m[0] + gradient * x, m[1] + gradient * y, m[2] + gradient


@triton.jit
@no_type_check
def _sum_pixels(values: tl.tensor) -> tl.tensor:
    return tl.sum(values, axis=1, keep_dims=True)


@triton.jit
@no_type_check
def sum_vector(p: tl.tuple) -> tl.tuple:
    """Sum a vector over the pixels of tiles."""
    return _sum_pixels(p[0]), _sum_pixels(p[1]), _sum_pixels(p[2])


@triton.jit
@no_type_check
def sum_colour(p: tl.tuple) -> tl.tuple:
    """Sum a tuple of four over the pixels of tiles."""
    return _sum_pixels(p[0]), _sum_pixels(p[1]), _sum_pixels(p[2]), _sum_pixels(p[3])


@triton.jit
@no_type_check
def _double(corner: tl.tuple) -> tl.tuple:
    return corner[0].to(tl.float64), corner[1].to(tl.float64), corner[2].to(tl.float64)


@triton.jit
@no_type_check
def turn(a: tl.tuple, b: tl.tuple, c: tl.tuple) -> tl.tensor:
    """Return the sign of det(a, b, c), 0 where it nearly vanishes, as the CPU rasteriser does."""
    p = _double(a)
    q, r = subtract(_double(b), p), subtract(_double(c), p)
    span = dot(p, cross(q, r))
    size = dot(p, p) * dot(q, q) * dot(r, r)
    turns = span * span > size * _MIN_SINE_SQUARED
    return tl.where(turns, tl.where(span > 0, 1, -1), 0)


@triton.jit
@no_type_check
def pixel_range(
    a: tl.tensor, b: tl.tensor, c: tl.tensor, known: tl.tensor, drawn: tl.tensor, size: int
) -> tl.tuple:
    """Return the first of an image's lines that three places span, and the one after the last."""
    low = tl.where(known, tl.minimum(tl.minimum(a, b), c) - _MARGIN_PX, 0.0)
    high = tl.where(known, tl.maximum(tl.maximum(a, b), c) + _MARGIN_PX, size - 1.0)
    # Clipped before it is converted: a far place may not fit an integer.
    start = tl.ceil(tl.minimum(tl.maximum(low, 0.0), size * 1.0)).to(tl.int32)
    end = tl.floor(tl.minimum(tl.maximum(high, -1.0), size - 1.0)).to(tl.int32) + 1
    drawn &= start < end
    return tl.where(drawn, start, 0), tl.where(drawn, end, 0)


@triton.jit
@no_type_check
def read_box(boxes: tl.tensor, face: tl.tensor, mask: tl.tensor) -> tl.tuple:
    """Read the boxes of faces: left, right, top, bottom, ends excluded."""
    at = boxes + face * 4
    return (
        tl.load(at, mask, 0),
        tl.load(at + 1, mask, 0),
        tl.load(at + 2, mask, 0),
        tl.load(at + 3, mask, 0),
    )


@triton.jit
@no_type_check
def count_tiles(box: tl.tuple, SIDE: tl.constexpr) -> tl.tensor:
    """Return the number of tiles that cover each box."""
    return tl.cdiv(box[1] - box[0], SIDE) * tl.cdiv(box[3] - box[2], SIDE)


@triton.jit
@no_type_check
def tile_pixels(box: tl.tuple, tile: tl.tensor, SIDE: tl.constexpr) -> tl.tuple:
    """Return row, column and whether it lies in the box for the pixels of a box's tile."""
    place = tl.arange(0, SIDE * SIDE)[None, :]
    across = tl.maximum(tl.cdiv(box[1] - box[0], SIDE), 1)
    row = box[2] + tile // across * SIDE + place // SIDE
    column = box[0] + tile % across * SIDE + place % SIDE
    return row, column, (row < box[3]) & (column < box[1])


@triton.jit
@no_type_check
def relative_to(corner: tl.tuple, row: tl.tensor, column: tl.tensor) -> tl.tuple:
    """Return a corner's homogeneous pixel relative to another pixel."""
    return corner[0] - column * corner[2], corner[1] - row * corner[2], corner[2]


@triton.jit
@no_type_check
def edge_functions(
    a: tl.tuple, b: tl.tuple, c: tl.tuple, row: tl.tensor, column: tl.tensor
) -> tl.tuple:
    """Return (q × r)·x for each two corners of faces, x = (column, row, 1)."""
    y, x = row.to(tl.float32), column.to(tl.float32)
    p, q, r = relative_to(a, y, x), relative_to(b, y, x), relative_to(c, y, x)
    return q[0] * r[1] - q[1] * r[0], r[0] * p[1] - r[1] * p[0], p[0] * q[1] - p[1] * q[0]


@triton.jit
@no_type_check
def weights_at(
    a: tl.tuple, b: tl.tuple, c: tl.tuple, row: tl.tensor, column: tl.tensor, mask: tl.tensor
) -> tl.tuple:
    """Return barycentric weights, zero outside the mask, and the sum of the edge functions."""
    e = edge_functions(a, b, c, row, column)
    total = tl.where(mask, e[0] + e[1] + e[2], 1.0)
    weights = (
        tl.where(mask, e[0] / total, 0.0),
        tl.where(mask, e[1] / total, 0.0),
        tl.where(mask, e[2] / total, 0.0),
    )
    return weights, total


@triton.jit
@no_type_check
def look(
    points: tl.tensor,
    colours: tl.tensor,
    background: tl.tensor,
    faces: tl.tensor,
    words: tl.tensor,
    row: tl.tensor,
    column: tl.tensor,
    width: int,
    mask: tl.tensor,
    PER_VERTEX: tl.constexpr,
) -> tl.tuple:
    """Return what pixels' centres see: red, green, blue, coverage."""
    face = tl.load(words + row * width + column, mask, EMPTY).to(tl.int32)
    seen = face >= 0
    if PER_VERTEX:
        i, j, k = read_vector(faces, face, seen)
        a, b, c = (
            read_vector(points, i, seen),
            read_vector(points, j, seen),
            read_vector(points, k, seen),
        )
        weights, _ = weights_at(a, b, c, row, column, seen)
        p, q, r = (
            read_vector(colours, i, seen),
            read_vector(colours, j, seen),
            read_vector(colours, k, seen),
        )
        red = weights[0] * p[0] + weights[1] * q[0] + weights[2] * r[0]
        green = weights[0] * p[1] + weights[1] * q[1] + weights[2] * r[1]
        blue = weights[0] * p[2] + weights[1] * q[2] + weights[2] * r[2]
    else:
        red, green, blue = read_vector(colours, face, seen)
    return (
        tl.where(seen, red, tl.load(background)),
        tl.where(seen, green, tl.load(background + 1)),
        tl.where(seen, blue, tl.load(background + 2)),
        tl.where(seen, 1.0, 0.0),
    )


@triton.jit
@no_type_check
def depth_of(word: tl.tensor) -> tl.tensor:
    """Return the depth in a pixel's word; infinity where nothing is seen."""
    return (word >> 32).to(tl.int32).to(tl.float32, bitcast=True)


@triton.jit
@no_type_check
def signature(edge: tl.tensor, second: tl.tensor) -> tl.tensor:
    """Return the lower half of a pair's word."""
    return edge * 2 + second.to(tl.int32)


@triton.jit
@no_type_check
def read_outline(
    points: tl.tensor,
    depth_m: tl.tensor,
    edges: tl.tensor,
    edge_faces: tl.tensor,
    edge_opposite: tl.tensor,
    facing: tl.tensor,
    edge: tl.tensor,
    mask: tl.tensor,
    near_m: float,
) -> tl.tuple:
    """Return edges' ends and on which side their surface ends: ±1, or 0 where it goes on."""
    a_vertex = tl.load(edges + edge * 2, mask, 0)
    b_vertex = tl.load(edges + edge * 2 + 1, mask, 0)
    a = read_corner(points, depth_m, a_vertex, mask)
    b = read_corner(points, depth_m, b_vertex, mask)
    side = tl.zeros_like(edge)
    for k in tl.static_range(2):
        face = tl.load(edge_faces + edge * 2 + k, mask, -1)
        seen = face >= 0
        seen &= tl.load(facing + face, seen, 0) != 0
        opposite = tl.load(edge_opposite + edge * 2 + k, seen, 0)
        side += tl.where(seen, turn(a, b, read_corner(points, depth_m, opposite, seen)), 0)
    ahead = (tl.minimum(a[2], b[2]) > 0) & (tl.minimum(a[3], b[3]) >= near_m)
    return a, b, tl.where(ahead, side, 0)


@triton.jit
@no_type_check
def walk(a: tl.tuple, b: tl.tuple, side: tl.tensor, height: int, width: int) -> tl.tuple:
    """Return how edges cross the lines of pixels: rows where they are steep, else columns.

    That is (start, end, start across, end across), whether they are steep, whether the surface's
    own pixel is the second of a pair, the first line and the number of lines.
    """
    au, av, bu, bv = a[0] / a[2], a[1] / a[2], b[0] / b[2], b[1] / b[2]
    steep = tl.abs(bv - av) >= tl.abs(bu - au)
    start, end = tl.where(steep, av, au), tl.where(steep, bv, bu)
    across, across_end = tl.where(steep, au, av), tl.where(steep, bu, bv)
    second = tl.where(steep, start - end, end - start) * side > 0
    size = tl.where(steep, height, width).to(tl.float32)
    # Half-open: where two edges meet on a line, one of them crosses it.
    first = tl.minimum(tl.maximum(tl.ceil(tl.minimum(start, end)), 0.0), size).to(tl.int32)
    last = tl.minimum(tl.maximum(tl.ceil(tl.maximum(start, end)), 0.0), size).to(tl.int32)
    count = tl.where(side != 0, last - first, 0)
    return (start, end, across, across_end), steep, second, first, count


@triton.jit
@no_type_check
def cross_line(
    line: tl.tuple,
    steep: tl.tensor,
    second: tl.tensor,
    place: tl.tensor,
    mask: tl.tensor,
    height: int,
    width: int,
) -> tl.tuple:
    """Return where edges cross a line of pixels.

    That is the way from start to end (0 to 1), the distance from the centre of the surface's own
    pixel, the first and the second pixel, and whether both are in the image.
    """
    share = (place - line[0]) / (line[1] - line[0])
    at = line[2] + share * (line[3] - line[2])
    # A pixel's centre on the outline is covered.
    first = tl.where(second, tl.ceil(at) - 1, tl.floor(at))
    distance = tl.where(second, first + 1 - at, at - first)
    mask &= (first >= 0) & (first < tl.where(steep, width, height) - 1)
    first = tl.where(mask, first, 0).to(tl.int32)
    pixel = tl.where(steep, place * width + first, first * width + place)
    return share, distance, pixel, pixel + tl.where(steep, 1, width), mask


@triton.jit
@no_type_check
def neighbour(
    row: tl.tensor, column: tl.tensor, height: int, width: int, SIDE: tl.constexpr
) -> tl.tuple:
    """Return the pixel to the right, to the left, below or above, and whether there is one."""
    row += (SIDE == 2) - (SIDE == 3)
    column += (SIDE == 0) - (SIDE == 1)
    return row, column, (row >= 0) & (row < height) & (column >= 0) & (column < width)


@triton.jit
@no_type_check
def inflow(
    words: tl.tensor,
    plane: tl.tensor,
    row: tl.tensor,
    column: tl.tensor,
    height: int,
    width: int,
    mask: tl.tensor,
    SIDE: tl.constexpr,
) -> tl.tensor:
    """Return how much of a neighbour's colour flows into pixels, 0 to 0.5."""
    next_row, next_column, there = neighbour(row, column, height, width, SIDE)
    first_row, first_column = tl.minimum(row, next_row), tl.minimum(column, next_column)
    at = words + plane * (1 + SIDE // 2) + first_row * width + first_column
    word = tl.load(at, mask & there, EMPTY)
    distance = ((word >> 32).to(tl.int32) ^ MIRROR).to(tl.float32, bitcast=True)
    own = (word & 1) == SIDE % 2
    flow = tl.maximum(tl.where(own, 0.5 - distance, distance - 0.5), 0.0)
    return tl.where(word == EMPTY, 0.0, flow)


@triton.jit
@no_type_check
def total_inflow(
    words: tl.tensor,
    plane: tl.tensor,
    row: tl.tensor,
    column: tl.tensor,
    height: int,
    width: int,
    mask: tl.tensor,
) -> tl.tensor:
    """Return how much flows into pixels from all sides, before it is shared."""
    total = 0.0
    for side in tl.static_range(4):
        total += inflow(words, plane, row, column, height, width, mask, side)
    return total


@triton.jit
@no_type_check
def store_shares(
    at: tl.tensor,
    a: tl.tuple,
    b: tl.tuple,
    c: tl.tuple,
    moments: tl.tuple,
    row: tl.tensor,
    column: tl.tensor,
    rest: tl.tuple,
    mask: tl.tensor,
) -> None:
    """Write the shares of faces' corners.

    The moments m = Σ dL/de · x of the edge functions e = (p × q)·x, x = (column, row, 1), give the
    gradients q × m of p and m × p of q. They are relative to the pixel given, and so are the
    corners here; ``rest`` are the gradients of z, red, green and blue.
    """
    p, q, r = relative_to(a, row, column), relative_to(b, row, column), relative_to(c, row, column)
    to_a = subtract(cross(q, moments[2]), cross(r, moments[1]))
    to_b = subtract(cross(r, moments[0]), cross(p, moments[2]))
    to_c = subtract(cross(p, moments[1]), cross(q, moments[0]))
    gradients = to_a, to_b, to_c
    for corner in tl.static_range(3):
        gradient, others = gradients[corner], rest[corner]
        to = at + corner * SHARE_FIELDS
        tl.store(to, gradient[0], mask)
        tl.store(to + 1, gradient[1], mask)
        tl.store(to + 2, gradient[2] - column * gradient[0] - row * gradient[1], mask)
        for field in tl.static_range(4):
            tl.store(to + 3 + field, others[field], mask)


@triton.jit
@no_type_check
def store_pull(
    at: tl.tensor,
    corner: tl.tuple,
    pull: tl.tensor,
    slope: tl.tensor,
    steep: tl.tensor,
    moved: tl.tensor,
    mask: tl.tensor,
) -> None:
    """Write the gradients of an edge's end, from that of the place where it crosses lines.

    That place moves as far as the end does across the lines, and by −slope along them.
    """
    u, v = corner[0] / corner[2], corner[1] / corner[2]
    to_u = tl.where(moved, tl.where(steep, pull, -slope * pull) / corner[2], 0.0)
    to_v = tl.where(moved, tl.where(steep, -slope * pull, pull) / corner[2], 0.0)
    tl.store(at, to_u, mask)
    tl.store(at + 1, to_v, mask)
    tl.store(at + 2, tl.where(moved, -(to_u * u + to_v * v), 0.0), mask)
    for field in tl.static_range(3, 7):
        tl.store(at + field, tl.zeros_like(to_u), mask)
