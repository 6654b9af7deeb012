"""The result store: every number with where it comes from, in Parquet, written by many."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from s2hand_platform.errors import StoreError
from s2hand_platform.experiments.protocol import Evaluation
from s2hand_platform.identity import canonical_json
from s2hand_platform.store import version1
from s2hand_platform.store.attempts import COMPACTED, RECENT, AttemptFiles, Wanted
from s2hand_platform.store.beside import owned_files
from s2hand_platform.store.compaction import compact
from s2hand_platform.store.documents import notes_of
from s2hand_platform.store.files import (
    UnusableFile,
    new_commit,
    parquet_files,
    read_whole,
    remove,
    remove_older_than,
    temporary_files,
    write_replacing,
)
from s2hand_platform.store.imported import IMPORTED_FOLDER, ImportedFiles, ImportedRow
from s2hand_platform.store.lines import (
    attempt_line,
    keep_attempts,
    metric_lines,
    nested_frame,
    samples_frame,
    threshold_curves_frame,
)
from s2hand_platform.store.origins import (
    PATCHES_FOLDER,
    TRACKED_FOLDER,
    PatchFiles,
    TrackedFiles,
)
from s2hand_platform.store.pictures import FOLDER as PICTURES
from s2hand_platform.store.pictures import read_pictures, write_pictures
from s2hand_platform.store.plans import CODE_FOLDER, PLANS_FOLDER, CodeFiles, PlanFiles
from s2hand_platform.store.predictions import FOLDER as PREDICTIONS
from s2hand_platform.store.predictions import read_predictions, write_predictions
from s2hand_platform.store.records import (
    AttemptRecord,
    Curve,
    Predictions,
    StoredAttempt,
    TrackedRun,
)
from s2hand_platform.store.schema import BASELINES, TRIAL_COLUMNS
from s2hand_platform.store.set_aside import SetAside, SetAsideRoom
from s2hand_platform.store.table_plan import SearchPlan, TablePlan

BASELINES_FOLDER = "baselines"
_LEFTOVER_AGE_S = 86_400.0
_FOLDERS = (
    RECENT,
    COMPACTED,
    PREDICTIONS,
    PICTURES,
    BASELINES_FOLDER,
    IMPORTED_FOLDER,
    PLANS_FOLDER,
    CODE_FOLDER,
    PATCHES_FOLDER,
    TRACKED_FOLDER,
    *version1.FOLDERS,
)
_STORED = tuple(
    field.name for field in fields(StoredAttempt) if field.name not in {"metrics", "notes"}
)
_MANY_RECENT = 500
"""Recent files that are worth compacting; reading so many takes about half a second."""


class ResultStore:
    """A folder of Parquet files; ``docs/store.md`` describes them.

    A commit is one file with all that belongs to an attempt, renamed into place: it is seen whole
    or not at all. What cannot be used is set aside and remarked on, and counts as never measured.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the store at ``path``; a folder that does not exist is an empty store."""
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"the result store must be a folder, {self.path} is a file")
        self._set_aside = SetAsideRoom(self.path)
        self._files = AttemptFiles(self.path, self._set_aside)
        self._plans = PlanFiles(self.path, self._set_aside)
        self._imported = ImportedFiles(self.path, self._set_aside)
        self._code = CodeFiles(self.path, self._set_aside)
        self._patches = PatchFiles(self.path, self._set_aside)
        self._tracked = TrackedFiles(self.path, self._set_aside)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was set aside or passed over so far, a sentence each, naming the path."""
        return self._set_aside.remarks

    def set_aside(self) -> list[SetAside]:
        """List the files that were set aside, whoever met them."""
        return self._set_aside.entries()

    # Attempts

    def write_attempt(
        self, record: AttemptRecord, evaluation: Evaluation | None = None, curve: Curve = ()
    ) -> None:
        """Commit one attempt with all that belongs to it.

        Raises:
            StoreError: if it cannot be written; then nothing of it is visible.
        """
        commit = new_commit()
        line = attempt_line(commit, record, evaluation, curve)
        written: list[Path] = []
        try:
            if evaluation is not None:
                for write in (write_predictions, write_pictures):
                    written += write(self.path, record.trial_id, record.attempt, commit, evaluation)
            self._files.write(line)
        except StoreError:
            for path in written:
                remove(path)
            raise

    def trials(self) -> pd.DataFrame:
        """Return every attempt with all columns, in the order in which they finished."""
        return self._ordered(Wanted(columns=TRIAL_COLUMNS))

    def attempts(
        self,
        *,
        trial_ids: Collection[str] | None = None,
        config_hashes: Collection[str] | None = None,
        columns: Sequence[str] = TRIAL_COLUMNS,
    ) -> pd.DataFrame:
        """Return the attempts at some trials, or at all trials of some configurations.

        Args:
            trial_ids: None is all.
            config_hashes: None is all.
            columns: those of ``trials()`` that are needed.

        Returns:
            A line per attempt, in the order in which they finished.
        """
        return self._ordered(
            Wanted(
                columns=columns,
                trial_ids=None if trial_ids is None else frozenset(trial_ids),
                config_hashes=None if config_hashes is None else frozenset(config_hashes),
            )
        )

    def next_attempt(self, trial_id: str) -> int:
        """Return the number that the next try at this trial takes."""
        return max(self._of_trials([trial_id])["attempt"].to_pylist(), default=-1) + 1

    def last_attempt(self, trial_id: str, *, evaluation: str | None = None) -> StoredAttempt | None:
        """Return how a trial ended.

        Args:
            trial_id: the trial.
            evaluation: fingerprint of an evaluation; None is any.

        Returns:
            The last finished attempt of this evaluation. If there is none: None where an
            evaluation is given, else the last attempt; None too if there was no attempt.
        """
        lines = self._of_trials([trial_id], *_STORED, "notes_json", "metrics").to_pylist()
        last = _last_finished(lines, evaluation)
        if last is None and evaluation is None:
            last = max(lines, key=_number, default=None)
        if last is None:
            return None
        return StoredAttempt(
            **{name: last[name] for name in _STORED},
            metrics={f"{m['split']}/{m['metric']}": m["value"] for m in last["metrics"]},
            notes=notes_of(trial_id, last["attempt"], last["notes_json"]),
        )

    def num_of_version_1(self) -> int:
        """Count the finished attempts that version 1 of the store wrote.

        They fill no cell: neither the trial ids nor the hashes of today's plans are theirs.
        """
        lines = self._files.read(Wanted(columns=["status"], store_version=version1.VERSION))
        return lines["status"].to_pylist().count("finished")

    def metrics(self, attempts: pd.DataFrame) -> pd.DataFrame:
        """Return the metrics of some lines of ``trials()`` or ``attempts()``, one line each."""
        lines = self._of_attempts(attempts, "evaluator_id", "metrics")
        return nested_frame(lines, "metrics", beside=["evaluator_id"])

    def samples(self, trial_ids: Collection[str], *, split: str, metric: str) -> pd.DataFrame:
        """Return per-sample values of some trials."""
        lines = self._of_trials(trial_ids, "sample_ids", "samples")
        return samples_frame(lines, split=split, metric=metric)

    def curves(self, trial_ids: Collection[str]) -> pd.DataFrame:
        """Return what some trials reported over their epochs."""
        return nested_frame(self._of_trials(trial_ids, "curves"), "curves")

    def threshold_curves(self, attempts: pd.DataFrame) -> pd.DataFrame:
        """Return the threshold curves of some lines of ``trials()`` or ``attempts()``.

        Returns:
            A line per point: ``trial_id``, ``attempt``, ``split``, ``curve``, ``figure``,
            ``says``, ``area_of``, ``unit`` (of the threshold), ``threshold``, ``share``.
        """
        return threshold_curves_frame(self._of_attempts(attempts, "threshold_curves"))

    def without_threshold_curves(self, attempts: pd.DataFrame) -> pd.DataFrame:
        """Return ``trial_id`` and ``attempt`` of those lines that a program wrote which kept none.

        Another evaluation would have them, if it is of an experiment that has any.
        """
        lines = self._of_attempts(attempts, "threshold_curves")
        unknown = lines.filter(lines["threshold_curves"].is_null())
        return unknown.select(["trial_id", "attempt"]).to_pandas()

    def predictions(
        self, trial_id: str, split: str, *, evaluation: str | None = None
    ) -> Predictions | None:
        """Return what a trial's last finished attempt predicted; None if that was not kept.

        Args:
            trial_id: the trial.
            split: the split.
            evaluation: fingerprint of the evaluation that the attempt must be of; None is any.
        """
        found: Predictions | None = self._beside(read_predictions, trial_id, split, evaluation)
        return found

    def pictures(
        self, trial_id: str, split: str, *, evaluation: str | None = None
    ) -> Mapping[str, Mapping[str, bytes]]:
        """Return what a trial's last finished attempt drew: sample → kind → WebP; often nothing.

        Args:
            trial_id: the trial.
            split: the split.
            evaluation: fingerprint of the evaluation that the attempt must be of; None is any.
        """
        found = self._beside(read_pictures, trial_id, split, evaluation)
        return found or {}

    def _beside(
        self, read: Callable[..., Any], trial_id: str, split: str, evaluation: str | None
    ) -> Any:
        """Read what lies beside a trial's last finished attempt; None if it cannot be used."""
        lines = self._of_trials([trial_id], "status", "evaluation_fingerprint").to_pylist()
        last = _last_finished(lines, evaluation)
        if last is None:
            return None
        try:
            return read(self.path, trial_id, last["attempt"], last["commit"], split)
        except UnusableFile as fault:
            self._set_aside.take(fault, [trial_id])
            return None

    # Baselines

    def write_baseline(
        self,
        experiment: str,
        label: str,
        evaluation_fingerprint: str | None,
        evaluation: Evaluation,
        units: Mapping[str, str],
    ) -> None:
        """Keep what was measured without a training, replacing what this evaluation had before.

        Args:
            experiment: the experiment's name.
            label: what is evaluated, for instance ``constant mean pose``.
            evaluation_fingerprint: of the evaluation's code, data and settings; None is kept and
                never read again.
            evaluation: its metrics; samples are not kept.
            units: metric (without its split) → unit.
        """
        beside = {
            "experiment": experiment,
            "label": label,
            "evaluation_fingerprint": evaluation_fingerprint,
            "evaluator_id": evaluation.evaluator_id,
        }
        lines = [{**beside, **line} for line in metric_lines(evaluation, units)]
        place = _place(experiment, evaluation_fingerprint)
        name = f"{place}.{_place(label)}.parquet"
        write_replacing(
            pa.Table.from_pylist(lines, schema=BASELINES), self.path / BASELINES_FOLDER / name
        )

    def baselines(self, experiment: str, evaluation_fingerprint: str) -> pd.DataFrame:
        """Return the baselines of this evaluation, one line per metric."""
        start = baselines_begin_with(experiment, evaluation_fingerprint)
        found = [BASELINES.empty_table()]
        for path in parquet_files(self.path / BASELINES_FOLDER):
            if path.name.startswith(start):
                try:
                    found.append(read_whole(path, BASELINES))
                except UnusableFile as fault:
                    self._set_aside.take(fault)
        return pa.concat_tables(found).to_pandas()

    # Rows of others

    def write_imported(self, row: ImportedRow) -> Path:
        """Keep the scores of somebody's predictions; return the file.

        Raises:
            StoreError: if it cannot be written.
        """
        return self._imported.write(row)

    def remove_imported(self, row: ImportedRow) -> None:
        """Take a row of others out of its table; nothing else is touched.

        Raises:
            StoreError: if its file cannot be removed.
        """
        self._imported.remove(row)

    def imported(self, experiment: str, table: str) -> tuple[ImportedRow, ...]:
        """Return the rows of others that were imported for a table, by label."""
        found = (row for _, row in self._imported.of_table(experiment, table))
        return tuple(sorted(found, key=lambda row: row.label))

    # Plans and code

    def write_plan(self, plan: TablePlan | SearchPlan) -> None:
        """Keep a plan beside the earlier ones, unless the latest says the same.

        Raises:
            StoreError: if it cannot be written.
        """
        self._plans.write(plan)

    def latest_table_plan(
        self, name: str, *, label: str | None = None, device_type: str | None = None
    ) -> TablePlan | None:
        """Return how a table was planned last; None is any label, any device."""
        return self._plans.latest(TablePlan, name, label, device_type)

    def latest_search_plan(
        self, name: str, *, label: str | None = None, device_type: str | None = None
    ) -> SearchPlan | None:
        """Return how a search was planned last; None is any label, any device."""
        return self._plans.latest(SearchPlan, name, label, device_type)

    def table_labels(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return under which label and for which device a table was planned, the latest first."""
        return self._plans.table_labels(name)

    def table_plans(self) -> list[TablePlan]:
        """Return of every table, label and device the latest plan, by name and label."""
        return self._plans.tables()

    def write_code(self, sha256: str, files: Mapping[str, str]) -> None:
        """Keep what a fingerprint was taken of: module → digest."""
        self._code.write(sha256, files)

    def code_files(self, sha256: str) -> dict[str, str] | None:
        """Return what a fingerprint was taken of, or None if that is not known."""
        return self._code.read(sha256)

    def write_patch(self, text: str) -> None:
        """Keep what differed from a commit, as an attempt's ``code_patch`` names it."""
        self._patches.write(text)

    def patch(self, sha256: str) -> str | None:
        """Return what differed from a commit, or None if that is not known."""
        return self._patches.read(sha256)

    # Trackers

    def write_tracked(self, run: TrackedRun) -> None:
        """Keep where a tracker shows an attempt."""
        self._tracked.write(run)

    def tracked(self, trial_ids: Collection[str]) -> list[TrackedRun]:
        """List where trackers show the attempts at some trials."""
        return self._tracked.read(trial_ids)

    # Upkeep

    def compact(self) -> int:
        """Merge recent files into large ones that are quick to read; others may go on meanwhile.

        Returns:
            How many attempts moved; 0 too where another process is at it.

        Raises:
            StoreError: if the disk does not take or give a file.
        """
        return compact(self._files, self._set_aside)

    def compact_if_useful(self) -> int:
        """Compact if there are so many recent files that reading them takes time."""
        return self.compact() if len(self._files.recent()) > _MANY_RECENT else 0

    def remove_leftovers(self, older_than_s: float = _LEFTOVER_AGE_S) -> None:
        """Remove what killed writers left: temporary files, and details without their attempt.

        Predictions and pictures stay where their attempt may lie in a file that cannot be read
        here.

        Args:
            older_than_s: younger files are kept, as their writers may be at work.
        """
        for folder in _FOLDERS:
            remove_older_than(temporary_files(self.path / folder), older_than_s)
        remove_older_than(list(version1.details_without_attempt(self.path)), older_than_s)
        beside = [
            file for folder in (PREDICTIONS, PICTURES) for file in owned_files(self.path / folder)
        ]
        if beside:
            commits = set(self._files.read(Wanted(columns=()))["commit"].to_pylist())
            not_read = self._files.trials_not_read()
            if not_read is None:
                return
            orphans = [
                path
                for path, trial, commit in beside
                if commit not in commits and trial not in not_read
            ]
            remove_older_than(orphans, older_than_s)

    def _of_trials(self, trial_ids: Collection[str], *columns: str) -> pa.Table:
        return self._files.read(Wanted(columns=columns, trial_ids=frozenset(trial_ids)))

    def _of_attempts(self, attempts: pd.DataFrame, *columns: str) -> pa.Table:
        pairs = set(zip(attempts["trial_id"], attempts["attempt"], strict=True))
        return keep_attempts(self._of_trials({name for name, _ in pairs}, *columns), pairs)

    def _ordered(self, wanted: Wanted) -> pd.DataFrame:
        order = ("finished", "trial_id", "attempt")
        whole = replace(wanted, columns=[*wanted.columns, *order])
        frame = self._files.read(whole).to_pandas().sort_values(list(order), ignore_index=True)
        return frame[list(wanted.columns)]


def baselines_begin_with(experiment: str, evaluation_fingerprint: str) -> str:
    """Return how the names of files of this evaluation's baselines begin."""
    return f"{_place(experiment, evaluation_fingerprint)}."


def _last_finished(
    lines: Sequence[Mapping[str, Any]], evaluation: str | None
) -> Mapping[str, Any] | None:
    """Choose a trial's last finished attempt of an evaluation; None is any."""
    wanted = [
        line
        for line in lines
        if line["status"] == "finished" and evaluation in (None, line["evaluation_fingerprint"])
    ]
    return max(wanted, key=_number, default=None)


def _number(line: Mapping[str, Any]) -> int:
    return int(line["attempt"])


def _place(*key: str | None) -> str:
    return hashlib.sha256(canonical_json(key).encode()).hexdigest()[:32]
