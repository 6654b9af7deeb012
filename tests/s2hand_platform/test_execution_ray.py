import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from planned import plan_of, planned
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray_experiments import (
    CrashingExperiment,
    Halve,
    HopelessExperiment,
    LargeExperiment,
    OtherwiseEvaluated,
    PairedExperiment,
    SlowExperiment,
    TwiceFailingExperiment,
    run_with_failing_start,
)
from tiny_experiment import TinyDataError, TinyExperiment

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution import tuner
from s2hand_platform.execution.mapping import map_with_ray
from s2hand_platform.execution.search import AskingScheduler, PlannedSearch
from s2hand_platform.execution.session import Cluster, WorkerResources, connect
from s2hand_platform.execution.settings import RunSettings, RunSummary
from s2hand_platform.execution.termination import termination_interrupts
from s2hand_platform.planning.plan import Plan, PlannedTrial
from s2hand_platform.spec.schema import LogUniform, SweepSpec
from s2hand_platform.store.records import StoredAttempt
from s2hand_platform.store.results import ResultStore
from s2hand_platform.trials.attempt import run_trial
from s2hand_platform.trials.context import WorkerContext, checkpoint_folder
from s2hand_platform.trials.curve import CURVE_FILE
from s2hand_platform.trials.lock import first_free
from s2hand_platform.trials.pictures import read_pictures
from s2hand_platform.workspace import Workspace

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """One Ray for the tests of this file; its workers find this folder, and no GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        with connect(cpus=2):
            yield


class Listener:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.on_first_report: Callable[[], None] = lambda: None
        self.outcomes: list[StoredAttempt] = []
        self.tried_again: list[bool] = []
        self.num_started = 0

    def begin(self, plan: Plan) -> None: ...

    def started(self, trial: PlannedTrial, attempt: int) -> None:
        self.num_started += 1

    def reported(self, trial: PlannedTrial, attempt: int, epoch: int, metrics: Any) -> None:
        self.epochs.append(epoch)
        if len(self.epochs) == 1:
            self.on_first_report()

    def ended(
        self, trial: PlannedTrial, outcome: StoredAttempt, *, tried_again: bool = False
    ) -> None:
        self.outcomes.append(outcome)
        self.tried_again.append(tried_again)

    def close(self) -> None: ...


def kill_tune_processes() -> None:
    """Kill the processes of Tune's trials among this process's descendants."""
    listing = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,args="], check=True, capture_output=True, text=True
    ).stdout
    children: dict[int, list[tuple[int, str]]] = {}
    for line in listing.splitlines():
        pid, parent, name = line.split(maxsplit=2)
        children.setdefault(int(parent), []).append((int(pid), name))
    family = [os.getpid()]
    while family:
        for pid, name in children.get(family.pop(), []):
            family.append(pid)
            if name.startswith("ray::ImplicitFunc"):
                os.kill(pid, signal.SIGKILL)


def run(
    experiment: TinyExperiment,
    workspace: Workspace,
    sink: Listener,
    *overrides: dict[str, Any],
) -> RunSummary:
    """Run one trial per configuration, or what is missing of them."""
    store = ResultStore(workspace.store_dir)
    trials = [planned(experiment, each) for each in overrides or ({},)]
    finished = set(store.trials().query("status == 'finished'")["trial_id"])
    known = [
        replace(trial, status="cached") if trial.trial_id in finished else trial for trial in trials
    ]
    return tuner.run_plan(plan_of(*known), experiment, workspace, sink, RunSettings())


def assert_nothing_left_behind() -> None:
    """Wait for Ray's own books, which follow the processes' end with a delay."""
    deadline = time.monotonic() + 120
    while (left := what_is_left()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left == {}


def what_is_left() -> dict[str, Any]:
    states = {group["state"] for group in ray.util.placement_group_table().values()} - {"REMOVED"}
    missing = ray.cluster_resources()["CPU"] - ray.available_resources().get("CPU", 0)
    return ({"placement groups": states} if states else {}) | ({"CPUs": missing} if missing else {})


class EndSecond(FIFOScheduler):
    """Ends every trial at its second report."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        return TrialScheduler.STOP if result["epoch"] >= 1 else TrialScheduler.CONTINUE


