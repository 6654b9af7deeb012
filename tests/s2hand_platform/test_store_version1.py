from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import version1_store

from s2hand_platform.store import version1
from s2hand_platform.store.measured import measured_attempts
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.schema import ATTEMPTS

A, B = "a" * 64, "b" * 64


@pytest.fixture(params=["as they are", "compacted"])
def settle(request: pytest.FixtureRequest, store: ResultStore) -> Callable[[], None]:
    def settle() -> None:
        if request.param == "compacted":
            store.compact()
            for folder in version1_store.SCHEMAS:
                assert not list(store.path.glob(f"{folder}/*.parquet"))

    return settle


def test_old_results_are_read_and_marked(store: ResultStore, settle: Callable[[], None]) -> None:
    version1_store.write_attempt(store.path, A, status="failed")
    version1_store.write_attempt(store.path, A, attempt=1, error=2.5)
    settle()
    trials = store.trials()
    assert trials["store_version"].tolist() == [1, 1]
    assert trials["status"].tolist() == ["failed", "finished"]
    assert trials["code_fingerprint"].tolist() == ["e" * 64] * 2
    for column in ("evaluation_fingerprint", "device_type", "training_s", "stages_json"):
        assert trials[column].isna().all()
    assert trials["started"].iloc[0].to_pydatetime() == version1_store.STARTED

    metrics = store.metrics(trials)
    assert metrics[["metric", "value", "unit", "evaluator_id"]].to_numpy().tolist() == [
        ["error", 2.5, "cm", "tiny-0"]
    ]
    for metric in ("error", "other"):
        samples = store.samples([A], split="test", metric=metric)
        assert samples["sample_id"].tolist() == ["x0", "x1", "x2"]
        assert samples["value"].tolist() == [2.5, 3.5, 4.5]
    assert store.curves([A])["epoch"].tolist() == [0, 1]
    assert store.threshold_curves(trials).empty
    assert store.without_threshold_curves(trials)["attempt"].tolist() == [0, 1]
    assert store.next_attempt(A) == 2
    last = store.last_attempt(A)
    assert last is not None
    assert (last.attempt, last.status, last.metrics) == (1, "finished", {"test/error": 2.5})
    assert store.predictions(A, "test") is None
    assert store.remarks == ()


def test_an_old_attempt_becomes_a_line_like_others(store: ResultStore) -> None:
    version1_store.write_attempt(store.path, A, error=2.5)
    (path,) = store.path.glob("trials/*")
    (line,) = version1.read_attempt(path).to_pylist()
    assert line == {
        **dict.fromkeys(ATTEMPTS.names),
        "commit": b"2.5".hex().ljust(32, "0"),
        "trial_id": A,
        "attempt": 0,
        "store_version": 1,
        "experiment": "tiny",
        "config_json": '{"epochs":4}',
        "config_hash": "c" * 64,
        "seed": 3,
        "data_fingerprint": "d" * 64,
        "code_fingerprint": "e" * 64,
        "status": "finished",
        "reason": "",
        "environment_kind": "cpu",
        "environment_json": "{}",
        "started": version1_store.STARTED,
        "finished": version1_store.STARTED + timedelta(seconds=60),
        "duration_s": 60.0,
        "evaluator_id": "tiny-0",
        "notes_json": "{}",
        "metrics": [{"split": "test", "metric": "error", "value": 2.5, "unit": "cm"}],
        "curves": [{"epoch": epoch, "metric": "loss", "value": 1.0} for epoch in (0, 1)],
        "sample_ids": [{"split": "test", "sample_ids": ["x0", "x1", "x2"]}],
        "samples": [
            {"split": "test", "metric": metric, "unit": "cm", "values": [2.5, 3.5, 4.5]}
            for metric in ("error", "other")
        ],
    }


@pytest.mark.parametrize("fault", ["another's name", "two lines", "no commit", "no reason"])
def test_an_old_file_that_is_no_attempt_is_set_aside(store: ResultStore, fault: str) -> None:
    version1_store.write_attempt(store.path, A, status="failed")
    (path,) = store.path.glob("trials/*")
    table = pq.read_table(path)
    (line,) = table.to_pylist()
    lines = {
        "another's name": [{**line, "trial_id": B}],
        "two lines": [line, line],
        "no commit": [{**line, "commit": ""}],
        "no reason": [{**line, "reason": None}],
    }[fault]
    pq.write_table(pa.Table.from_pylist(lines, schema=table.schema), path)
    assert store.trials().empty
    (entry,) = store.set_aside()
    assert entry.trial_ids == (A,)
    assert entry.reason == (
        "column 'reason' must have a value in every line"
        if fault == "no reason"
        else "must hold the one attempt that it is named by"
    )


