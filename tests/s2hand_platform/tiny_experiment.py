"""A second, tiny experiment, fitting a parabola: the platform knows no more than the protocol."""

import dataclasses
import difflib
import hashlib
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from s2hand_platform.errors import FailureCause, SpecError
from s2hand_platform.experiments.protocol import (
    DataRecord,
    Evaluation,
    MetricInfo,
    StageReport,
    TrialContext,
)
from s2hand_platform.preparation import PreparationProgress


@dataclass(frozen=True, kw_only=True)
class TinyPoints:
    truth: Literal["line", "curve"] = "curve"
    source: str = ""
    noise: float = 0.1


@dataclass(frozen=True, kw_only=True)
class TinyConfig:
    points: TinyPoints = field(default_factory=TinyPoints)
    epochs: int = 4
    learning_rate: float = 0.3
    curvature: bool = True
    workers: int = 1
    fail: bool = False
    grid: int = 21
    """Points that a training is evaluated on."""


class TinyDataError(Exception):
    """The points cannot be used."""


class TinyExperiment:
    """Least squares by gradient descent on 32 noisy points, in plain Python."""

    name = "tiny"
    metrics: Mapping[str, MetricInfo] = {
        "error": MetricInfo(unit="cm", direction="lower"),
        "score": MetricInfo(unit="1", direction="higher"),
    }
    user_errors: tuple[type[Exception], ...] = ()
    operational_fields = frozenset({"points.source"})
    evaluation_fields = frozenset({"grid"})
    usual_data = "made"

    def usual_scale(self, data: Sequence[str]) -> str:
        return "demo" if data == ("made",) else "full"

    def build_config(self, mapping: Mapping[str, Any]) -> TinyConfig:
        faults: list[str] = []
        values = _checked(TinyConfig, mapping, "", faults)
        points = _checked(TinyPoints, values.pop("points", {}), "points.", faults)
        if points.get("truth", "curve") not in {"line", "curve"}:
            faults.append(f"points.truth: must be 'line' or 'curve', got {points['truth']!r}")
        if values.get("epochs", 1) < 1:
            faults.append(f"epochs: must be at least 1, got {values['epochs']}")
        if faults:
            raise SpecError(faults)
        return TinyConfig(points=TinyPoints(**points), **values)

    def dump_config(self, config: TinyConfig) -> dict[str, Any]:
        return dataclasses.asdict(config)

    def describe_data(self, config: TinyConfig) -> DataRecord:
        is_official = config.points.source == "official"
        return DataRecord(
            title="Curves v1" if is_official else "made curves",
            dataset=config.points.truth,
            version="v1" if is_official else "",
            origin="official" if is_official else "synthetic",
            fingerprint=self.fingerprint_evaluation_data(config) or "",
        )

    def fingerprint_training_data(self, config: TinyConfig) -> str | None:
        if config.points.source == "unknown":
            return None
        content = f"{config.points.truth}:{config.points.noise}"
        return hashlib.sha256(content.encode()).hexdigest()

    def fingerprint_evaluation_data(self, config: TinyConfig) -> str | None:
        return hashlib.sha256(config.points.truth.encode()).hexdigest()

    def training_code(self, config: TinyConfig, device_type: str) -> dict[str, str]:
        del config, device_type
        return {"tiny_experiment": _SOURCE}

    def evaluation_code(self, config: TinyConfig, device_type: str) -> dict[str, str]:
        del config, device_type
        return {"tiny_experiment": _SOURCE}

    def dataset_overrides(self, dataset: str, extra_datasets: Sequence[str]) -> dict[str, Any]:
        return {"points.truth": dataset, "points.source": "+".join(extra_datasets)}

    def check_scale_data(self, data: Mapping[str, Any]) -> list[str]:
        return [f"{key}: unknown key '{key}'" for key in data if key != "range"]

    def data_overrides(
        self, data: Sequence[str], datasets: Sequence[str], workspace: object, scale_data: object
    ) -> dict[str, Any]:
        del workspace, scale_data
        of_set = {name: word for name, _, word in (each.rpartition("=") for each in data)}
        return {"points.source": of_set.get(datasets[0], of_set.get(""))}

    def search_overrides(
        self, data: Sequence[str], dataset: str, workspace: object, scale_data: object
    ) -> dict[str, Any]:
        del data, dataset, workspace, scale_data
        return {}

    def world_size(self, config: TinyConfig) -> int:
        return config.workers

    def measure_predictions(self, config: TinyConfig, path: Path) -> Evaluation:
        return _evaluation(json.loads(path.read_text()), config)

    def cause(self, error: BaseException) -> FailureCause | None:
        return "data" if isinstance(error, TinyDataError) else None

    def prepare_data(self, configs: Sequence[TinyConfig], progress: PreparationProgress) -> None:
        """There is nothing to prepare."""

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        if config.fail:
            raise RuntimeError("asked to fail")
        path = context.checkpoint_dir / "state.json"
        state = {"epoch": 0, "w": [0, 0, 0], "seconds": 0.0}
        if path.exists():
            state = json.loads(path.read_text())
        points = _points(config, seed)
        for epoch in range(state["epoch"], config.epochs):
            start = time.perf_counter()
            w = _step(state["w"], points, config)
            seconds = state["seconds"] + time.perf_counter() - start
            state = {"epoch": epoch + 1, "w": w, "seconds": seconds}
            if context.rank == 0:
                temporary = path.with_suffix(".tmp")
                temporary.write_text(json.dumps(state))
                temporary.replace(path)
                if epoch % 2:
                    context.log_picture("fit", epoch, draw(state["w"]))
            loss = sum(_errors(state["w"], points)) / len(points)
            context.report(epoch, {"loss/total": loss, "validation/error": loss})
        return [
            StageReport(
                name="fit",
                stage_id=hashlib.sha256(f"{config}:{seed}".encode()).hexdigest(),
                training_s=state["seconds"],
                trained_here=True,
            )
        ]

    def evaluate(self, config: TinyConfig, seed: int, context: TrialContext) -> Evaluation:
        state = json.loads((context.checkpoint_dir / "state.json").read_text())
        return _evaluation(state["w"], config)

    def baselines(self, config: TinyConfig) -> dict[str, Evaluation]:
        return {"zero": _evaluation([0, 0, 0], config)}


