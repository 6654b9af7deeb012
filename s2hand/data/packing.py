"""Images, each decoded once into a small square of bytes, kept in memory or in a mapped file."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from PIL import Image

from s2hand.errors import DataError
from s2hand.files import exclusive, what_lies_at, whole_file

_FORMAT_VERSION = b"packed images 1"
_IMAGES_PER_CHUNK = 256
_MOST_DAMAGED = 0.01
"""Share of a set's images that may be left out."""
_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
_MAX_THREADS = 8


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
) -> PackedImages:
    """Cut a square box out of every image and resize it, with smoothing where it shrinks.

    With ``cache_dir`` the result is a read-only mapped file that every process on the machine
    shares: the first one makes it, others wait for it. Its name is a hash of paths, file sizes
    and times, boxes and side; an interrupted process leaves nothing that could be taken for it.
    Of a set with damaged images a second file beside it says which.

    Args:
        paths: Image files.
        boxes_px: Square boxes in the convention of ``crop_affine``; black outside the image.
        side_px: Side of the packed squares.
        cache_dir: Folder of the mapped file; None keeps the result in memory.
        is_mirrored: Which images are mirrored before; their boxes are of the mirrored image.
            None: none.

    Raises:
        DataError: If an image is missing, more than one in a hundred are damaged, or the disk is
            full.
    """
    shape = (len(paths), 3, side_px, side_px)
    mirrored = np.zeros(len(paths), np.bool_) if is_mirrored is None else is_mirrored
    damaged: dict[int, str] = {}
    chunks = _decoded_chunks(paths, boxes_px, side_px, mirrored, damaged)
    if cache_dir is None:
        packed = np.empty(shape, np.uint8)
        start = 0
        for chunk in chunks:
            packed[start : start + len(chunk)] = chunk
            start += len(chunk)
        return PackedImages(pixels=packed, damaged=damaged)
    whole = cache_dir / f"{_key(paths, boxes_px, side_px, mirrored)}.npy"
    told = whole.with_suffix(".damaged.json")
    incomplete = whole.with_suffix(".damaged.npy")
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with exclusive(whole.with_suffix(".lock"), work=f"packs the images of {whole}"):
            if not (whole.exists() or (incomplete.exists() and told.exists())):
                _require_space(cache_dir, int(np.prod(shape)))
                partial = _write_npy(whole, shape, chunks)
                if damaged:
                    with whole_file(told) as file:
                        file.write(json.dumps(list(damaged.items())).encode())
                partial.replace(incomplete if damaged else whole)
            if not whole.exists():
                damaged = dict(json.loads(told.read_bytes()))
                whole = incomplete
    except OSError as error:
        raise DataError(
            f"runtime.cache_dir '{cache_dir}' must be a folder that can be written to: {error}; "
            "free space there, name another folder, or leave it empty to keep images in memory"
        ) from error
    pixels = np.load(whole, mmap_mode="r", allow_pickle=False)
    return PackedImages(pixels=pixels, damaged=damaged)


def _decoded_chunks(
    paths: Sequence[Path],
    boxes_px: Float64[np.ndarray, "n 4"],
    side_px: int,
    is_mirrored: Bool[np.ndarray, "n"],
    damaged: dict[int, str],
) -> Iterator[UInt8[np.ndarray, "chunk 3 side side"]]:
    """Decode images, and collect in ``damaged`` which of them cannot be."""

    def decode(row: int) -> np.ndarray:
        try:
            return _decode(paths[row], boxes_px[row], side_px, bool(is_mirrored[row]))
        except DamagedImageError as error:
            damaged[row] = str(error)
            return np.zeros((3, side_px, side_px), np.uint8)

    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), _IMAGES_PER_CHUNK):
            rows = range(start, min(start + _IMAGES_PER_CHUNK, len(paths)))
            chunk = np.stack(list(pool.map(decode, rows)))
            _require_few(damaged, len(paths))
            yield chunk


def _require_few(damaged: Mapping[int, str], count: int) -> None:
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


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(f"{needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free")


def _write_npy(target: Path, shape: tuple[int, ...], chunks: Iterator[np.ndarray]) -> Path:
    """Write an array's file under a name that says that it is unfinished; return that."""
    # Only the lock's holder writes: what a killed process left here is written over.
    partial = target.with_suffix(".partial")
    try:
        with partial.open("wb") as handle:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(handle, header)
            for chunk in chunks:
                handle.write(np.ascontiguousarray(chunk).tobytes())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return partial


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
