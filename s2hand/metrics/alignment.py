"""Alignments that take a prediction onto its truth before an error is measured."""

import numpy as np
from jaxtyping import Float

_NORM_EPSILON = 1e-8
"""Added to both norms, as FreiHAND's evaluation does: a collapsed point set stays finite."""


def align_procrustes(
    predicted: Float[np.ndarray, "n points 3"], truth: Float[np.ndarray, "n points 3"]
) -> Float[np.ndarray, "n points 3"]:
    """Move, turn and scale each predicted point set onto its truth, by least squares.

    Convention:
        Reflections are allowed: there is no check of the determinant, because the official
        evaluations have none. A mirrored hand therefore scores as if it were not.

    Args:
        predicted: Point sets in any unit and frame.
        truth: Point sets of the same order; the result is in their unit and frame.

    Returns:
        The aligned predictions, in float64.

    References:
        FreiHAND ``align_w_scale``; HO-3D uses the same.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    truth_mean = truth.mean(axis=1, keepdims=True)
    predicted_unit, _ = _unit_scatter(predicted)
    truth_unit, truth_norm = _unit_scatter(truth)
    left, singular, right = np.linalg.svd(truth_unit.transpose(0, 2, 1) @ predicted_unit)
    rotation = left @ right
    scale = singular.sum(axis=1)[:, None, None] * truth_norm
    return predicted_unit @ rotation.transpose(0, 2, 1) * scale + truth_mean


def align_root(
    points: Float[np.ndarray, "n points 3"], joints: Float[np.ndarray, "n 21 3"]
) -> Float[np.ndarray, "n points 3"]:
    """Subtract the wrist (joint 0) of the same hand; in float64."""
    return np.asarray(points, np.float64) - np.asarray(joints[:, :1], np.float64)


def _unit_scatter(
    points: Float[np.ndarray, "n points 3"],
) -> tuple[Float[np.ndarray, "n points 3"], Float[np.ndarray, "n 1 1"]]:
    centred = points - points.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=(1, 2), keepdims=True) + _NORM_EPSILON
    return centred / norm, norm
