"""Where hands are looked for: where a detector finds them, in a given box, or everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from s2hand.errors import ConfigurationError
from s2hand.keypoints.detector.mediapipe import MediaPipeHands
from s2hand.keypoints.detector.models import HOW
from s2hand.keypoints.hands import UNKNOWN_SIDE, FoundHand, HandDetector, require_hand
from s2hand.reconstruction import box_of

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A hand's place in a picture."""

    box_px: Box | None
    """None: the whole picture."""
    is_left: bool
    confidence: float | None = None
    """The mean of the detected points'; None without a detector."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HandFinder:
    """Says where hands are; without a detector always at one place."""

    detector: HandDetector | None = None
    box_px: Box | None = None
    is_left: bool | None = None
    """All hands are left or right ones; None: as the detector says, else right."""

    @property
    def found_by(self) -> Literal["detector", "box", "picture"]:
        """What says where hands are."""
        if self.detector is not None:
            return "detector"
        return "picture" if self.box_px is None else "box"

    @property
    def detector_name(self) -> str | None:
        """Name and version of the detector."""
        if self.detector is None:
            return None
        return f"{self.detector.name} {self.detector.version}"

    @property
    def same_place(self) -> Place:
        """The place of the one hand without a detector."""
        return Place(box_px=self.box_px, is_left=bool(self.is_left))

    def find(self, picture: UInt8[np.ndarray, "height width 3"]) -> list[Place]:
        """Return the places of a picture's hands, the surest first."""
        if self.detector is None:
            return [self.same_place]
        return [self.place_of(hand) for hand in self.detect(picture)]

    def detect(self, picture: UInt8[np.ndarray, "height width 3"]) -> Sequence[FoundHand]:
        """Return the hands that the detector finds.

        Raises:
            DataError: If what it finds is no hand.
        """
        assert self.detector is not None
        hands = self.detector.find_hands(picture)
        for number, hand in enumerate(hands):
            require_hand(f"hand {number} of the detector {self.detector.name}", hand)
        return hands

    def place_of(self, hand: FoundHand, *, is_left: bool | None = None) -> Place:
        """Return a detected hand's place; its side is that of all, or the given, or its own."""
        own = hand.right < UNKNOWN_SIDE if is_left is None else is_left
        return Place(
            box_px=box_of(hand),
            is_left=own if self.is_left is None else self.is_left,
            confidence=float(hand.confidence.mean()),
        )


def choose_finder(
    folder: Path,
    *,
    box_px: Box | None,
    is_left: bool | None,
    other: HandDetector | None,
    use_detector: bool,
) -> tuple[HandFinder, str]:
    """Take a given box, or else a detector, or else the whole picture.

    Args:
        folder: Where the models of the project's detector are, if they are.
        box_px: The box.
        is_left: As in ``HandFinder``.
        other: A detector in the place of the project's.
        use_detector: Whether a detector may be used.

    Returns:
        The finder, and what to say of it.

    Raises:
        DataError: If the detector's models are damaged.
    """
    if box_px is not None:
        return HandFinder(box_px=box_px, is_left=is_left), "hands: one in the given box"
    whole = HandFinder(is_left=is_left)
    told = "no --box: the whole picture is taken for the hand"
    if not use_detector:
        return whole, told
    detector: HandDetector
    if other is not None:
        detector = other
    elif not folder.is_dir():
        return whole, f"{told}; no hand detector in {folder} finds hands ({HOW})"
    else:
        try:
            detector = MediaPipeHands(folder)
        except ConfigurationError as error:
            return whole, f"{told}; {error}"
    finder = HandFinder(detector=detector, is_left=is_left)
    return finder, f"hands: found by the detector {finder.detector_name}"
