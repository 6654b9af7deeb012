import json
import socket
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image
from tiny_experiment import TinyConfig, TinyExperiment, draw

from s2hand_platform.errors import SpecError
from s2hand_platform.execution.local import run_in_process
from s2hand_platform.experiments.protocol import StageReport, TrialContext
from s2hand_platform.planning.persist import persisted_table
from s2hand_platform.planning.plan import Plan
from s2hand_platform.planning.planner import plan_points, plan_table
from s2hand_platform.spec.published import (
    PrintedOn,
    PublishedCell,
    PublishedColumn,
    PublishedRow,
    PublishedTable,
)
from s2hand_platform.spec.schema import Choices, ColumnSpec, RowSpec, SweepSpec, TableSpec
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tracking import writer
from s2hand_platform.tracking.mlflow_sink import MlflowRuns, _address, mlflow_sink
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
        measured_on=PrintedOn(dataset="curve", version="v1"),
        direction="",
        columns=(PublishedColumn(label="error", metric="test/error", unit="cm"),),
        rows=(
            PublishedRow(
                id="flat",
                label="Flat",
                measured_on=PrintedOn(dataset="curve", version="v1"),
                quoted=False,
                cells={"error": PublishedCell.parse("1.25")},
            ),
        ),
    ),
)


@pytest.fixture(autouse=True)
def no_notice_on_a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "NOTICE_AFTER_S", 240.0)


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


def run(
    workspace: Workspace,
    experiment: TinyExperiment,
    uri: str | None = None,
    *,
    data: str = "curve",
    say: Callable[[str], None] = pytest.fail,
) -> SpoolingSink:
    sink = mlflow_sink(workspace, data=data, uri=uri, say=say)
    planned = plan(workspace, experiment)
    run_in_process(planned, experiment, workspace, sink)
    record = experiment.describe_data(TinyConfig())
    kept = persisted_table(
        SPEC,
        planned,
        experiment="tiny",
        metrics=experiment.metrics,
        data={row.id: record for row in SPEC.rows},
    )
    table = MeasuredTable.build(kept, ResultStore(workspace.store_dir))
    for row, values in table.summaries().items():
        sink.summarise("row", "tiny", row, values)
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


def test_the_store_keeps_which_runs_show_an_attempt(
    workspace: Workspace, tiny: TinyExperiment
) -> None:
    run(workspace, tiny)
    store = ResultStore(workspace.store_dir)
    trials = {trial.trial_id: trial for trial in plan(workspace, tiny).trials}
    kept = store.tracked(trials)
    assert {
        (each.group, f"{each.name} seed {trials[each.trial_id].seed}", each.attempt, each.tracker)
        for each in kept
    } == {("tiny", name, 0, "") for name in runs(workspace, "attempt")}
    ids = {name: each.info.run_id for name, each in runs(workspace, "attempt").items()}
    assert {f"{each.name} seed {trials[each.trial_id].seed}": each.run_id for each in kept} == ids

    for path in (store.path / "tracked").iterdir():
        path.unlink()
    run(workspace, tiny)  # trials that are reused tell it again
    assert store.tracked(trials) == kept


def test_a_store_that_takes_no_runs_keeps_nothing_from_mlflow(
    workspace: Workspace, tiny: TinyExperiment
) -> None:
    workspace.store_dir.mkdir()
    (workspace.store_dir / "tracked").write_text("no folder")
    said: list[str] = []
    sink = run(workspace, tiny, say=said.append)
    assert sink.num_spooled == 0
    assert len(runs(workspace, "attempt")) == 4
    (line,) = said
    assert line.startswith("the store does not take MLflow's run ids: cannot write the result")


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://name:word@host:5000/mlflow?token=word", "http://host:5000/mlflow"),
        ("postgresql://name:word@host/runs", "postgresql://host/runs"),
        ("sqlite:////disk/mlflow.db", "sqlite:////disk/mlflow.db"),
    ],
)
def test_what_is_kept_of_a_trackers_address_opens_nothing(uri: str, address: str) -> None:
    assert _address(uri) == address


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


