"""Turned squares of a picture: where they lie, what they show, and the way back to pixels.

Convention:
    Pixels, (0, 0) the centre of the top-left pixel. Inside a square, points are fractions of its
    side from 0 to 1, x right and y down as the crop shows them.

References:
    MediaPipe's graphs ``palm_detection_detection_to_roi`` and ``hand_landmark_landmarks_to_roi``,
    and its calculators of rotated rectangles, for the numbers.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from jaxtyping import Float32, Float64, UInt8

_WRIST, _MIDDLE_BASE = 0, 2
"""Of the palm's seven points."""
_PALM_SCALE, _PALM_SHIFT = 2.6, -0.5
_HAND_SCALE, _HAND_SHIFT = 2.0, -0.1
_STABLE_POINTS = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
"""Of the 21: wrist, thumb without tip, and the first two joints of each finger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Square:
    """A square of a picture, turned about its centre."""

    centre_px: Float64[np.ndarray, "2"]
    side_px: float
    angle_rad: float
    """From the picture's axes to the square's, clockwise as seen."""

    def to_pixels(
        self, inside: Float64[np.ndarray, "*points 2"]
    ) -> Float64[np.ndarray, "*points 2"]:
        """Turn points inside the square into pixels of the picture."""
        return self.centre_px + self.side_px * (inside - 0.5) @ _turn(self.angle_rad).T

    def moved(self, shift: tuple[float, float]) -> "Square":
        """Return the square of the same size and turn whose centre lies elsewhere.

        Args:
            shift: In sides, along the square's own axes.
        """
        centre_px = self.to_pixels(np.array(shift) + 0.5)
        return Square(centre_px=centre_px, side_px=self.side_px, angle_rad=self.angle_rad)


def whole_picture(width: int, height: int, *, angle_rad: float = 0.0) -> Square:
    """Return the square around a picture: its longer side, the rest left empty on both sides."""
    centre_px = np.array([(width - 1) / 2, (height - 1) / 2])
    return Square(centre_px=centre_px, side_px=float(max(width, height)), angle_rad=angle_rad)


def palm_region(box_px: Float64[np.ndarray, "4"], points_px: Float64[np.ndarray, "7 2"]) -> Square:
    """Return the square of the whole hand that belongs to a palm: fingers up, wrist below.

    Args:
        box_px: x0, y0, x1, y1 of the palm.
        points_px: Its seven points: wrist, bases of index, middle, ring and little finger, two of
            the thumb.
    """
    angle_rad = _angle_that_raises(points_px[_MIDDLE_BASE] - points_px[_WRIST])
    size = box_px[2:] - box_px[:2]
    shift = _turn(angle_rad) @ (size * [0, _PALM_SHIFT])
    return Square(
        centre_px=(box_px[:2] + box_px[2:]) / 2 + shift,
        side_px=_PALM_SCALE * float(size.max()),
        angle_rad=angle_rad,
    )


def hand_region(points_px: Float64[np.ndarray, "21 2"]) -> Square:
    """Return the square of a hand whose 21 points are known, for another look at it."""
    index, middle, ring = points_px[5], points_px[9], points_px[13]
    angle_rad = _angle_that_raises((index + ring) / 4 + middle / 2 - points_px[0])
    turn = _turn(angle_rad)
    upright = points_px[_STABLE_POINTS] @ turn
    low, high = upright.min(axis=0), upright.max(axis=0)
    size = high - low
    return Square(
        centre_px=turn @ ((low + high) / 2 + size * [0, _HAND_SHIFT]),
        side_px=_HAND_SCALE * float(size.max()),
        angle_rad=angle_rad,
    )


def crop(
    picture: UInt8[np.ndarray, "height width 3"], square: Square, size: int, *, repeat_edge: bool
) -> Float32[np.ndarray, "size size 3"]:
    """Show a square of a picture in ``size`` pixels a side, bilinear, values 0 to 1.

    Args:
        picture: RGB.
        square: What is shown.
        size: Pixels a side.
        repeat_edge: What lies outside the picture is its nearest pixel; else it is black.
    """
    height, width = picture.shape[:2]
    inside = (np.arange(size) + 0.5) / size
    points_px = square.to_pixels(np.stack(np.meshgrid(inside, inside), axis=-1))
    grid = torch.from_numpy((2 * points_px + 1) / [width, height] - 1).float()
    shown = F.grid_sample(
        torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255,
        grid[None],
        padding_mode="border" if repeat_edge else "zeros",
        align_corners=False,
    )
    return shown[0].permute(1, 2, 0).contiguous().numpy()


def _angle_that_raises(direction_px: Float64[np.ndarray, "2"]) -> float:
    """Return the angle of the square in which a direction of the picture points upwards."""
    return math.atan2(float(direction_px[0]), float(-direction_px[1]))


def _turn(angle_rad: float) -> Float64[np.ndarray, "2 2"]:
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[cos, -sin], [sin, cos]])
