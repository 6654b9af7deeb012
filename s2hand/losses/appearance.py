"""Losses on texture, and on texture and shape over a clip's frames: E_C, E_T&S (Eq. 21)."""

import torch
from jaxtyping import Float
from torch import Tensor

from s2hand.losses.formula import Formula, per_clip
from s2hand.losses.norm import safe_norm
from s2hand.losses.photometric import PhotometricForm, photometric_count, photometric_weights

_OUTLIER_SIGMAS = 2.0  # released code, ``mtex``


def texture_prior(
    texture: Float[Tensor, "batch points 3"],
    detection_confidence: Float[Tensor, "batch 21"],
    *,
    form: PhotometricForm = "paper",
    min_confidence: float = 0.0,
) -> Float[Tensor, ""]:
    """Penalise colours that differ much from the hand's mean colour (E_C).

    In each channel a value further than two standard deviations (unbiased, over the points) from
    the mean costs its distance from the mean; the mean over points and channels, summed over the
    frames. :func:`~s2hand.losses.photometric.photometric_count` is what to divide it by.

    Args:
        texture: colour of each vertex or face, as the network gives it, before tanh.
        detection_confidence: 0 to 1.
        form: ``paper`` and ``two_layers`` are the mean over frames; ``released`` weights them, see
            :func:`~s2hand.losses.photometric.photometric_weights`.
        min_confidence: see there; ``released`` only.

    References:
        Paper §3.2.4, without a formula; released code, ``mtex``, as it is meant. As written, it
        compares the statistics of each sample with the textures of the whole batch and multiplies
        by twice the mean confidence instead of its square; neither is reproduced.
    """
    mean = texture.mean(dim=1, keepdim=True)
    deviation = (texture - mean).abs()
    variance = deviation.square().sum(dim=1, keepdim=True) / (texture.shape[1] - 1)
    is_outlier = deviation.square() > _OUTLIER_SIGMAS**2 * variance
    per_frame = torch.where(is_outlier, deviation, 0.0).mean(dim=(1, 2))
    if form == "released":
        per_frame = per_frame * photometric_weights(
            detection_confidence, form, min_confidence=min_confidence
        )
    return per_frame.sum()


def texture_shape_loss(
    texture: Float[Tensor, "clips frames points 3"], betas: Float[Tensor, "clips frames 10"]
) -> Float[Tensor, ""]:
    """Keep a clip's texture and shape the same in all of its frames (E_T&S).

    The Euclidean distances of each frame's texture and of its betas from the clip's means, over
    all their elements, summed over frames and clips.

    References:
        Paper Eq. 21, which does not say whether its norms are averaged over elements; here they
        are not.
    """
    textures = safe_norm(texture - texture.mean(dim=1, keepdim=True), dim=(-2, -1))
    shapes = safe_norm(betas - betas.mean(dim=1, keepdim=True), dim=-1)
    return (textures + shapes).sum()


FORMULAS = {
    "texture_prior": Formula(
        count=lambda batch, settings: photometric_count(
            batch.detection_confidence,
            settings.photometric,
            min_confidence=settings.photometric_min_confidence,
        ),
        total=lambda given, settings: texture_prior(
            given.appearance.texture,
            given.batch.detection_confidence,
            form=settings.photometric,
            min_confidence=settings.photometric_min_confidence,
        ),
    ),
    "texture_shape": Formula(
        count=lambda batch, _: per_clip(batch, 1),
        total=lambda given, _: texture_shape_loss(
            given.clips(given.appearance.texture), given.clips(given.hand.betas)
        ),
    ),
}
