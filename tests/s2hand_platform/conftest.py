import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny_experiment import TinyExperiment

from s2hand_platform import settings
from s2hand_platform.experiments.protocol import Evaluation
from s2hand_platform.planning.plan import PlannedTrial
from s2hand_platform.runs import table_files
from s2hand_platform.store.records import AttemptRecord, Environment
from s2hand_platform.store.results import ResultStore


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user's own environment chooses does not steer a test."""
    chosen = (settings.WORKSPACE, settings.CLUSTER, settings.JOB_SERVER, settings.TRACKING_URI)
    for setting in chosen:
        for name in setting.variables:
            monkeypatch.delenv(name, raising=False)
    # Nor does what other packages add, as the dashboards' page, which takes a second each time.
    monkeypatch.setattr(table_files, "entry_points", lambda group: ())


@pytest.fixture
def tiny() -> TinyExperiment:
    return TinyExperiment()


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "store")


@pytest.fixture
def make_record() -> Any:
    def make(trial_id: str = "a" * 64, **changes: Any) -> AttemptRecord:
        started = datetime(2024, 5, 1, 12, tzinfo=UTC)
        fields: dict[str, Any] = {
            "trial_id": trial_id,
            "attempt": 0,
            "experiment": "tiny",
            "config": {"epochs": 4},
            "config_hash": "c" * 64,
            "seed": 0,
            "data_fingerprint": "d" * 64,
            "code_fingerprint": "e" * 64,
            "status": "finished",
            "environment": Environment(
                framework="python 3.11", device="cpu", precision="float64", threads=1
            ),
            "started": started,
            "finished": started + timedelta(seconds=90),
            "units": {"error": "cm"},
        }
        return AttemptRecord(**{**fields, **changes})

    return make


@pytest.fixture
def make_evaluation() -> Any:
    def make(error: float = 1.25, **changes: Any) -> Evaluation:
        fields: dict[str, Any] = {
            "metrics": {"test/error": error, "test/score": 1 / (1 + error)},
            "samples": {"test": {"error": [error - 0.5, error + 0.5]}},
            "sample_ids": {"test": ["x0", "x1"]},
            "evaluator_id": "tiny-1",
        }
        return Evaluation(**{**fields, **changes})

    return make


@pytest.fixture
def record(store: ResultStore, make_record: Any, make_evaluation: Any) -> Callable[..., None]:
    """Write that a planned trial has finished, or otherwise ended, and what its code was."""

    def record_trial(trial: PlannedTrial, seconds: float = 90, **changes: Any) -> None:
        fields = {
            "config": trial.config,
            "config_hash": trial.identity.config_hash,
            "seed": trial.seed,
            "data_fingerprint": trial.identity.data,
            "code_fingerprint": trial.identity.code,
            "evaluation_fingerprint": trial.evaluation_fingerprint,
            "device_type": trial.identity.device_type,
            **changes,
        }
        name = fields.pop("trial_id", trial.trial_id)
        made = make_record(name, **fields)
        made = replace(made, finished=made.started + timedelta(seconds=seconds))
        store.write_attempt(made, make_evaluation() if made.status == "finished" else None)
        for code in (trial.code, trial.evaluation):
            if code is not None:
                store.write_code(code.sha256, code.digests)

    return record_trial
