import errno
import hashlib
import json
import math
import os
import time
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_tables import PCK

from s2hand_platform.errors import StoreError
from s2hand_platform.experiments.protocol import DataRecord, StageReport
from s2hand_platform.store import files
from s2hand_platform.store.measured import measured_attempts
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.schema import TRIAL_COLUMNS, VERSION_KEY

CURVE = [(0, {"loss": 2.0}), (1, {"loss": 1.0, "rate": 0.1})]


@pytest.fixture(params=["recent", "compacted"])
def settle(request: pytest.FixtureRequest, store: ResultStore) -> Any:
    """Leave what was written where it is, or compact it: what is read is the same."""

    def settle() -> None:
        if request.param == "compacted":
            store.compact()
            assert not list(store.path.glob("attempts/*.parquet"))

    return settle


def test_an_empty_store_has_all_columns_and_no_lines(store: ResultStore) -> None:
    assert tuple(store.trials().columns) == TRIAL_COLUMNS
    assert len(store.metrics(store.trials())) == 0
    assert len(store.curves(["a" * 64])) == 0
    assert len(store.threshold_curves(store.trials())) == 0
    assert list(store.samples(["a" * 64], split="test", metric="error")["value"]) == []
    assert store.last_attempt("a" * 64) is None
    assert store.predictions("a" * 64, "test") is None
    assert store.code_files("f" * 64) is None
    assert store.next_attempt("a" * 64) == 0
    assert store.compact() == 0
    assert not store.path.exists()


def test_an_attempt_comes_back_whole(
    store: ResultStore, settle: Any, make_record: Any, make_evaluation: Any
) -> None:
    record = make_record(
        config={"weights": (0.1, 2)},
        seed=7,
        evaluation_fingerprint="f" * 64,
        device_type="cuda",
        training_s=50.0,
        evaluation_s=2.5,
        stages=[StageReport(name="joint", stage_id="s1", training_s=40.0, trained_here=False)],
        data_record=DataRecord(
            title="HO-3D v3", dataset="ho3d", version="v3", origin="own", details={"frames": 3}
        ),
    )
    evaluation = make_evaluation(
        1.25, notes={"shared": "yes"}, threshold_curves={"test": {"pck": PCK}}
    )
    store.write_attempt(record, evaluation, CURVE)
    settle()

    trial = store.trials().iloc[0]
    assert json.loads(trial["config_json"]) == {"weights": [0.1, 2]}
    assert (trial["seed"], trial["duration_s"], trial["evaluator_id"]) == (7, 90.0, "tiny-1")
    assert (trial["code_fingerprint"], trial["evaluation_fingerprint"]) == ("e" * 64, "f" * 64)
    assert (trial["device_type"], trial["training_s"], trial["evaluation_s"]) == ("cuda", 50, 2.5)
    assert trial["store_version"] == 2
    assert trial["environment_kind"] == "cpu, python 3.11, float64"
    assert trial["started"].tz is not None
    assert trial["started"].to_pydatetime().astimezone(UTC) == record.started
    assert json.loads(trial["notes_json"]) == {"shared": "yes"}
    assert json.loads(trial["stages_json"]) == [
        {"name": "joint", "stage_id": "s1", "training_s": 40.0, "trained_here": False}
    ]
    assert json.loads(trial["data_record_json"]) == {
        "title": "HO-3D v3",
        "dataset": "ho3d",
        "version": "v3",
        "origin": "own",
        "details": {"frames": 3},
        "fingerprint": "",
    }

    metrics = store.metrics(store.trials()).set_index(["split", "metric"])
    assert metrics.loc[("test", "error"), "value"] == 1.25
    assert metrics.loc[("test", "error"), "unit"] == "cm"
    assert set(metrics["evaluator_id"]) == {"tiny-1"}
    samples = store.samples([record.trial_id], split="test", metric="error")
    assert dict(zip(samples["sample_id"], samples["value"], strict=True)) == {
        "x0": 0.75,
        "x1": 1.75,
    }
    assert set(samples["unit"]) == {"cm"}
    assert len(store.samples([record.trial_id], split="train", metric="error")) == 0
    curves = store.curves([record.trial_id])
    assert [tuple(line) for line in curves[["epoch", "metric", "value"]].to_numpy()] == [
        (0, "loss", 2.0),
        (1, "loss", 1.0),
        (1, "rate", 0.1),
    ]
    points = store.threshold_curves(store.trials())
    assert points[["threshold", "share"]].to_numpy().tolist() == [[0, 0.25], [5, 1]]
    assert store.without_threshold_curves(store.trials()).empty
    assert store.last_attempt(record.trial_id).status == "finished"  # type: ignore[union-attr]
    assert store.next_attempt(record.trial_id) == 1
    assert store.remarks == ()


