"""The CPU backend: one autograd node, compiled, images in parallel.

Nothing but inputs and outputs is kept for the backward pass, which finds planes, weights and edge
crossings again: they are cheap, and memory then grows with the images alone.
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np
import torch
from jaxtyping import Float, Int
from numba import prange
from torch import Tensor
from torch.autograd.function import once_differentiable

from s2hand.compiled import compiled
from s2hand.rendering.outlines import (
    HORIZONTAL,
    Crossings,
    find_crossings,
    inflows,
    move_edge,
    neighbour,
)
from s2hand.rendering.rasterise import NO_FACE, UNSEEN, face_planes, rasterise_image, weights_at
from s2hand.rendering.threads import as_many_threads_as_torch
from s2hand.rendering.topology import MeshTopology


class _Scene(NamedTuple):
    """What is to be seen, of a batch or of one image; geometry and colours in float64."""

    points: np.ndarray
    depth_m: np.ndarray
    colours: np.ndarray
    background: np.ndarray
    faces: np.ndarray
    edges: np.ndarray
    edge_faces: np.ndarray
    edge_opposite: np.ndarray
    per_vertex: bool
    near_m: float
    cull_back_faces: bool


class _View(NamedTuple):
    """What the pixels of one image see, and how its faces turn to the camera."""

    planes: np.ndarray
    facing: np.ndarray
    face_id: np.ndarray
    crossings: Crossings
    pixels: np.ndarray
    """Colour and coverage (0 or 1) of what the pixels' centres see, rows × columns × 4; undefined
    where that is the background and no outline is near."""


class _Sums(NamedTuple):
    """Gradients of one image, added up in float64."""

    points: np.ndarray
    depth_m: np.ndarray
    colours: np.ndarray
    planes: np.ndarray


def draw(
    points: Float[Tensor, "batch verts 3"],
    depth_m: Float[Tensor, "batch verts"],
    colours: Float[Tensor, "batch points 3"],
    background: Float[Tensor, "3"],
    topology: MeshTopology,
    *,
    height: int,
    width: int,
    near_m: float,
    cull_back_faces: bool,
) -> tuple[
    Float[Tensor, "batch 3 height width"],
    Float[Tensor, "batch height width"],
    Float[Tensor, "batch height width"],
    Int[Tensor, "batch height width"],
]:
    """Draw projected meshes: image, silhouette, depth and face ids.

    Runs on as many threads as torch does, and gives the same bits on any number of them.

    Args:
        points: Homogeneous pixels (u·w, v·w, w).
        depth_m: Camera-frame z of the vertices.
        colours: Lit colours of the vertices, or of the faces; per vertex where a mesh has as many
            of both.
        background: Colour of pixels without a face; it gets no gradient.
        topology: Faces and edges.
        height: Rows of the image.
        width: Its columns.
        near_m: What lies nearer to the camera than this is not seen.
        cull_back_faces: Leave faces out that are seen from inside.
    """
    image, silhouette, seen_depth, face_id = _Draw.apply(
        points, depth_m, colours, background, topology, height, width, near_m, cull_back_faces
    )
    return image, silhouette, seen_depth, face_id


class _Draw(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        points: Tensor,
        depth_m: Tensor,
        colours: Tensor,
        background: Tensor,
        topology: MeshTopology,
        height: int,
        width: int,
        near_m: float,
        cull_back_faces: bool,  # noqa: FBT001 (autograd takes no keyword arguments)
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        batch = len(points)
        image = points.new_empty(batch, 3, height, width)
        silhouette = points.new_empty(batch, height, width)
        seen_depth = torch.empty_like(silhouette)
        face_id = torch.empty_like(silhouette, dtype=torch.int32)
        ctx.mesh = (topology, near_m, cull_back_faces)
        ctx.save_for_backward(points, depth_m, colours, background, seen_depth, face_id)
        ctx.mark_non_differentiable(face_id)
        with as_many_threads_as_torch():
            _draw_batch(
                _scene(points, depth_m, colours, background, *ctx.mesh),
                *(_array(output) for output in (image, silhouette, seen_depth, face_id)),
            )
        return image, silhouette, seen_depth, face_id

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        points, depth_m, colours, background, seen_depth, face_id = ctx.saved_tensors
        results = [tensor.new_empty(tensor.shape) for tensor in (points, depth_m, colours)]
        with as_many_threads_as_torch():
            _differentiate_batch(
                _scene(points, depth_m, colours, background, *ctx.mesh),
                *(_array(tensor) for tensor in (seen_depth, face_id, *gradients[:3])),
                *(_array(result) for result in results),
            )
        return (*results, *[None] * 6)


def _scene(
    points: Tensor,
    depth_m: Tensor,
    colours: Tensor,
    background: Tensor,
    topology: MeshTopology,
    near_m: float,
    cull_back_faces: bool,  # noqa: FBT001
) -> _Scene:
    return _Scene(
        points=_array(points.double()),
        depth_m=_array(depth_m.double()),
        colours=_array(colours.double()),
        background=_array(background.double()),
        faces=_array(topology.faces),
        edges=_array(topology.edges),
        edge_faces=_array(topology.edge_faces),
        edge_opposite=_array(topology.edge_opposite),
        per_vertex=colours.shape[1] == topology.num_vertices,
        near_m=float(near_m),
        cull_back_faces=cull_back_faces,
    )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


@compiled(inline="always")
@no_type_check
def _one_of(batch: _Scene, i: int) -> _Scene:
    return _Scene(
        batch.points[i], batch.depth_m[i], batch.colours[i], batch.background, batch.faces,
        batch.edges, batch.edge_faces, batch.edge_opposite, batch.per_vertex, batch.near_m,
        batch.cull_back_faces,
    )  # fmt: skip


@compiled(parallel=True, error_model="numpy")
@no_type_check
def _draw_batch(
    batch: _Scene,
    image: np.ndarray,
    silhouette: np.ndarray,
    seen_depth: np.ndarray,
    face_id: np.ndarray,
) -> None:
    for i in prange(len(face_id)):
        _draw_image(_one_of(batch, i), image[i], silhouette[i], seen_depth[i], face_id[i])


@compiled(error_model="numpy")
@no_type_check
def _draw_image(
    scene: _Scene,
    image: np.ndarray,
    silhouette: np.ndarray,
    seen_depth: np.ndarray,
    face_id: np.ndarray,
) -> None:
    planes, facing = _face_geometry(scene)
    rasterise_image(
        scene.points, scene.depth_m, scene.faces, planes, facing, scene.near_m, face_id, seen_depth
    )
    view = _look(scene, planes, facing, face_id, seen_depth)
    for channel in range(3):
        image[channel] = scene.background[channel]
    silhouette[:] = 0
    weights, touched, pixels = np.empty(4), view.crossings.touched, view.pixels
    for row in range(face_id.shape[0]):
        for column in range(face_id.shape[1]):
            if face_id[row, column] == NO_FACE:
                seen_depth[row, column] = 0
            if touched[row, column]:
                inflows(view.crossings, row, column, weights)
                r, g, b, covered = _blend(pixels, row, column, weights)
            elif face_id[row, column] != NO_FACE:
                r, g, b, covered = _values(pixels, row, column)
            else:
                continue
            image[0, row, column], image[1, row, column], image[2, row, column] = r, g, b
            silhouette[row, column] = covered


@compiled(error_model="numpy")
@no_type_check
def _face_geometry(scene: _Scene) -> tuple[np.ndarray, np.ndarray]:
    planes = np.empty((len(scene.faces), 3, 3))
    facing = np.empty(len(scene.faces), np.int8)
    face_planes(scene.points, scene.faces, scene.cull_back_faces, planes, facing)
    return planes, facing


@compiled(error_model="numpy")
@no_type_check
def _look(
    scene: _Scene,
    planes: np.ndarray,
    facing: np.ndarray,
    face_id: np.ndarray,
    seen_depth: np.ndarray,
) -> _View:
    """Find the outlines that pixels see, and what pixels show before these blend them."""
    crossings = find_crossings(
        scene.points, scene.depth_m, scene.edges, scene.edge_faces, scene.edge_opposite, facing,
        scene.near_m, face_id, seen_depth,
    )  # fmt: skip
    touched, pixels = crossings.touched, np.empty((*face_id.shape, 4))
    faces, colours, background = scene.faces, scene.colours, scene.background
    for row in range(face_id.shape[0]):
        for column in range(face_id.shape[1]):
            face = face_id[row, column]
            if face != NO_FACE and scene.per_vertex:
                w0, w1, w2, _ = weights_at(planes, face, row, column)
                i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
                for channel in range(3):
                    pixels[row, column, channel] = (
                        w0 * colours[i, channel]
                        + w1 * colours[j, channel]
                        + w2 * colours[k, channel]
                    )
            elif face != NO_FACE:
                pixels[row, column, :3] = colours[face]
            elif touched[row, column]:
                pixels[row, column, :3] = background
            else:
                continue
            pixels[row, column, 3] = face != NO_FACE
    return _View(planes, facing, face_id, crossings, pixels)


@compiled(inline="always", error_model="numpy")
@no_type_check
def _values(pixels: np.ndarray, row: int, column: int) -> tuple[float, float, float, float]:
    return (
        pixels[row, column, 0], pixels[row, column, 1], pixels[row, column, 2],
        pixels[row, column, 3],
    )  # fmt: skip


@compiled(error_model="numpy")
@no_type_check
def _blend(
    pixels: np.ndarray, row: int, column: int, weights: np.ndarray
) -> tuple[float, float, float, float]:
    """Return colour and coverage of a pixel into which neighbours flow."""
    own = _values(pixels, row, column)
    r, g, b, covered = own
    for k in range(4):
        weight = weights[k]
        if weight <= 0:
            continue
        y, x, _, _, _ = neighbour(k, row, column)
        r += weight * (pixels[y, x, 0] - own[0])
        g += weight * (pixels[y, x, 1] - own[1])
        b += weight * (pixels[y, x, 2] - own[2])
        covered += weight * (pixels[y, x, 3] - own[3])
    return r, g, b, covered


@compiled(parallel=True, error_model="numpy")
@no_type_check
def _differentiate_batch(
    batch: _Scene,
    seen_depth: np.ndarray,
    face_id: np.ndarray,
    from_image: np.ndarray,
    from_silhouette: np.ndarray,
    from_depth: np.ndarray,
    to_points: np.ndarray,
    to_depth: np.ndarray,
    to_colours: np.ndarray,
) -> None:
    for i in prange(len(face_id)):
        scene = _one_of(batch, i)
        planes, facing = _face_geometry(scene)
        view = _look(scene, planes, facing, face_id[i], seen_depth[i])
        sums = _Sums(
            np.zeros(scene.points.shape),
            np.zeros(scene.depth_m.shape),
            np.zeros(scene.colours.shape),
            np.zeros(planes.shape),
        )
        _differentiate_image(scene, view, from_image[i], from_silhouette[i], from_depth[i], sums)
        _planes_to_points(scene, view, sums)
        to_points[i], to_depth[i], to_colours[i] = sums.points, sums.depth_m, sums.colours


@compiled(error_model="numpy")
@no_type_check
def _differentiate_image(
    scene: _Scene,
    view: _View,
    from_image: np.ndarray,
    from_silhouette: np.ndarray,
    from_depth: np.ndarray,
    sums: _Sums,
) -> None:
    """Pass the pixels' gradients on to colours, depths, planes and the ends of outlines."""
    face_id, planes, faces = view.face_id, view.planes, scene.faces
    colours, depth_m, per_vertex = scene.colours, scene.depth_m, scene.per_vertex
    for row in range(face_id.shape[0]):
        for column in range(face_id.shape[1]):
            face, touched = face_id[row, column], view.crossings.touched[row, column]
            if face == NO_FACE and not touched:
                continue
            gradient = (
                float(from_image[0, row, column]),
                float(from_image[1, row, column]),
                float(from_image[2, row, column]),
                float(from_silhouette[row, column]),
            )
            if touched:
                kept = _differentiate_blend(scene, view, row, column, gradient, sums)
                gradient = _scaled(gradient, kept)
            if face != NO_FACE:
                _spread(
                    face, row, column, gradient, float(from_depth[row, column]), planes, faces,
                    colours, depth_m, per_vertex, sums,
                )  # fmt: skip


