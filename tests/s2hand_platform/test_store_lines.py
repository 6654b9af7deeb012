"""An attempt's line in the store, and the frames that are made of nested columns."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from s2hand_platform.experiments.protocol import DataRecord, StageReport
from s2hand_platform.store.lines import attempt_line, latest_of_each, samples_frame
from s2hand_platform.store.schema import ATTEMPTS

WHOLE = {
    "commit": "1" * 32,
    "trial_id": "a" * 64,
    "attempt": 3,
    "store_version": 2,
    "experiment": "tiny",
    "config_json": '{"epochs":4}',
    "config_hash": "c" * 64,
    "seed": 7,
    "data_fingerprint": "d" * 64,
    "code_fingerprint": "e" * 64,
    "evaluation_fingerprint": "f" * 64,
    "data_record_json": (
        '{"dataset": "ho3d", "details": {"frames": 3}, "origin": "own", "title": "HO-3D v3", '
        '"version": "v3"}'
    ),
    "device_type": "cuda",
    "status": "finished",
    "failure": "other",
    "reason": "why",
    "environment_kind": "cpu, python 3.11, float64",
    "environment_json": (
        '{"device": "cpu", "framework": "python 3.11", "kind": "cpu, python 3.11, float64", '
        '"precision": "float64", "threads": 1}'
    ),
    "started": datetime(2024, 5, 1, 12, tzinfo=UTC),
    "finished": datetime(2024, 5, 1, 12, 1, 30, tzinfo=UTC),
    "duration_s": 90.0,
    "training_s": 50.0,
    "evaluation_s": 2.5,
    "stages_json": '[{"name": "fit", "stage_id": "s", "trained_here": false, "training_s": 40.0}]',
    "evaluator_id": "tiny-1",
    "notes_json": '{"first": "1", "second": "2"}',
    "metrics": [
        {"split": "test", "metric": "error", "value": 1.25, "unit": "cm"},
        {"split": "test", "metric": "score", "value": 4 / 9, "unit": ""},
    ],
    "curves": [
        {"epoch": 0, "metric": "loss/total", "value": 2.0},
        {"epoch": 1, "metric": "loss/total", "value": 1.0},
        {"epoch": 1, "metric": "rate", "value": 0.5},
    ],
    "sample_ids": [{"split": "test", "sample_ids": ["x0", "x1"]}],
    "samples": [
        {"split": "test", "metric": "error", "unit": "cm", "values": [1.0, 2.0]},
        {"split": "test", "metric": "score", "unit": "", "values": [0.5, 0.25]},
    ],
}


@pytest.fixture
def record(make_record: Any) -> Any:
    return make_record(
        attempt=3,
        seed=7,
        evaluation_fingerprint="f" * 64,
        device_type="cuda",
        failure="other",
        reason="why",
        training_s=50.0,
        evaluation_s=2.5,
        stages=[StageReport(name="fit", stage_id="s", training_s=40.0, trained_here=False)],
        data_record=DataRecord(
            title="HO-3D v3", dataset="ho3d", version="v3", origin="own", details={"frames": 3}
        ),
    )


def test_a_line_says_all_that_is_known(record: Any, make_evaluation: Any) -> None:
    evaluation = make_evaluation(
        samples={"test": {"error": [1, 2], "score": [0.5, 0.25]}},
        notes={"second": "2", "first": "1"},
    )
    curve = [(0, {"loss/total": 2.0}), (1, {"loss/total": 1.0, "rate": 0.5})]
    line = attempt_line("1" * 32, record, evaluation, curve)
    assert line.schema == ATTEMPTS
    assert line.to_pylist() == [WHOLE]


def test_a_line_without_an_evaluation_says_the_rest(record: Any) -> None:
    (line,) = attempt_line("1" * 32, replace(record, data_record=None), None, ()).to_pylist()
    nothing = {
        "data_record_json": None, "evaluator_id": None, "notes_json": "{}", "metrics": [],
        "curves": [], "sample_ids": None, "samples": None,
    }  # fmt: skip
    assert line == {**WHOLE, **nothing}


def test_of_one_attempt_the_later_write_of_the_later_version_is_kept() -> None:
    columns = ("trial_id", "attempt", "store_version", "commit")
    lines = [
        ("b", 0, 2, "1"), ("a", 1, 2, "5"), ("a", 0, 1, "9"), ("a", 0, 2, "3"), ("a", 0, 2, "4"),
        ("c", 0, 2, "0"), ("a", 0, 2, "2"),
    ]  # fmt: skip
    table = pa.Table.from_pylist([dict(zip(columns, line, strict=True)) for line in lines])
    kept = [tuple(line[name] for name in columns) for line in latest_of_each(table).to_pylist()]
    assert kept == [("b", 0, 2, "1"), ("a", 1, 2, "5"), ("a", 0, 2, "4"), ("c", 0, 2, "0")]


def test_of_samples_those_of_one_split_and_metric_are_framed() -> None:
    other = {
        **WHOLE,
        "attempt": 4,
        "sample_ids": [
            {"split": "train", "sample_ids": ["x0"]}, {"split": "test", "sample_ids": ["y0"]},
        ],
        "samples": [
            {"split": "train", "metric": "error", "unit": "cm", "values": [9.0]},
            {"split": "test", "metric": "error", "unit": "mm", "values": [3.0]},
        ],
    }  # fmt: skip
    nothing = {**WHOLE, "attempt": 5, "sample_ids": None, "samples": None}
    lines = pa.Table.from_pylist([WHOLE, other, nothing], schema=ATTEMPTS)
    frame = samples_frame(lines, split="test", metric="error")
    shared = {"trial_id": "a" * 64, "split": "test", "metric": "error"}
    assert frame.to_dict("index") == {
        0: {**shared, "attempt": 3, "sample_id": "x0", "value": 1.0, "unit": "cm"},
        1: {**shared, "attempt": 3, "sample_id": "x1", "value": 2.0, "unit": "cm"},
        2: {**shared, "attempt": 4, "sample_id": "y0", "value": 3.0, "unit": "mm"},
    }
    none = samples_frame(lines, split="test", metric="other")
    assert list(none.columns) == list(frame.columns)
    assert len(none) == 0