def test_a_failed_attempt_is_kept_and_is_not_finished(
    store: ResultStore, settle: Any, make_record: Any
) -> None:
    store.write_attempt(
        make_record(status="failed", failure="non_finite", reason="loss became NaN")
    )
    settle()
    assert store.next_attempt("a" * 64) == 1
    assert store.trials()["reason"].tolist() == ["loss became NaN"]
    assert store.trials()["failure"].tolist() == ["non_finite"]
    last = store.last_attempt("a" * 64)
    assert last is not None
    assert (last.status, last.failure, last.metrics, last.training_s) == (
        "failed",
        "non_finite",
        {},
        None,
    )


def test_of_attempts_that_failed_the_last_is_told(
    store: ResultStore, settle: Any, make_record: Any
) -> None:
    for attempt in (0, 2, 1):
        store.write_attempt(make_record(attempt=attempt, status="failed", failure="data"))
    settle()
    last = store.last_attempt("a" * 64)
    assert last is not None
    assert (last.attempt, last.status) == (2, "failed")


def test_the_last_attempt_is_the_last_finished_one_if_any_is(
    store: ResultStore, settle: Any, make_record: Any, make_evaluation: Any
) -> None:
    store.write_attempt(make_record(attempt=0), make_evaluation(1.0))
    store.write_attempt(make_record(attempt=1), make_evaluation(3.0, notes={"n": "m"}))
    store.write_attempt(make_record(attempt=2, status="failed", failure="data", reason="no"))
    settle()
    last = store.last_attempt("a" * 64)
    assert last is not None
    assert (last.attempt, last.status, last.reason, last.duration_s) == (1, "finished", "", 90.0)
    assert last.metrics == {"test/error": 3.0, "test/score": 0.25}
    assert last.notes == {"n": "m"}


def test_the_attempt_of_an_evaluation_is_its_last_finished_one(
    store: ResultStore, settle: Any, make_record: Any, make_evaluation: Any
) -> None:
    tries = [("now", "finished"), ("now", "finished"), ("before", "finished"), ("now", "failed")]
    for attempt, (evaluation, status) in enumerate(tries):
        scale = np.array([attempt, attempt])
        store.write_attempt(
            make_record(attempt=attempt, status=status, evaluation_fingerprint=evaluation),
            make_evaluation(predictions={"test": {"scale": scale}})
            if status == "finished"
            else None,
        )
    store.write_attempt(make_record("b" * 64, status="failed", evaluation_fingerprint="now"))
    settle()

    def chosen(**settings: Any) -> tuple[int, float] | None:
        last = store.last_attempt("a" * 64, **settings)
        predicted = store.predictions("a" * 64, "test", **settings)
        assert (last is None) == (predicted is None)
        return (last.attempt, predicted.arrays["scale"][0]) if last and predicted else None

    assert chosen(evaluation="now") == (1, 1.0)
    assert chosen(evaluation="before") == chosen() == (2, 2.0)
    assert chosen(evaluation="never") is None
    assert store.last_attempt("b" * 64) is not None
    assert store.last_attempt("b" * 64, evaluation="now") is None
    for evaluation in ("now", "before"):
        (counted,) = measured_attempts(store.attempts(), evaluation)["attempt"]
        last = store.last_attempt("a" * 64, evaluation=evaluation)
        assert last is not None
        assert (last.attempt, last.evaluation_fingerprint) == (counted, evaluation)


@pytest.mark.parametrize("compacting", [False, True])
def test_the_same_attempt_twice_is_there_once_as_written_last(
    store: ResultStore, make_record: Any, make_evaluation: Any, compacting: bool
) -> None:
    for error in (1.0, 3.0, 2.0):
        store.write_attempt(make_record(), make_evaluation(error), CURVE)
        if compacting:
            store.compact()
        assert len(store.trials()) == 1
        metrics = store.metrics(store.trials())
        assert metrics.loc[metrics["metric"] == "error", "value"].tolist() == [error]
        assert len(store.samples(["a" * 64], split="test", metric="error")) == 2
        assert len(store.curves(["a" * 64])) == 3
    store.compact()
    assert store.last_attempt("a" * 64).metrics["test/error"] == 2.0  # type: ignore[union-attr]


