"""Losses between the image and the rendered hand: pixels (Eq. 6), SSIM (Eq. 7), mean colour."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from s2hand.losses.formula import Formula, per_frame
from s2hand.losses.loss_sum import count_like
from s2hand.losses.norm import safe_norm

PhotometricForm = Literal["paper", "two_layers", "released"]

_HAND_SHARE = 0.25
"""About what a hand covers of a picture: with it the paper's weight keeps its strength in
``two_layers``."""

Images = Float[Tensor, "batch 3 height width"]
"""RGB, 0 to 1; a rendered image is black where there is no hand and may exceed 1."""

Silhouettes = Float[Tensor, "batch height width"]
"""The part of each pixel that the rendered hand covers, 0 to 1."""

_RING = 5 / 6
"""The background's colour is the mean over a ring inside the picture: from here to the circle that
touches its sides, both in halves of them. Turned pictures have no black corners there."""

_SSIM_RADIUS_PX = 5
_SSIM_SIGMA_PX = 1.5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2  # for values from 0 to 1


def photometric_weights(
    detection_confidence: Float[Tensor, "batch 21"],
    form: PhotometricForm,
    *,
    min_confidence: float = 0.0,
) -> Float[Tensor, "batch"]:
    """Turn detection confidences into weights of the frames' pixels.

    ``paper``, ``two_layers``: the sum of the confidences. ``released``: the square of their mean,
    and 0 where the least of them does not exceed ``min_confidence``; 0 admits every frame. The
    released code has 0.1 for FreiHAND and no limit for HO-3D.
    """
    if form != "released":
        return detection_confidence.sum(dim=-1)
    weights = detection_confidence.mean(dim=-1).square()
    if min_confidence > 0:
        weights = weights * (detection_confidence.amin(dim=-1) > min_confidence)
    return weights


def photometric_count(
    detection_confidence: Float[Tensor, "batch 21"],
    form: PhotometricForm,
    *,
    min_confidence: float = 0.0,
) -> Float[Tensor, ""]:
    """Return what a term per frame is divided by.

    ``paper``, ``two_layers``: the number of frames. ``released``: the sum of their weights.
    """
    if form != "released":
        return count_like(detection_confidence, len(detection_confidence))
    return photometric_weights(detection_confidence, form, min_confidence=min_confidence).sum()


def pixel_loss(
    image: Images,
    rendered_image: Images,
    rendered_silhouette: Silhouettes,
    detection_confidence: Float[Tensor, "batch 21"],
    *,
    form: PhotometricForm = "paper",
    min_confidence: float = 0.0,
) -> Float[Tensor, ""]:
    """Compare the colours of the rendered hand with the image (E_pixel).

    The sum over frames; :func:`photometric_count` is what to divide it by.

    Args:
        image: the network's input.
        rendered_image: the hand before black, its edges anti-aliased.
        rendered_silhouette: what the hand covers; differentiable.
        detection_confidence: 0 to 1; a frame without any costs nothing.
        form: ``paper`` averages the Euclidean distance of the colours over the silhouette, and
            the frames, each times the sum of its confidences; ``two_layers`` divides by a quarter
            of the image instead, and what the hand leaves free costs its distance from the
            background's colour; ``released`` averages the absolute difference over the whole
            image and all channels.
        min_confidence: see :func:`photometric_weights`; ``released`` only.

    Convention:
        ``paper``: a pixel of coverage α compares α · image with what is rendered, and the area is
        the sum of α. Both carry gradients: to grow over pixels that fit better than the mean
        lowers the loss, over others it raises it. An area below one pixel is divided by one pixel,
        so that an empty silhouette costs nothing. A pixel outside the silhouette costs nothing,
        which is why this pulls silhouettes together wherever the hand does not fit.
        ``two_layers``: a pixel of coverage α costs ‖α · image − rendered‖ + (1 − α) ‖image − b‖, b
        the mean colour of a ring near the image's border. To grow lowers the loss over pixels that
        look more like the hand than like b.
        ``released``: the hand is rendered before white, but the image is black outside the
        silhouette, so that each pixel without a hand costs a constant 1.

    References:
        Paper Eq. 6; released code, ``texture``; ``two_layers`` is ours.
    """
    if form == "released":
        before_white, masked = _released_images(image, rendered_image, rendered_silhouette)
        per_frame = (before_white - masked).abs().mean(dim=(1, 2, 3))
    else:
        covered = image * rendered_silhouette[:, None]
        distance = safe_norm(covered - rendered_image, dim=1)
        if form == "paper":
            area = rendered_silhouette.sum(dim=(1, 2)).clamp(min=1)
            per_frame = distance.sum(dim=(1, 2)) / area
        else:
            behind = safe_norm(image - _background_colour(image), dim=1)
            whole = (distance + (1 - rendered_silhouette) * behind).mean(dim=(1, 2))
            per_frame = whole / _HAND_SHARE
    weights = photometric_weights(detection_confidence, form, min_confidence=min_confidence)
    return (weights * per_frame).sum()


def mean_colour_loss(
    image: Images,
    rendered_image: Images,
    rendered_silhouette: Silhouettes,
    detection_confidence: Float[Tensor, "batch 21"],
    *,
    min_confidence: float = 0.0,
) -> Float[Tensor, ""]:
    """Compare the mean brightness, over pixels and channels, of render and image.

    The absolute difference of the two means of each frame, weighted like the ``released`` form of
    :func:`pixel_loss` and with its backgrounds; summed over the frames.

    References:
        Released code, ``mrgb``; the paper has no such term.
    """
    before_white, masked = _released_images(image, rendered_image, rendered_silhouette)
    difference = before_white.mean(dim=(1, 2, 3)) - masked.mean(dim=(1, 2, 3))
    weights = photometric_weights(detection_confidence, "released", min_confidence=min_confidence)
    return (weights * difference.abs()).sum()


def ssim_loss(
    image: Images, rendered_image: Images, rendered_silhouette: Silhouettes
) -> Float[Tensor, ""]:
    """Compare the structure of the rendered hand with the image: 1 − SSIM (E_SSIM).

    SSIM of what the silhouette covers of the image and of the render, averaged over all pixels and
    channels of the frame; summed over frames. Without confidences, as in the paper.

    Where no window reaches a hand, both images are black and SSIM is 1. So it is computed only on
    the rectangle that encloses the batch's hands and the windows that reach them; the result is
    the same. On CUDA it is computed everywhere: to ask for the rectangle the host would wait.

    References:
        Paper Eq. 7, with the released code's window and constants.
    """
    rows = columns = slice(None)
    if rendered_silhouette.device.type == "cpu":
        is_hand = (rendered_silhouette > 0).any(dim=0)
        rows, columns = (_reach(is_hand.any(dim=axis), _SSIM_RADIUS_PX) for axis in (1, 0))
    covered = image[..., rows, columns] * rendered_silhouette[:, None, rows, columns]
    similarity = structural_similarity(covered, rendered_image[..., rows, columns])
    return (1 - similarity).sum() / image[0].numel()


def structural_similarity(first: Images, second: Images) -> Images:
    """Return the SSIM of two images at each pixel and channel.

    Convention:
        Values from 0 to 1; a Gaussian window of 11 × 11 pixels with σ = 1.5; variances of the
        population; black beyond the borders.

    References:
        Wang et al., "Image quality assessment", 2004.
    """
    moments = torch.stack([first, second, first.square() + second.square(), first * second])
    # The blur as products with banded matrices: faster than convolutions with a single channel.
    across, down = (_blur_matrix(moments.shape[axis], moments) for axis in (-1, -2))
    mean_first, mean_second, squares, product = (down @ (moments @ across)).unbind()
    product_of_means = mean_first * mean_second
    squares_of_means = mean_first.square() + mean_second.square()
    return ((2 * product_of_means + _SSIM_C1) * (2 * (product - product_of_means) + _SSIM_C2)) / (
        (squares_of_means + _SSIM_C1) * (squares - squares_of_means + _SSIM_C2)
    )


def _background_colour(image: Images) -> Float[Tensor, "batch 3 1 1"]:
    """Return each image's mean colour over the ring."""
    height, width = image.shape[-2:]
    rows, columns = (
        (2 * torch.arange(size, dtype=image.dtype, device=image.device) + 1) / size - 1
        for size in (height, width)
    )
    radius = rows[:, None].square() + columns.square()
    is_ring = ((radius > _RING**2) & (radius <= 1)).to(image.dtype)
    return (image * is_ring).sum(dim=(2, 3), keepdim=True) / is_ring.sum()


