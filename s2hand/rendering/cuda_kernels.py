"""The CUDA backend's kernels, in Triton.

What a pixel sees, and which outline passes between two pixels, is one 64-bit word each, found by
an atomic minimum: the nearer face, and the crossing farther from the surface's own pixel, have the
smaller word, so that the order in which programs run leaves no trace. ``words`` is (3, images,
height, width): pixels, then pairs of a pixel and the one to its right, then of a pixel and the one
below. The word of a pixel is the bits of its depth, then the index of its face. That of a pair is
the bits of the crossing's distance from the surface's own pixel, turned round, then twice the
index of the edge, plus one where the surface's own pixel is the second.

Nothing else is added up by atomics: faces and edges sum their pixels in registers, vertices sum
their faces and edges in the order of a list. So gradients, too, are the same bits in every run.

Numbers are float32. Axis 0 of each grid counts blocks of faces, edges, pixels or vertices, axis 1
images.
"""

from typing import no_type_check

import triton
import triton.language as tl

from s2hand.rendering.cuda_device import (
    EMPTY,
    MIRROR,
    SHARE_FIELDS,
    add_moment,
    add_scaled,
    count_tiles,
    cross_line,
    depth_of,
    dot,
    edge_functions,
    inflow,
    look,
    neighbour,
    pixel_range,
    read_box,
    read_outline,
    read_rgb,
    read_triangle,
    read_vector,
    signature,
    store_pull,
    store_shares,
    subtract,
    sum_colour,
    sum_vector,
    tile_pixels,
    total_inflow,
    turn,
    walk,
    weights_at,
)


