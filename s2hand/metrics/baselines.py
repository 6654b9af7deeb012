"""Predictors that need no training: what any row of a table has to beat."""

import numpy as np
import torch
from jaxtyping import Float

from s2hand.hand.layer import HandLayer
from s2hand.hand.model_data import HandModelData
from s2hand.metrics.evaluate import Predictions

_DISTANCE_M = 0.65
"""Where the untrained geometry head puts the hand; aligned metrics do not depend on it."""


def mean_pose_predictions(hand: HandModelData, num_samples: int) -> Predictions:
    """Predict the mean hand in the mean pose, the same for every frame.

    Procrustes alignment takes out position, orientation and size, so that its aligned error is
    what is left when nothing but "this is a hand" is known.
    """
    layer = HandLayer(hand)
    orient = torch.zeros(1, 3)
    output = layer(
        betas=torch.zeros(1, 10),
        hand_pose_pca=torch.zeros(1, 30),
        global_orient=orient,
        transl=torch.tensor([[0.0, 0.0, _DISTANCE_M]]),
    )

    def repeat(values: Float[torch.Tensor, "1 *rest"]) -> Float[np.ndarray, "n *rest"]:
        return np.repeat(values.detach().numpy(), num_samples, axis=0)

    return Predictions(
        joints=repeat(output.joints),
        vertices=repeat(output.vertices),
        hand_pose=repeat(output.hand_pose),
        global_orient=repeat(orient),
        betas=np.zeros((num_samples, 10), np.float32),
    )
