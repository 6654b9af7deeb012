"""The result store: every number with where it comes from, in Parquet, written by many."""

import hashlib
import json
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from s2hand_platform.errors import StoreError
from s2hand_platform.experiments.protocol import Evaluation
from s2hand_platform.identity import canonical_json
from s2hand_platform.store.files import (
    parquet_files,
    read_all,
    remove_older_than,
    temporary_files,
    write_atomically,
)
from s2hand_platform.store.records import AttemptRecord, Curve
from s2hand_platform.store.schema import SCHEMAS

_DETAILS = ("samples", "curves", "metrics")
_LEFTOVER_AGE_S = 86_400.0


class ResultStore:
    """A folder of Parquet tables; ``docs/store.md`` describes them.

    A commit writes its samples, curves and metrics first and its line in ``trials`` last; readers
    see only what a line in ``trials`` points to. So a commit is seen whole or not at all, and two
    writers of the same attempt leave one of them.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the store at ``path``; a folder that does not exist is an empty store."""
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"the result store must be a folder, {self.path} is a file")

    def write_attempt(
        self, record: AttemptRecord, evaluation: Evaluation | None = None, curve: Curve = ()
    ) -> None:
        """Commit one attempt with all that belongs to it.

        Raises:
            StoreError: if it cannot be written; then nothing of it is visible.
        """
        key = {
            "commit": uuid.uuid4().hex,
            "trial_id": record.trial_id,
            "attempt": record.attempt,
        }
        details = {
            "samples": _sample_lines(record, evaluation),
            "curves": _curve_lines(curve),
            "metrics": _metric_lines(record, evaluation),
        }
        stem = f"{record.trial_id}-{record.attempt:04d}"
        written = []
        try:
            for name, lines in details.items():
                if lines["value"]:
                    path = self.path / name / f"{stem}-{key['commit']}.parquet"
                    write_atomically(_table(name, key, lines), path)
                    written.append(path)
            line = _table("trials", key, _trial_line(record, evaluation))
            write_atomically(line, self.path / "trials" / f"{stem}.parquet")
        except StoreError:
            for path in written:
                path.unlink(missing_ok=True)
            raise

    def finished(self, trial_id: str) -> bool:
        """Say whether the store holds a finished attempt of this trial."""
        return bool((self._attempts(trial_id)["status"] == "finished").any())

    def next_attempt(self, trial_id: str) -> int:
        """Return the number that the next try at this trial takes."""
        attempts = self._attempts(trial_id)["attempt"]
        return int(attempts.max()) + 1 if len(attempts) else 0

    def trials(self) -> pd.DataFrame:
        """Return every attempt, in the order in which they finished."""
        frame = _frame(read_all(parquet_files(self.path / "trials"), SCHEMAS["trials"]))
        return frame.sort_values(["finished", "trial_id", "attempt"], ignore_index=True)

    def metrics(self) -> pd.DataFrame:
        """Return the metrics of every attempt, one line each."""
        return self._details("metrics", self.trials())

    def samples(self, trial_ids: Collection[str], *, split: str, metric: str) -> pd.DataFrame:
        """Return per-sample values of some trials."""
        return self._details("samples", self._attempts(*trial_ids), split=[split], metric=[metric])

    def curves(self, trial_ids: Collection[str]) -> pd.DataFrame:
        """Return what some trials reported over their epochs."""
        return self._details("curves", self._attempts(*trial_ids))

    def seeds_of(self, config_hash: str) -> tuple[int, ...]:
        """Return the seeds with which a configuration is finished, whatever data and code."""
        trials = self.trials()
        same = (trials["config_hash"] == config_hash) & (trials["status"] == "finished")
        return tuple(sorted({int(seed) for seed in trials.loc[same, "seed"]}))

    def write_baseline(
        self,
        experiment: str,
        label: str,
        data_fingerprint: str | None,
        evaluation: Evaluation,
        units: Mapping[str, str],
    ) -> None:
        """Keep what was measured without a training, replacing what this data had before.

        Args:
            experiment: the experiment's name.
            label: what is evaluated, for instance ``constant mean pose``.
            data_fingerprint: the data it was evaluated on; None is kept and never read again.
            evaluation: its metrics; samples are not kept.
            units: metric (without its split) → unit.
        """
        lines = _metric_columns(evaluation, units)
        key = {"experiment": experiment, "label": label, "data_fingerprint": data_fingerprint}
        name = hashlib.sha256(canonical_json(key).encode()).hexdigest()
        write_atomically(
            _table("baselines", key, lines), self.path / "baselines" / f"{name}.parquet"
        )

    def baselines(self, experiment: str, data_fingerprint: str) -> pd.DataFrame:
        """Return the baselines that were measured on this data, one line per metric."""
        return _frame(
            read_all(
                parquet_files(self.path / "baselines"),
                SCHEMAS["baselines"],
                experiment=[experiment],
                data_fingerprint=[data_fingerprint],
            )
        )

    def remove_leftovers(self, older_than_s: float = _LEFTOVER_AGE_S) -> None:
        """Remove what killed writers left: temporary files, and details without their trial.

        Args:
            older_than_s: younger files are kept, as their writers may be at work.
        """
        for name in (*_DETAILS, "trials", "baselines"):
            remove_older_than(temporary_files(self.path / name), older_than_s)
        seen = set(self.trials()["commit"])
        for name in _DETAILS:
            orphans = [
                path
                for path in parquet_files(self.path / name)
                if path.stem.rpartition("-")[2] not in seen
            ]
            remove_older_than(orphans, older_than_s)

    def _attempts(self, *trial_ids: str) -> pd.DataFrame:
        """Return the attempts of some trials; files are found by name, so this is quick."""
        folder = self.path / "trials"
        files = [path for name in trial_ids for path in sorted(folder.glob(f"{name}-*.parquet"))]
        return _frame(read_all(files, SCHEMAS["trials"]))

    def _details(self, name: str, trials: pd.DataFrame, **columns: list[str]) -> pd.DataFrame:
        """Read the detail files that lines in ``trials`` point to, and no others."""
        paths = [
            self.path / name / f"{line.trial_id}-{line.attempt:04d}-{line.commit}.parquet"
            for line in trials.itertuples()
        ]
        files = [path for path in paths if path.exists()]
        return _frame(read_all(files, SCHEMAS[name], **columns)).drop(columns="commit")


