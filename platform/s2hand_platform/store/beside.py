"""Files beside attempts: one per attempt and split, which mean nothing without the attempt."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from s2hand_platform.errors import StoreError
from s2hand_platform.store.files import parquet_files, remove, write_replacing

_NAME = re.compile(r"(?P<trial>[^.]+)\.\d{4,}\.(?P<commit>[0-9a-f]{32})\..+\.parquet")


def path_beside(folder: Path, trial_id: str, attempt: int, commit: str, split: str) -> Path:
    """Return where an attempt's file of one split lies."""
    return folder / f"{trial_id}.{attempt:04d}.{commit}.{split}.parquet"


def write_all(tables: Mapping[Path, pa.Table]) -> list[Path]:
    """Write files, all of them or none.

    Raises:
        StoreError: if one cannot be written; then none is left behind.
    """
    try:
        for path, table in tables.items():
            write_replacing(table, path)
    except StoreError:
        for path in tables:
            remove(path)
        raise
    return list(tables)


def owned_files(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield a folder's files, each with the trial and the commit that it belongs to."""
    for path in parquet_files(folder):
        name = _NAME.fullmatch(path.name)
        if name:  # other files are not the store's
            yield path, name["trial"], name["commit"]
