"""Pictures of a hand model: its postures, from the palm's and the back's side."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from s2hand.hand.angle_limits import anatomical_frames
from s2hand.hand.layer import HandLayer
from s2hand.hand.model_data import HandModelData
from s2hand.hand.postures import POSTURES, named_posture
from s2hand.rendering.pictures import PALM_VIEW, draw_meshes, tile, turn_about_vertical


def draw_postures(
    model: HandModelData, side_px: int, num_sampled: int
) -> tuple[UInt8[np.ndarray, "height width 3"], Sequence[str]]:
    """Draw the named postures, the mean one and some random hands.

    Args:
        model: the hand model.
        side_px: pixels per picture.
        num_sampled: how many random shapes and postures to add.

    Returns:
        The pictures, palms above and backs below, and the columns' names.
    """
    with torch.no_grad():
        flat = HandLayer(model, use_mean_pose=False)
        frames = anatomical_frames(flat.rest_joints)
        postures = torch.stack([named_posture(name, frames) for name in POSTURES])
        palm = _pose(flat, hand_pose=postures)
        generator = torch.Generator().manual_seed(0)
        coefficients = torch.randn(1 + num_sampled, 30, generator=generator)
        betas = torch.randn(1 + num_sampled, 10, generator=generator)
        coefficients[0], betas[0] = 0, 0
        others = _pose(HandLayer(model), hand_pose_pca=coefficients, betas=betas)
        meshes = torch.cat([palm, others])
        views = [meshes, turn_about_vertical(meshes, math.pi)]
    pictures = np.concatenate([draw_meshes(view, model.faces, side_px) for view in views])
    names = [*POSTURES, "mean", *["sampled"] * num_sampled]
    return tile(pictures, columns=len(meshes)), names


def _pose(
    layer: HandLayer,
    *,
    hand_pose: torch.Tensor | None = None,
    hand_pose_pca: torch.Tensor | None = None,
    betas: torch.Tensor | None = None,
) -> torch.Tensor:
    given = hand_pose if hand_pose is not None else hand_pose_pca
    count = len(given) if given is not None else 0
    output = layer(
        betas=torch.zeros(count, 10) if betas is None else betas,
        global_orient=torch.tensor(PALM_VIEW).expand(count, 3),
        hand_pose=hand_pose,
        hand_pose_pca=hand_pose_pca,
    )
    vertices: torch.Tensor = output.vertices
    return vertices
