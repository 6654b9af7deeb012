"""Between an attempt and its line in the store; between nested lines and frames."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from s2hand_platform.errors import StoreError
from s2hand_platform.experiments.protocol import Evaluation
from s2hand_platform.identity import canonical_json
from s2hand_platform.store.files import UnusableFile
from s2hand_platform.store.records import AttemptRecord, Curve
from s2hand_platform.store.schema import ATTEMPTS, REQUIRED, VERSION

_OWNER = ("trial_id", "attempt")


def attempt_line(
    commit: str, record: AttemptRecord, evaluation: Evaluation | None, curve: Curve
) -> pa.Table:
    """Make the line of one attempt, of the schema ``ATTEMPTS``.

    Raises:
        StoreError: if an evaluation's samples are not one per sample id, or one of its threshold
            curves is none.
    """
    line = {
        "commit": commit,
        "trial_id": record.trial_id,
        "attempt": record.attempt,
        "store_version": VERSION,
        "experiment": record.experiment,
        "config_json": canonical_json(record.config),
        "config_hash": record.config_hash,
        "seed": record.seed,
        "data_fingerprint": record.data_fingerprint,
        "code_fingerprint": record.code_fingerprint,
        "code_commit": record.revision.commit,
        "code_state": record.revision.state,
        "code_patch": record.revision.patch,
        "evaluation_fingerprint": record.evaluation_fingerprint,
        "data_record_json": None if record.data_record is None else _json(record.data_record),
        "device_type": record.device_type,
        "status": record.status,
        "failure": record.failure,
        "reason": record.reason,
        "environment_kind": record.environment.kind,
        "environment_json": record.environment.to_json(),
        "started": record.started,
        "finished": record.finished,
        "duration_s": record.duration_s,
        "training_s": record.training_s,
        "evaluation_s": record.evaluation_s,
        "stages_json": json.dumps([asdict(stage) for stage in record.stages], sort_keys=True),
        "evaluator_id": evaluation.evaluator_id if evaluation else None,
        "notes_json": json.dumps(evaluation.notes if evaluation else {}, sort_keys=True),
        "metrics": metric_lines(evaluation, record.units) if evaluation else [],
        "curves": [
            {"epoch": epoch, "metric": name, "value": value}
            for epoch, scalars in curve
            for name, value in scalars.items()
        ],
        **(_sample_columns(evaluation, record.units) if evaluation else {}),
        "threshold_curves": _threshold_curves(evaluation) if evaluation else None,
    }
    return pa.Table.from_pylist([line], schema=ATTEMPTS)


def _json(record: Any) -> str:
    return json.dumps(asdict(record), sort_keys=True)


def metric_lines(evaluation: Evaluation, units: Mapping[str, str]) -> list[dict[str, Any]]:
    """List an evaluation's metrics: split, metric, value, unit."""
    lines = []
    for key, value in evaluation.metrics.items():
        split, _, metric = key.partition("/")
        unit = units.get(metric, "")
        lines.append({"split": split, "metric": metric, "value": value, "unit": unit})
    return lines


def _sample_columns(evaluation: Evaluation, units: Mapping[str, str]) -> dict[str, Any]:
    samples = []
    for split, metrics in evaluation.samples.items():
        for metric, values in metrics.items():
            check_one_per_sample(evaluation, split, metric, len(values))
            samples.append(
                {
                    "split": split,
                    "metric": metric,
                    "unit": units.get(metric, ""),
                    "values": np.asarray(values, dtype=np.float64),
                }
            )
    ids = [
        {"split": split, "sample_ids": list(evaluation.sample_ids[split])}
        for split in evaluation.samples
    ]
    return {"samples": samples, "sample_ids": ids}


def _threshold_curves(evaluation: Evaluation) -> list[dict[str, Any]]:
    lines = []
    for split, curves in evaluation.threshold_curves.items():
        for name, curve in curves.items():
            thresholds, shares = (
                np.asarray(values, dtype=np.float64) for values in (curve.thresholds, curve.shares)
            )
            _check_curve(f"{split}/{name}", thresholds, shares)
            points = [
                {"threshold": threshold, "share": share}
                for threshold, share in zip(thresholds, shares, strict=True)
            ]
            about = {each: getattr(curve, each) for each in ("figure", "says", "area_of", "unit")}
            lines.append({"split": split, "curve": name, **about, "points": points})
    return lines


