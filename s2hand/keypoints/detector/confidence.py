"""A confidence for each joint, from how far its place depends on where the crop was cut.

MediaPipe's models tell one presence a hand. A joint that they see is found at one place wherever
the crop begins; one that they guess wanders. So a hand is looked at in five crops, and a joint's
confidence is the presence times a factor that falls with the spread of its five places, fitted so
that the product is the probability that the joint's error is below 0.05 of the hand's extent.
"""

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy.optimize import nnls

VERSION = "joints-1"
"""Stands in the detector's version: another table of factors, another version."""
SHIFTS = ((-0.05, -0.05), (0.05, -0.05), (-0.05, 0.05), (0.05, 0.05))
"""Where the other four crops lie, in sides of the first: a little towards each corner."""
NEAR = 0.05
"""An error below this share of the extent counts as none."""

SPREADS = (0.0038, 0.0063, 0.0096, 0.0175, 0.0367, 0.0877)
"""Spreads over the extent at which ``FACTORS`` are given; between them they are linear."""
FACTORS = (0.918, 0.78, 0.613, 0.31, 0.16, 0.1)
"""Fitted by ``python -m tools.joint_confidence`` to 310 hands of 64 subjects of the synthetic
benchmark's validation namespace, 224 px, each in a picture of its own, seen as crops."""


def relative_spreads(
    looks_px: Float64[np.ndarray, "looks 21 2"],
) -> Float64[np.ndarray, "21"]:
    """Return how far each joint's places lie apart: their root mean square about their mean.

    Args:
        looks_px: A hand's joints, as each crop shows them.

    Returns:
        Shares of the hand's extent, the diagonal of the box around the first look's joints; 0 where
        that has none.
    """
    deviations_px = looks_px - looks_px.mean(axis=0)
    spreads_px = np.sqrt((deviations_px**2).sum(axis=-1).mean(axis=0))
    extent_px = np.linalg.norm(looks_px[0].max(axis=0) - looks_px[0].min(axis=0))
    return spreads_px / extent_px if extent_px else np.zeros(21)


def joint_confidence(
    presence: Float64[np.ndarray, "*hands"] | float, spreads: Float64[np.ndarray, "*hands joints"]
) -> Float32[np.ndarray, "*hands joints"]:
    """Return each joint's probability that its error is below ``NEAR`` of the extent.

    Args:
        presence: Of each hand, 0 to 1.
        spreads: Of each joint, over the extent.
    """
    factors = np.interp(spreads, SPREADS, FACTORS)
    return (np.asarray(presence)[..., None] * factors).clip(0, 1).astype(np.float32)


def fit_factors(
    presence: Float64[np.ndarray, " n"],
    spreads: Float64[np.ndarray, " n"],
    is_near: Bool[np.ndarray, " n"],
    knots: Float64[np.ndarray, " knots"],
) -> Float64[np.ndarray, " knots"]:
    """Fit factors that never rise from knot to knot, linear between them.

    Least squares of presence × factor against whether the error is small, which is Brier's score:
    it is least where the product is the probability. A falling line is a sum of steps down that
    are not negative, so that non-negative least squares finds the best.

    Args:
        presence: Of each joint's hand.
        spreads: Of each joint, over the extent.
        is_near: Whether its error is below ``NEAR``.
        knots: Spreads in rising order.
    """
    hats = np.array([np.interp(spreads, knots, row) for row in np.eye(len(knots))]).T
    steps_down = hats.cumsum(axis=1)  # column k: factor 1 up to knot k, 0 from the next on
    solution, _ = nnls(presence[:, None] * steps_down, is_near.astype(np.float64))
    return solution[::-1].cumsum()[::-1]