def _frame(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas()


def _table(name: str, key: Mapping[str, Any], lines: Mapping[str, list[Any]]) -> pa.Table:
    """Make a table of the schema ``name`` with the columns ``key`` equal in every line."""
    length = len(next(iter(lines.values())))
    columns = {column: [value] * length for column, value in key.items()}
    return pa.table({**columns, **lines}, schema=SCHEMAS[name])


def _trial_line(record: AttemptRecord, evaluation: Evaluation | None) -> dict[str, list[Any]]:
    return {
        "experiment": [record.experiment],
        "config_json": [canonical_json(record.config)],
        "config_hash": [record.config_hash],
        "seed": [record.seed],
        "data_fingerprint": [record.data_fingerprint],
        "code_fingerprint": [record.code_fingerprint],
        "status": [record.status],
        "reason": [record.reason],
        "environment_kind": [record.environment.kind],
        "environment_json": [record.environment.to_json()],
        "started": [record.started],
        "finished": [record.finished],
        "duration_s": [record.duration_s],
        "evaluator_id": [evaluation.evaluator_id if evaluation else None],
        "notes_json": [json.dumps(evaluation.notes if evaluation else {}, sort_keys=True)],
    }


def _metric_lines(record: AttemptRecord, evaluation: Evaluation | None) -> dict[str, list[Any]]:
    return _metric_columns(evaluation, record.units) if evaluation else {"value": []}


def _metric_columns(evaluation: Evaluation, units: Mapping[str, str]) -> dict[str, list[Any]]:
    keys = [key.partition("/")[::2] for key in evaluation.metrics]
    return {
        "split": [split for split, _ in keys],
        "metric": [metric for _, metric in keys],
        "value": list(evaluation.metrics.values()),
        "unit": [units.get(metric, "") for _, metric in keys],
        "evaluator_id": [evaluation.evaluator_id] * len(keys),
    }


def _sample_lines(record: AttemptRecord, evaluation: Evaluation | None) -> dict[str, list[Any]]:
    lines: dict[str, list[Any]] = {
        name: [] for name in ("split", "metric", "sample_id", "value", "unit")
    }
    for split, metrics in (evaluation.samples if evaluation else {}).items():
        ids = list(evaluation.sample_ids[split]) if evaluation else []
        for metric, values in metrics.items():
            count = len(values)
            if count != len(ids):
                raise StoreError(
                    f"samples of '{split}/{metric}' must be one per sample id of '{split}' "
                    f"({len(ids)}), got {count}"
                )
            lines["split"] += [split] * count
            lines["metric"] += [metric] * count
            lines["sample_id"] += ids
            lines["value"] += [float(value) for value in values]
            lines["unit"] += [record.units.get(metric, "")] * count
    return lines


def _curve_lines(curve: Curve) -> dict[str, list[Any]]:
    points = [(epoch, name, value) for epoch, scalars in curve for name, value in scalars.items()]
    return {
        "epoch": [epoch for epoch, _, _ in points],
        "metric": [name for _, name, _ in points],
        "value": [value for _, _, value in points],
    }