@compiled(inline="always", error_model="numpy")
@no_type_check
def _scaled(
    gradient: tuple[float, float, float, float], share: float
) -> tuple[float, float, float, float]:
    return share * gradient[0], share * gradient[1], share * gradient[2], share * gradient[3]


@compiled(error_model="numpy")
@no_type_check
def _differentiate_blend(
    scene: _Scene,
    view: _View,
    row: int,
    column: int,
    gradient: tuple[float, float, float, float],
    sums: _Sums,
) -> float:
    """Pass a blended pixel's gradient on to its neighbours and to the outlines between.

    Returns the pixel's own weight in the blend.
    """
    weights = np.empty(4)
    total = inflows(view.crossings, row, column, weights)
    base = _values(view.pixels, row, column)
    if total > 1:  # more of one neighbour is then less of the others
        base = _blend(view.pixels, row, column, weights)
    for k in range(4):
        if weights[k] < 0:
            continue
        y, x, pair, pair_row, pair_column = neighbour(k, row, column)
        other = _values(view.pixels, y, x)
        to_flow = 0.0
        for channel in range(4):
            to_flow += gradient[channel] * (other[channel] - base[channel])
        to_flow /= max(total, 1.0)
        move_edge(
            scene.edges[view.crossings.edge[pair, pair_row, pair_column]],
            pair,
            pair_row if pair == HORIZONTAL else pair_column,
            to_flow if k % 2 == 0 else -to_flow,
            scene.points,
            sums.points,
        )
        if view.face_id[y, x] != NO_FACE:
            _spread(
                view.face_id[y, x], y, x, _scaled(gradient, weights[k]), 0.0, view.planes,
                scene.faces, scene.colours, scene.depth_m, scene.per_vertex, sums,
            )  # fmt: skip
    return 1.0 - min(total, 1.0)


