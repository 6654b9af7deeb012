"""The store's tables: columns, types, units, and the version of all that."""

import pyarrow as pa

VERSION = 1
"""Raised when a reader of the old version could misread the new files."""

VERSION_KEY = b"s2hand_store_version"


def _column(name: str, kind: pa.DataType, unit: str = "", meaning: str = "") -> pa.Field:
    notes = {"unit": unit, "meaning": meaning}
    return pa.field(name, kind, metadata={key: text for key, text in notes.items() if text})


def _schema(*columns: pa.Field) -> pa.Schema:
    return pa.schema(columns, metadata={VERSION_KEY: str(VERSION).encode()})


_COMMIT = _column("commit", pa.string(), meaning="the write that this line belongs to")
_TRIAL = _column("trial_id", pa.string(), meaning="SHA-256 of configuration, seed, data and code")
_ATTEMPT = _column("attempt", pa.int32(), meaning="try at this trial, from 0")
_UTC = pa.timestamp("us", tz="UTC")

SCHEMAS: dict[str, pa.Schema] = {
    "trials": _schema(
        _COMMIT,
        _TRIAL,
        _ATTEMPT,
        _column("experiment", pa.string()),
        _column("config_json", pa.string(), meaning="the whole configuration, canonical JSON"),
        _column("config_hash", pa.string(), meaning="SHA-256 without operational fields"),
        _column("seed", pa.int64()),
        _column("data_fingerprint", pa.string()),
        _column("code_fingerprint", pa.string()),
        _column("status", pa.string(), meaning="finished, failed or stopped_early"),
        _column("reason", pa.string()),
        _column("environment_kind", pa.string(), meaning="cells never mix kinds unasked"),
        _column("environment_json", pa.string()),
        _column("started", _UTC),
        _column("finished", _UTC),
        _column("duration_s", pa.float64(), unit="s"),
        _column("evaluator_id", pa.string()),
        _column("notes_json", pa.string()),
    ),
    "metrics": _schema(
        _COMMIT,
        _TRIAL,
        _ATTEMPT,
        _column("split", pa.string()),
        _column("metric", pa.string()),
        _column("value", pa.float64(), unit="in column 'unit'"),
        _column("unit", pa.string()),
        _column("evaluator_id", pa.string()),
    ),
    "samples": _schema(
        _COMMIT,
        _TRIAL,
        _ATTEMPT,
        _column("split", pa.string()),
        _column("metric", pa.string()),
        _column("sample_id", pa.string()),
        _column("value", pa.float64(), unit="in column 'unit'"),
        _column("unit", pa.string()),
    ),
    "curves": _schema(
        _COMMIT,
        _TRIAL,
        _ATTEMPT,
        _column("epoch", pa.int32(), unit="epochs"),
        _column("metric", pa.string()),
        _column("value", pa.float64()),
    ),
    "baselines": _schema(
        _column("experiment", pa.string()),
        _column("label", pa.string(), meaning="what was evaluated without a training"),
        _column("data_fingerprint", pa.string()),
        _column("split", pa.string()),
        _column("metric", pa.string()),
        _column("value", pa.float64(), unit="in column 'unit'"),
        _column("unit", pa.string()),
        _column("evaluator_id", pa.string()),
    ),
}
