"""F-scores of two meshes' vertices as point clouds."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

F_SCORE_THRESHOLDS_M = (0.005, 0.015)


def f_scores(
    predicted: Float[np.ndarray, "n points 3"],
    truth: Float[np.ndarray, "n others 3"],
    thresholds_m: Sequence[float] = F_SCORE_THRESHOLDS_M,
) -> Float[np.ndarray, "n thresholds"]:
    """Return each sample's F-score at each threshold.

    The F-score is the harmonic mean of two shares: of predicted points near any true point, and
    of true points near any predicted point. It is 0 where both shares are.

    Convention:
        Near means strictly nearer than the threshold.

    References:
        Knapitsch et al., "Tanks and Temples", 2017; FreiHAND ``calculate_fscore``.
    """
    limits = np.asarray(thresholds_m, np.float64)
    scores = np.zeros((len(predicted), len(limits)))
    for sample, (predicted_points, true_points) in enumerate(zip(predicted, truth, strict=True)):
        precision = _share_within(predicted_points, true_points, limits)
        recall = _share_within(true_points, predicted_points, limits)
        total = precision + recall
        scores[sample] = np.where(
            total > 0, 2 * precision * recall / np.where(total > 0, total, 1), 0
        )
    return scores


def _share_within(
    points: Float[np.ndarray, "points 3"],
    others: Float[np.ndarray, "others 3"],
    limits_m: Float[np.ndarray, "thresholds"],
) -> Float[np.ndarray, "thresholds"]:
    # The bound prunes the search; points without a neighbour inside it come back as infinity.
    bound = float(limits_m.max()) * (1 + 1e-6)
    distances, _ = cKDTree(others).query(points, distance_upper_bound=bound)
    return (distances[:, None] < limits_m).mean(axis=0)
