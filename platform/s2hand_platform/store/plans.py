"""What was planned, and the code that results are of: kept beside them, small and for good."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import ValidationError

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
        """Keep a plan, unless the latest of its kind, name and label says the same."""
        document = canonical_json(plan.to_plain())
        latest = next(self._latest_first(type(plan), plan.name, plan.label), None)
        if latest is not None and latest["document_json"] == document:
            return
        line = {
            "kind": _KINDS[type(plan)],
            "name": plan.name,
            "label": plan.label,
            "created": datetime.now(UTC),
            "document_json": document,
        }
        stem = f"{_place(type(plan), plan.name)}.{_short_hash(plan.label)}.{new_commit()}"
        write_named(pa.Table.from_pylist([line], schema=PLANS), self._folder, stem)

    def latest(self, kind: type[P], name: str, label: str | None) -> P | None:
        """Return the latest plan of a name that can be read; of any label if it is None."""
        for line in self._latest_first(kind, name, label):
            try:
                return kind.from_plain(json.loads(line["document_json"]))
            except ValidationError as error:
                reason = (
                    f"a plan of other fields than this program knows ({error.error_count()} faults)"
                )
                self._set_aside.take(UnusableFile(line["path"], "foreign", reason))
        return None

    def labels(self, name: str) -> tuple[str, ...]:
        """Return the labels under which a table or search was planned, the latest first."""
        lines = [
            line
            for kind in (TablePlan, SearchPlan)
            for line in self._latest_first(kind, name, None)
        ]
        lines.sort(key=lambda line: line["created"], reverse=True)
        return tuple(dict.fromkeys(line["label"] for line in lines))

    def _latest_first(
        self, kind: type[Plan], name: str, label: str | None
    ) -> Iterator[dict[str, Any]]:
        start = f"{_place(kind, name)}." + ("" if label is None else f"{_short_hash(label)}.")
        paths = [path for path in parquet_files(self._folder) if path.name.startswith(start)]
        for path in sorted(paths, key=lambda path: path.name.split(".")[2], reverse=True):
            try:
                yield {**read_whole(path, PLANS).to_pylist()[0], "path": path}
            except FileNotFoundError:
                continue  # set aside by another process
            except UnusableFile as fault:
                self._set_aside.take(fault)


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


def _place(kind: type[Plan], name: str) -> str:
    return _short_hash(f"{_KINDS[kind]}:{name}")


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
