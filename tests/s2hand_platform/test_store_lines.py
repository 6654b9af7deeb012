"""An attempt's line in the store, and the frames that are made of nested columns."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tiny_tables import PCK

from s2hand_platform.errors import StoreError
from s2hand_platform.experiments.protocol import DataRecord, StageReport
from s2hand_platform.revision import Revision
from s2hand_platform.store.files import UnusableFile
from s2hand_platform.store.lines import (
    attempt_line,
    check_filled,
    check_one_per_sample,
    keep_attempts,
    latest_of_each,
    nested_frame,
    samples_frame,
    threshold_curves_frame,
)
from s2hand_platform.store.records import AttemptRecord
from s2hand_platform.store.schema import ATTEMPTS

WHOLE: dict[str, Any] = {
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
        '{"dataset": "ho3d", "details": {"frames": 3}, "fingerprint": "", "origin": "own", '
        '"title": "HO-3D v3", "version": "v3"}'
    ),
    "code_commit": "5" * 40,
    "code_state": "dirty",
    "code_patch": "6" * 64,
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
    "threshold_curves": [
        {
            "split": "test", "curve": "pck", "figure": "PCK", "says": "points",
            "area_of": "score", "unit": "mm",
            "points": [{"threshold": 0.0, "share": 0.25}, {"threshold": 5.0, "share": 1.0}],
        },
    ],
}  # fmt: skip


@pytest.fixture
def record(make_record: Any) -> Any:
    return make_record(
        attempt=3,
        revision=Revision(commit="5" * 40, state="dirty", patch="6" * 64),
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
        threshold_curves={"test": {"pck": PCK}},
    )
    curve = [(0, {"loss/total": 2.0}), (1, {"loss/total": 1.0, "rate": 0.5})]
    line = attempt_line("1" * 32, record, evaluation, curve)
    assert line.schema == ATTEMPTS
    assert line.to_pylist() == [WHOLE]


def test_a_line_without_an_evaluation_says_the_rest(record: Any) -> None:
    (line,) = attempt_line("1" * 32, replace(record, data_record=None), None, ()).to_pylist()
    nothing = {
        "data_record_json": None, "evaluator_id": None, "notes_json": "{}", "metrics": [],
        "curves": [], "sample_ids": None, "samples": None, "threshold_curves": None,
    }  # fmt: skip
    assert line == {**WHOLE, **nothing}


def test_what_is_not_known_of_an_attempt_is_null(record: Any) -> None:
    required = {
        name: getattr(record, name)
        for name in (
            "trial_id", "attempt", "experiment", "config", "config_hash", "seed",
            "data_fingerprint", "code_fingerprint", "status", "environment", "started", "finished",
        )
    }  # fmt: skip
    least = AttemptRecord(**required)
    (line,) = attempt_line("1" * 32, least, None, ()).to_pylist()
    unknown = (
        "code_commit", "code_patch", "evaluation_fingerprint", "data_record_json", "device_type",
        "failure", "training_s", "evaluation_s", "evaluator_id", "sample_ids", "samples",
        "threshold_curves",
    )  # fmt: skip
    nothing = {
        "code_state": "unknown",
        "reason": "",
        "stages_json": "[]",
        "notes_json": "{}",
        "metrics": [],
        "curves": [],
    }
    assert line == {**WHOLE, **dict.fromkeys(unknown), **nothing}
    assert least.units == {}


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


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"seed": None}, "column 'seed' must have a value in every line"),
        ({"metrics": None}, "column 'metrics' must have a value in every line"),
        ({"failure": None, "training_s": None}, ""),
        ({"samples": None, "sample_ids": None}, ""),
        ({"samples": None}, "must have samples and sample_ids in the same lines"),
        ({"sample_ids": None}, "must have samples and sample_ids in the same lines"),
    ],
)
def test_lines_must_have_what_every_attempt_has(changes: dict[str, None], told: str) -> None:
    """In one line of two, and in the columns that were read."""
    lines = pa.Table.from_pylist([WHOLE, {**WHOLE, **changes}], schema=ATTEMPTS)
    if told:
        with pytest.raises(UnusableFile, match=told) as info:
            check_filled(Path("f"), lines)
        assert info.value.fault == "foreign"
    else:
        check_filled(Path("f"), lines)
    check_filled(Path("f"), lines.select(["trial_id", "samples"]))
    check_filled(Path("f"), lines.select(["trial_id", "sample_ids"]))


def test_entries_of_nested_columns_stand_beside_their_attempt() -> None:
    other = {**WHOLE, "attempt": 4, "evaluator_id": "tiny-2", "metrics": WHOLE["metrics"][1:]}
    none = {**WHOLE, "attempt": 5, "metrics": []}
    lines = pa.Table.from_pylist([WHOLE, none, other], schema=ATTEMPTS)
    score = {"split": "test", "metric": "score", "value": 4 / 9, "unit": ""}
    first = {"trial_id": "a" * 64, "attempt": 3, "evaluator_id": "tiny-1"}
    frame = nested_frame(lines, "metrics", beside=["evaluator_id"])
    assert frame.to_dict("records") == [
        {**first, "split": "test", "metric": "error", "value": 1.25, "unit": "cm"},
        {**first, **score},
        {**first, "attempt": 4, "evaluator_id": "tiny-2", **score},
    ]
    curves = nested_frame(lines, "curves")
    assert list(curves.columns) == ["trial_id", "attempt", "epoch", "metric", "value"]
    assert len(curves) == 9


def test_threshold_curves_have_a_line_a_point_and_may_be_missing() -> None:
    flat = {**WHOLE["threshold_curves"][0], "curve": "flat", "points": []}
    lines = [
        {**WHOLE, "threshold_curves": None},
        {**WHOLE, "attempt": 4, "threshold_curves": []},
        {**WHOLE, "attempt": 5, "threshold_curves": [flat, *WHOLE["threshold_curves"]]},
    ]
    table = pa.Table.from_pylist(lines, schema=ATTEMPTS)
    (curve,) = ({**each} for each in WHOLE["threshold_curves"])
    del curve["points"]
    owner = {"trial_id": "a" * 64, "attempt": 5}
    frame = threshold_curves_frame(table)
    assert frame.to_dict("records") == [
        {**owner, **curve, "threshold": 0.0, "share": 0.25},
        {**owner, **curve, "threshold": 5.0, "share": 1.0},
    ]
    none = threshold_curves_frame(table.slice(0, 2))
    assert list(none.columns) == list(frame.columns)
    assert str(none.dtypes["share"]) == str(frame.dtypes["share"]) == "float64"
    assert len(none) == 0


@pytest.mark.parametrize(
    ("thresholds", "shares"),
    [
        ([0.0, 1.0], [0.5]),
        ([0.0, 0.0], [0.5, 0.5]),
        ([1.0, 0.0], [0.5, 0.5]),
        ([0.0, math.inf], [0.5, 0.5]),
        ([0.0, 1.0], [0.5, 0.4]),
        ([0.0, 1.0], [0.5, 1.01]),
        ([0.0, 1.0], [-0.01, 1.0]),
        ([0.0, 1.0], [math.nan, 1.0]),
    ],
)
def test_what_is_no_threshold_curve_is_refused(
    record: Any, make_evaluation: Any, thresholds: list[float], shares: list[float]
) -> None:
    curve = replace(PCK, thresholds=thresholds, shares=shares)
    least = replace(PCK, thresholds=[0.0, 1.0], shares=[0.0, 0.0])  # which is one
    curves = {"pck": PCK, "least": least, "odd": curve}
    evaluation = make_evaluation(threshold_curves={"test": curves})
    with pytest.raises(StoreError, match="the curve 'test/odd' must have rising thresholds"):
        attempt_line("1" * 32, record, evaluation, ())


def test_lines_of_some_attempts_are_kept() -> None:
    lines = pa.Table.from_pylist(
        [{**WHOLE, "trial_id": name, "attempt": number} for name in "ab" for number in range(3)],
        schema=ATTEMPTS,
    )
    kept = keep_attempts(lines, {("a", 2), ("b", 0), ("c", 1)})
    assert kept.select(["trial_id", "attempt"]).to_pydict() == {
        "trial_id": ["a", "b"], "attempt": [2, 0],
    }  # fmt: skip
    assert len(keep_attempts(lines.slice(0, 0), {("a", 2)})) == 0


@pytest.mark.parametrize(("ids", "expected"), [({"test": ["x0"]}, 1), ({}, 0)])
def test_values_must_be_one_per_sample(
    make_evaluation: Any, ids: dict[str, list[str]], expected: int
) -> None:
    evaluation = make_evaluation(sample_ids=ids)
    check_one_per_sample(evaluation, "test", "error", expected)
    for count in (expected + 1, expected + 2):
        with pytest.raises(StoreError, match=rf"'test/error' .* \({expected}\), got {count}"):
            check_one_per_sample(evaluation, "test", "error", count)
