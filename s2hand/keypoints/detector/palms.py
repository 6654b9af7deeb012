"""Palms from what the palm model puts out: anchors, decoding, weighted non-maximum suppression.

References:
    MediaPipe's graph ``palm_detection_cpu`` and its calculators of SSD anchors, of tensors to
    detections and of non-maximum suppression, for the numbers. Bazarevsky et al., "BlazeFace",
    2019, for the blending in the place of suppression.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

SIDE = 192
"""Pixels of the model's input."""
MIN_SCORE = 0.5
MAX_OVERLAP = 0.3
_GRIDS = ((24, 2), (12, 6))
"""Cells a side and anchors a cell: strides of 8 and 16, the latter three layers of two each."""
_MAX_LOGIT = 100.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Palms:
    """Palms in a square, as fractions of its side; the surest first."""

    boxes: Float64[np.ndarray, "n 4"]
    """x0, y0, x1, y1."""
    points: Float64[np.ndarray, "n 7 2"]
    scores: Float64[np.ndarray, " n"]


def make_anchors() -> Float64[np.ndarray, "2016 2"]:
    """Return the anchors' centres, fractions of the side: rows of cells, each several times."""
    grids = []
    for cells, per_cell in _GRIDS:
        middles = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(middles, middles)
        grids.append(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(per_cell, axis=0))
    return np.concatenate(grids)


def decode_palms(
    regressions: Float32[np.ndarray, "2016 18"], logits: Float32[np.ndarray, "2016"]
) -> Palms:
    """Decode what the model says at each anchor, and keep what may be a palm.

    Args:
        regressions: Of each anchor, in pixels of the input from its centre: the box's centre, its
            width and height, seven points.
        logits: Of each anchor.
    """
    scores = 1 / (1 + np.exp(-logits.astype(np.float64).clip(-_MAX_LOGIT, _MAX_LOGIT)))
    kept = np.flatnonzero(scores >= MIN_SCORE)
    values = regressions[kept].astype(np.float64).reshape(-1, 9, 2) / SIDE
    centres, sizes = values[:, 0] + make_anchors()[kept], values[:, 1]
    return merge_palms(
        Palms(
            boxes=np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1),
            points=values[:, 2:] + make_anchors()[kept, None],
            scores=scores[kept],
        )
    )


def merge_palms(palms: Palms) -> Palms:
    """Blend palms that overlap, weighted by their scores; each keeps the best score of its group.

    The surest palm takes in all that overlap its box by more than ``MAX_OVERLAP``, itself
    included; so does the surest of what is left, until nothing is.
    """
    left = np.argsort(-palms.scores, kind="stable")
    boxes, points, scores = [], [], []
    while len(left):
        # A box without area overlaps nothing, not even itself.
        is_near = overlaps(palms.boxes[left[0]], palms.boxes[left]) > MAX_OVERLAP
        is_near[0] = True
        group, left = left[is_near], left[~is_near]
        weights = palms.scores[group] / palms.scores[group].sum()
        boxes.append(weights @ palms.boxes[group])
        points.append(np.tensordot(weights, palms.points[group], 1))
        scores.append(palms.scores[group[0]])
    return Palms(
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        points=np.array(points, np.float64).reshape(-1, 7, 2),
        scores=np.array(scores, np.float64),
    )


def overlaps(
    box: Float64[np.ndarray, "4"], boxes: Float64[np.ndarray, "n 4"]
) -> Float64[np.ndarray, " n"]:
    """Return the share of common area (intersection over union) of one box and others."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = sides.clip(min=0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1)
    union = (box[2:] - box[:2]).clip(min=0).prod() + areas - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
