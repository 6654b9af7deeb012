"""What a loss returns: a sum, and what to divide it by."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class LossSum:
    """A loss before its division, so that shares of a global batch add up to the same gradient."""

    total: Float[Tensor, ""]
    """Sum over this share of the batch; carries the gradient."""
    count: Float[Tensor, ""]
    """What the total is divided by, summed over all shares; carries no gradient."""

    def mean(self) -> Float[Tensor, ""]:
        """Divide the total by the count; a count of zero gives zero."""
        return divide(self.total, self.count)


def divide(total: Float[Tensor, ""], count: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Divide a total by its count; where the count is zero, so is the result and its gradient."""
    is_empty = count <= 0
    return torch.where(is_empty, 0.0, total) / torch.where(is_empty, 1.0, count)


def count_like(total: Tensor, count: int) -> Float[Tensor, ""]:
    """Put a number on the device and in the type of ``total``."""
    return torch.full((), count, dtype=total.dtype, device=total.device)
