"""Small stores with a table or a search, made by the platform's own writer."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image

from s2hand_platform.experiments.protocol import DataRecord, Evaluation, ThresholdCurve
from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.schema import ContrastSpec
from s2hand_platform.store.records import AttemptRecord, Curve, Environment
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import (
    PlanColumn,
    PlanRow,
    PrintedRow,
    SearchPlan,
    TablePlan,
)

ERRORS = {"full": (1.0, 1.2, 1.1), "straight": (1.5, 1.6, 1.7)}
"""Row → error of each seed."""
SAMPLES = ("x0", "x1", "x2", "x3", "x4")
SHARES = (0.4, 1.8, 0.7, 1.3, 0.8)
"""Of a seed's error, that of each sample; their mean is 1."""
MADE = DataRecord(title="made curves", dataset="curve", version="", origin="synthetic")
OFFICIAL = DataRecord(title="Curves v1", dataset="curve", version="v1", origin="official")


def trial_id(row: str, seed: int) -> str:
    return hashlib.sha256(f"{row}:{seed}".encode()).hexdigest()


def plan_row(name: str, label: str) -> PlanRow:
    return PlanRow(
        id=name,
        label=label,
        why_not_comparable="measured on made curves",
        settings={"epochs": 4, "curvature": name == "full"},
        config_hash=f"config of {name}",
        data="d" * 64,
        code="e" * 64,
        evaluation="f" * 64,
        trial_ids={seed: trial_id(name, seed) for seed in (0, 1, 2)},
        measured_on=MADE,
    )


def printed_row(name: str, **cells: str) -> PrintedRow:
    parsed = {label: PublishedCell.parse(text) for label, text in cells.items()}
    return PrintedRow(id=name, label=name, quoted=False, cells=parsed)


PLAN = TablePlan(
    name="tiny",
    title="Noise & curvature",
    experiment="tiny",
    label="made (demo)",
    device_type="cpu",
    primary_column="error_cm",
    rows=(
        plan_row("full", "with curvature"),
        plan_row("straight", "no curvature"),
        plan_row("waiting", "not yet"),
    ),
    columns=(
        PlanColumn(
            label="error_cm", metric="test/error", unit="cm", direction="lower", tolerance=0.1
        ),
        PlanColumn(label="score", metric="test/score", unit="1", direction="higher"),
    ),
    contrasts=(
        ContrastSpec(
            row="straight", baseline="full", columns=("error_cm", "score"), expected="worse"
        ),
        ContrastSpec(row="waiting", baseline="full", columns=("error_cm",), expected="better"),
    ),
    printed=(
        printed_row("full", error_cm="1.10", score="0.50"),
        printed_row("straight", error_cm="1.13"),
        printed_row("later", error_cm="0.99"),
    ),
    notes=("A note of the recipe.",),
)

SEARCH = SearchPlan(
    name="grid",
    title="Rates and epochs",
    experiment="tiny",
    label="made (demo)",
    device_type="cpu",
    data=MADE,
    metric="validation/error",
    mode="min",
    axes={"loss.rate": "rate", "epochs": "epochs"},
    points={
        trial_id("grid", place): {"loss.rate": rate, "epochs": epochs}
        for place, (rate, epochs) in enumerate(
            (rate, epochs) for rate in (0.01, 0.1, 1.0) for epochs in (2, 4)
        )
    },
    paper={"Table 1, the first": {"loss.rate": 0.1, "epochs": 4}},
)


def on_official(plan: TablePlan) -> TablePlan:
    """The same on a published set."""
    rows = tuple(replace(row, measured_on=OFFICIAL, why_not_comparable="") for row in plan.rows)
    return replace(plan, rows=rows)


def webp(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, shade, shade)).save(file, format="WEBP")
    return file.getvalue()


