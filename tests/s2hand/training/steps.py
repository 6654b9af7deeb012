"""A step with every term, for the tests of the step and of what workers share."""

from dataclasses import replace

import torch

from s2hand.config import LossConfig
from s2hand.loss_table import TERMS, LossWeights
from s2hand.losses.formula import RestHand
from s2hand.losses.objective import Objective
from s2hand.model import S2Hand
from s2hand.training.step import TrainingStep

LOSSES = LossConfig(
    weights=LossWeights(
        **dict.fromkeys(("posture_prior", "mesh_laplacian", "mean_colour", "texture_shape"), 0.01),
        joint_3d=0.01,
        **dict.fromkeys(("quaternion", "temporal", "smooth"), 0.05),
    ),
    keypoint_2d="released",
    photometric="released",
    heatmap_keypoint="released",
    smooth_threshold_rad=0.0,
)
"""Every term, in the forms whose counts depend on the detections."""

ALL_WEIGHTS = {name: getattr(LOSSES.weights, name) for name in TERMS}


def with_losses(config):
    """Let every term act, so that true joints may be seen."""
    return replace(config, losses=LOSSES, data=replace(config.data, supervision="3d"))


def frozen_model(config):
    """Batch statistics frozen, so that a frame's prediction does not depend on its batch."""
    torch.manual_seed(0)
    return S2Hand(with_losses(config)).eval()


def rest_hand_of(model):
    layer = model.hand_layer
    return RestHand(joints=layer.rest_joints, vertices=layer.rest_vertices, faces=layer.faces)


def build_step(model, *, micro_batch_size, workers):
    return TrainingStep(
        model=model,
        objective=Objective(LOSSES, ALL_WEIGHTS, rest_hand_of(model)),
        optimiser=torch.optim.Adam(model.parameters()),
        workers=workers,
        micro_batch_size=micro_batch_size,
        name_samples=lambda index: [str(row) for row in index.tolist()],
    )


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
