"""How the faces of a mesh hang together: what finding outlines needs to know once per mesh."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

NO_NEIGHBOUR = -1
"""Stands for the missing second face of an edge where the mesh is open."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MeshTopology:
    """Faces and edges of a triangle mesh; every mesh of a batch shares them."""

    faces: Int[Tensor, "faces 3"]
    """Triangles, int64, counter-clockwise seen from outside."""
    edges: Int[Tensor, "edges 2"]
    """The two ends of every edge, the lower vertex first, sorted."""
    edge_faces: Int[Tensor, "edges 2"]
    """The faces that meet at an edge, the lower first; −1 where there is only one."""
    edge_opposite: Int[Tensor, "edges 2"]
    """The third vertex of each of these faces; −1 where there is no second face."""
    num_vertices: int

    @classmethod
    def from_faces(cls, faces: Int[Tensor, "faces 3"], num_vertices: int) -> "MeshTopology":
        """Find the edges of a mesh.

        Raises:
            ValueError: If a face names a vertex that does not exist or one vertex twice, or if
                more than two faces meet at an edge.
        """
        faces = faces.long()
        _check_faces(faces, num_vertices)
        # Edge i of a face lies opposite its corner i.
        ends = torch.stack((faces.roll(-1, dims=1), faces.roll(-2, dims=1)), dim=-1).view(-1, 2)
        edges, edge, counts = torch.unique(
            ends.sort(dim=1).values, dim=0, return_inverse=True, return_counts=True
        )
        if (counts > 2).any():
            first = int((counts > 2).nonzero()[0, 0])
            raise ValueError(
                f"at most two faces may meet at an edge, got {int(counts[first])} between vertices "
                f"{edges[first].tolist()}; split the mesh there"
            )
        order = edge.argsort(stable=True)
        edge = edge[order]
        place = torch.arange(len(edge), device=faces.device) - (counts.cumsum(0) - counts)[edge]
        edge_faces = torch.full_like(edges, NO_NEIGHBOUR)
        edge_opposite = torch.full_like(edges, NO_NEIGHBOUR)
        edge_faces[edge, place] = order // 3
        edge_opposite[edge, place] = faces.view(-1)[order]
        return cls(
            faces=faces,
            edges=edges,
            edge_faces=edge_faces,
            edge_opposite=edge_opposite,
            num_vertices=num_vertices,
        )

    def to(self, device: torch.device | str) -> "MeshTopology":
        """Return the same topology on another device."""
        return MeshTopology(
            faces=self.faces.to(device),
            edges=self.edges.to(device),
            edge_faces=self.edge_faces.to(device),
            edge_opposite=self.edge_opposite.to(device),
            num_vertices=self.num_vertices,
        )


def _check_faces(faces: Tensor, num_vertices: int) -> None:
    if faces.numel() and (faces.min() < 0 or faces.max() >= num_vertices):
        raise ValueError(
            f"faces must name vertices 0..{num_vertices - 1}, got "
            f"{int(faces.min())}..{int(faces.max())}"
        )
    repeated = (faces == faces.roll(1, dims=1)).any(dim=1)
    if repeated.any():
        first = int(repeated.nonzero()[0, 0])
        raise ValueError(
            f"a face must have three different corners, got {faces[first].tolist()} as face "
            f"{first}; leave such faces out"
        )
