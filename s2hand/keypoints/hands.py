"""Hands that a detector found in images, several in one if need be, and the rules of all readers.

Three rules hold for every file of detections, ``openpose.py``'s included:

- An entry belongs to the image of its name; folder, ending and leading zeros do not count.
- An image without an entry has nothing found in it, confidence 0, and is counted.
- A confidence above 1, which OpenPose writes where a peak of its maps exceeds 1, counts as 1 and is
  counted; where most of those found are above 1, the file has another scale and is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from s2hand.errors import DataError
from s2hand.keypoints.names import Side
from s2hand.keypoints.openpose import Detections
from s2hand.keypoints.rules import image_key, require_ones

UNKNOWN_SIDE = 0.5
"""``right`` where nothing tells."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundHand:
    """A hand in an image.

    Convention:
        OpenPose hand order; pixels of the stored image, (0, 0) the centre of the top-left pixel.
    """

    keypoints_px: Float32[np.ndarray, "21 2"]
    confidence: Float32[np.ndarray, "21"]
    """0 to 1; 0: not found."""
    right: float
    """Probability that it is a right hand; 1 or 0 from detectors that only name the side."""


@runtime_checkable
class HandDetector(Protocol):
    """What finds hands in a picture; ``docs/keypoints.md`` shows one.

    Opened anew in every process that looks at pictures, it need not be picklable.
    """

    @property
    def name(self) -> str:
        """The detector's name, as tables hold it."""

    @property
    def version(self) -> str:
        """Its version: two of one version find the same."""

    def find_hands(self, picture: UInt8[np.ndarray, "height width 3"]) -> Sequence[FoundHand]:
        """Find the hands of an RGB picture, the surest first; none: an empty sequence.

        The picture is as it is stored; so are the hands' points, in OpenPose's order, which may lie
        outside. Confidences are 0 to 1, best of all the probability that a point is right.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class HandTable:
    """What one detector found in some images; a row is a hand.

    An image in which nothing was found has one row, with confidence 0.
    """

    samples: tuple[str, ...]
    """The image's file name; rows of one image stand together."""
    hands: Int64[np.ndarray, " n"]
    """The hand's number in its image, from 0."""
    keypoints_px: Float32[np.ndarray, "n 21 2"]
    """As in ``FoundHand``; (0, 0) where nothing was found."""
    confidence: Float32[np.ndarray, "n 21"]
    right: Float32[np.ndarray, " n"]
    detector: str
    version: str
    """Empty where its files do not tell."""
    num_clipped: int = 0
    """Confidences that the file has above 1; they are 1 here."""
    num_missing: int = 0
    """Images that the file has no entry of."""
    num_unknown: int = 0
    """Images that are not there, of which the file has hands; left out here."""


def table_of(
    found: Mapping[str, Sequence[FoundHand]], *, detector: str, version: str, **counts: int
) -> HandTable:
    """Make a table of what was found in each image; the keys are the images' file names."""
    nothing = FoundHand(
        keypoints_px=np.zeros((21, 2), np.float32),
        confidence=np.zeros(21, np.float32),
        right=UNKNOWN_SIDE,
    )
    rows = [
        (sample, number, hand)
        for sample, hands in found.items()
        for number, hand in enumerate(hands or [nothing])
    ]
    confidence = np.array([hand.confidence for *_, hand in rows], np.float32).reshape(-1, 21)
    keypoints_px = np.array([hand.keypoints_px for *_, hand in rows], np.float32)
    return HandTable(
        samples=tuple(sample for sample, *_ in rows),
        hands=np.array([number for _, number, _ in rows], np.int64),
        keypoints_px=np.where(confidence[..., None] > 0, keypoints_px.reshape(-1, 21, 2), 0),
        confidence=confidence,
        right=np.array([hand.right for *_, hand in rows], np.float32),
        detector=detector,
        version=version,
        **counts,
    )


def one_per_image(table: HandTable, side: Side = "right") -> Detections:
    """Take of each image the hand of a side with the largest mean confidence, or none.

    ``right`` takes hands that are more probably right than left or of which nothing is known,
    ``left`` those that are more probably left.
    """
    samples = tuple(dict.fromkeys(table.samples))
    row_of = {sample: row for row, sample in enumerate(samples)}
    keypoints_px = np.zeros((len(samples), 21, 2), np.float32)
    confidence = np.zeros((len(samples), 21), np.float32)
    is_right = table.right >= UNKNOWN_SIDE
    wanted = {"right": is_right, "left": ~is_right, "any": np.ones_like(is_right)}[side]
    for index in np.flatnonzero(wanted):
        row = row_of[table.samples[index]]
        if table.confidence[index].sum() > confidence[row].sum():
            keypoints_px[row] = table.keypoints_px[index]
            confidence[row] = table.confidence[index]
    return Detections(
        keypoints_px=keypoints_px,
        confidence=confidence,
        filenames=samples,
        num_clipped=table.num_clipped,
        num_missing=table.num_missing,
        num_unknown=table.num_unknown,
    )