def test_attempts_and_trials_are_kept_apart(
    store: ResultStore, settle: Any, make_record: Any, make_evaluation: Any
) -> None:
    store.write_attempt(make_record(status="failed"))
    store.write_attempt(make_record(attempt=1), make_evaluation(1.0), CURVE)
    store.write_attempt(make_record("b" * 64, seed=1), make_evaluation(2.0), CURVE[:1])
    store.write_attempt(make_record("c" * 64, config_hash="9" * 64), make_evaluation(4.0))
    settle()
    assert len(store.trials()) == 4
    samples = store.samples(["b" * 64], split="test", metric="error")
    assert samples["value"].tolist() == [1.5, 2.5]
    assert set(samples["trial_id"]) == {"b" * 64}
    assert len(store.curves(["b" * 64])) == 1
    assert store.last_attempt("b" * 64).metrics["test/error"] == 2.0  # type: ignore[union-attr]

    of_one = store.attempts(trial_ids=["a" * 64])
    assert of_one["attempt"].tolist() == [0, 1]
    of_config = store.attempts(config_hashes=["c" * 64])
    assert set(of_config["trial_id"]) == {"a" * 64, "b" * 64}
    both = store.attempts(
        trial_ids=["b" * 64, "c" * 64], config_hashes=["9" * 64], columns=["seed"]
    )
    assert both.to_dict("list") == {"seed": [0]}
    assert len(store.attempts()) == 4
    assert len(store.attempts(trial_ids=[])) == 0
    metrics = store.metrics(of_one[of_one["attempt"] == 1])
    assert metrics["value"].tolist() == [1.0, 0.5]
    assert len(store.metrics(of_one[of_one["attempt"] == 0])) == 0


def test_what_is_not_finite_is_kept(
    store: ResultStore, settle: Any, make_record: Any, make_evaluation: Any
) -> None:
    store.write_attempt(make_record(), make_evaluation(math.nan), [(0, {"loss": math.inf})])
    settle()
    assert math.isnan(store.last_attempt("a" * 64).metrics["test/error"])  # type: ignore[union-attr]
    assert store.curves(["a" * 64])["value"].tolist() == [math.inf]


def test_configurations_whose_hashes_begin_alike_are_kept_apart(
    store: ResultStore, settle: Any, make_record: Any
) -> None:
    one, other = "c" * 40 + "1" * 24, "c" * 40 + "2" * 24
    store.write_attempt(make_record("a" * 64, config_hash=one))
    store.write_attempt(make_record("ab" * 32, config_hash=other))
    settle()
    assert store.attempts(config_hashes=[other])["trial_id"].tolist() == ["ab" * 32]
    assert store.attempts(config_hashes=[one])["trial_id"].tolist() == ["a" * 64]
    assert store.remarks == ()


def test_attempts_come_in_the_order_in_which_they_finished(
    store: ResultStore, settle: Any, make_record: Any
) -> None:
    first = make_record("b" * 64)
    for trial, minutes in (("a", 5), ("c", 3), ("d", 9)):
        moment = first.finished.replace(minute=minutes)
        store.write_attempt(make_record(trial * 64, finished=moment))
    settle()
    assert [name[0] for name in store.attempts(columns=["trial_id"])["trial_id"]] == list("cad")


def test_attempts_that_finished_at_once_come_by_trial_and_number(
    store: ResultStore, settle: Any, make_record: Any
) -> None:
    for trial, attempt in (("b", 0), ("a", 1), ("a", 0)):
        store.write_attempt(make_record(trial * 64, attempt=attempt))
    settle()
    frame = store.trials()
    found = [(line.Index, line.trial_id[0], line.attempt) for line in frame.itertuples()]
    assert found == [(0, "a", 0), (1, "a", 1), (2, "b", 0)]


def test_predictions_come_back_as_float32(
    store: ResultStore, settle: Any, make_record: Any, make_evaluation: Any
) -> None:
    betas = np.arange(20.0).reshape(2, 10) / 3
    pose = np.arange(2 * 15 * 3, dtype=np.float64).reshape(2, 15, 3)
    evaluation = make_evaluation(
        predictions={"test": {"betas": betas, "hand_pose": pose, "scale": np.array([1.0, 2.0])}}
    )
    store.write_attempt(make_record(), evaluation)
    store.write_attempt(make_record(attempt=1, status="failed", failure="other"))
    settle()
    found = store.predictions("a" * 64, "test")
    assert found is not None
    assert found.sample_ids == ("x0", "x1")
    assert list(found.arrays) == ["betas", "hand_pose", "scale"]
    for name, expected in evaluation.predictions["test"].items():
        assert found.arrays[name].dtype == np.float32
        np.testing.assert_array_equal(found.arrays[name], expected.astype(np.float32))
    assert store.predictions("a" * 64, "train") is None

    store.remove_leftovers(older_than_s=-1)
    assert store.predictions("a" * 64, "test") is not None


