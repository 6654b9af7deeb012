"""Writing files whole or not at all, numbers as JSON quickly, pickles as the official sets have."""

import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, no_type_check

import numpy as np
from jaxtyping import Float

from s2hand.compiled import compiled
from s2hand.errors import DataError
from s2hand.files import whole_file

DECIMALS = 6
"""Digits after the point in JSON: micrometres."""


def write_file(path: Path, content: bytes) -> str:
    """Write a file so that it is there whole or not at all; return its SHA-256.

    Raises:
        DataError: When the folder or the file cannot be written; nothing is left behind.
    """
    with _whole_file(path) as file:
        file.write(content)
    return sha256(content).hexdigest()


def write_pieces(path: Path, pieces: Iterable[bytes]) -> str:
    """Write a file's content piece by piece; return its SHA-256.

    Raises:
        DataError: When the file cannot be written; nothing is left behind.
    """
    digest = sha256()
    with _whole_file(path) as file:
        for piece in pieces:
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def write_json_arrays(path: Path, blocks: Iterable[Float[np.ndarray, "_ rows columns"]]) -> str:
    """Write the entries of all blocks as one JSON list of lists of lists; return its SHA-256.

    Raises:
        DataError: When the file cannot be written; nothing is left behind.
    """

    def pieces() -> Iterator[bytes]:
        opening = b"["
        for block in blocks:
            if len(block):
                yield opening + format_entries(block)
                opening = b", "
        yield b"[]" if opening == b"[" else b"]"

    return write_pieces(path, pieces())


def format_entries(block: Float[np.ndarray, "n rows columns"]) -> bytes:
    """Format entries as JSON with six decimals, separated by commas, without outer brackets."""
    count, rows, columns = block.shape
    buffer = np.empty(count * (rows * (columns * 20 + 4) + 4), np.uint8)
    values = np.rint(np.ascontiguousarray(block, np.float64) * 10**DECIMALS).astype(np.int64)
    return buffer[: _format(values, buffer)].tobytes()


def pickle_official(content: dict[str, object]) -> bytes:
    """Pickle as the published files are: protocol 2, NumPy under the names that it had then."""
    pickled = pickle.dumps(content, protocol=2)
    return pickled.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def unwritable(path: Path, error: OSError) -> str:
    """Say that a file or folder could not be written, and what to do."""
    return (
        f"{path}: could not be written ({error}); free space or choose another folder, "
        "then run the same command again: it continues where it stopped"
    )


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    # Only the lock's holder writes: what a killed process left under the name is written over.
    beside = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, beside=beside, on_disk=False) as file:
            yield file
    except OSError as error:
        raise DataError(unwritable(path, error)) from error


_COMMA, _SPACE, _OPEN, _CLOSE, _MINUS, _POINT, _ZERO = (ord(c) for c in ", []-.0")


@compiled(nogil=True)
@no_type_check
def _format(values: np.ndarray, buffer: np.ndarray) -> int:
    """Write whole numbers as decimal fractions; return the number of bytes."""
    at = 0
    for entry in range(values.shape[0]):
        if entry > 0:
            buffer[at], buffer[at + 1] = _COMMA, _SPACE
            at += 2
        for row in range(values.shape[1]):
            buffer[at] = _OPEN if row == 0 else _COMMA
            buffer[at + 1] = _OPEN
            at += 2
            for column in range(values.shape[2]):
                if column > 0:
                    buffer[at] = _COMMA
                    at += 1
                at = _format_number(values[entry, row, column], buffer, at)
            buffer[at] = _CLOSE
            at += 1
        buffer[at] = _CLOSE
        at += 1
    return at


@compiled(nogil=True)
@no_type_check
def _format_number(value: int, buffer: np.ndarray, at: int) -> int:
    """Write one number; return the place behind it."""
    if value < 0:
        buffer[at] = _MINUS
        at += 1
        value = -value
    length, rest = 1, value // 10
    while rest > 0 or length <= DECIMALS:
        rest //= 10
        length += 1
    end = at + length + 1
    for k in range(length + 1):
        if k == DECIMALS:
            buffer[end - 1 - k] = _POINT
        else:
            buffer[end - 1 - k] = _ZERO + value % 10
            value //= 10
    return end
