"""The store's tables: columns, types, units, and the version of all that."""

import pyarrow as pa

VERSION = 2
"""Raised when a reader of the old version could misread the new files."""

VERSION_KEY = b"s2hand_store_version"


def _column(name: str, kind: pa.DataType, unit: str = "", meaning: str = "") -> pa.Field:
    notes = {"unit": unit, "meaning": meaning}
    return pa.field(name, kind, metadata={key: text for key, text in notes.items() if text})


def _schema(*columns: pa.Field) -> pa.Schema:
    return pa.schema(columns, metadata={VERSION_KEY: str(VERSION).encode()})


def _lines(**columns: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct(columns))


_TEXT = pa.string()
_UTC = pa.timestamp("us", tz="UTC")

_METRICS = _lines(split=_TEXT, metric=_TEXT, value=pa.float64(), unit=_TEXT)
_CURVES = _lines(epoch=pa.int32(), metric=_TEXT, value=pa.float64())
_SAMPLE_IDS = _lines(split=_TEXT, sample_ids=pa.list_(_TEXT))
_SAMPLES = _lines(split=_TEXT, metric=_TEXT, unit=_TEXT, values=pa.list_(pa.float64()))
_THRESHOLD_CURVES = _lines(
    split=_TEXT,
    curve=_TEXT,
    figure=_TEXT,
    says=_TEXT,
    area_of=_TEXT,
    unit=_TEXT,
    points=_lines(threshold=pa.float64(), share=pa.float64()),
)

ATTEMPTS = _schema(
    _column("commit", _TEXT, meaning="the write that this line belongs to; later ones sort later"),
    _column("trial_id", _TEXT, meaning="SHA-256 of all that can change the trial's numbers"),
    _column("attempt", pa.int32(), meaning="try at this trial, from 0"),
    _column("store_version", pa.int32(), meaning="version of the store that wrote it"),
    _column("experiment", _TEXT),
    _column("config_json", _TEXT, meaning="the whole configuration, canonical JSON"),
    _column("config_hash", _TEXT, meaning="SHA-256 without operational fields"),
    _column("seed", pa.int64()),
    _column("data_fingerprint", _TEXT, meaning="of the training data"),
    _column("code_fingerprint", _TEXT, meaning="of the code that acts in the training"),
    _column("code_commit", _TEXT, meaning="of the repository that the code lies in"),
    _column("code_state", _TEXT, meaning="clean, dirty, untracked or unknown, by that commit"),
    _column("code_patch", _TEXT, meaning="SHA-256 of what differs from the commit, in patches/"),
    _column("evaluation_fingerprint", _TEXT, meaning="of the evaluation's code, data, settings"),
    _column("data_record_json", _TEXT, meaning="what was evaluated on"),
    _column("device_type", _TEXT, meaning="cpu or cuda"),
    _column("status", _TEXT, meaning="finished, failed or stopped_early"),
    _column("failure", _TEXT, meaning="of a failed attempt: its cause, one word"),
    _column("reason", _TEXT),
    _column(
        "environment_kind", _TEXT, meaning="device, framework, precision; shown, not chosen by"
    ),
    _column("environment_json", _TEXT),
    _column("started", _UTC),
    _column("finished", _UTC),
    _column("duration_s", pa.float64(), unit="s", meaning="wall clock of this attempt"),
    _column("training_s", pa.float64(), unit="s", meaning="training of the stages trained here"),
    _column("evaluation_s", pa.float64(), unit="s", meaning="this attempt's evaluation"),
    _column("stages_json", _TEXT, meaning="stages: name, stage_id, training_s, trained_here"),
    _column("evaluator_id", _TEXT),
    _column("notes_json", _TEXT),
    _column("metrics", _METRICS),
    _column("curves", _CURVES),
    _column("sample_ids", _SAMPLE_IDS),
    _column("samples", _SAMPLES, meaning="values in the order of sample_ids of the split"),
    _column(
        "threshold_curves",
        _THRESHOLD_CURVES,
        meaning="share of points or samples within each threshold, which has the unit",
    ),
)
"""One line per attempt, with all that belongs to it."""

DETAILS = ("metrics", "curves", "sample_ids", "samples", "threshold_curves")
"""The nested columns of ``ATTEMPTS``, read only when asked for."""

REQUIRED = (
    "commit", "trial_id", "attempt", "store_version", "experiment", "config_json", "config_hash",
    "seed", "status", "reason", "environment_kind", "environment_json", "started", "finished",
    "duration_s", "notes_json", "metrics",
)  # fmt: skip
"""What every attempt has, whichever version of the store wrote it; other columns may be unknown, or
have come later, and are null then."""

TRIAL_COLUMNS = tuple(name for name in ATTEMPTS.names if name not in DETAILS)

BASELINES = _schema(
    _column("experiment", _TEXT),
    _column("label", _TEXT, meaning="what was evaluated without a training"),
    _column("evaluation_fingerprint", _TEXT, meaning="of the evaluation's code, data, settings"),
    _column("split", _TEXT),
    _column("metric", _TEXT),
    _column("value", pa.float64(), unit="in column 'unit'"),
    _column("unit", _TEXT),
    _column("evaluator_id", _TEXT),
)

IMPORTED = _schema(
    _column("experiment", _TEXT),
    _column("table", _TEXT, meaning="the table that the row stands in"),
    _column("id", _TEXT, meaning="of the row"),
    _column("label", _TEXT, meaning="whose predictions"),
    _column("dataset", _TEXT, meaning="the dataset's word in recipes"),
    _column("data_title", _TEXT, meaning="what was scored on"),
    _column("data_fingerprint", _TEXT, meaning="SHA-256 of what was scored on"),
    _column("evaluator_id", _TEXT),
    _column("file_name", _TEXT, meaning="of the predictions"),
    _column("file_sha256", _TEXT),
    _column("metric", _TEXT, meaning="split/metric"),
    _column("value", pa.float64(), unit="in column 'unit'"),
    _column("unit", _TEXT),
)
"""Predictions that somebody else made: one line per metric."""

PICTURES = _schema(
    _column("sample_id", _TEXT),
    _column("kind", _TEXT, meaning="what it shows"),
    _column("webp", pa.binary()),
)

PLANS = _schema(
    _column("kind", _TEXT, meaning="table or search"),
    _column("name", _TEXT),
    _column("label", _TEXT, meaning="what is measured on, and at which scale"),
    _column("device_type", _TEXT, meaning="cpu or cuda: where its trials run"),
    _column("created", _UTC),
    _column("document_json", _TEXT),
)

CODE = _schema(
    _column("fingerprint", _TEXT),
    _column("module", _TEXT),
    _column("sha256", _TEXT, meaning="digest of the module"),
)

PATCHES = _schema(
    _column("sha256", _TEXT),
    _column("text", _TEXT, meaning="names of untracked files, then the patch"),
)

TRACKED = _schema(
    _column("trial_id", _TEXT),
    _column("attempt", pa.int32()),
    _column("tracker", _TEXT, meaning="its address; empty for the workspace's own database"),
    _column("group", _TEXT, meaning="table or search"),
    _column("name", _TEXT, meaning="row, or point of a search"),
    _column("run_id", _TEXT, meaning="the tracker's own"),
)