def test_a_tables_files_are_shown_in_a_run_of_its_own(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace.report_dir("tiny", "curve (demo)")
    folder.mkdir(parents=True)

    def attach(**files: str) -> Run:
        for name, text in files.items():
            (folder / f"{name}.md").write_text(text)
        sink = mlflow_sink(workspace, data="curve", say=pytest.fail)
        sink.attach("tiny", folder, higher_is_better=True)
        sink.begin(Plan(trials=()))
        sink.close()
        (table,) = runs(workspace, "table").values()
        return table

    shown = attach(table="one", recipe="two")
    client = MlflowClient(workspace.mlflow_uri)

    def listed() -> list[str]:
        return [file.path for file in client.list_artifacts(shown.info.run_id)]

    assert listed() == ["recipe.md", "table.md"]
    assert (shown.info.status, shown.data.tags["paper.table"]) == ("FINISHED", "tiny")
    tags = client.get_experiment_by_name("tiny").tags
    assert tags["mlflow.experiment.primaryMetric.name"] == "mean"
    assert tags["mlflow.experiment.primaryMetric.greaterIsBetter"] == "True"
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    columns = json.loads(tags["mlflow.sharedViewState.summary"])["selectedColumns"]
    means = ("mean", "ci_low", "ci_high", "n", "published", "delta")
    assert columns == [f"metrics.`{name}`" for name in means]
    number = shown.info.experiment_id
    address = f"#/experiments/{number}/runs?viewStateShareKey=summary"
    assert tags["mlflow.note.content"].endswith(f"]({address})")
    client.set_experiment_tag(number, "mlflow.note.content", "a user's own")
    assert shown.info.end_time >= shown.info.start_time
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifacts", pytest.fail)
        assert attach(table="one").info.run_id == shown.info.run_id
    assert attach(page="three").info.run_id == shown.info.run_id
    assert listed() == ["page.md", "recipe.md", "table.md"]
    tags = client.get_experiment_by_name("tiny").tags
    assert tags["mlflow.note.content"] == "a user's own"


def test_files_that_cannot_be_stored_hold_nothing_up(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the bucket is away")

    monkeypatch.setattr(MlflowClient, "log_artifacts", fail)
    folder = workspace.report_dir("tiny", "curve")
    folder.mkdir(parents=True)
    (folder / "table.md").write_text("one")
    said: list[str] = []
    sink = mlflow_sink(workspace, data="curve", say=said.append)
    sink.attach("tiny", folder, higher_is_better=False)
    sink.attach("other", folder / "gone", higher_is_better=False)
    sink.begin(Plan(trials=()))
    sink.close()
    assert sink.num_spooled == 0
    (text,) = said
    assert "lacks the table's files: the bucket is away" in text


def test_a_search_is_one_run_above_its_points(workspace: Workspace, tiny: TinyExperiment) -> None:
    spec = SweepSpec(
        name="tiny",
        title="Rates",
        dataset="curve",
        base={"epochs": 2},
        space={"learning_rate": Choices(values=(0.1, 0.2))},
        search="grid",
        scheduler="none",
        metric="test/error",
        mode="min",
        num_trials=2,
    )
    store = ResultStore(workspace.store_dir)
    points = [{"learning_rate": 0.1}, {"learning_rate": 0.2}]
    trials = plan_points(spec, tiny, store, 0)(points)
    sink = mlflow_sink(workspace, data="curve")
    run_in_process(Plan(trials=trials), tiny, workspace, sink)
    sink.summarise("point", "tiny", spec.describe(points[1]), {"test/error.best": 0.5})
    sink.close()
    searches, attempts = runs(workspace, "search"), runs(workspace, "attempt")
    assert set(searches) == {"tiny"}
    assert set(attempts) == {"learning_rate=0.1 seed 0", "learning_rate=0.2 seed 0"}
    parent = searches["tiny"]
    assert parent.data.tags["search.best"] == "learning_rate=0.2"
    assert parent.data.metrics["test/error.best"] == 0.5
    for name, child in attempts.items():
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.tags["search.point"] == name.removesuffix(" seed 0")
        assert "paper.row" not in child.data.tags


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


WRITES = ("create_run", "log_batch", "log_image", "set_tag", "set_terminated")


def test_what_mlflow_has_is_not_told_again(
    workspace: Workspace, tiny: TinyExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(workspace, tiny)
    asked: list[str] = []
    for name in (*WRITES, "search_runs", "get_run", "list_artifacts"):
        method = getattr(MlflowClient, name)

        def noting(*values: Any, name: str = name, method: Any = method, **named: Any) -> Any:
            asked.append(name)
            return method(*values, **named)

        monkeypatch.setattr(MlflowClient, name, noting)
    run(workspace, tiny)
    assert asked == ["search_runs"]


def test_later_summary_counts_whenever_an_earlier_one_is_told(workspace: Workspace) -> None:
    runs_of = MlflowRuns(workspace, workspace.mlflow_uri, pytest.fail)
    point = {"op": "summary", "kind": "point", "group": "tiny", "data": "curve", "label": ""}
    runs_of.apply({**point, "name": "rate=2", "values": {"best": 2.0}, "time_ms": 2000})
    runs_of.apply({**point, "name": "rate=1", "values": {"best": 1.0}, "time_ms": 1000})
    search = runs(workspace, "search")["tiny"]
    assert search.data.metrics == {"best": 2.0}
    assert search.data.tags["search.best"] == "rate=2"
    runs_of.apply({**point, "name": "rate=3", "values": {"best": 3.0}, "time_ms": 3000})
    runs_of.apply({**point, "name": "rate=2", "values": {"best": 2.0}, "time_ms": 4000})
    search = runs(workspace, "search")["tiny"]
    assert search.data.metrics == {"best": 2.0}
    assert search.data.tags["search.best"] == "rate=2"


def test_what_is_told_late_has_the_times_at_which_it_happened(workspace: Workspace) -> None:
    runs_of = MlflowRuns(workspace, workspace.mlflow_uri, pytest.fail)
    row = {"kind": "row", "group": "tiny", "name": "flat", "data": "curve", "label": ""}
    child = {**row, "trial": "a", "attempt": 0, "seed": 0}
    runs_of.apply({**row, "op": "parent", "time_ms": 1000})
    runs_of.apply({**child, "op": "start", "config": {}, "time_ms": 2000})
    end = {"op": "end", "status": "finished", "reason": "", "values": {}, "time_ms": 5000}
    runs_of.apply({**child, **end})
    runs_of.apply({**row, "op": "summary", "values": {"mean": 1.0}, "time_ms": 6000})
    found = {**runs(workspace, "row"), **runs(workspace, "attempt")}
    assert {name: (run.info.start_time, run.info.end_time) for name, run in found.items()} == {
        "flat": (1000, 6000), "flat seed 0": (2000, 5000),
    }  # fmt: skip


@pytest.mark.parametrize("data", ["o'brien", 'o\'brien "x" `y` \\ %'])
def test_names_of_any_characters_are_found_again(
    workspace: Workspace, tiny: TinyExperiment, data: str
) -> None:
    assert run(workspace, tiny, data=data).num_spooled == 0
    rows, attempts = runs(workspace, "row"), runs(workspace, "attempt")
    assert {run.data.tags["data"] for run in [*rows.values(), *attempts.values()]} == {data}
    experiment = rows["flat"].info.experiment_id
    count = len(MlflowClient(workspace.mlflow_uri).search_runs([experiment]))
    assert run(workspace, tiny, data=data).num_spooled == 0
    assert len(MlflowClient(workspace.mlflow_uri).search_runs([experiment])) == count == 6


def test_deleted_experiment_is_told_of_once_and_nothing_is_lost(
    workspace: Workspace, tiny: TinyExperiment
) -> None:
    run_once(workspace, tiny)
    client = MlflowClient(workspace.mlflow_uri)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    client.delete_experiment(experiment)
    said: list[str] = []
    waiting = run(workspace, tiny, say=said.append).num_spooled
    assert waiting > 4
    assert len(said) == 1
    assert said[0].startswith("MLflow's experiment 'tiny' was deleted, what it is to be told waits")
    assert f"mlflow experiments restore --experiment-id {experiment}" in said[0]
    client.restore_experiment(experiment)
    assert run(workspace, tiny).num_spooled == 0
    found = client.search_runs([experiment], "tags.kind = 'attempt' and status = 'FINISHED'")
    assert {"test/error"} <= set.intersection(*(set(run.data.metrics) for run in found))
    assert len(found) == 5  # one of them with other epochs


def test_run_that_is_deleted_on_the_page_is_made_again(
    workspace: Workspace, tiny: TinyExperiment
) -> None:
    runs_of = MlflowRuns(workspace, workspace.mlflow_uri, pytest.fail)
    point = {"op": "summary", "kind": "point", "group": "tiny", "data": "curve", "label": ""}
    runs_of.apply({**point, "name": "rate=1", "values": {"best": 1.0}, "time_ms": 1000})
    first = runs(workspace, "search")["tiny"].info.run_id
    child = {**point, "op": "start", "name": "rate=1", "trial": "a", "attempt": 0, "seed": 0}
    runs_of.apply({**child, "config": {}, "time_ms": 1000})
    client = MlflowClient(workspace.mlflow_uri)
    client.delete_run(runs(workspace, "attempt")["rate=1 seed 0"].info.run_id)
    runs_of.apply({**child, "op": "metrics", "points": [["loss", 0.5, 1, 1000]], "time_ms": 1000})
    assert runs(workspace, "attempt")["rate=1 seed 0"].data.metrics == {"loss": 0.5}
    assert runs(workspace, "search")["tiny"].info.run_id == first


def test_database_that_is_locked_is_away_with_one_line(workspace: Workspace) -> None:
    runs_of = MlflowRuns(workspace, workspace.mlflow_uri, pytest.fail)
    parent = {"op": "parent", "kind": "row", "group": "tiny", "name": "flat", "label": ""}
    runs_of.apply({**parent, "data": "curve", "time_ms": 1000})
    with sqlite3.connect(workspace.root / "mlflow.db", isolation_level=None) as other:
        other.execute("DROP TABLE tags")  # what a lock raises, without its 20 seconds
    with pytest.raises(TrackerAwayError) as caught:
        runs_of.apply({**parent, "name": "curved", "data": "curve", "time_ms": 1000})
    assert str(caught.value).endswith("(sqlite3.OperationalError) no such table: tags")


@pytest.mark.parametrize(
    "uri",
    [
        "localhost:5000",
        "127.0.0.1:5000",
        "http:/localhost:5000",
        "http://localhost:5000x",
        "htp://localhost:5000",
        "myserver",
        "./mlruns",
    ],
)
def test_address_where_no_mlflow_can_be_is_refused_at_the_start(
    workspace: Workspace, uri: str
) -> None:
    with pytest.raises(SpecError, match="tracking URI must be a server's") as caught:
        mlflow_sink(workspace, data="curve", uri=uri)
    assert f"got '{uri}'; MLflow says: " in str(caught.value)


def test_server_that_is_down_loses_nothing(
    workspace: Workspace, tiny: TinyExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    said: list[str] = []
    waiting = run(workspace, tiny, uri, say=said.append).num_spooled
    assert len(ResultStore(workspace.store_dir).trials()) == 4
    assert waiting > 0
    assert len(said) == 1
    assert said[0].startswith(f"MLflow at {uri} does not answer, what it is to be told waits: ")
    for _ in range(2):  # the reused trials wait once
        assert run(workspace, tiny, uri, say=said.append).num_spooled == waiting + 4
    # The server comes back: here, under the same spool, as the embedded database.
    spool = next(workspace.root.glob("spool-*.jsonl"))
    spool.rename(Spool(workspace.root, workspace.mlflow_uri).path)
    later = mlflow_sink(workspace, data="curve")
    later.begin(Plan(trials=()))
    later.close()
    assert later.num_spooled == 0
    attempts = runs(workspace, "attempt")
    assert len(attempts) == 4
    assert list(pictures(workspace, "flat")) == [1]
    assert attempts["flat seed 0"].data.metrics["test/error"] > 0


def pictures(workspace: Workspace, row: str, attempt: int = 0) -> dict[int, list[Path]]:
    """Find what MLflow's page shows of a row's first seed: step → full-size files."""
    client = MlflowClient(workspace.mlflow_uri)
    experiment = client.get_experiment_by_name("tiny")
    tags = {"paper.row": row, "trial.attempt": str(attempt)}
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    (found,) = [
        run
        for run in client.search_runs([experiment.experiment_id], wanted)
        if run.data.tags["seed"] == "0"
    ]
    files = [
        Path(client.download_artifacts(found.info.run_id, info.path))
        for info in client.list_artifacts(found.info.run_id, "images")
    ]
    assert bool(files) == (found.data.tags.get("mlflow.loggedImages") == "True")
    steps: dict[int, list[Path]] = defaultdict(list)
    for file in files:
        name, _, step, *_ = file.name.split("+")
        assert name == "fit"
        if file.suffix == ".png":
            steps[int(step)].append(file)
    return steps


def run_once(workspace: Workspace, experiment: TinyExperiment, epochs: int = 4) -> None:
    """Run one trial, as a process of its own would."""
    spec = replace(SPEC, base={"epochs": epochs}, rows=SPEC.rows[1:])
    sink = mlflow_sink(workspace, data="curve")
    plan = plan_table(spec, experiment, ResultStore(workspace.store_dir), [0])
    try:
        run_in_process(plan, experiment, workspace, sink)
    finally:
        sink.close()
    assert sink.num_spooled == 0


class EndingExperiment(TinyExperiment):
    """Is ended after the third epoch, if there is something to end it."""

    def __init__(self, end: BaseException | None = None) -> None:
        self._end = end

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        if self._end is not None:
            super().train(replace(config, epochs=3), seed, context)
            raise self._end
        return super().train(config, seed, context)


def test_pictures_lie_at_their_step(workspace: Workspace, tiny: TinyExperiment) -> None:
    run(workspace, tiny)
    ((step, (file,)),) = pictures(workspace, "curved").items()
    assert step == 1
    trial = runs(workspace, "attempt")["curved seed 0"].data.tags["trial.id"]
    state = json.loads((workspace.checkpoints_dir / trial / "state.json").read_text())
    with Image.open(file) as shown:
        np.testing.assert_array_equal(np.asarray(shown), draw(state["w"]))


def test_resumed_trial_shows_each_picture_once(workspace: Workspace) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_once(workspace, EndingExperiment(KeyboardInterrupt()))
    assert list(pictures(workspace, "curved")) == [1]
    (checkpoint,) = workspace.checkpoints_dir.glob("*/state.json")
    checkpoint.unlink()  # so that the picture is drawn again
    run_once(workspace, EndingExperiment())
    assert {step: len(files) for step, files in pictures(workspace, "curved").items()} == {
        1: 1,
        3: 1,
    }


def test_pictures_belong_to_the_attempt_that_drew_them(workspace: Workspace) -> None:
    run_once(workspace, EndingExperiment(RuntimeError()))
    run_once(workspace, EndingExperiment())
    assert list(pictures(workspace, "curved", attempt=0)) == [1]
    assert list(pictures(workspace, "curved", attempt=1)) == [3]


def test_numbers_do_not_wait_for_pictures(
    workspace: Workspace,
    tiny: TinyExperiment,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise PermissionError("no access to the artifacts")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_image", refuse)
        run_once(workspace, tiny)
    child = runs(workspace, "attempt")["curved seed 0"]
    assert child.info.status == "FINISHED"
    assert "test/error" in child.data.metrics
    assert pictures(workspace, "curved") == {}
    assert [record.getMessage() for record in caplog.records if "lacks" in record.getMessage()] == [
        f"MLflow's run {child.info.run_id} lacks pictures: no access to the artifacts"
    ]
    run_once(workspace, tiny)  # nothing to train, but something to tell
    assert list(pictures(workspace, "curved")) == [1, 3]