def test_an_old_result_does_not_count_as_measured(
    store: ResultStore, settle: Callable[[], None]
) -> None:
    version1_store.write_attempt(store.path, A)
    settle()
    assert measured_attempts(store.attempts(), "f" * 64).empty


def test_old_results_are_counted(
    store: ResultStore, settle: Callable[[], None], make_record: Any, make_evaluation: Any
) -> None:
    assert store.num_of_version_1() == 0
    version1_store.write_attempt(store.path, A, status="failed")
    version1_store.write_attempt(store.path, A, attempt=1)
    version1_store.write_attempt(store.path, B)
    for trial in (A, "c" * 64):
        store.write_attempt(make_record(trial, attempt=2), make_evaluation())
    settle()
    assert store.num_of_version_1() == 2
    assert store.remarks == ()


def test_old_and_new_attempts_stand_together(
    store: ResultStore, settle: Callable[[], None], make_record: Any, make_evaluation: Any
) -> None:
    version1_store.write_attempt(store.path, A, error=1.0)
    version1_store.write_attempt(store.path, B, error=2.0)
    store.write_attempt(make_record(A, attempt=1), make_evaluation(3.0))
    settle()
    assert len(store.attempts(config_hashes=["c" * 64])) == 3
    assert store.attempts(trial_ids=[A])["store_version"].tolist() == [1, 2]
    assert store.attempts(trial_ids=[B])["store_version"].tolist() == [1]


def test_of_an_attempt_in_both_versions_the_new_one_is_taken(
    store: ResultStore, settle: Callable[[], None], make_record: Any, make_evaluation: Any
) -> None:
    version1_store.write_attempt(store.path, A, error=1.0)
    store.write_attempt(make_record(A), make_evaluation(3.0))
    settle()
    assert store.trials()["store_version"].tolist() == [2]
    assert store.last_attempt(A).metrics["test/error"] == 3.0  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["metrics", "samples", "curves", "trials"])
def test_a_damaged_file_takes_the_whole_attempt_with_it(store: ResultStore, name: str) -> None:
    version1_store.write_attempt(store.path, A)
    version1_store.write_attempt(store.path, B)
    path = next(store.path.glob(f"{name}/{A}*"))
    path.write_bytes(path.read_bytes()[:-20])
    assert store.trials()["trial_id"].tolist() == [B]
    assert path.name in store.remarks[0]
    assert store.last_attempt(A) is None
    assert store.next_attempt(A) == 0
    (entry,) = store.set_aside()
    assert entry.trial_ids == (A,)
    assert len(list(store.path.glob("set-aside/*.parquet"))) == 1


def test_a_finished_attempt_whose_metrics_are_gone_does_not_count(store: ResultStore) -> None:
    version1_store.write_attempt(store.path, A)
    next(store.path.glob("metrics/*")).unlink()
    assert store.last_attempt(A) is None
    assert "the file of its metrics is gone" in store.remarks[0]


def test_details_without_an_attempt_are_cleared(store: ResultStore) -> None:
    for trial in (A, B):
        version1_store.write_attempt(store.path, trial)
    next(store.path.glob(f"trials/{B}*")).unlink()
    foreign = store.path / "metrics" / "notes.parquet"
    foreign.touch()
    store.remove_leftovers(older_than_s=-1)
    assert foreign.exists()
    foreign.unlink()
    for trial in (A, B):
        version1_store.write_attempt(store.path, trial)
    next(store.path.glob(f"trials/{B}*")).unlink()
    store.remove_leftovers()
    assert len(list(store.path.glob("metrics/*"))) == 2
    store.remove_leftovers(older_than_s=-1)
    assert len(list(store.path.glob("metrics/*"))) == 1
    assert store.last_attempt(A) is not None


@pytest.mark.parametrize("name", ["metrics", "samples", "curves"])
def test_a_reader_that_a_compaction_overtakes_looks_again(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    version1_store.write_attempt(store.path, A, error=2.5)
    read = version1.read_whole
    moved = []

    def compacted_then_read(path: Path, schema: pa.Schema) -> pa.Table:
        if path.parent.name == name and not moved:
            moved.append(0)
            moved[0] = ResultStore(store.path).compact()
        return read(path, schema)

    monkeypatch.setattr(version1, "read_whole", compacted_then_read)
    assert store.metrics(store.trials())["value"].tolist() == [2.5]
    assert len(store.samples([A], split="test", metric="error")) == 3
    assert moved == [1]
    assert store.remarks == ()
