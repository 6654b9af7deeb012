"""Alignments that take a prediction onto its truth before an error is measured."""

import numpy as np
from jaxtyping import Float

from s2hand.hand.joints import JOINT_NAMES

_MIDDLE = JOINT_NAMES["openpose"].index("middle_1")
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


def align_scale_translation(
    predicted: Float[np.ndarray, "n 21 3"], truth: Float[np.ndarray, "n 21 3"]
) -> Float[np.ndarray, "n 21 3"]:
    """Scale and move each predicted hand so that one bone has its true length, the wrist its place.

    The bone leads from the wrist to the middle finger's first joint. A prediction in which it has
    no length is moved and scaled by the true length, as the official script does.

    Args:
        predicted: Joints in OpenPose order, any unit, turned as the truth is.
        truth: The same of the true hands; the result is in their unit.

    Returns:
        The aligned predictions, in float64.

    References:
        HO-3D ``align_sc_tr``.
    """
    predicted, truth = align_root(predicted, predicted), np.asarray(truth, np.float64)
    lengths, true_lengths = (
        np.linalg.norm(joints[:, _MIDDLE] - joints[:, 0], axis=-1) for joints in (predicted, truth)
    )
    scale = true_lengths / np.where(lengths > 0, lengths, 1)
    return predicted * scale[:, None, None] + truth[:, :1]


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
