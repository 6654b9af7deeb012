"""The attempts of a store, wherever they lie: recent files, compacted ones, those of version 1."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from s2hand_platform.errors import StoreError
from s2hand_platform.store import version1
from s2hand_platform.store.files import (
    UnusableFile,
    check_columns,
    check_present,
    conform,
    new_commit,
    parquet_files,
    parquet_names,
    reading,
    remove,
    write_named,
)
from s2hand_platform.store.lines import check_filled, latest_of_each
from s2hand_platform.store.schema import ATTEMPTS, REQUIRED
from s2hand_platform.store.set_aside import SetAsideRoom

RECENT = "attempts"
COMPACTED = "compacted"

_KEYS = ("commit", "trial_id", "attempt", "store_version", "config_hash")
_RECENT_NAME = re.compile(
    r"(?P<trial>[^.]+)\.\d{4,}\.(?P<config>[^.]+)\.[0-9a-f]{32}\.[0-9a-f]{16}\.parquet"
)
_WITH_RANGES = ("trial_id", "store_version")
"""Of these a row group's smallest and largest value say much."""
_CONFIG_LETTERS = 16
_GROUP_LINES = 256
"""Lines in a row group: reading one trial decodes one row group."""
_GROUP_BYTES = 16 << 20
_PATIENCE = 100
"""How often a reader looks again because a compaction moved what it was about to open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which lines and columns of the attempts."""

    columns: Sequence[str]
    trial_ids: frozenset[str] | None = None
    """None: all."""
    config_hashes: frozenset[str] | None = None
    """None: all."""
    store_version: int | None = None
    """The version of the store that wrote them; None: any."""

    def chosen(self) -> Iterator[tuple[str, frozenset[Any] | None]]:
        """Yield the columns to choose by, each with the wanted values; None: all."""
        yield "trial_id", self.trial_ids
        yield "config_hash", self.config_hashes
        version = self.store_version
        yield "store_version", None if version is None else frozenset([version])

    def config_starts(self) -> frozenset[str] | None:
        """Return how the names of files with a wanted configuration go on; None: anyhow."""
        hashes = self.config_hashes
        return None if hashes is None else frozenset(name[:_CONFIG_LETTERS] for name in hashes)

    def partitions(self) -> frozenset[str] | None:
        """Return the partitions of the compacted files with a wanted trial; None: all."""
        names = self.trial_ids
        return None if names is None else frozenset(map(partition_of, names))


def partition_of(trial_id: str) -> str:
    """Return the part of the compacted files that a trial belongs to."""
    return trial_id[0]