PICTURE = b"RIFF\x04\0\0\0WEBPVP8 "


def test_pictures_come_back_as_they_are(
    store: ResultStore, settle: Any, make_record: Any, make_evaluation: Any
) -> None:
    largest = PICTURE + bytes(65_536 - len(PICTURE))
    pictures = {"x1": {"input": PICTURE, "side": PICTURE + b"1"}, "x0": {"input": largest}}
    evaluation = make_evaluation(pictures={"test": pictures})
    store.write_attempt(make_record(evaluation_fingerprint="now"), evaluation)
    store.write_attempt(make_record(attempt=1, status="failed", failure="other"))
    settle()
    assert store.pictures("a" * 64, "test") == pictures
    assert store.pictures("a" * 64, "test", evaluation="now") == pictures
    assert store.pictures("a" * 64, "test", evaluation="before") == {}
    assert store.pictures("a" * 64, "train") == {}
    assert store.pictures("b" * 64, "test") == {}
    store.remove_leftovers(older_than_s=-1)
    assert store.pictures("a" * 64, "test") == pictures


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ({"x0": {"input": b"\x89PNG"}}, "'input' of 'test/x0' must be WebP of at most"),
        ({"x0": {"input": PICTURE + bytes(65_521)}}, "got 65537 bytes"),
        ({"x0": {"input": PICTURE}, "x7": {}}, "of samples that were evaluated, got also 'x7'"),
    ],
)
def test_other_pictures_are_refused_and_nothing_is_kept(
    store: ResultStore, make_record: Any, make_evaluation: Any, pictures: Any, message: str
) -> None:
    predictions = {"test": {"scale": np.ones(2)}}
    evaluation = make_evaluation(predictions=predictions, pictures={"test": pictures})
    with pytest.raises(StoreError, match=message):
        store.write_attempt(make_record(), evaluation)
    assert store.trials().empty
    assert [path for path in store.path.rglob("*") if path.is_file()] == []


