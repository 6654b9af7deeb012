import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from tiny_experiment import TinyExperiment

from s2hand_platform.execution.local import run_in_process
from s2hand_platform.planning import Plan, plan_table
from s2hand_platform.spec.published import (
    PublishedCell,
    PublishedColumn,
    PublishedRow,
    PublishedTable,
)
from s2hand_platform.spec.schema import ColumnSpec, RowSpec, TableSpec
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tracking.mlflow_sink import mlflow_sink
from s2hand_platform.tracking.spool import Spool, TrackerAwayError
from s2hand_platform.tracking.writer import SpoolingSink
from s2hand_platform.workspace import Workspace

pytestmark = pytest.mark.filterwarnings("default")

SPEC = TableSpec(
    name="tiny",
    title="",
    dataset="curve",
    base={"epochs": 2},
    rows=(
        RowSpec(id="flat", label="Flat", overrides={"curvature": False}),
        RowSpec(id="curved", label="Curved", overrides={}),
    ),
    columns=(ColumnSpec(label="error", metric="test/error"),),
    published=PublishedTable(
        name="tiny",
        title="",
        dataset="curve",
        direction="",
        columns=(PublishedColumn(label="error", metric="test/error", unit="cm"),),
        rows=(
            PublishedRow(
                id="flat",
                label="Flat",
                dataset="curve",
                quoted=False,
                cells={"error": PublishedCell.parse("1.25")},
            ),
        ),
    ),
)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables made: that takes seconds, once is enough."""
    workspace = Workspace(tmp_path_factory.mktemp("empty"))
    MlflowClient(workspace.mlflow_uri).search_experiments()
    return workspace.root / "mlflow.db"


@pytest.fixture
def workspace(tmp_path: Path, empty_database: Path) -> Workspace:
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    return Workspace(tmp_path)


def plan(workspace: Workspace, experiment: TinyExperiment) -> Plan:
    return plan_table(SPEC, experiment, ResultStore(workspace.store_dir), [0, 1])


def run(workspace: Workspace, experiment: TinyExperiment, uri: str | None = None) -> SpoolingSink:
    sink = mlflow_sink(workspace, data="curve", uri=uri)
    run_in_process(plan(workspace, experiment), experiment, workspace, sink)
    store = ResultStore(workspace.store_dir)
    sink.summarise(MeasuredTable.build(SPEC, store, experiment, data="curve"))
    sink.close()
    return sink


def runs(workspace: Workspace, kind: str) -> dict[str, Run]:
    client = MlflowClient(workspace.mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    found = client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'")
    return {run.info.run_name: run for run in found}


def test_rows_are_parents_and_attempts_their_children(
    workspace: Workspace, tiny: TinyExperiment
) -> None:
    sink = run(workspace, tiny)
    assert sink.num_spooled == 0
    rows, attempts = runs(workspace, "row"), runs(workspace, "attempt")
    assert set(rows) == {"flat", "curved"}
    assert set(attempts) == {f"{row} seed {seed}" for row in rows for seed in (0, 1)}
    child = attempts["flat seed 1"]
    assert child.info.status == "FINISHED"
    assert child.data.tags["mlflow.parentRunId"] == rows["flat"].info.run_id
    assert child.data.params["curvature"] == "False"
    client = MlflowClient(workspace.mlflow_uri)
    history = client.get_metric_history(child.info.run_id, "loss/total")
    assert [point.step for point in history] == [0, 1]
    assert child.data.metrics["test/error"] > 0


def test_rows_hold_mean_interval_and_the_published_value(
    workspace: Workspace, tiny: TinyExperiment
) -> None:
    run(workspace, tiny)
    row, attempts = runs(workspace, "row")["flat"], runs(workspace, "attempt")
    values = [attempts[f"flat seed {seed}"].data.metrics["test/error"] for seed in (0, 1)]
    mean = sum(values) / 2
    # Student's t at one degree of freedom and 97.5 % is 12.706; the mean's error is |a - b| / 2.
    half_width = 12.706204736 * abs(values[0] - values[1]) / 2
    metrics = row.data.metrics
    assert metrics["test/error.mean"] == pytest.approx(mean)
    assert metrics["test/error.ci_high"] == pytest.approx(mean + half_width)
    assert metrics["test/error.n"] == 2
    assert metrics["test/error.published"] == 1.25
    assert row.data.tags["paper.table"] == "tiny"


def test_telling_again_makes_no_second_runs(workspace: Workspace, tiny: TinyExperiment) -> None:
    run(workspace, tiny)
    before = {name: run.info.run_id for name, run in runs(workspace, "attempt").items()}
    run(workspace, tiny)
    after = runs(workspace, "attempt")
    assert {name: run.info.run_id for name, run in after.items()} == before
    client = MlflowClient(workspace.mlflow_uri)
    history = client.get_metric_history(before["flat seed 0"], "test/error")
    assert len(history) == 1


def test_reused_trials_are_told_to_a_tracker_that_does_not_know_them(
    workspace: Workspace, tiny: TinyExperiment, empty_database: Path
) -> None:
    run(workspace, tiny)
    (workspace.root / "mlflow.db").write_bytes(empty_database.read_bytes())
    run(workspace, tiny)
    child = runs(workspace, "attempt")["curved seed 0"]
    assert child.info.status == "FINISHED"
    assert {"loss/total", "test/error"} <= set(child.data.metrics)


def test_server_that_is_down_loses_nothing(
    workspace: Workspace, tiny: TinyExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    sink = run(workspace, tiny, uri)
    assert len(ResultStore(workspace.store_dir).trials()) == 4
    assert sink.num_spooled > 0
    # The server comes back: here, under the same spool, as the embedded database.
    waiting = next(workspace.root.glob("spool-*.jsonl"))
    waiting.rename(Spool(workspace.root, workspace.mlflow_uri).path)
    later = mlflow_sink(workspace, data="curve")
    later.begin(Plan(trials=(), rows=()))
    later.close()
    assert later.num_spooled == 0
    attempts = runs(workspace, "attempt")
    assert len(attempts) == 4
    assert attempts["flat seed 0"].data.metrics["test/error"] > 0


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"op": "x", "number": number} for number in range(count)]


def test_spool_keeps_order_and_what_was_not_applied(tmp_path: Path) -> None:
    spool, applied = Spool(tmp_path, "uri"), []

    def fail_at(limit: int) -> Callable[[Any], None]:
        def apply(operation: Any) -> None:
            if operation["number"] == limit:
                raise TrackerAwayError("away")
            applied.append(operation["number"])

        return apply

    spool.append(numbered(5))
    with pytest.raises(TrackerAwayError):
        spool.replay(fail_at(3))
    assert (applied, len(spool)) == ([0, 1, 2], 2)
    spool.replay(fail_at(-1))
    assert (applied, len(spool)) == ([0, 1, 2, 3, 4], 0)


def test_spool_skips_a_line_that_a_killed_process_left(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "uri")
    spool.append(numbered(1))
    with spool.path.open("a") as file:
        file.write('{"op": "x", "numb')
    spool.append(numbered(2))
    assert len(spool) == 3
