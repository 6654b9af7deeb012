"""The CUDA backend: one autograd node that launches Triton kernels.

Forward are five launches, backward four, on the current stream and without waiting for the device,
so that both can be captured in a CUDA graph once a first call has compiled the kernels. Results
and gradients are the same bits in every run.
"""

from functools import lru_cache
from typing import Any

import torch
import triton
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from s2hand.rendering import cuda_kernels as kernels
from s2hand.rendering.cuda_device import EMPTY, SHARE_FIELDS
from s2hand.rendering.topology import MeshTopology

_NUM_PLANES = 3  # of words: pixels, pairs beside each other, pairs above each other
_BLOCK, _PIXELS, _EDGES, _VERTICES = 128, 256, 64, 32
_TILES = {"FACES": 4, "SIDE": 8, "num_warps": 8}
_MAX_MESHES = 65535  # a CUDA grid's second dimension
_EXACT = {"enable_fp_fusion": False}


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

    Arguments and results are those of :func:`s2hand.rendering.cpu.draw`, in float32 on one CUDA
    device, for at most 65535 meshes. The geometry is float32, too: results differ from the CPU's
    in the last digits.

    Raises:
        ValueError: If a tensor is elsewhere, numbers are not float32, ``near_m`` is negative, or
            there are more meshes.
    """
    if near_m < 0:
        raise ValueError(f"near_m must not be negative, got {near_m}; 0 is at the camera")
    if len(points) > _MAX_MESHES:
        raise ValueError(f"at most {_MAX_MESHES} meshes are drawn at once, got {len(points)}")
    numbers = {"points": points, "depth_m": depth_m, "colours": colours, "background": background}
    for name, tensor in numbers.items():
        if tensor.dtype != torch.float32:
            raise ValueError(
                f"the CUDA renderer needs float32, got {name} in {tensor.dtype}; convert the mesh "
                "and its colours, or render on the CPU"
            )
    for name, tensor in (numbers | {"topology.faces": topology.faces}).items():
        if not tensor.is_cuda or tensor.device != points.device:
            raise ValueError(
                f"the CUDA renderer needs everything on one CUDA device, got {name} on "
                f"{tensor.device} and points on {points.device}; move it there"
            )
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
        points, depth_m = points.contiguous(), depth_m.contiguous()
        colours, background = colours.contiguous(), background.contiguous()
        batch, num_vertices = depth_m.shape
        num_faces, num_edges = len(topology.faces), len(topology.edges)
        sizes, size = (num_vertices, num_faces), (height, width)
        per_vertex = colours.shape[1] == num_vertices
        words = torch.full(
            (_NUM_PLANES, batch, height, width),
            EMPTY.value,
            dtype=torch.int64,
            device=points.device,
        )
        facing = points.new_empty(batch, num_faces, dtype=torch.int8)
        boxes = points.new_empty(batch, num_faces, 4, dtype=torch.int32)
        image = points.new_empty(batch, 3, height, width)
        silhouette = points.new_empty(batch, height, width)
        seen_depth = torch.empty_like(silhouette)
        face_id = torch.empty_like(silhouette, dtype=torch.int32)
        with torch.cuda.device_of(points):
            kernels.bound_faces[_grid(num_faces, _BLOCK, batch)](
                points, depth_m, topology.faces, facing, boxes, *sizes, *size, near_m,
                CULL=cull_back_faces, BLOCK=_BLOCK, **_EXACT,
            )  # fmt: skip
            kernels.find_nearest[_grid(num_faces, _TILES["FACES"], batch)](
                points, depth_m, topology.faces, boxes, words, *sizes, *size, near_m,
                **_TILES, **_EXACT,
            )  # fmt: skip
            kernels.find_crossings[_grid(num_edges, _EDGES, batch)](
                points, depth_m, topology.edges, topology.edge_faces, topology.edge_opposite,
                facing, words, *sizes, num_edges, *size, near_m, BLOCK=_EDGES, num_warps=2,
                **_EXACT,
            )  # fmt: skip
            kernels.compose[_grid(height * width, _PIXELS, batch)](
                points, colours, background, topology.faces, words, image, silhouette, seen_depth,
                face_id, *sizes, *size, PER_VERTEX=per_vertex, BLOCK=_PIXELS, **_EXACT,
            )  # fmt: skip
        ctx.topology, ctx.near_m = topology, near_m
        ctx.save_for_backward(
            points, depth_m, colours, background, facing, boxes, words, image, silhouette
        )
        ctx.mark_non_differentiable(face_id)
        return image, silhouette, seen_depth, face_id

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        points, depth_m, colours, background, facing, boxes, words, image, silhouette = (
            ctx.saved_tensors
        )
        image_gradient, silhouette_gradient, depth_gradient = (
            gradient.contiguous() for gradient in gradients[:3]
        )
        topology = ctx.topology
        batch, num_vertices = depth_m.shape
        num_faces, num_edges, size = len(topology.faces), len(topology.edges), image.shape[2:]
        num_shares = 3 * num_faces + 2 * num_edges
        sizes = (num_vertices, num_faces)
        per_vertex = colours.shape[1] == num_vertices
        share_order, share_start = _shares_of_vertices(topology)
        fields = SHARE_FIELDS.value
        colour_gradient = torch.empty_like(image_gradient)
        shares = points.new_empty(batch, num_shares, fields)
        vertex_gradient = points.new_empty(batch, num_vertices, fields)
        face_gradient = torch.empty_like(colours)
        with torch.cuda.device_of(points):
            kernels.differentiate_blend[_grid(size.numel(), _PIXELS, batch)](
                words, image_gradient, colour_gradient, *size, BLOCK=_PIXELS, **_EXACT
            )
            kernels.differentiate_faces[_grid(num_faces, _TILES["FACES"], batch)](
                points, depth_m, colours, topology.faces, boxes, words, colour_gradient,
                depth_gradient, shares, face_gradient, *sizes, num_shares, *size,
                PER_VERTEX=per_vertex, **_TILES, **_EXACT,
            )  # fmt: skip
            kernels.differentiate_crossings[_grid(num_edges, _EDGES, batch)](
                points, depth_m, colours, background, topology.faces, topology.edges,
                topology.edge_faces, topology.edge_opposite, facing, words, image, silhouette,
                image_gradient, silhouette_gradient, shares, *sizes, num_edges, num_shares, *size,
                ctx.near_m, PER_VERTEX=per_vertex, BLOCK=_EDGES, num_warps=2, **_EXACT,
            )  # fmt: skip
            kernels.gather_shares[_grid(num_vertices, _VERTICES, batch)](
                shares, share_order, share_start, vertex_gradient, num_vertices, num_shares,
                BLOCK=_VERTICES, **_EXACT,
            )  # fmt: skip
        to_colours = vertex_gradient[..., 4:7] if per_vertex else face_gradient
        return (vertex_gradient[..., :3], vertex_gradient[..., 3], to_colours, *[None] * 6)


def _grid(count: int, block: int, batch: int) -> tuple[int, int]:
    return triton.cdiv(count, block), batch


@lru_cache(maxsize=8)
def _shares_of_vertices(topology: MeshTopology) -> tuple[Tensor, Tensor]:
    """List the shares of each vertex: their order by vertex, and where each vertex's start.

    Share 3·face + corner is a face's, share 3·(number of faces) + 2·edge + end an edge's.
    """
    vertex = torch.cat((topology.faces.flatten(), topology.edges.flatten()))
    in_order, share_order = vertex.sort(stable=True)
    every = torch.arange(topology.num_vertices + 1, device=vertex.device)
    return share_order, torch.searchsorted(in_order, every)