def _released_images(
    image: Images, rendered_image: Images, rendered_silhouette: Silhouettes
) -> tuple[Images, Images]:
    """Return the render before white, and the image with black outside the silhouette."""
    silhouette = rendered_silhouette[:, None]
    return rendered_image + (1 - silhouette), image * (silhouette > 0)


def _reach(is_occupied: Bool[Tensor, "n"], margin: int) -> slice:
    """Enclose the occupied places and a margin around them; empty where there are none."""
    places = is_occupied.nonzero()
    if len(places) == 0:
        return slice(0, 0)
    return slice(max(0, int(places[0]) - margin), int(places[-1]) + 1 + margin)


def _blur_matrix(size: int, like: Tensor) -> Float[Tensor, "size size"]:
    """Return the symmetric matrix that blurs a line of pixels with the window of SSIM."""
    place = torch.arange(size, dtype=like.dtype, device=like.device)
    offset = place[:, None] - place
    window = torch.arange(-_SSIM_RADIUS_PX, _SSIM_RADIUS_PX + 1, dtype=like.dtype)
    normaliser = torch.exp(-window.square() / (2 * _SSIM_SIGMA_PX**2)).sum().item()
    weight = torch.exp(-offset.square() / (2 * _SSIM_SIGMA_PX**2)) / normaliser
    return torch.where(offset.abs() <= _SSIM_RADIUS_PX, weight, 0.0)


FORMULAS = {
    "pixel": Formula(
        count=lambda batch, settings: photometric_count(
            batch.detection_confidence,
            settings.photometric,
            min_confidence=settings.photometric_min_confidence,
        ),
        total=lambda given, settings: pixel_loss(
            given.batch.images,
            given.rendering.image,
            given.rendering.silhouette,
            given.batch.detection_confidence,
            form=settings.photometric,
            min_confidence=settings.photometric_min_confidence,
        ),
    ),
    "ssim": Formula(
        count=lambda batch, _: per_frame(batch, 1),
        total=lambda given, _: ssim_loss(
            given.batch.images, given.rendering.image, given.rendering.silhouette
        ),
    ),
    "mean_colour": Formula(
        count=lambda batch, settings: photometric_count(
            batch.detection_confidence,
            "released",
            min_confidence=settings.photometric_min_confidence,
        ),
        total=lambda given, settings: mean_colour_loss(
            given.batch.images,
            given.rendering.image,
            given.rendering.silhouette,
            given.batch.detection_confidence,
            min_confidence=settings.photometric_min_confidence,
        ),
    ),
}
