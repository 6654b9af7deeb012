"""Images, each decoded once into a small square of bytes, kept in memory or in a mapped file."""

import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from PIL import Image

from s2hand.errors import DataError
from s2hand.files import exclusive, what_lies_at, whole_file

_LOG = logging.getLogger(__name__)

PackingProgress = Callable[[str, int, int], None]
"""Is told what is packed, where to and how large it will be, before the first image and after
every few: words, the number of images done, and of all."""

_FORMAT_VERSION = b"packed images 1"
_IMAGES_PER_CHUNK = 256
_MOST_DAMAGED = 0.01
"""Share of a set's images that may be left out."""
_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_MAX_THREADS = 8
_ELSEWHERE = "free space there, name another folder, or leave it empty to keep images in memory"


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedImages:
    """Images cut out and resized; those that cannot be decoded are black, and told."""

    pixels: UInt8[np.ndarray, "n 3 side side"]
    damaged: Mapping[int, str]
    """Why an image could not be decoded, by its row."""


class DamagedImageError(DataError):
    """An image is there and cannot be decoded."""


def stored_sizes_px(paths: Sequence[Path]) -> Int64[np.ndarray, "n 2"]:
    """Return the width and height of every image, from their headers.

    An image without a readable header, which whoever decodes it will leave out, is said to be as
    large as the first that has one.

    Raises:
        DataError: If an image is missing, or none can be read.
    """
    first = first_size_px(paths)
    return np.array([_size_or(path, first) for path in paths], np.int64).reshape(-1, 2)


def first_size_px(paths: Sequence[Path]) -> tuple[int, int]:
    """Return the width and height of the first image that can be read.

    Raises:
        DataError: If an image before that is missing, or none can be read.
    """
    for path in paths:
        size_px = _size_or(path, None)
        if size_px is not None:
            return size_px
    return stored_size_px(paths[0])


def _size_or(path: Path, other: tuple[int, int] | None) -> tuple[int, int] | None:
    try:
        return stored_size_px(path)
    except DamagedImageError:
        return other


def stored_size_px(path: Path) -> tuple[int, int]:
    """Return an image's width and height, from its header."""
    try:
        with Image.open(path) as image:
            return image.size
    except FileNotFoundError as error:
        raise DataError(_missing(path)) from error
    except OSError as error:
        raise DamagedImageError(_unreadable(path, error)) from error


def decoded_size_px(path: Path) -> tuple[int, int]:
    """Decode a whole image; return its width and height.

    Raises:
        DataError: If it is missing or truncated.
    """
    try:
        with Image.open(path) as image:
            _require_bytes(image, path)
            image.load()
            return image.size
    except FileNotFoundError as error:
        raise DataError(_missing(path)) from error
    except _UNDECODABLE as error:
        if isinstance(error, DataError):
            raise
        raise DamagedImageError(_unreadable(path, error)) from error


