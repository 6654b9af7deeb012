import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from planned import planned
from tiny_experiment import TinyConfig, TinyExperiment

from s2hand_platform.errors import ExecutionError, StopTrial
from s2hand_platform.experiments.protocol import Scalars, StageReport, TrialContext
from s2hand_platform.identity import EVALUATION_DATA
from s2hand_platform.planning.plan import PlannedTrial
from s2hand_platform.store.results import ResultStore
from s2hand_platform.trials.attempt import record_failure, run_trial
from s2hand_platform.trials.context import WorkerContext, checkpoint_folder
from s2hand_platform.trials.failure import LOST
from s2hand_platform.trials.outcome import finished_as_planned, last_try
from s2hand_platform.workspace import Workspace

HERE = Path(__file__).parent


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def results(workspace: Workspace) -> ResultStore:
    return ResultStore(workspace.store_dir)


def ignore(_epoch: int, _metrics: Scalars) -> None: ...


def run(
    trial: PlannedTrial,
    workspace: Workspace,
    experiment: TinyExperiment | None = None,
    *,
    on_report: Callable[[int, Scalars], None] = ignore,
    device: str = "cpu",
) -> bool:
    store = ResultStore(workspace.store_dir)
    context = WorkerContext(
        checkpoint_dir=checkpoint_folder(workspace, trial.trial_id),
        stage_dir=workspace.stages_dir,
        attempt=store.next_attempt(trial.trial_id),
        device=device,
        on_report=on_report,
    )
    return run_trial(trial, experiment or TinyExperiment(), context, store)


def test_trial_is_recorded_with_metrics_curve_and_environment(
    tiny: TinyExperiment, workspace: Workspace, results: ResultStore
) -> None:
    trial = planned(tiny)
    assert run(trial, workspace)
    line = results.trials().iloc[0]
    assert (line["status"], line["seed"], line["attempt"]) == ("finished", 7, 0)
    assert line["device_type"] == "cpu"
    assert "torch" in json.loads(line["environment_json"])["framework"]
    outcome = last_try(results, trial.trial_id)
    assert outcome is not None
    assert outcome.metrics["test/score"] == 1 / (1 + outcome.metrics["test/error"])
    curve = results.curves([trial.trial_id])
    assert sorted(curve.loc[curve["metric"] == "loss/total", "epoch"]) == [0, 1, 2, 3]
    assert trial.code is not None
    assert results.code_files(line["code_fingerprint"]) == trial.code.digests


def test_interrupted_trial_goes_on_under_its_number_and_keeps_its_curve(
    tiny: TinyExperiment, workspace: Workspace, results: ResultStore
) -> None:
    reports: list[int] = []

    def interrupt(epoch: int, _metrics: Any) -> None:
        reports.append(epoch)
        if epoch == 1 and len(reports) == 2:
            raise KeyboardInterrupt

    trial = planned(tiny)
    with pytest.raises(KeyboardInterrupt):
        run(trial, workspace, on_report=interrupt)
    assert results.trials().empty
    (curve_file,) = workspace.checkpoints_dir.glob("*/curve.jsonl")
    with curve_file.open("a") as file:
        file.write('{"epoch": 2, "met')  # what a killed process leaves
    run(trial, workspace, on_report=interrupt)
    assert reports == [0, 1, 2, 3]
    outcome = last_try(results, trial.trial_id)
    assert outcome is not None
    assert outcome.attempt == 0
    curve = results.curves([trial.trial_id])
    assert sorted(curve.loc[curve["metric"] == "loss/total", "epoch"]) == [0, 1, 2, 3]
    other = Workspace(workspace.root / "other")
    run(trial, other)
    uninterrupted = last_try(ResultStore(other.store_dir), trial.trial_id)
    assert uninterrupted is not None
    assert uninterrupted.metrics == outcome.metrics


def test_trial_that_a_search_ends_never_counts_as_finished(
    tiny: TinyExperiment, workspace: Workspace, results: ResultStore
) -> None:
    def end(epoch: int, _metrics: Any) -> None:
        if epoch == 2:
            raise StopTrial("enough")

    trial = planned(tiny)
    assert not run(trial, workspace, on_report=end)
    outcome = last_try(results, trial.trial_id)
    assert outcome is not None
    assert (outcome.status, outcome.reason, outcome.metrics) == ("stopped_early", "enough", {})
    assert results.last_attempt(trial.trial_id) == outcome