_SOURCE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def draw(w: list[float]) -> UInt8[np.ndarray, "16 24 3"]:
    """Draw the parabola in orange."""
    picture = np.zeros((16, 24, 3), np.uint8)
    for column in range(24):
        height = 8 - 4 * _predict(w, column / 12 - 1)
        picture[min(15, max(0, round(height))), column] = 255, 128, 0
    return picture


def _checked(
    kind: type, mapping: Mapping[str, Any], where: str, faults: list[str]
) -> dict[str, Any]:
    known = {item.name for item in dataclasses.fields(kind)}
    for key in mapping:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            faults.append(f"{where}{key}: unknown key '{key}'{hint}")
    return {key: value for key, value in mapping.items() if key in known}


def _truth(x: float, config: TinyConfig) -> float:
    return 1 - 2 * x + (x * x if config.points.truth == "curve" else 0)


def _points(config: TinyConfig, seed: int) -> list[tuple[float, float]]:
    source = random.Random(seed)
    xs = [source.uniform(-1, 1) for _ in range(32)]
    return [(x, _truth(x, config) + source.gauss(0, config.points.noise)) for x in xs]


def _predict(w: list[float], x: float) -> float:
    return w[0] + w[1] * x + w[2] * x * x


def _errors(w: list[float], points: list[tuple[float, float]]) -> list[float]:
    return [abs(_predict(w, x) - y) for x, y in points]


def _step(w: list[float], points: list[tuple[float, float]], config: TinyConfig) -> list[float]:
    gradient = [0.0, 0.0, 0.0]
    for x, y in points:
        residual = _predict(w, x) - y
        for power in range(3 if config.curvature else 2):
            gradient[power] += 2 * residual * x**power / len(points)
    return [value - config.learning_rate * slope for value, slope in zip(w, gradient, strict=True)]


def _evaluation(w: list[float], config: TinyConfig) -> Evaluation:
    grid = [2 * index / (config.grid - 1) - 1 for index in range(config.grid)]
    errors = _errors(w, [(x, _truth(x, config)) for x in grid])
    mean = sum(errors) / len(errors)
    return Evaluation(
        metrics={"test/error": mean, "test/score": 1 / (1 + mean)},
        samples={"test": {"error": errors}},
        sample_ids={"test": [f"x{index:02d}" for index in range(config.grid)]},
        evaluator_id="tiny-1",
        notes={"grid": f"{config.grid} points"},
    )