def pack_images(
    paths: Sequence[Path],
    boxes_px: Float64[np.ndarray, "n 4"],
    side_px: int,
    cache_dir: Path | None = None,
    *,
    is_mirrored: Bool[np.ndarray, "n"] | None = None,
    progress: PackingProgress | None = None,
) -> PackedImages:
    """Cut a square box out of every image and resize it, with smoothing where it shrinks.

    With ``cache_dir`` the result is a read-only mapped file that every process on the machine
    shares: the first one makes it, others wait for it. Its name is a hash of paths, file sizes
    and times, boxes and side; beside it lies a file that says which images are damaged. It appears
    whole or not at all. Its size is told before it is made, to ``progress`` and in the log.

    Args:
        paths: Image files.
        boxes_px: Square boxes in the convention of ``crop_affine``; black outside the image.
        side_px: Side of the packed squares.
        cache_dir: Folder of the mapped file; None keeps the result in memory.
        is_mirrored: Which images are mirrored before; their boxes are of the mirrored image.
            None: none.
        progress: Is told of images that are packed now, from the calling thread.

    Raises:
        DataError: If an image is missing, more than one in a hundred are damaged, or the disk has
            less room than is needed, which is seen before any image is decoded.
    """
    mirrored = np.zeros(len(paths), np.bool_) if is_mirrored is None else is_mirrored
    work = _Work(
        paths=paths,
        boxes_px=boxes_px,
        side_px=side_px,
        is_mirrored=mirrored,
        progress=progress or _ignore,
    )
    if cache_dir is None:
        packed = np.empty(work.shape, np.uint8)
        start = 0
        for chunk in work.chunks("into memory"):
            packed[start : start + len(chunk)] = chunk
            start += len(chunk)
        return PackedImages(pixels=packed, damaged=work.damaged)
    whole = cache_dir / f"{_key(paths, boxes_px, side_px, mirrored)}.npy"
    told = whole.with_suffix(".damaged.json")
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with exclusive(whole.with_suffix(".lock"), work=f"packs the images of {whole}"):
            if not (whole.exists() and told.exists()):
                _write(whole, told, work)
            damaged = dict(json.loads(told.read_bytes()))
    except OSError as error:
        raise DataError(
            f"runtime.cache_dir '{cache_dir}' must be a folder that can be written to: {error}; "
            f"{_ELSEWHERE}"
        ) from error
    pixels = np.load(whole, mmap_mode="r", allow_pickle=False)
    return PackedImages(pixels=pixels, damaged=damaged)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """Images that are to be packed."""

    paths: Sequence[Path]
    boxes_px: Float64[np.ndarray, "n 4"]
    side_px: int
    is_mirrored: Bool[np.ndarray, "n"]
    progress: PackingProgress
    damaged: dict[int, str] = field(default_factory=dict)
    """Which of those that were decoded so far cannot be, and why."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """That of the packed array."""
        return len(self.paths), 3, self.side_px, self.side_px

    @property
    def num_bytes(self) -> int:
        """Size of the packed array."""
        return math.prod(self.shape)

    def chunks(self, place: str) -> Iterator[UInt8[np.ndarray, "chunk 3 side side"]]:
        """Decode images, and tell of it; those that cannot be decoded are black."""
        count = len(self.paths)
        size = f"{self.side_px} x {self.side_px} px, {_size(self.num_bytes)}"
        what = f"packing {count:,} images of {size}, {place}"
        _LOG.info(what)
        self.progress(what, 0, count)
        with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
            for start in range(0, count, _IMAGES_PER_CHUNK):
                stop = min(start + _IMAGES_PER_CHUNK, count)
                decoded = list(pool.map(self._decode, range(start, stop)))
                chunk = np.ascontiguousarray(np.stack(decoded))
                require_few(self.damaged, count)
                yield chunk
                self.progress(what, stop, count)

    def _decode(self, row: int) -> UInt8[np.ndarray, "3 side side"]:
        is_mirrored = bool(self.is_mirrored[row])
        try:
            return _decode(self.paths[row], self.boxes_px[row], self.side_px, is_mirrored)
        except DamagedImageError as error:
            self.damaged[row] = str(error)
            return np.zeros(self.shape[1:], np.uint8)


def _ignore(_what: str, _done: int, _total: int) -> None:
    pass


def _write(whole: Path, told: Path, work: _Work) -> None:
    """Write the packed array, and beside it which images are damaged."""
    # Only the lock's holder writes: what a killed process left here is in nobody's use.
    partial = whole.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    free = shutil.disk_usage(whole.parent).free
    if free < work.num_bytes:
        raise DataError(
            f"runtime.cache_dir '{whole.parent}' must have room for {len(work.paths):,} packed "
            f"images: {_size(work.num_bytes)} are needed, {_size(free)} are free; {_ELSEWHERE}"
        )
    with whole_file(whole, beside=partial) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": work.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in work.chunks(f"into {whole} ({_size(free)} are free)"):
            file.write(chunk.data)
        with whole_file(told) as damages:
            damages.write(json.dumps(list(work.damaged.items())).encode())


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def require_few(damaged: Mapping[int, str], count: int) -> None:
    """Refuse a set of so many damaged images that leaving them out would hide it.

    Args:
        damaged: Why, by the number of the image.
        count: Of all images that are read.

    Raises:
        DataError: If more than one in a hundred are damaged.
    """
    if len(damaged) > _MOST_DAMAGED * count:
        first = damaged[min(damaged)]
        raise DataError(
            f"{first}; {len(damaged):,} of the {count:,} images that were to be read are damaged "
            f"like this at least, and up to {_MOST_DAMAGED:.0%} may be left out"
        )


def _decode(
    path: Path,
    box_px: Float64[np.ndarray, "4"],
    side_px: int,
    is_mirrored: bool,  # noqa: FBT001
) -> UInt8[np.ndarray, "3 side side"]:
    try:
        with Image.open(path) as image:
            _require_bytes(image, path)
            pixels = image.convert("RGB")
    except FileNotFoundError as error:
        raise DataError(_missing(path)) from error
    except _UNDECODABLE as error:
        if isinstance(error, DataError):
            raise
        raise DamagedImageError(_unreadable(path, error)) from error
    if is_mirrored:
        pixels = pixels.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    edges = box_px + 0.5  # Pillow counts from the outer corner of the top-left pixel.
    whole = np.array([*np.floor(edges[:2]), *np.ceil(edges[2:])]).astype(int)
    inner = edges - np.tile(whole[:2], 2)
    region = pixels.crop(tuple(whole.tolist()))
    inner = np.clip(inner, 0, np.tile(region.size, 2))
    small = region.resize((side_px, side_px), Image.Resampling.BILINEAR, box=tuple(inner.tolist()))
    return np.asarray(small).transpose(2, 0, 1)


def _key(paths: Sequence[Path], boxes_px: np.ndarray, side_px: int, is_mirrored: np.ndarray) -> str:
    digest = hashlib.sha256(_FORMAT_VERSION)
    digest.update(str(side_px).encode())
    digest.update(np.ascontiguousarray(boxes_px, np.float64).tobytes())
    if is_mirrored.any():
        digest.update(is_mirrored.tobytes())
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(_missing(path)) from error
        digest.update(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _require_bytes(image: Image.Image, path: Path) -> None:
    """Refuse pictures of more than 8 bits a channel, which Pillow would cut off."""
    if image.mode.startswith(("I", "F")):
        raise DamagedImageError(
            f"{path}: image must have 8 bits a channel, got Pillow's mode {image.mode}; convert it"
        )


def _missing(path: Path) -> str:
    return (
        f"{path}: image is missing, there is {what_lies_at(path)}; complete the dataset "
        "(docs/datasets.md shows its layout)"
    )


def _unreadable(path: Path, error: Exception) -> str:
    return (
        f"{path}: image must be a complete JPEG or PNG file, could not be read: {error}; there is "
        f"{what_lies_at(path)}"
    )