def test_predictions_and_pictures_without_their_attempt_are_cleared(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    evaluation = make_evaluation(
        predictions={"test": {"scale": np.ones(2)}}, pictures={"test": {"x0": {"input": PICTURE}}}
    )
    store.write_attempt(make_record(), evaluation)
    store.write_attempt(make_record("b" * 64), evaluation)
    next(store.path.glob(f"attempts/{'b' * 64}*")).unlink()
    (store.path / "attempts" / ".writing-1").write_bytes(b"half")
    assert store.predictions("b" * 64, "test") is None

    store.remove_leftovers()
    for folder in ("predictions", "pictures"):
        assert len(list(store.path.glob(f"{folder}/*"))) == 2
    store.remove_leftovers(older_than_s=-1)
    for folder in ("predictions", "pictures"):
        assert [path.name[0] for path in store.path.glob(f"{folder}/*")] == ["a"]
    assert len(list(store.path.glob("attempts/*"))) == 1


def test_units_version_and_checksums_stand_in_the_files(
    store: ResultStore, settle: Any, make_record: Any
) -> None:
    store.write_attempt(make_record())
    settle()
    (path,) = [*store.path.glob("attempts/*.parquet"), *store.path.glob("compacted/*.parquet")]
    schema = pq.read_schema(path)
    assert schema.field("duration_s").metadata[b"unit"] == b"s"
    assert schema.metadata[VERSION_KEY] == b"2"


def test_few_recent_files_are_left_alone_and_many_compacted(
    store: ResultStore, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2hand_platform.store.results._MANY_RECENT", 3)
    for index in range(4):
        assert store.compact_if_useful() == 0
        store.write_attempt(make_record(f"{index}" * 64))
    assert store.compact_if_useful() == 4
    assert len(store.trials()) == 4


def test_compacted_files_stay_few_and_sorted(
    store: ResultStore, make_record: Any, make_evaluation: Any
) -> None:
    names = [f"a{index * 7919 % 100:063x}" for index in range(100)]
    for start in range(0, 100, 10):
        for name in names[start : start + 10]:
            store.write_attempt(make_record(name, seed=int(name[-8:], 16)), make_evaluation())
        assert store.compact() == 10
    compacted = list(store.path.glob("compacted/*.parquet"))
    assert len(compacted) <= math.log2(10) + 1
    for path in compacted:
        held = pq.read_table(path, columns=["trial_id"])["trial_id"].to_pylist()
        assert held == sorted(held)
    trials = store.attempts(columns=["trial_id", "seed"])
    assert sorted(trials["trial_id"]) == sorted(names)
    for name in names[::9]:
        found = store.attempts(trial_ids=[name])
        assert found["seed"].tolist() == [int(name[-8:], 16)]


@pytest.mark.parametrize("failing", ["predictions", "attempts"])
def test_a_full_disk_leaves_nothing(
    store: ResultStore,
    make_record: Any,
    make_evaluation: Any,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    sync = files.os.fsync

    def fill(descriptor: int) -> None:
        folder = Path(f"/proc/self/fd/{descriptor}").resolve().parent
        if folder.name == failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(files.os, "fsync", fill)
    evaluation = make_evaluation(predictions={"test": {"scale": np.ones(2)}})
    with pytest.raises(StoreError, match=f"/{failing}/.*: No space left on device; free disk"):
        store.write_attempt(make_record(), evaluation, CURVE)
    monkeypatch.undo()
    assert [path for path in store.path.rglob("*") if path.is_file()] == []
    assert len(store.trials()) == 0


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="must be a folder"):
        ResultStore(tmp_path / "store")


@pytest.mark.parametrize(
    "what",
    [
        {"samples": {"test": {"error": [1.0]}}},
        {"predictions": {"test": {"error": np.ones((1, 3))}}},
    ],
)
def test_values_without_ids_are_refused(
    store: ResultStore, make_record: Any, make_evaluation: Any, what: dict[str, Any]
) -> None:
    with pytest.raises(StoreError, match=r"'test/error' must be one per sample id .*\(2\), got 1"):
        store.write_attempt(make_record(), make_evaluation(**what))
    assert len(store.trials()) == 0


def test_baselines_are_found_by_their_evaluation(store: ResultStore, make_evaluation: Any) -> None:
    assert store.baselines("tiny", "d1").empty
    for error in (3.0, 4.0):
        store.write_baseline("tiny", "zero", "d1", make_evaluation(error), {"error": "cm"})
    store.write_baseline("tiny", "mean", "d1", make_evaluation(1.0), {"error": "cm"})
    store.write_baseline("tiny", "zero", "d2", make_evaluation(5.0), {"error": "cm"})
    store.write_baseline("other", "zero", "d1", make_evaluation(6.0), {"error": "cm"})
    lines = store.baselines("tiny", "d1")
    for column, value in (
        ("experiment", "tiny"), ("evaluation_fingerprint", "d1"), ("evaluator_id", "tiny-1"),
        ("split", "test"),
    ):  # fmt: skip
        assert set(lines[column]) == {value}
    lines = lines.set_index(["label", "metric"])
    assert lines["value"].to_dict() == {
        ("zero", "error"): 4.0,
        ("zero", "score"): 0.2,
        ("mean", "error"): 1.0,
        ("mean", "score"): 0.5,
    }
    assert set(lines.xs("error", level="metric")["unit"]) == {"cm"}
    names = {path.name for path in store.path.glob("baselines/*")}
    digests = [hashlib.sha256(key).hexdigest()[:32] for key in (b'["tiny","d1"]', b'["zero"]')]
    assert ".".join([*digests, "parquet"]) in names


def test_half_written_files_of_yesterday_are_cleared_wherever_they_lie(store: ResultStore) -> None:
    folders = (
        "attempts", "compacted", "predictions", "pictures", "baselines", "imported", "plans",
        "code", "patches", "tracked", "trials", "metrics", "samples", "curves",
    )  # fmt: skip
    for folder in folders:
        (store.path / folder).mkdir(parents=True)
        for age_s in (86_300, 86_500):
            path = store.path / folder / f".writing-{age_s}"
            path.touch()
            os.utime(path, (time.time() - age_s,) * 2)
    store.remove_leftovers()
    left = sorted(path.relative_to(store.path).as_posix() for path in store.path.glob("*/*"))
    assert left == sorted(f"{folder}/.writing-86300" for folder in folders)
