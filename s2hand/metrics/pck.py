"""The share of points within a distance, and the area under that curve."""

import numpy as np
from jaxtyping import Float

NUM_THRESHOLDS = 100
MAX_THRESHOLD_M = 0.05


def pck_thresholds_m() -> Float[np.ndarray, "100"]:
    """Return the official thresholds: 100 of them, evenly from 0 to 5 cm, both included."""
    return np.linspace(0.0, MAX_THRESHOLD_M, NUM_THRESHOLDS)


def sample_auc(errors_m: Float[np.ndarray, "n points"]) -> Float[np.ndarray, "n"]:
    """Return each sample's normalised area under its PCK curve between 0 and 5 cm.

    The area is linear in the curve, so the mean of these values over samples is the official
    figure: the mean over points of the area under the point's curve over samples.

    Convention:
        A point counts at a threshold when its error is not above it (``<=``); the area is the
        trapezoid rule's, divided by the range of the thresholds.

    References:
        FreiHAND ``EvalUtil.get_measures``.
    """
    first_within = np.searchsorted(pck_thresholds_m(), np.asarray(errors_m, np.float64))
    steps = NUM_THRESHOLDS - 1
    # A step function that rises at threshold k covers the steps after k and half the one before.
    area = (steps - first_within + 0.5 * (first_within > 0)) / steps
    return np.where(first_within < NUM_THRESHOLDS, area, 0.0).mean(axis=1)