# Inlined, and given arrays one by one, because it runs once a pixel: a call costs more than it.
@compiled(inline="always", error_model="numpy")
@no_type_check
def _spread(
    face: int,
    row: int,
    column: int,
    gradient: tuple[float, float, float, float],
    from_depth: float,
    planes: np.ndarray,
    faces: np.ndarray,
    colours: np.ndarray,
    depth_m: np.ndarray,
    per_vertex: bool,  # noqa: FBT001
    sums: _Sums,
) -> None:
    """Add the gradient of what a pixel's centre sees to that of its face's corners and planes."""
    w0, w1, w2, total = weights_at(planes, face, row, column)
    i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
    sums.depth_m[i] += w0 * from_depth
    sums.depth_m[j] += w1 * from_depth
    sums.depth_m[k] += w2 * from_depth
    to_w0, to_w1, to_w2 = from_depth * depth_m[i], from_depth * depth_m[j], from_depth * depth_m[k]
    for channel in range(3):
        to_colour = gradient[channel]
        if not per_vertex:
            sums.colours[face, channel] += to_colour
            continue
        sums.colours[i, channel] += w0 * to_colour
        sums.colours[j, channel] += w1 * to_colour
        sums.colours[k, channel] += w2 * to_colour
        to_w0 += to_colour * colours[i, channel]
        to_w1 += to_colour * colours[j, channel]
        to_w2 += to_colour * colours[k, channel]
    mean = w0 * to_w0 + w1 * to_w1 + w2 * to_w2
    to_values = ((to_w0 - mean) / total, (to_w1 - mean) / total, (to_w2 - mean) / total)
    for corner in range(3):
        sums.planes[face, corner, 0] += to_values[corner] * column
        sums.planes[face, corner, 1] += to_values[corner] * row
        sums.planes[face, corner, 2] += to_values[corner]


@compiled(error_model="numpy")
@no_type_check
def _planes_to_points(scene: _Scene, view: _View, sums: _Sums) -> None:
    """Pass the gradients of the planes, cross products of corners, on to the corners."""
    points, to_points = scene.points, sums.points
    for face in range(len(scene.faces)):
        if view.facing[face] == UNSEEN:
            continue
        for i in range(3):
            j, k = scene.faces[face, (i + 1) % 3], scene.faces[face, (i + 2) % 3]
            x, y, z = sums.planes[face, i, 0], sums.planes[face, i, 1], sums.planes[face, i, 2]
            to_points[j, 0] += points[k, 1] * z - points[k, 2] * y
            to_points[j, 1] += points[k, 2] * x - points[k, 0] * z
            to_points[j, 2] += points[k, 0] * y - points[k, 1] * x
            to_points[k, 0] += y * points[j, 2] - z * points[j, 1]
            to_points[k, 1] += z * points[j, 0] - x * points[j, 2]
            to_points[k, 2] += x * points[j, 1] - y * points[j, 0]
