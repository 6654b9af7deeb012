"""Writes what version 1 of the store wrote: a file per attempt in each of four folders."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

VERSION = {b"s2hand_store_version": b"1"}
_KEY = [("commit", pa.string()), ("trial_id", pa.string()), ("attempt", pa.int32())]
_VALUE = [("value", pa.float64()), ("unit", pa.string())]
_SPLIT = [("split", pa.string()), ("metric", pa.string())]
_UTC = pa.timestamp("us", tz="UTC")
_TEXTS = ("data_fingerprint", "code_fingerprint", "status", "reason")

SCHEMAS = {
    "trials": [
        *_KEY,
        *((name, pa.string()) for name in ("experiment", "config_json", "config_hash")),
        ("seed", pa.int64()),
        *((name, pa.string()) for name in _TEXTS),
        ("environment_kind", pa.string()),
        ("environment_json", pa.string()),
        ("started", _UTC),
        ("finished", _UTC),
        ("duration_s", pa.float64()),
        ("evaluator_id", pa.string()),
        ("notes_json", pa.string()),
    ],
    "metrics": [*_KEY, *_SPLIT, *_VALUE, ("evaluator_id", pa.string())],
    "samples": [*_KEY, *_SPLIT, ("sample_id", pa.string()), *_VALUE],
    "curves": [*_KEY, ("epoch", pa.int32()), ("metric", pa.string()), ("value", pa.float64())],
}

STARTED = datetime(2023, 4, 1, 8, tzinfo=UTC)


def write_attempt(
    store: Path, trial_id: str, *, attempt: int = 0, status: str = "finished", error: float = 1.0
) -> None:
    """Write an attempt with metrics, samples and a curve, if it is finished."""
    commit = f"{error!r}".encode().hex().ljust(32, "0")
    key = {"commit": commit, "trial_id": trial_id, "attempt": attempt}
    finished = status == "finished"
    line = {
        "experiment": "tiny",
        "config_json": '{"epochs":4}',
        "config_hash": "c" * 64,
        "seed": 3,
        "data_fingerprint": "d" * 64,
        "code_fingerprint": "e" * 64,
        "status": status,
        "reason": "" if finished else "why",
        "environment_kind": "cpu",
        "environment_json": "{}",
        "started": STARTED,
        "finished": STARTED + timedelta(seconds=60),
        "duration_s": 60.0,
        "evaluator_id": "tiny-0" if finished else None,
        "notes_json": "{}",
    }
    tables: dict[str, list[dict[str, Any]]] = {"trials": [line]}
    if finished:
        test = {"split": "test", "unit": "cm"}
        tables["metrics"] = [{**test, "metric": "error", "value": error, "evaluator_id": "tiny-0"}]
        tables["samples"] = [
            {**test, "metric": metric, "sample_id": f"x{index}", "value": error + index}
            for metric in ("error", "other")
            for index in range(3)
        ]
        tables["curves"] = [{"epoch": epoch, "metric": "loss", "value": 1.0} for epoch in range(2)]
    for name, lines in tables.items():
        stem = f"{trial_id}-{attempt:04d}" + ("" if name == "trials" else f"-{commit}")
        path = store / name / f"{stem}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        schema = pa.schema(SCHEMAS[name], metadata=VERSION)
        rows = [{**key, **line} for line in lines]
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")
