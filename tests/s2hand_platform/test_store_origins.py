import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s2hand_platform.revision import Revision
from s2hand_platform.store.files import write_named
from s2hand_platform.store.records import TrackedRun
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.schema import PATCHES, TRACKED

PATCH = "untracked: notes\ndiff --git a/x b/x\n-1\n+2\n"
SHA256 = hashlib.sha256(PATCH.encode()).hexdigest()
DIRTY = Revision(commit="c" * 40, state="dirty", patch=SHA256)
RUN = TrackedRun(
    trial_id="a" * 64, attempt=0, tracker="", group="table4", name="quaternion", run_id="1f"
)
NEW_COLUMNS = ["code_commit", "code_state", "code_patch"]


def files(store: ResultStore, folder: str) -> list[Path]:
    return sorted((store.path / folder).glob("*.parquet"))


def test_an_attempt_tells_the_revision_of_its_code(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    store.write_attempt(make_record("a" * 64, revision=DIRTY), make_evaluation())
    store.write_attempt(make_record("b" * 64))
    store.compact()
    found = store.attempts(columns=["trial_id", *NEW_COLUMNS]).set_index("trial_id")
    assert found.loc["a" * 64].tolist() == ["c" * 40, "dirty", SHA256]
    assert found.loc["b" * 64, "code_state"] == "unknown"
    assert pd.isna(found.loc["b" * 64, ["code_commit", "code_patch"]]).all()


def test_attempts_of_before_are_read_and_compacted(store: ResultStore, make_record: Any) -> None:
    store.write_attempt(make_record("a" * 64, revision=DIRTY))
    (path,) = files(store, "attempts")
    before = pq.read_table(path).drop_columns(NEW_COLUMNS)
    path.unlink()
    write_named(before, path.parent, path.name.rsplit(".", 2)[0])
    store.write_attempt(make_record("b" * 64, revision=DIRTY))
    for _ in range(2):
        found = store.attempts(columns=["trial_id", *NEW_COLUMNS]).set_index("trial_id")
        assert pd.isna(found.loc["a" * 64]).all()
        assert found.loc["b" * 64, "code_commit"] == "c" * 40
        store.compact()
    assert store.remarks == ()


def test_a_patch_is_kept_once(store: ResultStore) -> None:
    store.write_patch(PATCH)
    (path,) = files(store, "patches")
    written = path.stat().st_mtime_ns
    store.write_patch(PATCH)
    assert path.stat().st_mtime_ns == written
    assert store.patch(SHA256) == PATCH
    assert store.patch("0" * 64) is None


@pytest.mark.parametrize("content", [b"PAR1 no more", "another text", "no text"])
def test_a_patch_that_is_not_what_its_name_says(store: ResultStore, content: bytes | str) -> None:
    store.write_patch(PATCH)
    (path,) = files(store, "patches")
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        lines = [] if content == "no text" else [{"sha256": SHA256, "text": content}]
        pq.write_table(pa.Table.from_pylist(lines, schema=PATCHES), path)
    assert store.patch(SHA256) is None
    assert str(path) in store.remarks[0]
    store.write_patch(PATCH)
    assert store.patch(SHA256) == PATCH


def test_runs_of_trackers_are_added_and_never_changed(store: ResultStore) -> None:
    again = replace(RUN, run_id="2f")
    other = replace(RUN, trial_id="b" * 64)
    for run in (RUN, again, other):
        store.write_tracked(run)
    written = [path.stat().st_mtime_ns for path in files(store, "tracked")]
    store.write_tracked(RUN)
    assert [path.stat().st_mtime_ns for path in files(store, "tracked")] == written
    assert len(files(store, "tracked")) == 3
    assert sorted(run.run_id for run in store.tracked(["a" * 64])) == ["1f", "2f"]
    assert store.tracked(["b" * 64]) == [other]
    assert store.tracked(["c" * 64]) == []


@pytest.mark.parametrize("content", [b"PAR1 no more", "a null"])
def test_a_run_that_cannot_be_read_is_set_aside(store: ResultStore, content: bytes | str) -> None:
    store.write_tracked(RUN)
    (path,) = files(store, "tracked")
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(pa.Table.from_pylist([{"trial_id": "a" * 64}], schema=TRACKED), path)
    assert store.tracked(["a" * 64]) == []
    assert str(path) in store.remarks[0]
    store.write_tracked(RUN)
    assert store.tracked(["a" * 64]) == [RUN]