def search(num_trials: int) -> SweepSpec:
    return SweepSpec(
        name="search",
        title="",
        dataset="curve",
        base={},
        space={"learning_rate": LogUniform(low=1e-3, high=0.5)},
        search="optuna",
        scheduler="asha",
        metric="validation/error",
        mode="min",
        num_trials=num_trials,
    )


def test_suggestions_are_repeatable_and_learn_from_results() -> None:
    def suggestions(seed: int) -> list[float]:
        searcher = PlannedSearch(search(num_trials=3), seed, dict)
        drawn = []
        for number in range(3):
            point = searcher.suggest(str(number))
            assert point is not None
            drawn.append(point["learning_rate"])
            searcher.on_trial_result(str(number), {"loss/total": 1.0})
            searcher.on_trial_complete(str(number), {"validation/error": point["learning_rate"]})
        return drawn

    assert suggestions(1) == suggestions(1)
    assert suggestions(1) != suggestions(2)
    assert all(1e-3 <= value <= 0.5 for value in suggestions(1))


def test_scheduler_names_the_metric_that_a_report_lacks(tmp_path: Path) -> None:
    scheduler = AskingScheduler(EndSecond(), "validation/error", Workspace(tmp_path))
    with pytest.raises(ExecutionError, match=r"'validation/error' must be in every report.*loss/t"):
        scheduler.on_trial_result(None, object(), {"loss/t": 1.0, "reported": ["loss/t"]})


def test_no_cluster_at_the_address_is_told_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (
        pytest.raises(ExecutionError, match=f"no Ray cluster answers at {address}"),
        connect(address),
    ):
        pass


@pytest.mark.parametrize("address", ["ray://head:10001", "head"])
def test_address_must_be_a_head_with_its_port(address: str) -> None:
    with pytest.raises(ExecutionError, match="--address: must be HOST:PORT"), connect(address):
        pass


@pytest.mark.parametrize(
    ("cluster", "world_size", "at_once"),
    [
        (Cluster(cpus=2, gpus=0, slots=2), 1, 2),
        (Cluster(cpus=4, gpus=0, slots=4), 2, 2),
        (Cluster(cpus=64, gpus=8, slots=None), 2, 4),
    ],
)
def test_trials_at_once_are_what_fits(cluster: Cluster, world_size: int, at_once: int) -> None:
    device_type = "cuda" if cluster.gpus else "cpu"
    worker = cluster.worker_resources(device_type, None, None)
    assert cluster.trials_at_once(worker, world_size) == at_once


def test_gpus_follow_from_what_the_trials_are_planned_for() -> None:
    cluster = Cluster(cpus=16, gpus=4, slots=None)
    assert cluster.worker_resources("cuda", None, None) == WorkerResources(cpus=4, gpus=1)
    assert cluster.worker_resources("cpu", None, None) == WorkerResources(cpus=1, gpus=0)


@pytest.mark.parametrize(
    ("gpus_there", "device_type", "gpus", "message"),
    [
        (0, "cuda", None, "planned for cuda, but this Ray has no GPUs"),
        (4, "cuda", 0.0, "planned for cuda, but 0 GPUs are asked for"),
        (4, "cpu", 0.5, "planned for cpu, but 0.5 GPUs are asked for"),
    ],
)
def test_device_that_is_not_there_is_told_before_anything_starts(
    gpus_there: int, device_type: str, gpus: float | None, message: str
) -> None:
    cluster = Cluster(cpus=4, gpus=gpus_there, slots=None)
    with pytest.raises(ExecutionError, match=message):
        cluster.worker_resources(device_type, None, gpus)


def test_trials_that_share_a_gpu_share_its_cpus() -> None:
    cluster = Cluster(cpus=16, gpus=1, slots=None)
    worker = cluster.worker_resources("cuda", None, 0.5)
    assert worker == WorkerResources(cpus=8, gpus=0.5)
    assert cluster.trials_at_once(worker, 1) == 2


def test_trial_that_does_not_fit_is_told_with_what_there_is() -> None:
    cluster = Cluster(cpus=2, gpus=0, slots=None)
    with pytest.raises(ExecutionError, match=r"needs 4 workers of 1 CPUs.*has 2 CPUs"):
        cluster.trials_at_once(WorkerResources(), 4)


