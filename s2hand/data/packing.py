"""Images, each decoded once into a small square of bytes, kept in memory or in a mapped file."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from PIL import Image

from s2hand.errors import DataError
from s2hand.files import exclusive, what_lies_at

_FORMAT_VERSION = b"packed images 1"
_IMAGES_PER_CHUNK = 256
_MAX_THREADS = 8


def stored_sizes_px(paths: Sequence[Path]) -> Int64[np.ndarray, "n 2"]:
    """Return the width and height of every image, from their headers."""
    return np.array([stored_size_px(path) for path in paths], np.int64)


def stored_size_px(path: Path) -> tuple[int, int]:
    """Return an image's width and height, from its header."""
    try:
        with Image.open(path) as image:
            return image.size
    except FileNotFoundError as error:
        raise DataError(_missing(path)) from error
    except OSError as error:
        raise DataError(_unreadable(path, error)) from error


def decoded_size_px(path: Path) -> tuple[int, int]:
    """Decode a whole image; return its width and height.

    Raises:
        DataError: If it is missing or truncated.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return image.size
    except FileNotFoundError as error:
        raise DataError(_missing(path)) from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(_unreadable(path, error)) from error


def pack_images(
    paths: Sequence[Path],
    boxes_px: Float64[np.ndarray, "n 4"],
    side_px: int,
    cache_dir: Path | None = None,
    *,
    is_mirrored: Bool[np.ndarray, "n"] | None = None,
) -> UInt8[np.ndarray, "n 3 side side"]:
    """Cut a square box out of every image and resize it, with smoothing where it shrinks.

    With ``cache_dir`` the result is a read-only mapped file that every process on the machine
    shares: the first one makes it, others wait for it. Its name is a hash of paths, file sizes
    and times, boxes and side; an interrupted process leaves nothing that could be taken for it.

    Args:
        paths: Image files.
        boxes_px: Square boxes in the convention of ``crop_affine``; black outside the image.
        side_px: Side of the packed squares.
        cache_dir: Folder of the mapped file; None keeps the result in memory.
        is_mirrored: Which images are mirrored before; their boxes are of the mirrored image.
            None: none.

    Raises:
        DataError: If an image is missing or truncated, or the disk is full.
    """
    shape = (len(paths), 3, side_px, side_px)
    mirrored = np.zeros(len(paths), np.bool_) if is_mirrored is None else is_mirrored
    if cache_dir is None:
        packed = np.empty(shape, np.uint8)
        start = 0
        for chunk in _decoded_chunks(paths, boxes_px, side_px, mirrored):
            packed[start : start + len(chunk)] = chunk
            start += len(chunk)
        return packed
    target = cache_dir / f"{_key(paths, boxes_px, side_px, mirrored)}.npy"
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with exclusive(target.with_suffix(".lock"), work=f"packs the images of {target}"):
            if not target.exists():
                _require_space(cache_dir, int(np.prod(shape)))
                _write_npy(target, shape, _decoded_chunks(paths, boxes_px, side_px, mirrored))
    except OSError as error:
        raise DataError(
            f"runtime.cache_dir '{cache_dir}' must be a folder that can be written to: {error}; "
            "free space there, name another folder, or leave it empty to keep images in memory"
        ) from error
    return np.load(target, mmap_mode="r", allow_pickle=False)


def _decoded_chunks(
    paths: Sequence[Path],
    boxes_px: Float64[np.ndarray, "n 4"],
    side_px: int,
    is_mirrored: Bool[np.ndarray, "n"],
) -> Iterator[UInt8[np.ndarray, "chunk 3 side side"]]:
    def decode(row: int) -> np.ndarray:
        return _decode(paths[row], boxes_px[row], side_px, bool(is_mirrored[row]))

    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), _IMAGES_PER_CHUNK):
            rows = range(start, min(start + _IMAGES_PER_CHUNK, len(paths)))
            yield np.stack(list(pool.map(decode, rows)))


def _decode(
    path: Path,
    box_px: Float64[np.ndarray, "4"],
    side_px: int,
    is_mirrored: bool,  # noqa: FBT001
) -> UInt8[np.ndarray, "3 side side"]:
    try:
        with Image.open(path) as image:
            pixels = image.convert("RGB")
    except FileNotFoundError as error:
        raise DataError(_missing(path)) from error
    except (OSError, SyntaxError) as error:
        raise DataError(_unreadable(path, error)) from error
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


def _write_npy(target: Path, shape: tuple[int, ...], chunks: Iterator[np.ndarray]) -> None:
    # Only the lock's holder writes: what a killed process left here is written over.
    partial = target.with_suffix(".partial")
    try:
        with partial.open("wb") as handle:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(handle, header)
            for chunk in chunks:
                handle.write(np.ascontiguousarray(chunk).tobytes())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


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
