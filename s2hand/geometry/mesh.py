"""Triangle meshes: normals, areas, boundaries and enclosed volumes."""

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


def face_areas(
    vertices: Float[Tensor, "*batch verts 3"], faces: Int[Tensor, "faces 3"]
) -> Float[Tensor, "*batch faces"]:
    """Return the areas of the faces in squared units of the vertices (m²)."""
    return 0.5 * torch.linalg.vector_norm(_face_crosses(vertices, faces), dim=-1)


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


def enclosed_volume(
    vertices: Float[Tensor, "*batch verts 3"], faces: Int[Tensor, "faces 3"]
) -> Float[Tensor, "*batch"]:
    """Return the volume inside the mesh (m³) after capping its holes.

    Each hole is closed by a fan of triangles around the mean of its vertices. The volume is
    positive when faces are counter-clockwise seen from outside.
    """
    centred = vertices - vertices.mean(-2, keepdim=True)
    volume = _tetrahedra(*centred[..., faces, :].unbind(-2)).sum(-1)
    for loop in boundary_loops(faces.cpu().numpy()):
        rim = centred[..., torch.from_numpy(loop).to(vertices.device), :]
        centre = rim.mean(-2, keepdim=True).expand_as(rim)
        volume = volume + _tetrahedra(centre, rim.roll(-1, dims=-2), rim).sum(-1)
    return volume


def _face_crosses(vertices: Tensor, faces: Tensor) -> Tensor:
    """Return the faces' normals times twice their areas."""
    first, second, third = vertices[..., faces, :].unbind(-2)
    return torch.linalg.cross(second - first, third - first)


def _tetrahedra(first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """Return the signed volumes between the origin and triangles."""
    return (first * torch.linalg.cross(second, third)).sum(-1) / 6


def _normalise(vectors: Tensor) -> Tensor:
    squared = (vectors * vectors).sum(-1, keepdim=True)
    zero = squared == 0
    return vectors / torch.where(zero, torch.ones_like(squared), squared).sqrt()
