"""A loss is a sum over a batch, divided by a count: shares of a global batch add up exactly."""

import torch
from jaxtyping import Float
from torch import Tensor


def divide(total: Float[Tensor, ""], count: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Divide a total by its count; where the count is zero, so is the result and its gradient."""
    is_empty = count <= 0
    return torch.where(is_empty, 0.0, total) / torch.where(is_empty, 1.0, count)


def count_like(total: Tensor, count: int) -> Float[Tensor, ""]:
    """Put a number on the device and in the type of ``total``."""
    return torch.full((), count, dtype=total.dtype, device=total.device)
