"""Reads what version 1 of the store wrote: a file per attempt in each of four folders."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from s2hand_platform.store.files import UnusableFile, parquet_files, read_whole, remove
from s2hand_platform.store.lines import check_filled
from s2hand_platform.store.schema import ATTEMPTS, TRIAL_COLUMNS

VERSION = 1
TRIALS = "trials"
_DETAILS = ("metrics", "samples", "curves")
FOLDERS = (TRIALS, *_DETAILS)

_DETAIL_NAME = re.compile(r"(?P<attempt>[0-9a-f]+-\d{4,})-[0-9a-f]{32}")
"""Other files are not the store's, and not its to remove."""

_TEXT = pa.string()
_LINE = {"split": _TEXT, "metric": _TEXT, "value": pa.float64(), "unit": _TEXT}
_DETAIL_SCHEMAS = {
    "metrics": pa.schema(_LINE),
    "samples": pa.schema({**_LINE, "sample_id": _TEXT}),
    "curves": pa.schema({"epoch": pa.int32(), "metric": _TEXT, "value": pa.float64()}),
}


def attempt_files(store: Path) -> list[Path]:
    """List the files that hold an attempt each."""
    return parquet_files(store / TRIALS)


def trial_of(name: str) -> str:
    """Return the trial that a file of ``attempt_files`` is named by."""
    return name.rpartition("-")[0]


def read_attempt(path: Path) -> pa.Table:
    """Read an attempt with its details into a line of the schema ``ATTEMPTS``.

    Columns that version 1 did not have are null.

    Raises:
        FileNotFoundError: if it is gone.
        UnusableFile: for ``path``, if it or a file of its details is damaged, foreign or newer.
        StoreError: if the disk does not give it.
    """
    line = read_whole(path, ATTEMPTS).select(TRIAL_COLUMNS).to_pylist()
    if len(line) != 1 or line[0]["trial_id"] != trial_of(path.name) or not line[0]["commit"]:
        raise UnusableFile(path, "foreign", "must hold the one attempt that it is named by")
    details: dict[str, list[dict[str, Any]]] = {}
    for name, detail in _detail_files(path, line[0]["commit"]):
        try:
            details[name] = read_whole(detail, _DETAIL_SCHEMAS[name]).to_pylist()
        except FileNotFoundError:
            details[name] = []  # nothing of this kind belongs to the attempt
        except UnusableFile as error:
            raise UnusableFile(
                path, error.fault, f"its {detail.name} is unusable ({error})"
            ) from error
    if not path.exists():  # a compaction removes it before the details, some of which we missed
        raise FileNotFoundError(path)
    if line[0]["status"] == "finished" and not details["metrics"]:
        raise UnusableFile(path, "damaged", "finished, but the file of its metrics is gone")
    whole = {
        **line[0],
        "store_version": VERSION,
        "metrics": details["metrics"],
        "curves": details["curves"],
        **_nested_samples(details["samples"]),
    }
    table = pa.Table.from_pylist([whole], schema=ATTEMPTS)
    check_filled(path, table)
    return table


def remove_attempt(path: Path, commit: str) -> None:
    """Remove an attempt: the file that makes it visible first, then its details."""
    remove(path)
    for _, detail in _detail_files(path, commit):
        remove(detail)


def details_without_attempt(store: Path) -> Iterator[Path]:
    """Yield details that no attempt points to: what killed writers left."""
    folders = [parquet_files(store / name) for name in _DETAILS]
    if not any(folders):
        return
    seen = {path.stem for path in attempt_files(store)}
    for files in folders:
        for path in files:
            name = _DETAIL_NAME.fullmatch(path.stem)
            if name and name["attempt"] not in seen:
                yield path


def _detail_files(path: Path, commit: str) -> list[tuple[str, Path]]:
    store = path.parent.parent
    return [(name, store / name / f"{path.stem}-{commit}.parquet") for name in _DETAILS]


def _nested_samples(lines: list[dict[str, Any]]) -> dict[str, Any]:
    ids: dict[str, dict[str, list[str]]] = {}
    values: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        split, metric = line["split"], line["metric"]
        entry = values.setdefault(
            (split, metric), {"split": split, "metric": metric, "unit": line["unit"], "values": []}
        )
        entry["values"].append(line["value"])
        ids.setdefault(split, {}).setdefault(metric, []).append(line["sample_id"])
    return {
        "samples": list(values.values()),
        "sample_ids": [
            {"split": split, "sample_ids": next(iter(of_metric.values()))}
            for split, of_metric in ids.items()
        ],
    }
