"""Keypoints as classes: each coordinate is a distribution over bins across the image.

A network with few steps learns which bin a coordinate lies in sooner than it learns the number.

References:
    Li et al., "SimCC: a simple coordinate classification perspective for human pose estimation",
    2022, with the expected bin in the place of the most likely one.
"""

import torch
from jaxtyping import Float
from torch import Tensor

NUM_BINS = 32
"""Bins of each coordinate; with soft labels they resolve far less than a bin's width."""

_SPAN = 1.1
"""The bins' span over the image's side: keypoints lie a little outside, too."""

_LABEL_STD_BINS = 1.0


def bin_labels(
    keypoints_px: Float[Tensor, "*batch 2"], image_size_px: int
) -> Float[Tensor, "*batch 2 bins"]:
    """Turn coordinates into soft labels: a normal density around each, one bin wide, sum one.

    A coordinate beyond the bins' span has the label of the span's end.

    Args:
        keypoints_px: places in the image, pixel (0, 0) being the top-left pixel's centre.
        image_size_px: side of the image.
    """
    half_bin = 0.5 / NUM_BINS
    place = ((keypoints_px + 0.5) / image_size_px - 0.5) / _SPAN + 0.5
    distance_bins = NUM_BINS * (place.clamp(half_bin, 1 - half_bin)[..., None] - _centres(place))
    return (-(distance_bins / _LABEL_STD_BINS).square() / 2).softmax(dim=-1)


def expected_keypoints_px(
    scores: Float[Tensor, "*batch 2 bins"], image_size_px: int
) -> Float[Tensor, "*batch 2"]:
    """Turn scores of bins (logits) into the expected coordinates, in pixels of the image."""
    place = (scores.softmax(dim=-1) * _centres(scores)).sum(dim=-1)
    return ((place - 0.5) * _SPAN + 0.5) * image_size_px - 0.5


def coordinate_class_loss(
    scores: Float[Tensor, "batch 21 2 bins"],
    keypoints_px: Float[Tensor, "batch 21 2"],
    confidence: Float[Tensor, "batch 21"],
    image_size_px: int,
) -> Float[Tensor, ""]:
    """Return the cross-entropy of both coordinates, averaged over keypoints by confidence.

    Args:
        scores: logits of the bins.
        keypoints_px: detections in the image; one outside the bins' span counts nothing.
        confidence: 0 to 1; 0 leaves a keypoint out. All zero gives a loss of zero.
        image_size_px: side of the image.
    """
    off_centre = ((keypoints_px + 0.5) / image_size_px - 0.5).abs().amax(dim=-1)
    weights = confidence * (off_centre < _SPAN / 2)
    labels = bin_labels(keypoints_px, image_size_px)
    entropy = -(labels * scores.log_softmax(dim=-1)).sum(dim=(-1, -2))
    return (weights * entropy).sum() / weights.sum().clamp(min=1e-6)


def _centres(like: Tensor) -> Float[Tensor, "bins"]:
    """Return the bins' centres as shares of their span."""
    return (torch.arange(NUM_BINS, dtype=like.dtype, device=like.device) + 0.5) / NUM_BINS
