"""Single Parquet files: written whole or not at all, checked when they are read."""

import os
import re
import time
import uuid
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from s2hand.files import whole_file
from s2hand_platform.errors import StoreError
from s2hand_platform.store.schema import VERSION, VERSION_KEY

_TEMPORARY_PREFIX = ".writing-"
_NAMED_CHECKSUMS = re.compile(r"\.([0-9a-f]{8})([0-9a-f]{8})\.parquet$")
_SMALL_BYTES = 1 << 20
_UNREADABLE = (ValueError, KeyError, TypeError, IndexError, NotImplementedError, OSError)
"""What Arrow raises over bytes that are not what they should be."""

Fault = Literal["damaged", "foreign", "newer"]
Checked = Literal["none", "small", "all"]


class UnusableFile(StoreError):  # noqa: N818 - says what is the matter
    """A file of the store whose content cannot be used."""

    def __init__(self, path: Path, fault: Fault, reason: str) -> None:
        self.path, self.fault, self.reason = path, fault, reason
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[type, tuple]:
        """Keep the fields when the error crosses a process border."""
        return (type(self), (self.path, self.fault, self.reason))


def new_commit() -> str:
    """Name a write; of two names, the one that was made later sorts later."""
    return f"{time.time_ns():016x}{uuid.uuid4().hex[:16]}"


def write_named(
    table: pa.Table, folder: Path, stem: str, row_group_size: int | None = None
) -> Path:
    """Write ``table`` to ``folder`` under ``stem`` and two checksums: of the footer, of all bytes.

    Returns:
        The path.

    Raises:
        StoreError: naming the path, if it cannot be written; nothing is left behind.
    """
    content = _encode(table, row_group_size)
    footer = _footer(pa.BufferReader(content))
    path = folder / f"{stem}.{zlib.crc32(footer):08x}{zlib.crc32(content):08x}.parquet"
    _write(content, path)
    return path


def write_replacing(table: pa.Table, path: Path) -> None:
    """Write ``table`` to ``path``, replacing what is there in one step.

    Raises:
        StoreError: naming the path, if it cannot be written; nothing is left behind.
    """
    _write(_encode(table), path)


def _encode(table: pa.Table, row_group_size: int | None = None) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        row_group_size=row_group_size,
        write_page_checksum=True,
    )
    return sink.getvalue()


def _write(content: pa.Buffer, path: Path) -> None:
    temporary = path.parent / f"{_TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, beside=temporary) as file:
            file.write(content)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write the result store at {path}: {error.strerror or error}; "
            "free disk space or check the folder's permissions, then run again"
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def reading(path: Path, *, checked: Checked = "small") -> Iterator[pq.ParquetFile]:
    """Open a file of the store; whatever reading it meets inside the block is told as below.

    Args:
        path: the file.
        checked: which files are held whole against the checksum in their name before anything is
            decoded; of the others only the footer is, which says what lies where. Pages are always
            held against their own checksums as they are read.

    Raises:
        FileNotFoundError: if it is gone.
        UnusableFile: if it is damaged, no file of the store, or of a newer version of it.
        StoreError: if the disk does not give it.
    """
    try:
        with pq.ParquetFile(_source(path, checked), page_checksum_verification=True) as file:
            _check_version(path, file.metadata.metadata or {})
            yield file
    except (FileNotFoundError, StoreError):
        raise
    except _UNREADABLE as error:
        if isinstance(error, IsADirectoryError):
            raise UnusableFile(path, "foreign", "a folder, where a file should be") from error
        if isinstance(error, OSError) and error.errno is not None:
            raise StoreError(
                f"cannot read the result store at {path}: {error.strerror}; check the disk and "
                "the file's permissions, then run again"
            ) from error
        raise UnusableFile(path, "damaged", f"damaged ({_first_line(error)})") from error


def _source(path: Path, checked: Checked) -> pa.BufferReader | str:
    named = _NAMED_CHECKSUMS.search(path.name)
    if checked == "none" or (checked == "small" and path.stat().st_size > _SMALL_BYTES):
        if named:
            with path.open("rb") as file:
                _compare(path, _footer(file), named[1])
        return str(path)
    content = path.read_bytes()
    if named:
        _compare(path, content, named[2])
    return pa.BufferReader(content)


def _compare(path: Path, content: bytes, checksum: str) -> None:
    if zlib.crc32(content) != int(checksum, 16):
        raise UnusableFile(path, "damaged", "damaged (it does not have the checksum in its name)")


def _footer(file: BinaryIO | pa.BufferReader) -> bytes:
    """Read a Parquet file's footer, with the length that stands behind it."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - 8, 0))
    length = int.from_bytes(file.read(4), "little")
    file.seek(max(end - 8 - length, 0))
    return file.read()


def _check_version(path: Path, metadata: Mapping[bytes, bytes]) -> None:
    written = metadata.get(VERSION_KEY, b"")
    if not written.isdigit():
        raise UnusableFile(path, "foreign", "a Parquet file, but none of the result store")
    if int(written) > VERSION:
        raise UnusableFile(
            path,
            "newer",
            f"written by version {int(written)} of the result store, this program reads up to "
            f"version {VERSION}; upgrade s2hand to read it",
        )


def check_columns(path: Path, found: pa.Schema, expected: pa.Schema) -> None:
    """Check that the columns that a file has are of the types they should be.

    Raises:
        UnusableFile: if one is not.
    """
    for field in expected:
        if field.name in found.names and found.field(field.name).type != field.type:
            raise UnusableFile(
                path,
                "foreign",
                f"column '{field.name}' must be {field.type}, found {found.field(field.name).type}",
            )


def check_present(path: Path, found: Collection[str], required: Sequence[str]) -> None:
    """Check that a file has the columns without which its lines mean nothing.

    Raises:
        UnusableFile: if one is missing.
    """
    missing = [name for name in required if name not in found]
    if missing:
        raise UnusableFile(path, "foreign", f"must have the columns {', '.join(missing)}")


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give ``table`` the columns of ``schema``; those that it lacks are null."""
    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def read_whole(path: Path, schema: pa.Schema) -> pa.Table:
    """Read all lines of a file into the columns of ``schema``.

    Raises:
        FileNotFoundError: if it is gone.
        UnusableFile: if it is damaged, foreign or newer.
        StoreError: if the disk does not give it.
    """
    with reading(path) as file:
        found = file.schema_arrow
        check_columns(path, found, schema)
        names = [name for name in schema.names if name in found.names]
        return conform(file.read(columns=names), schema)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def parquet_names(folder: Path) -> list[str]:
    """List the names of the finished files of a folder, sorted.

    Raises:
        StoreError: if the disk does not give them.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a hundred thousand names, no objects for them
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            f"cannot read the result store at {folder}: {error.strerror}; check the disk and the "
            "folder's permissions, then run again"
        ) from error
    return sorted(name for name in names if name.endswith(".parquet"))


def parquet_files(folder: Path) -> list[Path]:
    """List the finished files of a folder, in the order of their names."""
    return [folder / name for name in parquet_names(folder)]


def remove(path: Path) -> None:
    """Remove a file that another process may have removed already."""
    path.unlink(missing_ok=True)


def remove_older_than(files: Sequence[Path], age_s: float) -> None:
    """Remove files that nobody has touched for ``age_s`` seconds."""
    limit = time.time() - age_s
    for path in files:
        with suppress(FileNotFoundError):  # another process may be clearing up too
            if path.stat().st_mtime < limit:
                path.unlink()


def temporary_files(folder: Path) -> list[Path]:
    """List what killed writers left."""
    return sorted(folder.glob(f"{_TEMPORARY_PREFIX}*"))
