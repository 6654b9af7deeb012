"""Triangle meshes: normals and boundaries."""

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor


def face_normals(
    vertices: Float[Tensor, "*batch verts 3"], faces: Int[Tensor, "faces 3"]
) -> Float[Tensor, "*batch faces 3"]:
    """Return unit normals of the faces.

    Convention:
        Counter-clockwise faces seen from outside have outward normals (right-hand rule). A face
        without area has the zero vector, with zero gradients.
    """
    return _normalise(_face_crosses(vertices, faces))


def vertex_normals(
    vertices: Float[Tensor, "*batch verts 3"], faces: Int[Tensor, "faces 3"]
) -> Float[Tensor, "*batch verts 3"]:
    """Return unit normals of the vertices: their faces' normals weighted by area.

    A vertex without faces has the zero vector.
    """
    crosses = _face_crosses(vertices, faces)
    corners = faces.reshape(-1).to(vertices.device)
    sums = torch.zeros_like(vertices).index_add(-2, corners, crosses.repeat_interleave(3, dim=-2))
    return _normalise(sums)


def boundary_loops(faces: Int[np.ndarray, "faces 3"]) -> list[NDArray[np.int64]]:
    """Return each hole's vertices in the order in which its faces' edges run around it.

    Each loop starts at its smallest vertex; the loops are sorted by that vertex. MANO's hand has
    one, of 16 vertices, at the wrist.

    Raises:
        ValueError: If a vertex lies on two loops, so that the order would be a guess.
    """
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()
    directed = {(int(start), int(end)) for start, end in edges}
    open_edges = sorted(edge for edge in directed if edge[::-1] not in directed)
    following = dict(open_edges)
    if len(following) != len(open_edges):
        raise ValueError("faces must meet at most one hole per vertex: two loops share a vertex")
    loops = []
    while following:
        vertex = min(following)
        loop = []
        while vertex in following:
            loop.append(vertex)
            vertex = following.pop(vertex)
        loops.append(np.array(loop, dtype=np.int64))
    return loops


def _face_crosses(vertices: Tensor, faces: Tensor) -> Tensor:
    """Return the faces' normals times twice their areas."""
    first, second, third = vertices[..., faces, :].unbind(-2)
    return torch.linalg.cross(second - first, third - first)


def _normalise(vectors: Tensor) -> Tensor:
    squared = (vectors * vectors).sum(-1, keepdim=True)
    zero = squared == 0
    return vectors / torch.where(zero, torch.ones_like(squared), squared).sqrt()
