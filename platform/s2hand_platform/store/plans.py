"""What was planned, and the code that results are of: kept beside them, small and for good."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from s2hand_platform.identity import canonical_json
from s2hand_platform.store.files import (
    UnusableFile,
    new_commit,
    parquet_files,
    read_whole,
    write_named,
    write_replacing,
)
from s2hand_platform.store.schema import CODE, PLANS
from s2hand_platform.store.set_aside import SetAsideRoom
from s2hand_platform.store.table_plan import SearchPlan, TablePlan

PLANS_FOLDER = "plans"
CODE_FOLDER = "code"

Plan = TablePlan | SearchPlan
P = TypeVar("P", TablePlan, SearchPlan)
_KINDS: dict[type[Plan], str] = {TablePlan: "table", SearchPlan: "search"}


class PlanFiles:
    """Every plan that was made: a file each, named so that one name's plans are found by name."""

    def __init__(self, store: Path, set_aside: SetAsideRoom) -> None:
        self._folder = store / PLANS_FOLDER
        self._set_aside = set_aside

    def write(self, plan: Plan) -> None:
        """Keep a plan, unless the latest of its kind, name, label and device says the same."""
        kind, place = type(plan), (plan.label, plan.device_type)
        document = canonical_json(plan.to_plain())
        latest = next(self._latest_first(kind, plan.name, *place), None)
        if latest is not None and latest["document_json"] == document:
            return
        line = {
            "kind": _KINDS[kind],
            "name": plan.name,
            "label": plan.label,
            "device_type": plan.device_type,
            "created": datetime.now(UTC),
            "document_json": document,
        }
        stem = ".".join([_place(kind, plan.name), *map(_short_hash, place), new_commit()])
        write_named(pa.Table.from_pylist([line], schema=PLANS), self._folder, stem)

    def latest(
        self, kind: type[P], name: str, label: str | None, device_type: str | None
    ) -> P | None:
        """Return the latest plan of a name that can be read; None is any label, any device."""
        for line in self._latest_first(kind, name, label, device_type):
            plan = self._parse(kind, line)
            if plan is not None:
                return plan
        return None

    def table_labels(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return label and device type of each plan of a table, the latest first."""
        found: dict[tuple[str, str], None] = {}
        for line in self._latest_first(TablePlan, name, None, None):
            key = (line["label"], line["device_type"])
            if key not in found and self._parse(TablePlan, line) is not None:
                found[key] = None
        return tuple(found)

    def tables(self) -> list[TablePlan]:
        """Return the latest plan of every table, label and device that can be read."""
        by_place: dict[tuple[str, ...], list[Path]] = {}
        paths = [path for path in parquet_files(self._folder) if path.match("*.*.*.*.*.parquet")]
        for path in sorted(paths, key=_commit_of, reverse=True):
            by_place.setdefault(tuple(path.name.split(".")[:3]), []).append(path)
        found = (self._latest_table(paths) for paths in by_place.values())
        return sorted(filter(None, found), key=lambda plan: (plan.name, plan.label))

    def _latest_table(self, latest_first: list[Path]) -> TablePlan | None:
        for line in self._lines(latest_first):
            if line["kind"] != _KINDS[TablePlan]:
                return None
            plan = self._parse(TablePlan, line)
            if plan is not None:
                return plan
        return None

    def _parse(self, kind: type[P], line: Mapping[str, Any]) -> P | None:
        """Read a plan; one that this program cannot read stays where it is, and is told."""
        try:
            document = json.loads(line["document_json"])
            plan = kind.from_plain(document)
            if _says_all_of(document, json.loads(json.dumps(plan.to_plain()))):
                return plan
        except (ValueError, RecursionError):  # pydantic's is a ValueError
            pass
        reason = "a plan of other fields than this program knows"
        self._set_aside.pass_over(UnusableFile(line["path"], "foreign", reason))
        return None

    def _latest_first(
        self, kind: type[Plan], name: str, label: str | None, device_type: str | None
    ) -> Iterator[dict[str, Any]]:
        wanted = [_short_hash(part) if part is not None else "*" for part in (label, device_type)]
        pattern = f"{'.'.join([_place(kind, name), *wanted])}.*.*.parquet"
        paths = [path for path in parquet_files(self._folder) if path.match(pattern)]
        return self._lines(sorted(paths, key=_commit_of, reverse=True))

    def _lines(self, paths: list[Path]) -> Iterator[dict[str, Any]]:
        for path in paths:
            try:
                yield {**_only_line(path), "path": path}
            except FileNotFoundError:
                continue  # set aside by another process
            except UnusableFile as fault:
                self._set_aside.take(fault)


def _says_all_of(document: Any, read: Any) -> bool:
    """Say whether nothing of a document was lost when it was read; what it lacks has a default."""
    if isinstance(document, dict) and isinstance(read, dict):
        return all(key in read and _says_all_of(document[key], read[key]) for key in document)
    if isinstance(document, list) and isinstance(read, list):
        return len(document) == len(read) and all(map(_says_all_of, document, read))
    return bool(document == read)


class CodeFiles:
    """What fingerprints were taken of: module → digest."""

    def __init__(self, store: Path, set_aside: SetAsideRoom) -> None:
        self._folder = store / CODE_FOLDER
        self._set_aside = set_aside

    def write(self, sha256: str, files: Mapping[str, str]) -> None:
        """Keep the digests behind a fingerprint, unless they are here."""
        if self.read(sha256) is not None:
            return
        columns = {
            "fingerprint": [sha256] * len(files),
            "module": list(files),
            "sha256": list(files.values()),
        }
        write_replacing(pa.table(columns, schema=CODE), self._path(sha256))

    def read(self, sha256: str) -> dict[str, str] | None:
        """Return the digests behind a fingerprint, or None if they are not known."""
        path = self._path(sha256)
        try:
            lines = read_whole(path, CODE)
        except FileNotFoundError:
            return None
        except UnusableFile as fault:
            self._set_aside.take(fault)
            return None
        return dict(zip(lines["module"].to_pylist(), lines["sha256"].to_pylist(), strict=True))

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.parquet"


def _only_line(path: Path) -> dict[str, Any]:
    lines = read_whole(path, PLANS)
    if len(lines) != 1 or any(column.null_count for column in lines.columns):
        raise UnusableFile(path, "foreign", "must hold one plan")
    return lines.to_pylist()[0]


def _commit_of(path: Path) -> str:
    return path.name.split(".")[3]


def _place(kind: type[Plan], name: str) -> str:
    return _short_hash(f"{_KINDS[kind]}:{name}")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
