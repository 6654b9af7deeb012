"""What a 2D keypoint detector would have found: truth with errors, misses, mistakes, confidences.

The errors follow what is reported of convolutional hand detectors: small on visible joints,
several times larger behind the hand itself or an object, stretched along motion blur, correlated
over the frames of a video, with rare gross mistakes and points that are not found at all.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

VISIBLE, SELF_OCCLUDED, OBJECT_OCCLUDED = 0, 1, 2

_SIGMA = np.array([0.014, 0.036, 0.05])
"""Standard deviation per axis, as a share of the hand's extent, by kind of visibility."""
_GROSS = np.array([0.004, 0.03, 0.06])
"""Chance that a joint is taken for another one or for something else."""
_MISSING = np.array([0.003, 0.02, 0.07])
"""Chance that a joint is not found."""
_CONFIDENCE = np.array([1.5, 0.1, -0.5])
"""Mean log-odds of the confidence."""
_MEMORY = 0.88
"""Correlation of the slow part of the error over one frame."""
_PERSISTENCE = 0.7
"""Chance that a gross mistake or a miss lasts to the next frame."""
_BLUR_SHARE = 0.22
"""Error along the motion, as a share of the path during the exposure."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DetectorInput:
    """What the errors depend on, for the frames of one video or for unrelated images."""

    truth_px: Float[np.ndarray, "frames 21 2"]
    visibility: Int[np.ndarray, "frames 21"]
    """``VISIBLE``, ``SELF_OCCLUDED`` or ``OBJECT_OCCLUDED``."""
    blur_px: Float[np.ndarray, "frames 21 2"]
    """Path of each joint during the exposure."""
    frames: Int[np.ndarray, "frames"] | None
    """True frame numbers of a video; None for unrelated images."""
    image_size_px: tuple[int, int]
    """Width and height."""
    unit_px: float
    """Grid of the reported positions: a pixel of the picture before it was made smaller."""


def detect(
    given: DetectorInput, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "frames 21 2"], Float[np.ndarray, "frames 21"]]:
    """Draw detected keypoints and confidences.

    Convention:
        A keypoint that is not found, and every joint outside the picture, is (0, 0) with
        confidence 0. Positions lie on the pixel grid of the picture before it was made smaller,
        as a detector's do: with ``unit_px`` = 1 they are integers.
    """
    num_frames = len(given.truth_px)
    spread = given.truth_px.max(1) - given.truth_px.min(1)
    extent = np.linalg.norm(spread, axis=-1)[:, None]
    memory = _memory(given.frames, num_frames)
    difficulty = np.exp(0.35 * _correlated(memory, (1,), generator))
    sigma = _SIGMA[given.visibility] * extent * difficulty
    slow = _correlated(memory, (21, 2), generator)
    fast = generator.normal(size=(num_frames, 21, 2))
    error = sigma[..., None] * (0.8 * slow + 0.6 * fast)
    error += _BLUR_SHARE * given.blur_px * generator.normal(size=(num_frames, 21, 1))
    found = given.truth_px + error
    gross = _episodes(_GROSS[given.visibility] * difficulty, memory, generator)
    found = np.where(gross[..., None], _mistakes(given, extent, generator), found)
    missing = _episodes(_MISSING[given.visibility] * difficulty, memory, generator)
    missing |= _episodes(np.full((num_frames, 1), 0.004), memory, generator)
    missing |= _outside(given.truth_px, given.image_size_px, margin_px=0.03 * extent)
    found = _snap(found, given)
    confidence = _confidence(given, found, sigma, extent, memory, generator)
    found[missing], confidence[missing] = 0, 0
    return found, confidence


def _memory(frames: np.ndarray | None, num_frames: int) -> np.ndarray:
    """Correlation of each frame with the one before it; zero for unrelated images."""
    if frames is None:
        return np.zeros(num_frames)
    return np.concatenate([[0.0], _MEMORY ** np.diff(frames)])


def _correlated(
    memory: np.ndarray, shape: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    """Draw a first-order autoregressive process with unit variance."""
    noise = generator.normal(size=(len(memory), *shape))
    for k in range(1, len(memory)):
        if memory[k]:
            noise[k] = memory[k] * noise[k - 1] + np.sqrt(1 - memory[k] ** 2) * noise[k]
    return noise


def _episodes(chance: np.ndarray, memory: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw events with the given stationary chance that last for some frames of a video."""
    drawn = generator.random(chance.shape)
    event = drawn < chance
    for k in range(1, len(chance)):
        if memory[k]:
            start = chance[k] * (1 - _PERSISTENCE) / np.maximum(1 - chance[k], 1e-3)
            event[k] = np.where(event[k - 1], drawn[k] < _PERSISTENCE, drawn[k] < start)
    return event


def _mistakes(
    given: DetectorInput, extent: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Where a gross mistake puts a joint: on a neighbouring finger, or anywhere about the hand."""
    num_frames = len(given.truth_px)
    joints = np.arange(21)
    step = np.where(generator.random((num_frames, 21)) < 0.5, 4, -4)
    other = joints + step
    other = np.where((other < 1) | (other > 20), joints - step, other)
    other[:, 0] = generator.integers(1, 21, num_frames)
    swapped = np.take_along_axis(given.truth_px, other[..., None], axis=1)
    swapped = swapped + 0.02 * extent[..., None] * generator.normal(size=swapped.shape)
    centre = given.truth_px.mean(1, keepdims=True)
    anywhere = centre + 0.45 * extent[..., None] * generator.normal(size=swapped.shape)
    return np.where(generator.random((num_frames, 21, 1)) < 0.7, swapped, anywhere)


def _outside(points: np.ndarray, size: tuple[int, int], *, margin_px: np.ndarray) -> np.ndarray:
    limit = np.array(size) - 0.5
    margin = margin_px[..., None]
    return ((points < -0.5 - margin) | (points > limit + margin)).any(-1)


def _snap(found: np.ndarray, given: DetectorInput) -> np.ndarray:
    """Bring points into the picture and onto the grid of the picture before it was made smaller."""
    original = (found + 0.5) / given.unit_px - 0.5
    limit = np.rint(np.array(given.image_size_px) / given.unit_px) - 1
    return (np.clip(np.rint(original), 0, limit) + 0.5) * given.unit_px - 0.5


def _confidence(
    given: DetectorInput,
    found: np.ndarray,
    sigma: np.ndarray,
    extent: np.ndarray,
    memory: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw confidences that know of occlusion, blur and part of the error, and noise besides."""
    error = np.linalg.norm(found - given.truth_px, axis=-1) / extent
    blur = np.linalg.norm(given.blur_px, axis=-1) / extent
    own_noise = 0.5 * _correlated(memory, (21,), generator)
    own_noise += 0.4 * generator.normal(size=error.shape)
    odds = _CONFIDENCE[given.visibility] + own_noise
    odds = odds - 1.2 * np.log1p(error / 0.03) - 3.0 * blur - 6.0 * (sigma / extent - 0.014)
    odds = np.where(generator.random(error.shape) < 0.04, 1.5 + own_noise, odds)  # overconfident
    return np.clip(1 / (1 + np.exp(-odds)), 0.01, 0.98)
