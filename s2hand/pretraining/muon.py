"""Muon: momentum whose every matrix is made orthogonal before it becomes a step."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum for convolution kernels.

    A kernel is a matrix of output channels × (input channels · rows · columns); torch's own class
    takes matrices alone. The work per step grows with the shorter side's square, which is small
    for kernels and too much, on a CPU, for wide linear layers.

    References:
        Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024: the
        coefficients, and the factor that keeps steps alike for matrices of all shapes.
    """

    def __init__(
        self,
        kernels: Iterable[torch.nn.Parameter],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(kernels, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure here
        """Update every kernel that has a gradient."""
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is None:
                    continue
                state = self.state[kernel]
                if "average" not in state:
                    state["average"] = torch.zeros_like(kernel)
                average = state["average"]
                average.lerp_(kernel.grad, 1 - group["momentum"])
                ahead = kernel.grad.lerp(average, group["momentum"])
                direction = orthogonalise(ahead.flatten(1))
                rows, columns = direction.shape
                kernel.mul_(1 - group["lr"] * group["weight_decay"])
                step = group["lr"] * max(1.0, rows / columns) ** 0.5
                kernel.sub_(direction.reshape(kernel.shape), alpha=step)


def orthogonalise(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Bring all singular values near one (0.7 to 1.2), by a quintic Newton–Schulz iteration.

    Singular values far below the largest stay smaller.
    """
    first, third, fifth = _COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = first * x + (third * square + fifth * square @ square) @ x
    return x.T if is_tall else x
