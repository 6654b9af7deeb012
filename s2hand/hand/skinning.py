"""The kinematics of MANO's tree and linear blend skinning, as batched matrix products."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


def forward_kinematics(
    rotations: Float[Tensor, "batch 16 3 3"],
    rest_joints: Float[Tensor, "batch 16 3"],
    root: Float[Tensor, "batch 3"],
) -> tuple[Float[Tensor, "batch 16 3 3"], Float[Tensor, "batch 16 3"]]:
    """Return the joints' orientations and positions in the root's surroundings.

    The five fingers are chains of three joints, so three batched steps do the whole tree.

    Args:
        rotations: Each joint's rotation relative to its parent, in MANO's order.
        rest_joints: Joints of the shaped hand at rest, metres.
        root: Where the wrist joint ends up.
    """
    batch = rotations.shape[0]
    local = rotations[:, 1:].reshape(batch, 5, 3, 3, 3)
    rest = rest_joints[:, 1:].reshape(batch, 5, 3, 3)
    offsets = torch.cat(
        (rest[:, :, :1] - rest_joints[:, None, None, 0], rest[:, :, 1:] - rest[:, :, :-1]), dim=2
    )
    orientation = rotations[:, None, 0].expand(batch, 5, 3, 3)
    position = root[:, None].expand(batch, 5, 3)
    orientations, positions = [], []
    for step in range(3):
        position = position + (orientation @ offsets[:, :, step, :, None]).squeeze(-1)
        orientation = orientation @ local[:, :, step]
        positions.append(position)
        orientations.append(orientation)
    return (
        torch.cat((rotations[:, :1], torch.stack(orientations, dim=2).flatten(1, 2)), dim=1),
        torch.cat((root[:, None], torch.stack(positions, dim=2).flatten(1, 2)), dim=1),
    )


def skin(
    transforms: Float[Tensor, "batch 16 3 4"],
    points: Float[Tensor, "batch 3 verts"],
    weights: Float[Tensor, "16 verts"],
    picked: Int[Tensor, "picked"],
) -> tuple[Float[Tensor, "batch 3 verts"], Float[Tensor, "batch 3 picked"]]:
    """Move each vertex by the weighted mean of the joints' transforms.

    Vertices are innermost, so that blending is one matrix product and the rest runs along memory.

    Args:
        transforms: [R | t] of each joint, acting on points of the hand at rest.
        points: Vertices at rest, one row per coordinate.
        weights: Skinning weights; constants, without a gradient.
        picked: Vertices to return a second time on their own (fingertips): picking them outside
            would cost another pass over all vertices' gradients.
    """
    rows = transforms.permute(0, 2, 3, 1).reshape(-1, 16)
    return _Skinning.apply(rows, points, weights, picked)


class _Skinning(torch.autograd.Function):
    """Blend and transform in one node: half the memory traffic of the same sum in autograd."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, points: Tensor, weights: Tensor, picked: Tensor
    ) -> tuple[Tensor, Tensor]:
        batch, _, num_vertices = points.shape
        blended = (rows @ weights).view(batch, 3, 4, num_vertices)
        ctx.save_for_backward(blended, points, weights, picked)
        moved = torch.addcmul(blended[:, :, 3], blended[:, :, 0], points[:, None, 0])
        moved.addcmul_(blended[:, :, 1], points[:, None, 1])
        moved.addcmul_(blended[:, :, 2], points[:, None, 2])
        return moved, moved.index_select(2, picked)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_moved: Tensor, grad_picked: Tensor
    ) -> tuple[Tensor, Tensor, None, None]:
        blended, points, weights, picked = ctx.saved_tensors
        grad = torch.empty_like(points).copy_(grad_moved).index_add_(2, picked, grad_picked)
        grad_blended = torch.empty_like(blended)
        torch.mul(grad[:, :, None], points[:, None], out=grad_blended[:, :, :3])
        grad_blended[:, :, 3] = grad
        grad_rows = grad_blended.view(-1, weights.shape[1]) @ weights.T
        grad_points = blended[:, 0, :3] * grad[:, :1]
        grad_points.addcmul_(blended[:, 1, :3], grad[:, 1:2])
        grad_points.addcmul_(blended[:, 2, :3], grad[:, 2:])
        return grad_rows, grad_points, None, None
