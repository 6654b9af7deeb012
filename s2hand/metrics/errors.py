"""Distances between predicted and true points, joints and vertices alike."""

import numpy as np
from jaxtyping import Float

CM_PER_M = 100.0
MM_PER_M = 1000.0


def point_errors(
    predicted: Float[np.ndarray, "n points d"], truth: Float[np.ndarray, "n points d"]
) -> Float[np.ndarray, "n points"]:
    """Return the Euclidean distance of every point to its counterpart, in the inputs' unit."""
    difference = np.asarray(predicted, np.float64) - np.asarray(truth, np.float64)
    return np.linalg.norm(difference, axis=-1)