class StagedExperiment(TinyExperiment):
    """Tells of three stages, one of which another trial has trained."""

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        super().train(config, seed, context)
        return [
            StageReport(name="shared", stage_id="s" * 64, training_s=400.0, trained_here=False),
            StageReport(name="own", stage_id="o" * 64, training_s=50.0, trained_here=True),
            StageReport(name="last", stage_id="l" * 64, training_s=19.0, trained_here=True),
        ]


def test_stages_and_what_they_took_are_recorded(workspace: Workspace, results: ResultStore) -> None:
    run(planned(StagedExperiment()), workspace, StagedExperiment())
    line = results.trials().iloc[0]
    stages = json.loads(line["stages_json"])
    assert [(stage["name"], stage["trained_here"]) for stage in stages] == [
        ("shared", False),
        ("own", True),
        ("last", True),
    ]
    assert line["training_s"] == 69.0
    assert 0 < line["evaluation_s"] < 60


def test_failed_attempt_is_recorded_with_what_it_left_on_the_disk(
    tiny: TinyExperiment, workspace: Workspace, results: ResultStore
) -> None:
    def crash(epoch: int, _metrics: Any) -> None:
        if epoch == 2:
            raise KeyboardInterrupt  # nobody in this process is left to record it

    trial = planned(tiny)
    with pytest.raises(KeyboardInterrupt):
        run(trial, workspace, on_report=crash)
    folder = checkpoint_folder(workspace, trial.trial_id)
    record_failure(trial, tiny, results, folder, LOST, datetime.now(UTC))
    line = results.trials().iloc[0]
    assert (line["status"], line["failure"]) == ("failed", "lost_process")
    assert line["reason"] == "the trial's process was lost"
    assert "torch" in json.loads(line["environment_json"])["framework"]
    curve = results.curves([trial.trial_id])
    assert sorted(curve.loc[curve["metric"] == "loss/total", "epoch"]) == [0, 1, 2]


class TestEvaluationAlone:
    @pytest.fixture
    def trained(self, tiny: TinyExperiment, workspace: Workspace) -> PlannedTrial:
        trial = planned(tiny)
        run(trial, workspace)
        return replace(trial, status="evaluate")

    def test_measures_again_and_does_not_train(
        self, trained: PlannedTrial, workspace: Workspace, results: ResultStore
    ) -> None:
        reports: list[int] = []
        run(trained, workspace, on_report=lambda epoch, _metrics: reports.append(epoch))
        assert reports == []
        lines = results.trials().sort_values("attempt")
        assert list(lines["status"]) == ["finished", "finished"]
        first, second = lines["stages_json"]
        assert first == second
        assert lines["training_s"].nunique() == 1

    def test_checkpoint_that_is_gone_is_trained_again(
        self, trained: PlannedTrial, workspace: Workspace
    ) -> None:
        state = checkpoint_folder(workspace, trained.trial_id) / "state.json"
        before = state.read_text()
        state.unlink()
        run(trained, workspace)
        assert json.loads(state.read_text())["w"] == json.loads(before)["w"]


