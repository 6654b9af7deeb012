"""Atomic Parquet files: a reader sees a whole file or none, whatever happens to the writer."""

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pad
import pyarrow.parquet as pq

from s2hand_platform.errors import StoreError
from s2hand_platform.store.schema import VERSION, VERSION_KEY

_TEMPORARY_PREFIX = ".writing-"


def write_atomically(table: pa.Table, path: Path) -> None:
    """Write ``table`` to ``path``, replacing what is there in one step.

    Raises:
        StoreError: naming the path, if it cannot be written; nothing is left behind.
    """
    temporary = path.parent / f"{_TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write the result store at {path}: {error.strerror or error}; "
            "free disk space or check the folder's permissions, then run again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def parquet_files(folder: Path) -> list[Path]:
    """List the finished files of a folder, in the order of their names."""
    return sorted(folder.glob("*.parquet"))


def read_all(files: list[Path], schema: pa.Schema, **columns: list[str]) -> pa.Table:
    """Read files into one table of ``schema``, keeping lines whose columns hold given values.

    Raises:
        StoreError: if a file is damaged, or written by a newer version of the store.
    """
    for path in files:
        _check_version(path)
    if not files:
        return schema.empty_table()
    chosen = None
    for name, values in columns.items():
        condition = pad.field(name).isin(values)
        chosen = condition if chosen is None else chosen & condition
    dataset = pad.dataset([str(path) for path in files], schema=schema, format="parquet")
    return dataset.to_table(filter=chosen)


def _check_version(path: Path) -> None:
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"{path} must be a Parquet file of the result store, but cannot be read ({error}); "
            "remove it: the trial that it belongs to will be run again"
        ) from error
    version = int(metadata.get(VERSION_KEY, b"0"))
    if version > VERSION:
        raise StoreError(
            f"{path} was written by version {version} of the result store, this program reads up "
            f"to version {VERSION}; upgrade s2hand to read it"
        )


def remove_older_than(files: list[Path], age_s: float) -> None:
    """Remove files that nobody has touched for ``age_s`` seconds."""
    limit = time.time() - age_s
    for path in files:
        with suppress(FileNotFoundError):  # another process may be clearing up too
            if path.stat().st_mtime < limit:
                path.unlink()


def temporary_files(folder: Path) -> list[Path]:
    """List what killed writers left."""
    return sorted(folder.glob(f"{_TEMPORARY_PREFIX}*"))
