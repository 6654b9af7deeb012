import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_experiment import TinyConfig, TinyExperiment

from s2hand_platform.errors import ExecutionError, SpecError, StopTrial
from s2hand_platform.experiments.protocol import TrialContext
from s2hand_platform.identity import code_fingerprint
from s2hand_platform.planning import PlannedTrial, plan_table
from s2hand_platform.spec.schema import ColumnSpec, RowSpec, TableSpec
from s2hand_platform.store.results import ResultStore
from s2hand_platform.trial import (
    LocalContext,
    TrialRequest,
    last_outcome,
    run_trial,
    trial_folders,
    would_fail_again,
)
from s2hand_platform.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def results(workspace: Workspace) -> ResultStore:
    return ResultStore(workspace.store_dir)


def planned(experiment: TinyExperiment, store: ResultStore, **overrides: Any) -> PlannedTrial:
    spec = TableSpec(
        name="tiny",
        title="",
        dataset="curve",
        base={},
        rows=(RowSpec(id="row", label="row", overrides=overrides),),
        columns=(ColumnSpec(label="error", metric="test/error"),),
    )
    return plan_table(spec, experiment, store, [7]).trials[0]


def run(
    experiment: TinyExperiment, workspace: Workspace, store: ResultStore, **overrides: Any
) -> Any:
    on_report = overrides.pop("on_report", lambda _epoch, _metrics: None)
    trial = planned(experiment, store, **overrides)
    checkpoints, stages = trial_folders(workspace, trial.trial_id)
    context = LocalContext(checkpoint_dir=checkpoints, stage_dir=stages, on_report=on_report)
    request = TrialRequest(trial=trial, code=code_fingerprint(experiment))
    return run_trial(request, experiment, context, store)


def test_trial_is_recorded_with_metrics_curve_and_environment(
    tiny: TinyExperiment, workspace: Workspace, results: ResultStore
) -> None:
    outcome = run(tiny, workspace, results)
    line = results.trials().iloc[0]
    assert (line["status"], line["seed"], line["attempt"]) == ("finished", 7, 0)
    assert "torch" in json.loads(line["environment_json"])["framework"]
    metrics = results.metrics(results.trials()).set_index("metric")["value"]
    assert metrics["error"] == outcome.metrics["test/error"]
    curve = results.curves([outcome.trial_id])
    assert sorted(curve.loc[curve["metric"] == "loss/total", "epoch"]) == [0, 1, 2, 3]
    read = last_outcome(results, outcome.trial_id)
    assert read is not None
    assert read.metrics == outcome.metrics


def test_interrupted_trial_goes_on_under_its_number_and_keeps_its_curve(
    tiny: TinyExperiment, workspace: Workspace, results: ResultStore
) -> None:
    reports: list[int] = []

    def interrupt(epoch: int, _metrics: Any) -> None:
        reports.append(epoch)
        if epoch == 1 and len(reports) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny, workspace, results, on_report=interrupt)
    assert results.trials().empty
    (curve_file,) = workspace.checkpoints_dir.glob("*/curve.jsonl")
    with curve_file.open("a") as file:
        file.write('{"epoch": 2, "met')  # what a killed process leaves
    outcome = run(tiny, workspace, results, on_report=interrupt)
    assert reports == [0, 1, 2, 3]
    assert outcome.attempt == 0
    curve = results.curves([outcome.trial_id])
    assert sorted(curve.loc[curve["metric"] == "loss/total", "epoch"]) == [0, 1, 2, 3]
    uninterrupted = run(tiny, Workspace(workspace.root / "other"), results)
    assert uninterrupted.metrics == outcome.metrics


def test_trial_that_a_search_ends_never_counts_as_finished(
    tiny: TinyExperiment, workspace: Workspace, results: ResultStore
) -> None:
    def end(epoch: int, _metrics: Any) -> None:
        if epoch == 2:
            raise StopTrial("enough")

    outcome = run(tiny, workspace, results, on_report=end)
    assert (outcome.status, outcome.reason, outcome.metrics) == ("stopped_early", "enough", {})
    assert not results.finished(outcome.trial_id)


class NotFiniteExperiment(TinyExperiment):
    code_packages = ("test_trial", "tiny_experiment")

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> None:
        raise ArithmeticError("loss term 'total' must be finite, got nan")


def test_failure_is_recorded_with_its_cause(workspace: Workspace, results: ResultStore) -> None:
    with pytest.raises(ArithmeticError):
        run(NotFiniteExperiment(), workspace, results)
    line = results.trials().iloc[0]
    assert line["status"] == "failed"
    assert line["reason"] == "ArithmeticError: loss term 'total' must be finite, got nan"


@pytest.mark.parametrize(
    ("error", "in_vain"),
    [
        (ArithmeticError("nan"), True),
        (ValueError("bad data"), True),
        (SpecError(["bad key"]), True),
        (RuntimeError("out of memory"), False),
        (OSError("disk"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, in_vain: bool) -> None:
    assert would_fail_again(error) is in_vain


def test_other_code_is_refused_with_both_paths(
    tiny: TinyExperiment, workspace: Workspace, results: ResultStore
) -> None:
    here = code_fingerprint(tiny)
    assert here is not None
    elsewhere = replace(
        here, sha256="0" * 64, files={"tiny_experiment": ("/uploaded/tiny_experiment.py", "1" * 64)}
    )
    trial = planned(tiny, results)
    checkpoints, stages = trial_folders(workspace, trial.trial_id)
    context = LocalContext(checkpoint_dir=checkpoints, stage_dir=stages)
    request = TrialRequest(trial=trial, code=elsewhere)
    with pytest.raises(ExecutionError, match=r"/uploaded/tiny_experiment.py.*tiny_experiment\.py"):
        run_trial(request, tiny, context, results)
    assert results.trials().iloc[0]["status"] == "failed"