def test_request_to_terminate_interrupts_and_is_handled_as_before_afterwards() -> None:
    def terminated() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), termination_interrupts():
        terminated()
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("local_ray")
class TestRay:
    def test_plan_runs_what_is_missing_and_nothing_twice(self, tmp_path: Path) -> None:
        workspace, sink = Workspace(tmp_path), Listener()
        rows: tuple[dict[str, Any], ...] = ({}, {"learning_rate": 0.1})
        summary = run(TinyExperiment(), workspace, sink, *rows)
        assert [outcome.status for outcome in summary.outcomes] == ["finished"] * 2
        assert sorted(sink.epochs) == [0, 0, 1, 1, 2, 2, 3, 3]
        store = ResultStore(workspace.store_dir)
        curve = store.curves([outcome.trial_id for outcome in summary.outcomes])
        assert len(curve) == 2 * 4 * 2
        assert '"threads": 1' in store.trials()["environment_json"].iloc[0]
        for outcome in summary.outcomes:
            drawn = read_pictures(workspace.checkpoints_dir / outcome.trial_id, attempt=0)
            assert [(picture.name, picture.epoch) for picture in drawn] == [("fit", 1), ("fit", 3)]
        again = run(TinyExperiment(), workspace, sink, *rows)
        assert (again.outcomes, again.reused) == ((), 2)
        assert_nothing_left_behind()

    def test_two_workers_share_a_process_group(self, tmp_path: Path) -> None:
        summary = run(PairedExperiment(), Workspace(tmp_path), Listener(), {"workers": 2})
        assert summary.outcomes[0].status == "finished"
        curve = ResultStore(tmp_path / "store").curves([summary.outcomes[0].trial_id])
        assert list(curve["value"]) == [3.0] * 4  # ranks 0 and 1, each plus one

    def test_killed_worker_is_recorded_and_tried_again_from_its_checkpoint(
        self, tmp_path: Path
    ) -> None:
        sink = Listener()
        summary = run(CrashingExperiment(), Workspace(tmp_path), sink)
        assert [outcome.status for outcome in sink.outcomes] == ["failed", "finished"]
        assert sink.tried_again == [True, False]
        assert sink.outcomes[0].failure == "lost_process"
        assert sink.outcomes[0].reason == "the trial's process was lost"
        assert summary.outcomes[0].attempt == 1
        # What the killed worker told Ray last may be lost; what it wrote is not, nor written twice.
        folder = Workspace(tmp_path).checkpoints_dir / summary.outcomes[0].trial_id
        lines = (folder / CURVE_FILE).read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines if line] == [0, 1, 2, 3]
        assert max(sink.epochs) == 3
        curve = ResultStore(tmp_path / "store").curves([summary.outcomes[0].trial_id])
        assert set(curve.loc[curve["attempt"] == 0, "epoch"]) == {0, 1}
        assert_nothing_left_behind()

    def test_every_attempt_has_a_cause_of_its_own(self, tmp_path: Path) -> None:
        sink = Listener()
        run(TwiceFailingExperiment(), Workspace(tmp_path), sink)
        assert [(outcome.failure, outcome.reason) for outcome in sink.outcomes] == [
            ("storage", "OSError: no space left"),
            ("lost_process", "the trial's process was lost"),
            (None, ""),
        ]
        assert sink.tried_again == [True, True, False]

    def test_workers_that_could_not_start_are_tried_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tuner, "run_in_tune", run_with_failing_start)
        sink = Listener()
        run(TinyExperiment(), Workspace(tmp_path), sink)
        assert [outcome.failure for outcome in sink.outcomes] == ["start", None]
        assert sink.outcomes[0].reason.startswith("the training workers could not be started: ")
        assert sink.outcomes[1].status == "finished"
        assert_nothing_left_behind()

    @pytest.mark.parametrize(
        ("experiment", "failure", "reason"),
        [
            (HopelessExperiment(), "data", "TinyDataError: no clip is that short"),
            (
                LargeExperiment(),
                "out_of_memory",
                "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
            ),
        ],
        ids=["data", "out of memory"],
    )
    def test_hopeless_trial_is_tried_once_and_prints_nothing(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        experiment: TinyExperiment,
        failure: str,
        reason: str,
    ) -> None:
        sink = Listener()
        summary = run(experiment, Workspace(tmp_path), sink)
        assert [(each.failure, each.reason) for each in sink.outcomes] == [(failure, reason)]
        assert sink.tried_again == [False]
        assert [outcome.status for outcome in summary.failed] == ["failed"]
        assert capsys.readouterr().out == ""  # which belongs to tables and JSON

    def test_lost_tune_process_frees_its_workers_resources(self, tmp_path: Path) -> None:
        sink = Listener()
        sink.on_first_report = kill_tune_processes
        run(SlowExperiment(), Workspace(tmp_path), sink, {"epochs": 30})
        assert [outcome.status for outcome in sink.outcomes] == ["failed", "finished"]
        assert sink.outcomes[0].reason == "the trial's process was lost"
        curve = ResultStore(tmp_path / "store").curves([sink.outcomes[0].trial_id])
        assert 0 in set(curve.loc[curve["attempt"] == 0, "epoch"])
        assert_nothing_left_behind()

    def test_evaluation_of_other_code_is_made_again_without_training(self, tmp_path: Path) -> None:
        workspace, sink = Workspace(tmp_path), Listener()
        run(TinyExperiment(), workspace, sink)
        sink.epochs.clear()
        experiment = OtherwiseEvaluated()
        trial = replace(planned(experiment), status="evaluate")
        assert trial.trial_id == sink.outcomes[0].trial_id
        tuner.run_plan(plan_of(trial), experiment, workspace, sink, RunSettings())
        assert sink.epochs == []
        assert [outcome.attempt for outcome in sink.outcomes] == [0, 1]
        assert sink.outcomes[1].metrics["test/error"] == 2 * sink.outcomes[0].metrics["test/error"]

    def test_trial_of_another_command_is_waited_for_and_reused(self, tmp_path: Path) -> None:
        workspace, experiment, sink = Workspace(tmp_path), TinyExperiment(), Listener()
        trial = planned(experiment)
        store = ResultStore(workspace.store_dir)
        context = WorkerContext(
            checkpoint_dir=checkpoint_folder(workspace, trial.trial_id),
            stage_dir=workspace.stages_dir,
            attempt=0,
            on_report=lambda _epoch, _metrics: None,
        )
        runs = threading.Thread(target=run, args=(experiment, workspace, sink))
        with first_free(workspace, [trial.trial_id]):
            runs.start()
            deadline = time.monotonic() + 120
            while not sink.num_started and time.monotonic() < deadline:
                time.sleep(0.1)
            run_trial(trial, experiment, context, store)
        runs.join()
        assert [outcome.status for outcome in sink.outcomes] == ["finished"]
        assert list(store.trials()["attempt"]) == [0]

    def test_ended_trial_is_marked_and_leaves_nothing_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workspace, sink, experiment = Workspace(tmp_path), Listener(), SlowExperiment()
        monkeypatch.setattr(
            tuner,
            "scheduler_for",
            lambda spec, workspace: AskingScheduler(EndSecond(), spec.metric, workspace),
        )

        def plan_point(point: Any) -> PlannedTrial:
            return planned(experiment, {**point, "epochs": 400}, seed=0)

        summary = tuner.run_search(
            search(num_trials=2),
            plan_point,
            experiment,
            workspace,
            sink,
            RunSettings(),
            seed=0,
            device_type="cpu",
        )
        assert sorted(outcome.status for outcome in summary.outcomes) == ["stopped_early"] * 2
        assert max(sink.epochs) < 399
        assert_nothing_left_behind()

    def test_parts_of_work_are_done_once_each_though_a_worker_is_killed(
        self, tmp_path: Path
    ) -> None:
        done: list[tuple[int, float]] = []
        map_with_ray(Halve(tmp_path, fatal=4), range(0, 20, 2), done.append, address=None)
        assert sorted(done) == [(number, number / 2) for number in range(0, 20, 2)]
        assert (tmp_path / "killed").exists()

    def test_an_error_of_the_work_comes_as_it_is(self, tmp_path: Path) -> None:
        done: list[tuple[int, float]] = []
        with pytest.raises(TinyDataError, match="3 is odd"):
            map_with_ray(Halve(tmp_path), [0, 2, 3], done.append, address=None)
        assert set(done) <= {(0, 0.0), (2, 1.0)}