class AttemptFiles:
    """Finds and reads attempts.

    Readers list recent files before compacted ones, compaction writes before it removes: an attempt
    is always met at least once, and of one that is met twice the later line is taken. So readers
    need no lock, and it does not matter where a compaction is or was killed.
    """

    def __init__(self, store: Path, set_aside: SetAsideRoom) -> None:
        self.store = store
        self._set_aside = set_aside

    def write(self, line: pa.Table) -> None:
        """Write one attempt."""
        trial, attempt, config, commit = (
            line[name][0].as_py() for name in ("trial_id", "attempt", "config_hash", "commit")
        )
        stem = f"{trial}.{attempt:04d}.{config[:_CONFIG_LETTERS]}.{commit}"
        write_named(line, self.store / RECENT, stem)

    def write_compacted(self, lines: pa.Table, partition: str) -> Path:
        """Write the lines of one partition, sorted by trial, in row groups of a bounded size.

        Returns:
            The path.

        Raises:
            StoreError: if they cannot be written, or are not on the disk as they should be.
        """
        lines = lines.sort_by([("trial_id", "ascending"), ("attempt", "ascending")])
        bytes_each = max(lines.nbytes // max(len(lines), 1), 1)
        path = write_named(
            conform(lines, ATTEMPTS),
            self.store / COMPACTED,
            f"{partition}.{new_commit()}",
            row_group_size=min(max(_GROUP_BYTES // bytes_each, 1), _GROUP_LINES),
        )
        # What was merged is removed next: nothing but the file itself is taken for proof.
        try:
            back, fault = self.read_whole(path)
        except UnusableFile as error:
            back, fault = ATTEMPTS.empty_table(), error
        if fault is not None or back["commit"] != lines["commit"]:
            remove(path)
            raise StoreError(f"{path} did not come back as it was written; check the disk")
        return path

    def read(self, wanted: Wanted) -> pa.Table:
        """Read lines, each attempt once, in no particular order.

        What cannot be used is set aside.

        Raises:
            StoreError: if the disk does not give a file.
        """
        for _ in range(_PATIENCE):
            try:
                parts = [self._read_file(path, wanted) for path in self._files(wanted)]
            except FileNotFoundError:  # compacted, or set aside, between listing and opening
                continue
            schema = pa.schema([ATTEMPTS.field(name) for name in _with_keys(wanted.columns)])
            return latest_of_each(pa.concat_tables([schema.empty_table(), *parts]))
        raise StoreError(
            f"files of the result store in {self.store} vanish faster than they can be read; "
            "is something else removing them?"
        )

    def recent(self) -> list[Path]:
        """List the files of one attempt each, of this version and of version 1."""
        return [*version1.attempt_files(self.store), *parquet_files(self.store / RECENT)]

    def compacted(self) -> list[Path]:
        """List the compacted files.

        A listing may miss a file that comes and one that goes while it is made; one that is equal
        to the listing before it has missed nothing.
        """
        before = None
        while (files := parquet_files(self.store / COMPACTED)) != before:
            before = files
        return files

    def read_whole(self, path: Path) -> tuple[pa.Table, UnusableFile | None]:
        """Read a file for compaction: its good lines, every byte checked, and what is wrong.

        Raises:
            FileNotFoundError: if it is gone.
            StoreError: if the disk does not give it.
        """
        if self.is_version1(path):
            return version1.read_attempt(path), None
        lines, fault = read_lines(path, Wanted(columns=ATTEMPTS.names), whole=True)
        if path.parent.name == RECENT:
            _check_name(path, lines)
        return lines.select(ATTEMPTS.names), fault

    def trials_not_read(self) -> frozenset[str] | None:
        """Return the trials with attempts in files that were passed over or set aside.

        None: there are such files of which it is not known whose attempts they hold.
        """
        held = [
            named_trials(path)
            for path in self._set_aside.passed_over
            if path.parent.name in (RECENT, COMPACTED)
        ]
        held += [
            entry.trial_ids
            for entry in self._set_aside.entries()
            if entry.path.startswith((f"{RECENT}/", f"{COMPACTED}/"))
        ]
        return frozenset(chain.from_iterable(held)) if all(held) else None

    def is_version1(self, path: Path) -> bool:
        """Say whether a file is one of version 1."""
        return path.parent.name == version1.TRIALS

    def _files(self, wanted: Wanted) -> list[Path]:
        # Recent files first: what a compaction moves meanwhile is then among the compacted ones.
        version1_names = parquet_names(self.store / version1.TRIALS)
        recent_names = parquet_names(self.store / RECENT)
        compacted, partitions = self.compacted(), wanted.partitions()
        trials, starts = wanted.trial_ids, wanted.config_starts()
        if wanted.store_version == version1.VERSION:
            recent_names = []  # version 1 had no such files
        return [
            *(
                self.store / version1.TRIALS / name
                for name in version1_names
                if trials is None or version1.trial_of(name) in trials
            ),
            *(
                self.store / RECENT / name
                for name in recent_names
                if _by_name(name, trials, starts)
            ),
            *(
                path
                for path in compacted
                if partitions is None or partition_of_file(path) in partitions
            ),
        ]

    def _read_file(self, path: Path, wanted: Wanted) -> pa.Table:
        names = _with_keys(wanted.columns)
        try:
            if self.is_version1(path):
                return _filter(version1.read_attempt(path).select(names), wanted)
            if path.parent.name == RECENT:
                return self._read_recent(path, wanted)
            lines, fault = read_lines(path, wanted)
        except UnusableFile as error:
            lines, fault = ATTEMPTS.empty_table().select(names), error
        if fault is not None:
            self._part_with(fault)
        return lines

    def _read_recent(self, path: Path, wanted: Wanted) -> pa.Table:
        lines, _ = read_lines(path, Wanted(columns=wanted.columns))
        _check_name(path, lines)
        return _filter(lines, wanted)

    def _part_with(self, fault: UnusableFile) -> None:
        """Set a file aside; what is good of a compacted one is written anew before.

        Raises:
            FileNotFoundError: if it was written anew.
        """
        path = fault.path
        if path.parent.name != COMPACTED or fault.fault != "damaged":
            self._set_aside.take(fault, named_trials(path))
            return
        try:
            lines, _ = self.read_whole(path)
        except UnusableFile:
            lines = ATTEMPTS.empty_table()
        if not len(lines):
            self._set_aside.take(fault, lost_trials(path, lines))
            return
        try:
            anew = self.write_compacted(lines, partition_of_file(path))
        except StoreError:  # this process may not write here
            self._set_aside.pass_over(fault)
            return
        if self._set_aside.take(fault, lost_trials(path, lines)):
            raise FileNotFoundError(path)
        remove(anew)


def partition_of_file(path: Path) -> str:
    """Return the partition of a compacted file."""
    return path.name.partition(".")[0]


def named_trials(path: Path) -> tuple[str, ...]:
    """Return the trial that the file of one attempt is named by."""
    if path.parent.name == version1.TRIALS:
        trial = version1.trial_of(path.name)
        return (trial,) if trial else ()
    name = _RECENT_NAME.fullmatch(path.name)
    return (name["trial"],) if name else ()


def _check_name(path: Path, lines: pa.Table) -> None:
    if list(named_trials(path)) != lines["trial_id"].to_pylist():
        raise UnusableFile(path, "foreign", "must hold the one attempt that it is named by")


def _by_name(
    name: str, trial_ids: frozenset[str] | None, config_starts: frozenset[str] | None
) -> bool:
    """Say whether a recent file may have wanted lines; what is named otherwise is looked into."""
    match name.split("."):
        case [trial, _, config, _, _, _]:
            return (trial_ids is None or trial in trial_ids) and (
                config_starts is None or config in config_starts
            )
    return True


def lost_trials(path: Path, good: pa.Table) -> set[str]:
    """Return the trials of which a damaged compacted file has lost lines."""
    try:
        with reading(path, checked="none") as file:
            held = file.read(columns=["trial_id"])["trial_id"].to_pylist()
    except (UnusableFile, FileNotFoundError):
        return set()
    return set(Counter(held) - Counter(good["trial_id"].to_pylist()))


def read_lines(
    path: Path, wanted: Wanted, *, whole: bool = False
) -> tuple[pa.Table, UnusableFile | None]:
    """Read the wanted lines of a file of this version.

    Args:
        path: a recent or compacted file.
        wanted: which lines and columns.
        whole: check all bytes of the file.

    Returns:
        The lines, and what is wrong with the file if it is damaged: then they are those of the
        row groups that are not.

    Raises:
        FileNotFoundError: if it is gone.
        UnusableFile: if nothing of it can be used.
        StoreError: if the disk does not give it.
    """
    try:
        with reading(path, checked="all" if whole else "small") as file:
            return _lines_of(path, file, _groups(file, wanted), wanted), None
    except UnusableFile as fault:
        if fault.fault != "damaged" or path.parent.name != COMPACTED:
            raise
        return _undamaged_lines(path, wanted), fault


def _undamaged_lines(path: Path, wanted: Wanted) -> pa.Table:
    with reading(path, checked="none") as file:
        groups = range(file.num_row_groups)
    parts = [ATTEMPTS.empty_table().select(_with_keys(wanted.columns))]
    for group in groups:
        try:
            with reading(path, checked="none") as file:
                parts.append(_lines_of(path, file, [group], wanted))
        except UnusableFile:
            continue
    return pa.concat_tables(parts)


def _lines_of(path: Path, file: pq.ParquetFile, groups: Sequence[int], wanted: Wanted) -> pa.Table:
    found = file.schema_arrow
    names = _with_keys(wanted.columns)
    check_columns(path, found, ATTEMPTS)
    check_present(path, found.names, REQUIRED)
    if wanted.config_hashes is not None:
        groups = _with_config(file, groups, wanted.config_hashes)
    lines = file.read_row_groups(groups, columns=[name for name in names if name in found.names])
    schema = pa.schema([ATTEMPTS.field(name) for name in names])
    lines = conform(lines, schema)
    check_filled(path, lines)
    return _filter(lines, wanted)


def _groups(file: pq.ParquetFile, wanted: Wanted) -> list[int]:
    """Choose the row groups whose ranges of trials and of versions hold a wanted one."""
    groups = list(range(file.num_row_groups))
    for column, values in wanted.chosen():
        if column in _WITH_RANGES and values is not None:
            ordered = sorted(values)
            groups = [
                group
                for group in groups
                if _may_hold(file.metadata.row_group(group), column, ordered)
            ]
    return groups


def _may_hold(group: pq.RowGroupMetaData, name: str, values: Sequence[Any]) -> bool:
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema == name:
            statistics = column.statistics
            if statistics is None or not statistics.has_min_max:
                return True
            first = bisect_left(values, statistics.min)
            return first < len(values) and values[first] <= statistics.max
    return True


def _with_config(file: pq.ParquetFile, groups: Sequence[int], hashes: Collection[str]) -> list[int]:
    """Keep the row groups that hold one of the configurations."""
    if not groups:
        return []
    column = file.read_row_groups(groups, columns=["config_hash"])["config_hash"]
    chosen = pa.array(sorted(hashes), pa.string())
    held = pc.is_in(column, value_set=chosen).to_numpy()
    lengths = [file.metadata.row_group(group).num_rows for group in groups]
    parts = np.split(held, np.cumsum(lengths)[:-1])
    return [group for group, part in zip(groups, parts, strict=True) if part.any()]


def _filter(lines: pa.Table, wanted: Wanted) -> pa.Table:
    for column, values in wanted.chosen():
        if values is not None:
            chosen = pa.array(sorted(values), ATTEMPTS.field(column).type)
            lines = lines.filter(pc.is_in(lines[column], value_set=chosen))
    return lines


def _with_keys(columns: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*_KEYS, *columns]))