def parse_hand(where: str, triples: Any, right: float) -> FoundHand | None:
    """Turn 63 numbers x, y, confidence, … of a file into a hand, its confidences as they are.

    Args:
        where: File and field, for errors.
        triples: What the file holds; an empty list is no hand.
        right: Probability that it is a right hand.

    Returns:
        None where no point of the hand was found.

    Raises:
        DataError: If it is anything else, not finite, or has a negative confidence.
    """
    expected = f"{where} must be 63 finite numbers x, y, confidence of 21 points"
    try:
        values = np.asarray(triples, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{expected}, got ragged or non-numeric values; detect again") from error
    if values.shape == (0,):
        return None
    if values.shape != (63,):
        raise DataError(f"{expected}, got shape {values.shape}; detect again")
    largest = float(np.finfo(np.float32).max)
    if not (np.abs(values) <= largest).all():
        raise DataError(f"{expected}, got NaN, infinity or more than {largest:.2g}; detect again")
    keypoints_px, confidence = values.reshape(21, 3)[:, :2], values[2::3]
    if (confidence < 0).any():
        raise DataError(
            f"{where}: a confidence must not be negative, got {confidence.min():g}; "
            "write 0 for a point that was not found"
        )
    confidence = confidence.astype(np.float32)
    if not confidence.any():
        return None
    return FoundHand(
        keypoints_px=np.where(confidence[:, None] > 0, keypoints_px, 0).astype(np.float32),
        confidence=confidence,
        right=right,
    )


def require_hand(where: str, hand: FoundHand) -> None:
    """Check what a detector says is a hand.

    Args:
        where: Who found it, and in what, for errors.
        hand: What was found.

    Raises:
        DataError: If it has not 21 finite points and as many confidences, or one of these or
            ``right`` is not in 0..1.
    """
    shapes = np.shape(hand.keypoints_px), np.shape(hand.confidence)
    if shapes != ((21, 2), (21,)):
        raise DataError(
            f"{where} must have keypoints_px of shape (21, 2) and confidence of (21,), got "
            f"{shapes[0]} and {shapes[1]}"
        )
    if not np.isfinite(hand.keypoints_px).all():
        raise DataError(
            f"{where} must have finite keypoints_px; (0, 0) and confidence 0: not found"
        )
    probabilities = np.append(hand.confidence, hand.right)
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise DataError(
            f"{where} must have confidences and right from 0 to 1, got {probabilities.min():g} to "
            f"{probabilities.max():g}"
        )


def match_images(
    path: Path,
    entries: Mapping[str, Sequence[FoundHand]],
    images: Mapping[str, tuple[int, int]],
    *,
    detector: str,
    version: str,
) -> HandTable:
    """Give the images what a file says of them, by the rules of this module.

    Args:
        path: The file, for errors.
        entries: Key of an image (``image_key``) → its hands, confidences as they are.
        images: Width and height by file name. A found point may lie outside by half its image's
            size: no further, or it belongs to other images.
        detector: Its name.
        version: Its version.

    Raises:
        DataError: If two images have one name, no entry is of any of the images, a point lies far
            outside its image, or most confidences are above 1.
    """
    names = _names_by_key(images)
    known = [key for key in names if key in entries]
    if not known:
        raise DataError(
            f"{path}: must have entries of the images, such as {next(iter(images), 'none')}, got "
            f"{len(entries)} entries, of images such as {next(iter(entries), 'none')}; detect on "
            "these images, or write their file names"
        )
    found_in_all = [hand.confidence for hands in entries.values() for hand in hands]
    require_ones(path, np.array(found_in_all, np.float32).reshape(-1, 21))
    found: dict[str, Sequence[FoundHand]] = dict.fromkeys(images, ())
    for key in known:
        hands = entries[key]
        _require_inside(path, names[key], images[names[key]], hands)
        found[names[key]] = [_within_one(hand) for hand in hands]
    return table_of(
        found,
        detector=detector,
        version=version,
        num_clipped=sum(_num_above_one(entries[key]) for key in known),
        num_missing=len(images) - len(known),
        num_unknown=sum(1 for key, hands in entries.items() if hands and key not in names),
    )


def _names_by_key(images: Mapping[str, tuple[int, int]]) -> dict[str, str]:
    names: dict[str, str] = {}
    for name in images:
        first = names.setdefault(image_key(name), name)
        if first != name:
            raise DataError(
                f"images must differ in more than folder, ending and leading zeros, got {first!r} "
                f"and {name!r}; give each folder's detections a file of their own"
            )
    return names


def _num_above_one(hands: Sequence[FoundHand]) -> int:
    return sum(int((hand.confidence > 1).sum()) for hand in hands)


def _within_one(hand: FoundHand) -> FoundHand:
    confidence = hand.confidence.clip(max=1)
    return FoundHand(keypoints_px=hand.keypoints_px, confidence=confidence, right=hand.right)


def _require_inside(
    path: Path, name: str, size_px: tuple[int, int], hands: Sequence[FoundHand]
) -> None:
    size = np.array(size_px)
    for hand in hands:
        outside = (hand.keypoints_px < -size / 2) | (hand.keypoints_px > 1.5 * size)
        if outside.any():
            point, axis = np.argwhere(outside)[0]
            raise DataError(
                f"{path}: {name}, keypoint {'xy'[axis]} of keypoint {point} must lie in "
                f"{-size[axis] / 2:g}..{1.5 * size[axis]:g}, got "
                f"{hand.keypoints_px[point, axis]:g}; detect on the images as they are stored"
            )
