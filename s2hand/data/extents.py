"""Where in its image a hand is, by the keypoints that were found of it."""

import numpy as np
from jaxtyping import Bool, Float32

_CONFIDENT = 0.1
"""Detections below this do not enter a crop's extent; the paper's threshold for images (§3.2.3)."""
_FEWEST_CONFIDENT = 3


def is_located(confidence: Float32[np.ndarray, "n 21"]) -> Bool[np.ndarray, "n"]:
    """Say of which hands enough keypoints are confident to know where they are."""
    located: np.ndarray = (confidence >= _CONFIDENT).sum(axis=1) >= _FEWEST_CONFIDENT
    return located


def detected_extents(
    keypoints_px: Float32[np.ndarray, "n 21 2"],
    confidence: Float32[np.ndarray, "n 21"],
    sizes_px: Float32[np.ndarray, "n 2"],
) -> Float32[np.ndarray, "n 4"]:
    """Return the box around each hand's confident keypoints; the whole image if they are few."""
    found = confidence >= _CONFIDENT
    low = np.where(found[..., None], keypoints_px, np.inf).min(axis=1)
    high = np.where(found[..., None], keypoints_px, -np.inf).max(axis=1)
    whole = np.concatenate([np.zeros_like(sizes_px), sizes_px - 1], axis=1)
    enough = is_located(confidence)[:, None]
    return np.where(enough, np.concatenate([low, high], axis=1), whole).astype(np.float32)
