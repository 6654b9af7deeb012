"""What a 2D keypoint detector would have found: truth with errors, misses, mistakes, confidences.

Errors are small on visible joints and several times larger behind the hand itself or an object,
stretched along motion blur and correlated over the frames of a video, with gross mistakes and
points or whole hands that are not found. How much of each there is, a :class:`Detector` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

VISIBLE, SELF_OCCLUDED, OBJECT_OCCLUDED = 0, 1, 2

DetectorName = Literal["simulated", "calibrated"]

ByKind = tuple[float, float, float]
"""A value each for joints that are visible, behind the hand itself, behind a thing."""

_BLUR_SHARE = 0.22
"""Error along the motion, as a share of the path during the exposure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detector:
    """How much a detector errs.

    Lengths are shares of the hand's extent, the diagonal of the box around its joints; chances
    hold for hands of usual difficulty.
    """

    sigma: ByKind
    """Standard deviation of the error per axis."""
    joint_scale: tuple[float, float, float, float, float]
    """Factor of that for the wrist and for the first to the last joint of a finger."""
    difficulty: float
    """Standard deviation, over hands, of the log of a factor that all errors of a hand share."""
    slow_share: float
    """Share of the error's variance that is correlated over the frames of a video."""
    memory: float
    """Correlation of that part, of the difficulty and of the confidence's noise over one frame."""
    gross: ByKind
    """Chance that a joint is taken for another one or for something else."""
    missing: ByKind
    """Chance that a joint is not found."""
    hand_missing: ByKind
    """Log-odds that the whole hand is not found: with all joints visible, and what each joint
    behind the hand itself and each behind a thing adds."""
    persistence: float
    """Chance that a gross mistake or a miss lasts to the next frame."""
    confidence: ByKind
    """Mean log-odds of the confidence."""
    confidence_fall: float
    """How much those fall with the log of 1 + error / ``confidence_knee``."""
    confidence_knee: float


DETECTORS: Mapping[DetectorName, Detector] = {
    "simulated": Detector(
        sigma=(0.014, 0.036, 0.05),
        joint_scale=(1.0, 1.0, 1.0, 1.0, 1.0),
        difficulty=0.35,
        slow_share=0.64,
        memory=0.88,
        gross=(0.004, 0.03, 0.06),
        missing=(0.003, 0.02, 0.07),
        hand_missing=(-5.517, 0.0, 0.0),
        persistence=0.7,
        confidence=(1.5, 0.1, -0.5),
        confidence_fall=1.2,
        confidence_knee=0.03,
    ),
    "calibrated": Detector(
        sigma=(0.025, 0.048, 0.1),
        joint_scale=(0.9, 1.1, 0.9, 1.0, 1.6),
        difficulty=0.7,
        slow_share=0.99,
        memory=0.965,
        gross=(0.09, 0.04, 0.1),
        missing=(0.0, 0.0, 0.0),
        hand_missing=(-3.5, 0.165, 0.27),
        persistence=0.85,
        confidence=(1.0, 0.4, -0.2),
        confidence_fall=0.25,
        confidence_knee=0.06,
    ),
}
"""``simulated`` follows what is reported of convolutional hand detectors. ``calibrated`` is fitted
to what MediaPipe's hand detector does on 2,378 pictures of this benchmark; the table of
``docs/synthetic-benchmark.md`` compares the three."""


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
    given: DetectorInput, detector: Detector, generator: np.random.Generator
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
    memory = _memory(given.frames, num_frames, detector.memory)
    difficulty = np.exp(detector.difficulty * _correlated(memory, (1,), generator))
    wrist, *finger = detector.joint_scale
    scale = np.array([wrist, *5 * finger])
    sigma = np.array(detector.sigma)[given.visibility] * scale * extent * difficulty
    slow = _correlated(memory, (21, 2), generator)
    fast = generator.normal(size=(num_frames, 21, 2))
    share = detector.slow_share
    error = sigma[..., None] * (np.sqrt(share) * slow + np.sqrt(1 - share) * fast)
    error += _BLUR_SHARE * given.blur_px * generator.normal(size=(num_frames, 21, 1))
    found = given.truth_px + error

    def episodes(chance: np.ndarray) -> np.ndarray:
        return _episodes(chance, memory, detector.persistence, generator)

    gross = episodes(np.array(detector.gross)[given.visibility] * difficulty)
    found = np.where(gross[..., None], _mistakes(given, extent, generator), found)
    missing = episodes(np.array(detector.missing)[given.visibility] * difficulty)
    missing |= episodes(_hand_missing(given.visibility, detector))
    missing |= _outside(given.truth_px, given.image_size_px, margin_px=0.03 * extent)
    found = _snap(found, given)
    confidence = _confidence(given, detector, found, sigma, extent, memory, generator)
    found[missing], confidence[missing] = 0, 0
    return found, confidence


def _memory(frames: np.ndarray | None, num_frames: int, over_a_frame: float) -> np.ndarray:
    """Correlation of each frame with the one before it; zero for unrelated images."""
    if frames is None:
        return np.zeros(num_frames)
    return np.concatenate([[0.0], over_a_frame ** np.diff(frames)])


def _hand_missing(visibility: np.ndarray, detector: Detector) -> Float[np.ndarray, "frames 1"]:
    """Chance of each frame that nothing of the hand is found."""
    base, per_self_occluded, per_object_occluded = detector.hand_missing
    odds = base + per_self_occluded * (visibility == SELF_OCCLUDED).sum(1, keepdims=True)
    odds = odds + per_object_occluded * (visibility == OBJECT_OCCLUDED).sum(1, keepdims=True)
    return 1 / (1 + np.exp(-odds))


def _correlated(
    memory: np.ndarray, shape: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    """Draw a first-order autoregressive process with unit variance."""
    noise = generator.normal(size=(len(memory), *shape))
    for k in range(1, len(memory)):
        if memory[k]:
            noise[k] = memory[k] * noise[k - 1] + np.sqrt(1 - memory[k] ** 2) * noise[k]
    return noise


def _episodes(
    chance: np.ndarray, memory: np.ndarray, persistence: float, generator: np.random.Generator
) -> np.ndarray:
    """Draw events with the given stationary chance that last for some frames of a video."""
    drawn = generator.random(chance.shape)
    event = drawn < chance
    for k in range(1, len(chance)):
        if memory[k]:
            start = chance[k] * (1 - persistence) / np.maximum(1 - chance[k], 1e-3)
            event[k] = np.where(event[k - 1], drawn[k] < persistence, drawn[k] < start)
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
    detector: Detector,
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
    odds = np.array(detector.confidence)[given.visibility] + own_noise
    odds = odds - detector.confidence_fall * np.log1p(error / detector.confidence_knee)
    odds = odds - 3.0 * blur - 6.0 * (sigma / extent - detector.sigma[VISIBLE])
    odds = np.where(generator.random(error.shape) < 0.04, 1.5 + own_noise, odds)  # overconfident
    return np.clip(1 / (1 + np.exp(-odds)), 0.01, 0.98)
