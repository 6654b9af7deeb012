"""The Euclidean length that losses share."""

import torch
from jaxtyping import Float
from torch import Tensor


def safe_norm(
    vectors: Float[Tensor, "..."], dim: int | tuple[int, ...] = -1
) -> Float[Tensor, "..."]:
    """Return Euclidean lengths, whose gradient at zero is zero instead of NaN.

    On a CPU several times as fast as ``torch.linalg.vector_norm`` over three components.
    """
    squared = vectors.square().sum(dim)
    is_zero = squared == 0
    return torch.where(is_zero, 0.0, torch.where(is_zero, 1.0, squared).sqrt())
