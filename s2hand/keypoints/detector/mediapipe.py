"""MediaPipe's hand detector: palms in the picture, then 21 points of each, looked at twice.

References:
    MediaPipe's graphs ``hand_landmark_tracking_cpu`` and ``hand_landmark_cpu``. They look twice at
    a hand only in a video, where the second look is the next frame's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from s2hand.errors import ConfigurationError
from s2hand.keypoints.detector.confidence import (
    SHIFTS,
    VERSION,
    joint_confidence,
    relative_spreads,
)
from s2hand.keypoints.detector.models import LANDMARKS, PALM, SHA256, WHEEL, read_models
from s2hand.keypoints.detector.palms import SIDE, decode_palms, overlaps
from s2hand.keypoints.detector.regions import (
    Square,
    crop,
    hand_region,
    palm_region,
    whole_picture,
)
from s2hand.keypoints.hands import FoundHand

MIN_PRESENCE = 0.5
_CROP_SIDE = 224
_SAME_HAND = 0.5
"""Boxes of two hands that overlap by more are of one hand."""
_NUM_ANGLES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    region: Square
    points_px: Float64[np.ndarray, "21 2"]
    presence: float
    right: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenHand:
    """A hand, and what its joints' confidences are made of."""

    keypoints_px: Float32[np.ndarray, "21 2"]
    presence: float
    right: float
    spreads: Float64[np.ndarray, "21"] | None
    """Of each joint, over the hand's extent; None where it was looked at in one crop alone."""

    def found(self) -> FoundHand:
        """Return the hand with its confidences."""
        confidence = np.full(21, self.presence, np.float32)
        if self.spreads is not None:
            confidence = joint_confidence(self.presence, self.spreads)
        return FoundHand(keypoints_px=self.keypoints_px, confidence=confidence, right=self.right)


class MediaPipeHands:
    """Palm and landmark models behind ``HandDetector``.

    The models know one presence a hand and no confidence of single points. These are told either
    all alike, the presence, or each by itself, from four more looks
    (:mod:`s2hand.keypoints.detector.confidence`).
    """

    name = "mediapipe-hands"

    def __init__(
        self, folder: Path, *, is_crop: bool = False, has_joint_confidence: bool = False
    ) -> None:
        """Open both models.

        Args:
            folder: What holds them, or the wheel.
            is_crop: Every picture surely shows one hand and little else: where no palm is found,
                look at the whole picture in eight directions; keep the surest hand alone.
            has_joint_confidence: Look at each hand in four more crops, for a confidence of each
                joint; else all have the hand's presence.

        Raises:
            DataError: If a model is missing or another file.
            ConfigurationError: If ``ai-edge-litert`` is not installed.
        """
        models = read_models(folder)
        self._palm_model = _Model(models[PALM])
        self._landmark_model = _Model(models[LANDMARKS])
        self._is_crop = is_crop
        self._has_joint_confidence = has_joint_confidence

    @property
    def version(self) -> str:
        """The models, and what of the ways to look changes what is found."""
        ways = ["crops"] * self._is_crop + [VERSION] * self._has_joint_confidence
        release = WHEEL.rpartition("=")[2]
        return " ".join([release, SHA256[PALM][:8], SHA256[LANDMARKS][:8], *ways])

    def find_hands(self, picture: UInt8[np.ndarray, "height width 3"]) -> Sequence[FoundHand]:
        """Find the hands of an RGB picture, the surest first."""
        return [hand.found() for hand in self.see_hands(picture)]

    def see_hands(self, picture: UInt8[np.ndarray, "height width 3"]) -> list[SeenHand]:
        """Find the hands of an RGB picture, the surest first, with what their confidence is of."""
        looks = [self._look_twice(picture, region) for region in self._regions(picture)]
        present = [look for look in looks if look is not None]
        if self._is_crop and not present:
            present = self._look_in_all_directions(picture)
        present.sort(key=lambda look: -look.presence)
        hands = _distinct(present)
        return [self._seen(picture, look) for look in (hands[:1] if self._is_crop else hands)]

    def _seen(self, picture: UInt8[np.ndarray, "height width 3"], look: _Look) -> SeenHand:
        spreads = None
        if self._has_joint_confidence:
            others = [self._look(picture, look.region.moved(shift)) for shift in SHIFTS]
            spreads = relative_spreads(np.stack([each.points_px for each in (look, *others)]))
        return SeenHand(
            keypoints_px=look.points_px.astype(np.float32),
            presence=look.presence,
            right=look.right,
            spreads=spreads,
        )

    def _regions(self, picture: UInt8[np.ndarray, "height width 3"]) -> list[Square]:
        height, width = picture.shape[:2]
        square = whole_picture(width, height)
        shown = crop(picture, square, SIDE, repeat_edge=False)
        regressions, logits = self._palm_model(shown)
        palms = decode_palms(regressions[0], logits[0, :, 0])
        boxes_px = square.to_pixels(palms.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        points_px = square.to_pixels(palms.points)
        return [palm_region(*palm) for palm in zip(boxes_px, points_px, strict=True)]

    def _look_twice(
        self, picture: UInt8[np.ndarray, "height width 3"], region: Square
    ) -> _Look | None:
        first = self._look(picture, region)
        if first.presence < MIN_PRESENCE:
            return None
        second = self._look(picture, hand_region(first.points_px))
        return second if second.presence >= MIN_PRESENCE else None

    def _look_in_all_directions(self, picture: UInt8[np.ndarray, "height width 3"]) -> list[_Look]:
        height, width = picture.shape[:2]
        angles_rad = [2 * math.pi * step / _NUM_ANGLES for step in range(_NUM_ANGLES)]
        squares = [whole_picture(width, height, angle_rad=angle) for angle in angles_rad]
        best = max(squares, key=lambda square: self._look(picture, square).presence)
        look = self._look_twice(picture, best)
        return [] if look is None else [look]

    def _look(self, picture: UInt8[np.ndarray, "height width 3"], region: Square) -> _Look:
        shown = crop(picture, region, _CROP_SIDE, repeat_edge=True)
        points, presence, right, _ = self._landmark_model(shown)
        inside = points.reshape(21, 3)[:, :2].astype(np.float64) / _CROP_SIDE
        return _Look(
            region=region,
            points_px=region.to_pixels(inside),
            presence=float(presence.item()),
            right=float(right.item()),
        )


class _Model:
    """A model of one input and several outputs, on one thread."""

    def __init__(self, content: bytes) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ConfigurationError(
                "the hand detector needs the package ai-edge-litert, which is not installed; "
                "run: pip install 's2hand[detector]'"
            ) from error
        self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]

    def __call__(self, shown: Float32[np.ndarray, "side side 3"]) -> list[np.ndarray]:
        self._interpreter.set_tensor(self._input, shown[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def _distinct(looks: Sequence[_Look]) -> list[_Look]:
    """Keep of looks that show one hand the first."""
    kept: list[_Look] = []
    boxes = np.zeros((0, 4))
    for look in looks:
        points_px = look.points_px
        box = np.concatenate([points_px.min(axis=0), points_px.max(axis=0)])
        if not (overlaps(box, boxes) > _SAME_HAND).any():
            kept.append(look)
            boxes = np.concatenate([boxes, box[None]])
    return kept