class TestWorkerDiffersFromTheDriver:
    def refused(self, trial: PlannedTrial, workspace: Workspace, device: str = "cpu") -> str:
        with pytest.raises(ExecutionError) as refusal:
            run(trial, workspace, device=device)
        assert not list(checkpoint_folder(workspace, trial.trial_id).glob("state.json"))
        return f"{refusal.value.cause}: {refusal.value}"

    def test_training_code(self, tiny: TinyExperiment, workspace: Workspace) -> None:
        trial = planned(tiny)
        assert trial.code is not None
        code = replace(
            trial.code,
            digests={"tiny_experiment": "1" * 64},
            paths={"tiny_experiment": "/uploaded/tiny_experiment.py"},
        )
        message = self.refused(replace(trial, code=code), workspace)
        assert message.startswith("code: the code of 'tiny_experiment'")
        assert "/uploaded/tiny_experiment.py" in message
        assert str(HERE / "tiny_experiment.py") in message

    def test_evaluation_code(self, tiny: TinyExperiment, workspace: Workspace) -> None:
        trial = planned(tiny)
        assert trial.evaluation is not None
        digests = {**trial.evaluation.digests, "tiny_experiment": "1" * 64}
        changed = replace(trial.evaluation, digests=digests)
        message = self.refused(replace(trial, evaluation=changed), workspace)
        assert message.startswith("code: the code of 'tiny_experiment'")

    def test_training_data(self, tiny: TinyExperiment, workspace: Workspace) -> None:
        trial = planned(tiny)
        here = trial.identity.data
        assert here is not None
        elsewhere = replace(trial.identity, data="f" * 64)
        message = self.refused(replace(trial, identity=elsewhere), workspace)
        assert message.startswith("data: the training data must be what the trial was planned")
        assert "ffffffffffff" in message
        assert here[:12] in message

    def test_evaluation_data(self, tiny: TinyExperiment, workspace: Workspace) -> None:
        trial = planned(tiny)
        assert trial.evaluation is not None
        digests = {**trial.evaluation.digests, EVALUATION_DATA: "f" * 64}
        changed = replace(trial.evaluation, digests=digests)
        message = self.refused(replace(trial, evaluation=changed), workspace)
        assert message.startswith("data: the evaluation data must be")
        assert "ffffffffffff" in message

    @pytest.mark.parametrize(
        ("device_type", "device", "remedy"),
        [("cuda", "cpu", "where torch finds a GPU"), ("cpu", "cuda:0", "no GPU")],
    )
    def test_device(
        self,
        tiny: TinyExperiment,
        workspace: Workspace,
        device_type: str,
        device: str,
        remedy: str,
    ) -> None:
        message = self.refused(planned(tiny, device_type=device_type), workspace, device)
        assert f"planned for {device_type}, but would run on '{device}'" in message
        assert remedy in message
        assert message.startswith("configuration: ")


TWO_SHELLS = """
import sys
from pathlib import Path
from planned import plan_of, planned
from slow_tiny import Sink, SlowTiny
from s2hand_platform.execution.local import run_in_process
from s2hand_platform.workspace import Workspace
experiment = SlowTiny()
trials = [planned(experiment, seed=seed) for seed in range(4)]
print("ready", flush=True)
sys.stdin.readline()
summary = run_in_process(plan_of(*trials), experiment, Workspace(Path(sys.argv[1])), Sink())
print([outcome.status for outcome in summary.outcomes])
"""


def test_two_commands_at_once_repeat_nothing(workspace: Workspace, results: ResultStore) -> None:
    shells = [
        subprocess.Popen(
            [sys.executable, "-c", TWO_SHELLS, str(workspace.root)],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for shell in shells:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "ready\n"
    for shell in shells:
        assert shell.stdin is not None
        shell.stdin.write("go\n")
        shell.stdin.flush()
    printed = [shell.communicate() for shell in shells]
    assert [out for out, _ in printed] == [f"{['finished'] * 4}\n"] * 2, printed
    assert list(results.trials()["attempt"]) == [0] * 4
    for folder in workspace.checkpoints_dir.iterdir():
        lines = (folder / "curve.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines if line] == [0, 1, 2, 3]
        assert (folder / "trainings").read_text() == "trained\n"


def test_evaluation_again_that_fails_is_how_the_last_try_ended(
    tiny: TinyExperiment, workspace: Workspace, results: ResultStore
) -> None:
    trial = planned(tiny)
    run(trial, workspace)
    finished = last_try(results, trial.trial_id)
    assert finished is not None
    folder = checkpoint_folder(workspace, trial.trial_id)
    record_failure(trial, tiny, results, folder, LOST, datetime.now(UTC))
    outcome = last_try(results, trial.trial_id)
    assert outcome is not None
    assert (outcome.attempt, outcome.status, outcome.failure) == (1, "failed", "lost_process")
    assert (outcome.metrics, outcome.evaluation_fingerprint) == ({}, None)
    assert finished_as_planned(results, trial) == finished


def test_result_of_another_evaluation_is_not_the_planned_one(
    tiny: TinyExperiment, workspace: Workspace, results: ResultStore
) -> None:
    trial = planned(tiny)
    run(trial, workspace)
    assert finished_as_planned(results, trial) is not None
    assert trial.evaluation is not None
    other = replace(trial, evaluation=replace(trial.evaluation, sha256="0" * 64))
    assert finished_as_planned(results, other) is None
    assert finished_as_planned(results, replace(trial, evaluation=None)) is None
