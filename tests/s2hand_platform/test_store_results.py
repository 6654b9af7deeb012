import errno
import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from s2hand_platform.errors import StoreError
from s2hand_platform.store import files
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.schema import SCHEMAS, VERSION_KEY

CURVE = [(0, {"loss": 2.0}), (1, {"loss": 1.0, "rate": 0.1})]


def test_an_empty_store_has_all_columns_and_no_lines(store: ResultStore) -> None:
    assert list(store.trials().columns) == SCHEMAS["trials"].names
    assert len(store.metrics()) == 0
    assert not store.finished("a" * 64)
    assert store.next_attempt("a" * 64) == 0
    assert not store.path.exists()


def test_an_attempt_comes_back_whole(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    record = make_record(config={"weights": (0.1, 2)}, seed=7)
    store.write_attempt(record, make_evaluation(1.25, notes={"shared": "yes"}), CURVE)

    trial = store.trials().iloc[0]
    assert json.loads(trial["config_json"]) == {"weights": [0.1, 2]}
    assert (trial["seed"], trial["duration_s"], trial["evaluator_id"]) == (7, 90.0, "tiny-1")
    assert trial["environment_kind"] == "cpu, python 3.11, float64"
    assert trial["started"].tz is not None
    assert trial["started"].to_pydatetime().astimezone(UTC) == record.started
    assert json.loads(trial["notes_json"]) == {"shared": "yes"}

    metrics = store.metrics().set_index(["split", "metric"])
    assert metrics.loc[("test", "error"), "value"] == 1.25
    assert metrics.loc[("test", "error"), "unit"] == "cm"
    samples = store.samples([record.trial_id], split="test", metric="error")
    assert dict(zip(samples["sample_id"], samples["value"], strict=True)) == {
        "x0": 0.75,
        "x1": 1.75,
    }
    curves = store.curves([record.trial_id])
    assert [tuple(line) for line in curves[["epoch", "metric", "value"]].to_numpy()] == [
        (0, "loss", 2.0),
        (1, "loss", 1.0),
        (1, "rate", 0.1),
    ]
    assert store.finished(record.trial_id)
    assert store.next_attempt(record.trial_id) == 1
    assert store.seeds_of(record.config_hash) == (7,)


def test_a_failed_attempt_is_kept_and_is_not_finished(store: ResultStore, make_record: Any) -> None:
    store.write_attempt(make_record(status="failed", reason="loss became NaN"))
    assert not store.finished("a" * 64)
    assert store.next_attempt("a" * 64) == 1
    assert store.trials()["reason"].tolist() == ["loss became NaN"]
    assert store.seeds_of("c" * 64) == ()


def test_the_same_attempt_twice_is_there_once(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    for error in (1.0, 2.0):
        store.write_attempt(make_record(), make_evaluation(error), CURVE)
    assert len(store.trials()) == 1
    metrics = store.metrics()
    assert metrics.loc[metrics["metric"] == "error", "value"].tolist() == [2.0]
    assert len(store.samples(["a" * 64], split="test", metric="error")) == 2
    assert len(store.curves(["a" * 64])) == 3


def test_attempts_and_trials_are_kept_apart(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    store.write_attempt(make_record(status="failed"))
    store.write_attempt(make_record(attempt=1), make_evaluation(1.0))
    store.write_attempt(make_record("b" * 64, seed=1), make_evaluation(2.0))
    assert len(store.trials()) == 3
    assert store.seeds_of("c" * 64) == (0, 1)
    samples = store.samples(["b" * 64], split="test", metric="error")
    assert samples["value"].tolist() == [1.5, 2.5]
    assert set(samples["trial_id"]) == {"b" * 64}


def test_details_without_a_trial_are_not_seen_and_are_cleared(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    store.write_attempt(make_record(), make_evaluation(1.0), CURVE)
    store.write_attempt(make_record("b" * 64), make_evaluation(2.0))
    next(store.path.glob(f"trials/{'b' * 64}*")).unlink()
    (store.path / "metrics" / ".writing-1").write_bytes(b"half")
    assert set(store.metrics()["trial_id"]) == {"a" * 64}

    store.remove_leftovers()
    assert len(list(store.path.glob("metrics/*"))) == 3
    store.remove_leftovers(older_than_s=-1)
    assert len(list(store.path.glob("metrics/*"))) == 1
    assert len(store.metrics()) == 2
    assert len(store.curves(["a" * 64])) == 3


def test_units_and_version_stand_in_the_files(store: ResultStore, make_record: Any) -> None:
    store.write_attempt(make_record())
    schema = pq.read_schema(next(store.path.glob("trials/*.parquet")))
    assert schema.field("duration_s").metadata[b"unit"] == b"s"
    assert schema.metadata[VERSION_KEY] == b"1"


def test_a_newer_store_is_refused(store: ResultStore, make_record: Any) -> None:
    store.write_attempt(make_record())
    path = next(store.path.glob("trials/*.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: b"2"}), path)
    with pytest.raises(StoreError, match=r"written by version 2 .* up to version 1; upgrade"):
        store.trials()


def test_a_damaged_file_is_named(store: ResultStore, make_record: Any) -> None:
    store.write_attempt(make_record())
    path = next(store.path.glob("trials/*.parquet"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match=f"{path} must be a Parquet file.*run again"):
        store.trials()


@pytest.mark.parametrize("failing", ["samples", "curves", "metrics", "trials"])
def test_a_full_disk_leaves_nothing(
    store: ResultStore,
    make_record: Any,
    make_evaluation: Any,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    write = files.pq.write_table

    def fill(table: Any, file: Any, **settings: Any) -> None:
        if Path(file.name).parent.name == failing:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(table, file, **settings)

    monkeypatch.setattr(files.pq, "write_table", fill)
    with pytest.raises(StoreError, match=f"/{failing}/.*: No space left on device; free disk"):
        store.write_attempt(make_record(), make_evaluation(), CURVE)
    monkeypatch.undo()
    assert [path for path in store.path.rglob("*") if path.is_file()] == []
    assert len(store.trials()) == 0


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="must be a folder"):
        ResultStore(tmp_path / "store")


def test_samples_without_ids_are_refused(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    evaluation = make_evaluation(samples={"test": {"error": [1.0]}})
    with pytest.raises(StoreError, match=r"'test/error' must be one per sample id .*\(2\), got 1"):
        store.write_attempt(make_record(), evaluation)


def test_baselines_are_found_by_their_data(store: ResultStore, make_evaluation: Any) -> None:
    for error in (3.0, 4.0):
        store.write_baseline("tiny", "zero", "d1", make_evaluation(error), {"error": "cm"})
    store.write_baseline("tiny", "zero", "d2", make_evaluation(5.0), {"error": "cm"})
    store.write_baseline("other", "zero", "d1", make_evaluation(6.0), {"error": "cm"})
    lines = store.baselines("tiny", "d1").set_index("metric")
    assert lines["value"].to_dict() == {"error": 4.0, "score": 0.2}
    assert lines.loc["error", "unit"] == "cm"
