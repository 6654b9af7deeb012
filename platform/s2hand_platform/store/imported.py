"""Rows that no training fills: the scores of predictions that somebody else made."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from s2hand_platform.errors import StoreError
from s2hand_platform.identity import canonical_json
from s2hand_platform.store.files import UnusableFile, parquet_files, read_whole, write_replacing
from s2hand_platform.store.schema import IMPORTED
from s2hand_platform.store.set_aside import SetAsideRoom

IMPORTED_FOLDER = "imported"
_COLUMNS = {"metric", "value", "unit"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedRow:
    """One set of somebody's predictions, as it was scored here."""

    experiment: str
    table: str
    id: str
    label: str
    dataset: str
    """The dataset's word in recipes."""
    data_title: str
    """What was scored on, in a line."""
    data_fingerprint: str
    """SHA-256 of what was scored on: the row stands beside those that are measured on the same."""
    evaluator_id: str
    file_name: str
    file_sha256: str
    metrics: Mapping[str, float]
    """``split/metric`` → value."""
    units: Mapping[str, str]
    """``split/metric`` → unit."""


class ImportedFiles:
    """A file for each row; a row of one name, on one set, replaces what was there."""

    def __init__(self, root: Path, set_aside: SetAsideRoom) -> None:
        """Keep them below the store's folder."""
        self._folder = root / IMPORTED_FOLDER
        self._set_aside = set_aside

    def write(self, row: ImportedRow) -> Path:
        """Keep a row.

        Raises:
            StoreError: if it cannot be written.
        """
        lines = [
            {**asdict(row), "metric": name, "value": value, "unit": row.units[name]}
            for name, value in row.metrics.items()
        ]
        path = self._path(row)
        write_replacing(pa.Table.from_pylist(lines, schema=IMPORTED), path)
        return path

    def remove(self, row: ImportedRow) -> None:
        """Take a row out, if it is there.

        Raises:
            StoreError: if its file cannot be removed.
        """
        path = self._path(row)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path}: cannot be removed ({error.strerror})") from error

    def of_table(self, experiment: str, table: str) -> Iterator[tuple[Path, ImportedRow]]:
        """Yield the rows of a table with their files, by name; damaged ones are set aside."""
        for path in parquet_files(self._folder):
            try:
                lines = read_whole(path, IMPORTED).to_pylist()
            except UnusableFile as fault:
                self._set_aside.take(fault)
                continue
            if lines and (lines[0]["experiment"], lines[0]["table"]) == (experiment, table):
                yield path, _row(lines)

    def _path(self, row: ImportedRow) -> Path:
        key = (row.experiment, row.table, row.id, row.data_fingerprint)
        name = f"{row.table}.{hashlib.sha256(canonical_json(key).encode()).hexdigest()[:32]}"
        return self._folder / f"{name}.parquet"


def _row(lines: Sequence[Mapping[str, Any]]) -> ImportedRow:
    beside = {name: lines[0][name] for name in IMPORTED.names if name not in _COLUMNS}
    return ImportedRow(
        **beside,
        metrics={line["metric"]: line["value"] for line in lines},
        units={line["metric"]: line["unit"] for line in lines},
    )