def _check_curve(name: str, thresholds: np.ndarray, shares: np.ndarray) -> None:
    if (
        thresholds.shape != shares.shape
        or not np.isfinite(thresholds).all()
        or not (np.diff(thresholds) > 0).all()
        or not ((shares >= 0) & (shares <= 1)).all()
        or not (np.diff(shares) >= 0).all()
    ):
        raise StoreError(
            f"the curve '{name}' must have rising thresholds, and for each a share from 0 to 1 "
            "that never falls"
        )


def check_one_per_sample(evaluation: Evaluation, split: str, name: str, count: int) -> None:
    """Check that there are as many values as the split has sample ids.

    Raises:
        StoreError: if not.
    """
    expected = len(evaluation.sample_ids.get(split, ()))
    if count != expected:
        raise StoreError(
            f"samples of '{split}/{name}' must be one per sample id of '{split}' "
            f"({expected}), got {count}"
        )


def check_filled(path: Path, lines: pa.Table) -> None:
    """Check that lines of a file have a value where every attempt has one.

    Raises:
        UnusableFile: if one has not.
    """
    for name in REQUIRED:
        if name in lines.column_names and lines[name].null_count:
            raise UnusableFile(path, "foreign", f"column '{name}' must have a value in every line")
    if {"samples", "sample_ids"} <= set(lines.column_names) and not (
        lines["samples"].is_valid().equals(lines["sample_ids"].is_valid())
    ):
        raise UnusableFile(path, "foreign", "must have samples and sample_ids in the same lines")


def latest_of_each(lines: pa.Table) -> pa.Table:
    """Keep one line of each attempt: the one that was written last.

    Compaction copies lines before it removes what it copied, so an attempt can be met twice.
    """
    keys = lines.select([*_OWNER, "store_version", "commit"]).to_pandas()
    if not keys.duplicated(list(_OWNER)).any():
        return lines
    keys = keys.sort_values(list(keys.columns))
    kept = keys.index[~keys.duplicated(list(_OWNER), keep="last")]
    return lines.take(pa.array(np.sort(kept.to_numpy())))


def nested_frame(lines: pa.Table, column: str, *, beside: Sequence[str] = ()) -> pd.DataFrame:
    """Give the entries of a nested column a line each, with the attempt that they belong to.

    Args:
        lines: attempts.
        column: ``metrics``, ``curves`` or ``threshold_curves``.
        beside: further columns of the attempt to repeat.
    """
    lists = lines[column].combine_chunks()
    parents = pc.list_parent_indices(lists)
    entries = pc.list_flatten(lists)
    columns = {name: lines[name].take(parents) for name in _OWNER}
    columns |= {
        entries.type[index].name: entries.field(index) for index in range(entries.type.num_fields)
    }
    columns |= {name: lines[name].take(parents) for name in beside}
    return pa.table(columns).to_pandas()


def samples_frame(lines: pa.Table, *, split: str, metric: str) -> pd.DataFrame:
    """Give every sample's value of one metric a line, with its attempt and its id."""
    parts = []
    for line in lines.select([*_OWNER, "sample_ids", "samples"]).to_pylist():
        ids = {entry["split"]: entry["sample_ids"] for entry in line["sample_ids"] or ()}
        parts += [
            pd.DataFrame(
                {
                    "trial_id": line["trial_id"],
                    "attempt": line["attempt"],
                    "split": split,
                    "metric": metric,
                    "sample_id": ids[split],
                    "value": entry["values"],
                    "unit": entry["unit"],
                }
            )
            for entry in line["samples"] or ()
            if (entry["split"], entry["metric"]) == (split, metric)
        ]
    if not parts:
        return pd.DataFrame(columns=[*_OWNER, "split", "metric", "sample_id", "value", "unit"])
    return pd.concat(parts, ignore_index=True)


def threshold_curves_frame(lines: pa.Table) -> pd.DataFrame:
    """Give every point of every threshold curve a line, with its attempt."""
    curves = nested_frame(lines, "threshold_curves").explode("points", ignore_index=True)
    found = curves[curves["points"].notna()]
    points = {
        name: pd.Series([point[name] for point in found["points"]], index=found.index, dtype=float)
        for name in ("threshold", "share")
    }
    return found.drop(columns="points").assign(**points)


def keep_attempts(lines: pa.Table, attempts: Collection[tuple[str, int]]) -> pa.Table:
    """Keep the lines of some attempts."""
    pairs = zip(lines["trial_id"].to_pylist(), lines["attempt"].to_pylist(), strict=True)
    return lines.filter(pa.array([pair in attempts for pair in pairs], pa.bool_()))