@triton.jit
@no_type_check
def bound_faces(
    points: tl.tensor,
    depth_m: tl.tensor,
    faces: tl.tensor,
    facing: tl.tensor,
    boxes: tl.tensor,
    num_vertices: int,
    num_faces: int,
    height: int,
    width: int,
    near_m: float,
    CULL: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Write how each face turns (1 front, −1 back, 0 unseen) and the pixels that it can cover.

    A box is (left, right, top, bottom), ends excluded; that of an unseen face is empty.
    """
    image = tl.program_id(1).to(tl.int64)
    face = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = face < num_faces
    points += image * num_vertices * 3
    depth_m += image * num_vertices
    a, b, c = read_triangle(points, depth_m, faces, face, real)
    # A front face turns counter-clockwise as seen, which makes the determinant negative.
    front = -turn(a, b, c)
    if CULL:
        front = tl.maximum(front, 0)
    drawn = (front != 0) & (tl.maximum(tl.maximum(a[3], b[3]), c[3]) >= near_m)
    # What is seen of a face that reaches behind the camera has no simple bound.
    ahead = tl.minimum(tl.minimum(a[2], b[2]), c[2]) > 0
    left, right = pixel_range(a[0] / a[2], b[0] / b[2], c[0] / c[2], ahead, drawn, width)
    top, bottom = pixel_range(a[1] / a[2], b[1] / b[2], c[1] / c[2], ahead, drawn, height)
    at = image * num_faces + face
    tl.store(facing + at, front.to(tl.int8), real)
    tl.store(boxes + at * 4, left, real)
    tl.store(boxes + at * 4 + 1, right, real)
    tl.store(boxes + at * 4 + 2, top, real)
    tl.store(boxes + at * 4 + 3, bottom, real)


@triton.jit
@no_type_check
def find_nearest(
    points: tl.tensor,
    depth_m: tl.tensor,
    faces: tl.tensor,
    boxes: tl.tensor,
    words: tl.tensor,
    num_vertices: int,
    num_faces: int,
    height: int,
    width: int,
    near_m: float,
    FACES: tl.constexpr,
    SIDE: tl.constexpr,
) -> None:
    """Find the nearest face and its depth at every pixel; each face walks its box in tiles."""
    image = tl.program_id(1).to(tl.int64)
    face = (tl.program_id(0) * FACES + tl.arange(0, FACES))[:, None]
    real = face < num_faces
    points += image * num_vertices * 3
    depth_m += image * num_vertices
    words += image * height * width
    a, b, c = read_triangle(points, depth_m, faces, face, real)
    box = read_box(boxes, image * num_faces + face, real)
    for tile in range(tl.max(count_tiles(box, SIDE))):
        row, column, inside = tile_pixels(box, tile, SIDE)
        e = edge_functions(a, b, c, row, column)
        total = e[0] + e[1] + e[2]
        covered = ((e[0] >= 0) & (e[1] >= 0) & (e[2] >= 0)) | (
            (e[0] <= 0) & (e[1] <= 0) & (e[2] <= 0)
        )
        depth = (e[0] * a[3] + e[1] * b[3] + e[2] * c[3]) / total
        covered &= inside & (depth >= near_m) & (depth < float("inf"))
        word = (depth.to(tl.int32, bitcast=True).to(tl.int64) << 32) | face
        tl.atomic_min(words + row * width + column, word, covered, sem="relaxed")


@triton.jit
@no_type_check
def find_crossings(
    points: tl.tensor,
    depth_m: tl.tensor,
    edges: tl.tensor,
    edge_faces: tl.tensor,
    edge_opposite: tl.tensor,
    facing: tl.tensor,
    words: tl.tensor,
    num_vertices: int,
    num_faces: int,
    num_edges: int,
    height: int,
    width: int,
    near_m: float,
    BLOCK: tl.constexpr,
) -> None:
    """Find the outlines that pass between the centres of neighbouring pixels, and where."""
    image = tl.program_id(1).to(tl.int64)
    edge = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    points += image * num_vertices * 3
    depth_m += image * num_vertices
    facing += image * num_faces
    words += image * height * width
    plane = tl.num_programs(1).to(tl.int64) * height * width
    a, b, side = read_outline(
        points, depth_m, edges, edge_faces, edge_opposite, facing, edge, edge < num_edges, near_m
    )
    line, steep, second, first_step, num_steps = walk(a, b, side, height, width)
    pairs = words + plane * tl.where(steep, 1, 2)
    for step in range(tl.max(num_steps)):
        share, distance, pixel, other, met = cross_line(
            line, steep, second, first_step + step, step < num_steps, height, width
        )
        first_depth = depth_of(tl.load(words + pixel, met, EMPTY))
        second_depth = depth_of(tl.load(words + other, met, EMPTY))
        near = tl.where(second, second_depth, first_depth)
        far = tl.where(second, first_depth, second_depth)
        a_weight, b_weight = (1 - share) / a[2], share / b[2]
        z = (a_weight * a[3] + b_weight * b[3]) / (a_weight + b_weight)
        # Its own pixel shows the surface, or what hides it, and the other pixel what it hides.
        met &= (near < far) & (z < far) & (near - z < 0.5 * (far - z))
        word = (distance.to(tl.int32, bitcast=True) ^ MIRROR).to(tl.int64) << 32
        tl.atomic_min(pairs + pixel, word | signature(edge, second), met, sem="relaxed")


@triton.jit
@no_type_check
def compose(
    points: tl.tensor,
    colours: tl.tensor,
    background: tl.tensor,
    faces: tl.tensor,
    words: tl.tensor,
    image_out: tl.tensor,
    silhouette: tl.tensor,
    seen_depth: tl.tensor,
    face_id: tl.tensor,
    num_vertices: int,
    num_faces: int,
    height: int,
    width: int,
    PER_VERTEX: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Colour every pixel and let its neighbours' colours flow in across outlines."""
    image = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    size = height * width
    real = pixel < size
    row, column = pixel // width, pixel % width
    points += image * num_vertices * 3
    colours += image * (num_vertices if PER_VERTEX else num_faces) * 3
    words += image * size
    plane = tl.num_programs(1).to(tl.int64) * size
    own = look(points, colours, background, faces, words, row, column, width, real, PER_VERTEX)
    total, flowed = 0.0, (0.0, 0.0, 0.0, 0.0)
    for side in tl.static_range(4):
        weight = inflow(words, plane, row, column, height, width, real, side)
        next_row, next_column, _ = neighbour(row, column, height, width, side)
        seen = look(
            points, colours, background, faces, words, next_row, next_column, width, weight > 0,
            PER_VERTEX,
        )  # fmt: skip
        flowed = add_scaled(flowed, weight, seen)
        total += weight
    # Flows that together ask for more than the pixel share it.
    keep, scale = tl.maximum(1 - total, 0.0), 1 / tl.maximum(total, 1.0)
    at = image_out + image * 3 * size + pixel
    tl.store(at, keep * own[0] + scale * flowed[0], real)
    tl.store(at + size, keep * own[1] + scale * flowed[1], real)
    tl.store(at + 2 * size, keep * own[2] + scale * flowed[2], real)
    at = image * size + pixel
    tl.store(silhouette + at, keep * own[3] + scale * flowed[3], real)
    word = tl.load(words + pixel, real, EMPTY)
    tl.store(seen_depth + at, tl.where(word == EMPTY, 0.0, depth_of(word)), real)
    tl.store(face_id + at, word.to(tl.int32), real)


@triton.jit
@no_type_check
def differentiate_blend(
    words: tl.tensor,
    image_gradient: tl.tensor,
    colour_gradient: tl.tensor,
    height: int,
    width: int,
    BLOCK: tl.constexpr,
) -> None:
    """Write the gradient of the colours that pixels have before colours flow."""
    image = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    size = height * width
    real = pixel < size
    row, column = pixel // width, pixel % width
    words += image * size
    plane = tl.num_programs(1).to(tl.int64) * size
    image_gradient += image * 3 * size
    keep = tl.maximum(1 - total_inflow(words, plane, row, column, height, width, real), 0.0)
    red, green, blue = read_rgb(image_gradient + pixel, size, real)
    red, green, blue = keep * red, keep * green, keep * blue
    for side in tl.static_range(4):
        next_row, next_column, there = neighbour(row, column, height, width, side)
        there &= real
        # Seen from the neighbour this pixel lies on the opposite side.
        weight = inflow(words, plane, next_row, next_column, height, width, there, side ^ 1)
        there &= weight > 0
        total = total_inflow(words, plane, next_row, next_column, height, width, there)
        weight /= tl.maximum(total, 1.0)
        r, g, b = read_rgb(image_gradient + next_row * width + next_column, size, there)
        red += weight * r
        green += weight * g
        blue += weight * b
    at = colour_gradient + image * 3 * size + pixel
    tl.store(at, red, real)
    tl.store(at + size, green, real)
    tl.store(at + 2 * size, blue, real)


@triton.jit
@no_type_check
def differentiate_faces(
    points: tl.tensor,
    depth_m: tl.tensor,
    colours: tl.tensor,
    faces: tl.tensor,
    boxes: tl.tensor,
    words: tl.tensor,
    colour_gradient: tl.tensor,
    depth_gradient: tl.tensor,
    shares: tl.tensor,
    face_gradient: tl.tensor,
    num_vertices: int,
    num_faces: int,
    num_shares: int,
    height: int,
    width: int,
    PER_VERTEX: tl.constexpr,
    FACES: tl.constexpr,
    SIDE: tl.constexpr,
) -> None:
    """Write each face's share of its corners' gradients, summed over the pixels that see it."""
    image = tl.program_id(1).to(tl.int64)
    face = (tl.program_id(0) * FACES + tl.arange(0, FACES))[:, None]
    real = face < num_faces
    size = height * width
    points += image * num_vertices * 3
    depth_m += image * num_vertices
    words += image * size
    colour_gradient += image * 3 * size
    depth_gradient += image * size
    box = read_box(boxes, image * num_faces + face, real)
    # Of faces with an empty box the corners may be infinite.
    a, b, c = read_triangle(points, depth_m, faces, face, box[0] < box[1])
    if PER_VERTEX:
        colours += image * num_vertices * 3
        a_vertex, b_vertex, c_vertex = read_vector(faces, face, real)
        a_colour = read_vector(colours, a_vertex, real)
        b_colour = read_vector(colours, b_vertex, real)
        c_colour = read_vector(colours, c_vertex, real)
    zero = tl.zeros((FACES, SIDE * SIDE), tl.float32)
    ma, mb, mc = (zero, zero, zero), (zero, zero, zero), (zero, zero, zero)
    ga, gb, gc = (zero, zero, zero, zero), (zero, zero, zero, zero), (zero, zero, zero, zero)
    for tile in range(tl.max(count_tiles(box, SIDE))):
        row, column, inside = tile_pixels(box, tile, SIDE)
        pixel = row * width + column
        mine = inside & (tl.load(words + pixel, inside, EMPTY).to(tl.int32) == face)
        weights, total = weights_at(a, b, c, row, column, mine)
        z = tl.load(depth_gradient + pixel, mine, 0.0)
        rgb = read_rgb(colour_gradient + pixel, size, mine)
        gradient = z, rgb[0], rgb[1], rgb[2]
        ga = add_scaled(ga, weights[0], gradient)
        gb = add_scaled(gb, weights[1], gradient)
        gc = add_scaled(gc, weights[2], gradient)
        to_a, to_b, to_c = z * a[3], z * b[3], z * c[3]
        if PER_VERTEX:
            to_a += dot(rgb, a_colour)
            to_b += dot(rgb, b_colour)
            to_c += dot(rgb, c_colour)
        mean = weights[0] * to_a + weights[1] * to_b + weights[2] * to_c
        # Relative to the box's corner the moments are small and lose no digits.
        x, y = (column - box[0]).to(tl.float32), (row - box[2]).to(tl.float32)
        ma = add_moment(ma, tl.where(mine, (to_a - mean) / total, 0.0), x, y)
        mb = add_moment(mb, tl.where(mine, (to_b - mean) / total, 0.0), x, y)
        mc = add_moment(mc, tl.where(mine, (to_c - mean) / total, 0.0), x, y)
    moments = sum_vector(ma), sum_vector(mb), sum_vector(mc)
    rest = sum_colour(ga), sum_colour(gb), sum_colour(gc)
    at = shares + (image * num_shares + face * 3) * SHARE_FIELDS
    top, left = box[2].to(tl.float32), box[0].to(tl.float32)
    store_shares(at, a, b, c, moments, top, left, rest, real)
    if not PER_VERTEX:
        at = face_gradient + (image * num_faces + face) * 3
        for channel in tl.static_range(1, 4):
            total = rest[0][channel] + rest[1][channel] + rest[2][channel]
            tl.store(at + channel - 1, total, real)


@triton.jit
@no_type_check
def differentiate_crossings(
    points: tl.tensor,
    depth_m: tl.tensor,
    colours: tl.tensor,
    background: tl.tensor,
    faces: tl.tensor,
    edges: tl.tensor,
    edge_faces: tl.tensor,
    edge_opposite: tl.tensor,
    facing: tl.tensor,
    words: tl.tensor,
    image_out: tl.tensor,
    silhouette: tl.tensor,
    image_gradient: tl.tensor,
    silhouette_gradient: tl.tensor,
    shares: tl.tensor,
    num_vertices: int,
    num_faces: int,
    num_edges: int,
    num_shares: int,
    height: int,
    width: int,
    near_m: float,
    PER_VERTEX: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Write each edge's share of its ends' gradients, summed over the pairs that it crosses."""
    image = tl.program_id(1).to(tl.int64)
    edge = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    real = edge < num_edges
    size = height * width
    points += image * num_vertices * 3
    depth_m += image * num_vertices
    facing += image * num_faces
    colours += image * (num_vertices if PER_VERTEX else num_faces) * 3
    words += image * size
    plane = tl.num_programs(1).to(tl.int64) * size
    image_out += image * 3 * size
    image_gradient += image * 3 * size
    silhouette += image * size
    silhouette_gradient += image * size
    a, b, side = read_outline(
        points, depth_m, edges, edge_faces, edge_opposite, facing, edge, real, near_m
    )
    line, steep, second, first_step, num_steps = walk(a, b, side, height, width)
    pairs = words + plane * tl.where(steep, 1, 2)
    to_a, to_b = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for step in range(tl.max(num_steps)):
        share, distance, pixel, other, met = cross_line(
            line, steep, second, first_step + step, step < num_steps, height, width
        )
        met &= tl.load(pairs + pixel, met, EMPTY).to(tl.int32) == signature(edge, second)
        # Past the middle the surface flows out of its own pixel, before it the other flows in.
        into_first = tl.where(second, distance > 0.5, distance < 0.5)
        receiver, giver = tl.where(into_first, pixel, other), tl.where(into_first, other, pixel)
        row, column = receiver // width, receiver % width
        total = total_inflow(words, plane, row, column, height, width, met)
        given = look(
            points, colours, background, faces, words, giver // width, giver % width, width, met,
            PER_VERTEX,
        )  # fmt: skip
        own = look(points, colours, background, faces, words, row, column, width, met, PER_VERTEX)
        # Where flows share the pixel, more of one is less of the others.
        shared = met & (total > 1)
        blended = read_rgb(image_out + receiver, size, shared)
        covered = tl.where(shared, tl.load(silhouette + receiver, shared, 0.0), own[3])
        lost = (
            tl.where(shared, blended[0], own[0]),
            tl.where(shared, blended[1], own[1]),
            tl.where(shared, blended[2], own[2]),
        )
        gradient = dot(subtract(given, lost), read_rgb(image_gradient + receiver, size, met))
        gradient += (given[3] - covered) * tl.load(silhouette_gradient + receiver, met, 0.0)
        gradient /= tl.maximum(total, 1.0)
        # An outline that moves towards the second pixel gives more to it, or less to the first.
        gradient = tl.where(met, tl.where(into_first, -gradient, gradient), 0.0)
        to_a += (1 - share) * gradient
        to_b += share * gradient
    slope = (line[3] - line[2]) / (line[1] - line[0])
    at = shares + (image * num_shares + num_faces * 3 + edge * 2) * SHARE_FIELDS
    store_pull(at, a, to_a, slope, steep, num_steps > 0, real)
    store_pull(at + SHARE_FIELDS, b, to_b, slope, steep, num_steps > 0, real)


@triton.jit
@no_type_check
def gather_shares(
    shares: tl.tensor,
    share_order: tl.tensor,
    share_start: tl.tensor,
    vertex_gradient: tl.tensor,
    num_vertices: int,
    num_shares: int,
    BLOCK: tl.constexpr,
) -> None:
    """Add up each vertex's shares in the order of its list."""
    image = tl.program_id(1).to(tl.int64)
    vertex = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK))[:, None]
    field = tl.arange(0, SHARE_FIELDS)[None, :]
    real = vertex < num_vertices
    shares += image * num_shares * SHARE_FIELDS
    start = tl.load(share_start + vertex, real, 0)
    count = tl.load(share_start + vertex + 1, real, 0) - start
    total = tl.zeros((BLOCK, SHARE_FIELDS), tl.float32)
    for step in range(tl.max(count)):
        there = step < count
        share = tl.load(share_order + start + step, there, 0)
        total += tl.load(shares + share * SHARE_FIELDS + field, there & (field < 7), 0.0)
    at = vertex_gradient + (image * num_vertices + vertex) * SHARE_FIELDS + field
    tl.store(at, total, real)