def evaluation(
    error: float, pictures: Mapping[str, Mapping[str, bytes]] | None = None, **changes: Any
) -> Evaluation:
    fields: dict[str, Any] = {
        "metrics": {"test/error": error, "test/score": 1 / (1 + error)},
        "samples": {"test": {"error": [error * share for share in SHARES]}},
        "sample_ids": {"test": SAMPLES},
        "evaluator_id": "tiny-1",
        "pictures": {"test": pictures} if pictures else {},
        "threshold_curves": threshold_curves(error),
    }
    return Evaluation(**{**fields, **changes})


def threshold_curves(error: float) -> dict[str, dict[str, ThresholdCurve]]:
    """Lines that are the higher the smaller the error; one that no training changes."""
    thresholds = [0.0, 5.0, 10.0]
    better = ThresholdCurve(
        figure="PCK of points", says="points", area_of="score", unit="mm",
        thresholds=thresholds, shares=[0.0, 0.25 / error, 0.5 / error],
    )  # fmt: skip
    frames = {"figure": "Worst <points>", "area_of": "other", "unit": "px"}
    same = ThresholdCurve(**frames, says="given", thresholds=thresholds, shares=[0.5, 0.6, 0.9])
    found = ThresholdCurve(
        **frames, says="found", thresholds=thresholds, shares=[0.01, 0.02, 0.6 / error]
    )
    curves = {"points": better, "given": same, "found": found}
    return {"train": curves, "test": curves}


def write_attempt(
    store: ResultStore,
    trial: str,
    evaluation: Evaluation | None,
    curve: Curve = (),
    **changes: Any,
) -> None:
    started = datetime(2026, 5, 1, 12, tzinfo=UTC)
    fields: dict[str, Any] = {
        "trial_id": trial,
        "attempt": 0,
        "experiment": "tiny",
        "config": {"epochs": 4},
        "config_hash": "c",
        "seed": 0,
        "data_fingerprint": "d" * 64,
        "code_fingerprint": "e" * 64,
        "evaluation_fingerprint": "f" * 64,
        "device_type": "cpu",
        "status": "finished",
        "environment": Environment(
            framework="python 3.11", device="cpu", precision="float64", threads=1
        ),
        "started": started,
        "finished": started + timedelta(seconds=90),
        "units": {"error": "cm"},
    }
    store.write_attempt(AttemptRecord(**{**fields, **changes}), evaluation, curve)


def write_row(
    store: ResultStore, row: str, errors: Mapping[int, float], **of_evaluation: Any
) -> None:
    """Write what seeds of a row achieved; their loss halves with each epoch."""
    for seed, error in errors.items():
        curve = [(epoch, {"train/loss": error / 2**epoch}) for epoch in range(3)]
        write_attempt(
            store,
            trial_id(row, seed),
            evaluation(error, **of_evaluation),
            curve,
            config_hash=f"config of {row}",
            seed=seed,
        )


def write_table(
    store: ResultStore,
    plan: TablePlan = PLAN,
    errors: Mapping[str, Sequence[float]] = ERRORS,
    **of_evaluation: Any,
) -> None:
    store.write_plan(plan)
    for row, values in errors.items():
        write_row(store, row, dict(enumerate(values)), **of_evaluation)
    baseline = evaluation(2.0, metrics={"test/error": 2.0}, samples={}, sample_ids={})
    store.write_baseline("tiny", "zero", "f" * 64, baseline, {"error": "cm"})


def write_search(store: ResultStore, plan: SearchPlan = SEARCH) -> None:
    """Write its points, the first of which was stopped early and the last of which failed."""
    store.write_plan(plan)
    last = len(plan.points) - 1
    for place, trial in enumerate(plan.points):
        curve = [(0, {"validation/error": 9.0}), (1, {"validation/error": 5.0 - place})]
        status = {0: "stopped_early", last: "failed"}.get(place, "finished")
        found = evaluation(1.0, metrics={"validation/error": 2.0 - 0.1 * place}, samples={})
        write_attempt(
            store,
            trial,
            found if status == "finished" else None,
            curve if status == "stopped_early" else (),
            status=status,
            reason="" if status == "finished" else "among the worse half",
        )
