"""The smoothness of a predicted mesh, measured with the Laplacian of the hand at rest."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from s2hand.losses.formula import Formula, per_frame
from s2hand.losses.norm import safe_norm


class MeshLaplacian:
    """Draw each vertex towards the mean of its neighbours, weighted by cotangents; metres.

    (L·v)ᵢ = vᵢ − Σⱼ wᵢⱼ·vⱼ / Σⱼ wᵢⱼ, where wᵢⱼ is the sum of the cotangents of the angles opposite
    the edge: one at the mesh's border, else two. On a plane it is zero for every inner vertex,
    however the triangles lie. The sum of a row is positive even where single weights are negative.

    Args:
        rest_vertices: the hand at rest, on the device where losses are computed.
        faces: triangles.

    Raises:
        ValueError: If a face has no area or a vertex no face.

    References:
        Released code, ``triangle``; the paper has no such term. The released code takes the angles
        from the first mesh that it predicts for a batch, so that a frame's loss depends on what
        else is in the batch and on how the batch is split; here they are those of the hand at
        rest. Its matrix holds the cotangents alone; dividing each row by its sum makes the loss a
        length.
    """

    def __init__(
        self, rest_vertices: Float[Tensor, "verts 3"], faces: Int[Tensor, "faces 3"]
    ) -> None:
        weights = _cotangent_weights(rest_vertices.double(), faces.to(rest_vertices.device))
        sums = weights.sum(dim=1, keepdim=True)
        is_usable = (sums.isfinite() & (sums > 0)).squeeze(1)
        if not is_usable.all():
            wrong = (~is_usable).nonzero().flatten().tolist()
            raise ValueError(
                "every face must have an area and every vertex a face, which does not hold at the "
                f"vertices {wrong[:8]}; remove such faces and vertices"
            )
        identity = torch.eye(len(weights), dtype=weights.dtype, device=weights.device)
        self._operator = (identity - weights / sums).to(rest_vertices)

    def __call__(self, vertices: Float[Tensor, "batch verts 3"]) -> Float[Tensor, ""]:
        """Sum the length of L·v up over frames and vertices."""
        offsets = torch.einsum("vw,bwc->bvc", self._operator, vertices)
        return safe_norm(offsets).sum()


def _cotangent_weights(
    vertices: Float[Tensor, "verts 3"], faces: Int[Tensor, "faces 3"]
) -> Float[Tensor, "verts verts"]:
    """Add, to each edge's two entries, the cotangents of the angles opposite it."""
    weights = vertices.new_zeros(len(vertices), len(vertices))
    for corner in range(3):
        apex, start, end = faces.roll(-corner, dims=1).unbind(dim=1)
        first, second = vertices[start] - vertices[apex], vertices[end] - vertices[apex]
        sine = torch.linalg.vector_norm(torch.linalg.cross(first, second), dim=-1)
        cotangent = (first * second).sum(dim=-1) / sine
        weights.index_put_((start, end), cotangent, accumulate=True)
        weights.index_put_((end, start), cotangent, accumulate=True)
    return weights


FORMULAS = {
    "mesh_laplacian": Formula(
        prepare=lambda _, rest_hand: MeshLaplacian(rest_hand.vertices, rest_hand.faces),
        count=lambda batch, _: per_frame(batch, 778),
        total=lambda given, laplacian: laplacian(given.hand.vertices),
    ),
}
