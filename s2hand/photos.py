"""Reading the pictures that people have: of any mode, turned by EXIF, with a camera or without."""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps

from s2hand.errors import DataError
from s2hand.files import what_lies_at

_HEIF_SUFFIXES = (".heic", ".heif")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", *_HEIF_SUFFIXES)
"""What is taken for a picture in a folder."""

_EXIF_IFD, _FOCAL_LENGTH_35MM = 0x8769, 0xA405
_DIAGONAL_35MM = math.hypot(36, 24)
_UNBOUNDED_MODES = {"I", "F"}
"""Whole and real numbers without a known white."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """A picture as people see it, turned as its EXIF says."""

    pixels: UInt8[np.ndarray, "height width 3"]
    """RGB."""
    focal_px: float | None
    """By the EXIF entry FocalLengthIn35mmFilm; None where there is none."""


def read_photo(path: Path) -> Photo:
    """Read a picture: RGB, grey, with a palette, transparent (on black), CMYK, of 8 or 16 bits.

    HEIC needs the extra ``heic`` (pillow-heif).

    Convention:
        A focal length equivalent to f mm on film has f / 43.27 of the picture's diagonal in
        pixels: equivalent is what sees the same along the diagonal (CIPA DCG-001).

    Raises:
        DataError: If the file is missing, truncated, no picture, of numbers without a white, or
            HEIC without pillow-heif.
    """
    if path.suffix.lower() in _HEIF_SUFFIXES:
        _know_heif(path)
    try:
        with Image.open(path) as image:
            focal_px = _focal_px(image)
            upright = ImageOps.exif_transpose(image)
            pixels = _rgb(upright, path)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: must be a complete picture, could not be read: {error}; there is "
            f"{what_lies_at(path)}"
        ) from error
    return Photo(pixels=pixels, focal_px=focal_px)


def _know_heif(path: Path) -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise DataError(
            f"{path}: a HEIC picture needs the package pillow-heif, which is not installed; run: "
            "pip install 's2hand[heic]', or save the picture as JPEG"
        ) from error
    register_heif_opener()


def exif_focal_px(path: Path) -> float | None:
    """Return the focal length that a picture's EXIF tells, as in ``read_photo``; None: nothing.

    Raises:
        DataError: If the file is missing or no picture.
    """
    try:
        with Image.open(path) as image:
            return _focal_px(image)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: must be a picture, could not be read: {error}; there is {what_lies_at(path)}"
        ) from error


def assumed_intrinsics_px(
    width_px: int, height_px: int, focal_px: float | None = None
) -> Float[np.ndarray, "3 3"]:
    """Return the camera of a picture of which at most a focal length is known.

    Without one it is the longer side, and every distance from the camera is then wrong by a
    common factor. The principal point is the picture's middle.
    """
    focal = float(max(width_px, height_px)) if focal_px is None else focal_px
    middle = (width_px - 1) / 2, (height_px - 1) / 2
    return np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1.0]])


def _focal_px(image: Image.Image) -> float | None:
    found = image.getexif().get_ifd(_EXIF_IFD).get(_FOCAL_LENGTH_35MM)
    try:
        millimetres = float(found) if found is not None else 0.0
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (math.isfinite(millimetres) and millimetres > 0):  # 0 is EXIF's word for unknown
        return None
    return millimetres / _DIAGONAL_35MM * math.hypot(*image.size)


def _rgb(image: Image.Image, path: Path) -> UInt8[np.ndarray, "height width 3"]:
    if image.mode in _UNBOUNDED_MODES:
        raise DataError(
            f"{path}: must be a picture of 8 or 16 bits a channel, got Pillow's mode {image.mode}, "
            "numbers whose white is not known; convert it"
        )
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float32) / 257  # 65,535 is white
        return np.repeat(np.round(grey).astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "black")
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))
