import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, get_args

import pytest
from slow_tiny import Sink
from tiny_experiment import TinyConfig, TinyExperiment

import s2hand_platform
from s2hand_platform import cli
from s2hand_platform.cli.endings import EXIT_FAILED_TRIALS, EXIT_INTERRUPTED, EXIT_USER_ERROR
from s2hand_platform.errors import SpecError
from s2hand_platform.execution.local import run_in_process
from s2hand_platform.experiments.protocol import StageReport, TrialContext
from s2hand_platform.planning.planner import plan_table
from s2hand_platform.preparation import PreparationProgress
from s2hand_platform.revision import TreeState
from s2hand_platform.runs import running
from s2hand_platform.runs.place import HowToRun, Place
from s2hand_platform.runs.searches import run_search
from s2hand_platform.tracking import mlflow_pages, mlflow_sink
from s2hand_platform.workspace import Workspace

pytestmark = pytest.mark.filterwarnings("default")

TABLE = """
title = "Tiny"
dataset = "curve"
primary_column = "error"
[[rows]]
id = "flat"
label = "Flat"
overrides = { curvature = false }
[[rows]]
id = "curved"
label = "Curved"
[[columns]]
label = "error"
metric = "test/error"
[[contrasts]]
row = "curved"
baseline = "flat"
expected = "better"
"""
GRID = """
title = "Rates"
dataset = "curve"
search = "grid"
metric = "test/error"
mode = "min"
[space]
learning_rate = [0.01, 0.1, 0.3]
"""
SCALE = """
title = "Tiny"
seeds = 2
[base]
epochs = 3
"""


NOT_FINITE = "not finite\n" + "lower the learning rate or look at the samples, " * 4


class DataError(Exception):
    pass


class BrittleExperiment(TinyExperiment):
    user_errors = (DataError,)

    def fingerprint_training_data(self, config: TinyConfig) -> str | None:
        match config.points.source:
            case "unreadable":
                raise DataError("images/0001.jpg: truncated; download it again")
            case "bug":
                raise ZeroDivisionError
        return super().fingerprint_training_data(config)

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        if config.learning_rate > 0.4:
            raise ArithmeticError(NOT_FINITE)
        return super().train(config, seed, context)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("tables", "searches", "scales"):
        (tmp_path / "sweeps" / folder).mkdir(parents=True)
    (tmp_path / "sweeps" / "tables" / "tiny.toml").write_text(TABLE)
    (tmp_path / "sweeps" / "searches" / "rates.toml").write_text(GRID)
    for scale in ("demo", "full"):  # what the command line takes unless told otherwise
        (tmp_path / "sweeps" / "scales" / f"{scale}.toml").write_text(SCALE)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2HAND_EXPERIMENT", f"{__name__}:BrittleExperiment")
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["s2hand", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_plan_run_table_and_plan_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "plan", "tiny", "--json") == 0
    assert json.loads(capsys.readouterr().out)["num_to_run"] == 4
    assert call(monkeypatch, "run", "tiny", "--without-ray") == 0
    printed = capsys.readouterr()
    assert "Curved" in printed.out
    assert "[4/4] tiny.curved seed 1 finished" in printed.err
    assert call(monkeypatch, "plan", "tiny", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["num_to_run"] == 0
    assert {trial["status"] for trial in plan["trials"]} == {"cached"}
    assert call(monkeypatch, "table", "tiny", "--json") == 0
    table = json.loads(capsys.readouterr().out)
    kinds = {row["label"]: row["kind"] for row in table["rows"]}
    assert kinds == {"zero": "baseline", "Flat": "measured", "Curved": "measured"}
    assert call(monkeypatch, "table", "tiny", "--format", "markdown") == 0
    assert "| Curved" in capsys.readouterr().out
    assert call(monkeypatch, "explain", "tiny.curved.error", "--scale", "demo", "--json") == 0
    card = json.loads(capsys.readouterr().out)
    assert card["values"] == table["rows"][2]["cells"]["error"]["values"]
    attempts = card["trained"]["attempts"]
    assert [run["name"] for each in attempts for run in each["runs"]] == ["curved", "curved"]
    assert {each["revision"]["state"] for each in attempts} <= {*get_args(TreeState)}
    assert call(monkeypatch, "explain", "tiny.curved.error") == 0
    assert "curved − flat (the paper: curved better)" in capsys.readouterr().out
    assert call(monkeypatch, "explain", "tiny.curvde.error") == EXIT_USER_ERROR
    assert "there is no row 'curvde'; did you mean 'curved'?" in capsys.readouterr().err


def test_run_again_goes_without_ray_and_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "run", "tiny", "--without-ray")
    monkeypatch.setitem(sys.modules, "s2hand_platform.execution.tuner", None)
    assert call(monkeypatch, "run", "tiny") == 0
    assert "0 trials to run, 4 reused" in capsys.readouterr().err


def test_what_trials_would_wait_for_is_prepared_first_and_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = []

    def prepare(
        _self: object, configs: Sequence[TinyConfig], progress: PreparationProgress
    ) -> None:
        prepared.append(len(configs))
        progress("packing 3 images", 0, 3)

    monkeypatch.setattr(TinyExperiment, "prepare_data", prepare)
    assert call(monkeypatch, "run", "tiny", "--without-ray") == 0
    assert call(monkeypatch, "run", "tiny", "--without-ray") == 0
    assert prepared == [4, 0]
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == "packing 3 images"


def test_grid_shares_its_trials_with_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "run", "tiny", "--without-ray", "--seeds", "1") == 0
    capsys.readouterr()
    assert call(monkeypatch, "sweep", "rates", "--without-ray", "--json") == 0
    printed = capsys.readouterr()
    ranked = json.loads(printed.out)
    assert [trial["status"] for trial in ranked] == ["finished"] * 3
    assert [trial["notes"] for trial in ranked] == [{"grid": "21 points"}] * 3
    assert [trial["value"] for trial in ranked] == sorted(trial["value"] for trial in ranked)
    assert "2 trials to run, 1 reused" in printed.err
    assert "rates learning_rate=0.01 finished" in printed.err


def test_a_search_keeps_what_the_paper_chose(project: Path) -> None:
    text = GRID.replace("[0.01, 0.1, 0.3]", "[0.1]") + "[paper.theirs]\nlearning_rate = 0.1\n"
    (project / "sweeps" / "searches" / "rates.toml").write_text(text)
    place = Place.choose()
    run_search(place, place.sweep("rates"), seed=0, how=HowToRun(without_ray=True))
    kept = place.store.latest_search_plan("rates")
    assert kept is not None
    assert kept.paper == {"theirs": {"learning_rate": 0.1}}


def test_failed_trials_are_named_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    text = TABLE.replace("curvature = false", "learning_rate = 0.5")
    (project / "sweeps" / "tables" / "tiny.toml").write_text(text)
    assert call(monkeypatch, "run", "tiny", "--without-ray", "--seeds", "1") == 1
    printed = capsys.readouterr()
    assert "failed: ArithmeticError: not finite" in printed.err
    assert "tiny.curved seed 0 finished" in printed.err


def test_failed_points_of_a_grid_are_listed_in_a_line_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    text = GRID.replace("[0.01, 0.1, 0.3]", "[0.5, 0.1, 0.6, 0.3]")
    (project / "sweeps" / "searches" / "rates.toml").write_text(text)
    command = ("sweep", "rates", "--without-ray")
    assert call(monkeypatch, *command, "--json") == EXIT_FAILED_TRIALS
    printed = capsys.readouterr()
    ranked = json.loads(printed.out)
    assert [trial["point"]["learning_rate"] for trial in ranked] == [0.3, 0.1, 0.5, 0.6]
    assert [trial["status"] for trial in ranked] == ["finished"] * 2 + ["failed"] * 2
    reason = f"ArithmeticError: {NOT_FINITE.strip()}".replace("\n", "; ")
    assert [line.strip() for line in printed.err.splitlines() if "error: trial" in line] == [
        f"error: trial {trial['trial_id'][:12]} failed: {reason}" for trial in ranked[2:]
    ]
    # Run again, only the failed ones are tried.
    assert call(monkeypatch, *command) == EXIT_FAILED_TRIALS
    printed = capsys.readouterr()
    assert "2 trials to run, 2 reused" in printed.err
    assert ranked[2]["trial_id"][:12] in printed.out


def test_ranking_of_words_with_the_notes_of_recipe_and_scale(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    grid = GRID.replace("learning_rate = [0.01, 0.1, 0.3]", 'points.truth = ["line", "curve"]')
    (project / "sweeps" / "searches" / "rates.toml").write_text(
        f'notes = ["Of the recipe."]\n{grid}'
    )
    (project / "sweeps" / "scales" / "demo.toml").write_text(f'notes = ["[1] Small."]\n{SCALE}')
    assert call(monkeypatch, "sweep", "rates", "--without-ray") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [word for line in lines for word in ("line", "curve") if f" {word} " in line] == [
        "line",
        "curve",
    ]
    assert [line.strip() for line in lines[-2:]] == ["Of the recipe.", "[1] Small."]


def test_tables_show_the_notes_of_recipe_and_scale(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    (project / "sweeps" / "tables" / "tiny.toml").write_text(f'notes = ["Of the recipe."]\n{TABLE}')
    (project / "sweeps" / "scales" / "demo.toml").write_text(f'notes = ["Small."]\n{SCALE}')
    (project / "sweeps" / "scales" / "full.toml").write_text(SCALE)
    call(monkeypatch, "run", "tiny", "--without-ray", "--seeds", "1")
    assert "· Of the recipe.\n· Small.\n" in capsys.readouterr().out
    assert call(monkeypatch, "table", "tiny", "--format", "markdown") == 0
    assert "- Of the recipe.\n- Small.\n" in capsys.readouterr().out
    call(monkeypatch, "plan", "tiny", "--scale", "full")
    call(monkeypatch, "table", "tiny", "--scale", "full", "--format", "markdown")
    assert "Small." not in capsys.readouterr().out


def test_a_table_needs_neither_recipe_nor_data_nor_experiment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    call(monkeypatch, "run", "tiny", "--without-ray", "--seeds", "2")
    capsys.readouterr()
    assert call(monkeypatch, "table", "tiny", "--json") == 0
    there = capsys.readouterr().out
    shutil.move(project / "workspace" / "store", project / "copy" / "store")
    shutil.rmtree(project / "sweeps")
    monkeypatch.setenv("S2HAND_EXPERIMENT", "s2hand_platform.experiments.s2hand:S2HandExperiment")
    command = ("table", "tiny", "--workspace", str(project / "copy"), "--json")
    assert call(monkeypatch, *command) == 0
    assert capsys.readouterr().out == there
    assert json.loads(there)["rows"][0]["cells"]


def test_a_plan_takes_the_place_of_one_that_has_no_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    recipe = project / "sweeps" / "tables" / "tiny.toml"

    def shown() -> str:
        capsys.readouterr()
        assert call(monkeypatch, "table", "tiny", "--format", "markdown") == 0
        return capsys.readouterr().out

    call(monkeypatch, "plan", "tiny")
    recipe.write_text(TABLE.replace('"Flat"', '"Plane"'))
    call(monkeypatch, "plan", "tiny")
    assert "Plane" in shown()
    call(monkeypatch, "run", "tiny", "--without-ray", "--seeds", "1")
    recipe.write_text(TABLE.replace('"Flat"', '"Even"'))
    call(monkeypatch, "plan", "tiny", "--seeds", "5")
    assert "Plane" in shown()


def test_a_table_that_was_planned_on_two_kinds_of_data_must_be_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for data in ("here", "there"):
        call(monkeypatch, "plan", "tiny", "--data", data)
    capsys.readouterr()
    assert call(monkeypatch, "table", "tiny") == EXIT_USER_ERROR
    message = capsys.readouterr().err.replace("\n", " ")
    assert "was run on 'there (full)', 'here (full)'; name one by its data and scale" in message
    assert call(monkeypatch, "table", "tiny", "--data", "here", "--format", "csv") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "tinny"], "did you mean 'tiny'?"),
        (["plan", "missing.toml"], "missing.toml: no such file"),
        (["plan", "tiny", "--scale", "demi"], "did you mean 'demo'?"),
        (["plan", "tiny", "--data", "unreadable"], "images/0001.jpg: truncated"),
        (["run", "tiny", "--address", "127.0.0.1:1"], "no Ray cluster answers at 127.0.0.1:1"),
        (["sweep", "rates", "--trials", "2"], "the grid 'rates' has the size of its space"),
        (["run", "tiny", "--without-ray", "--device", "cuda"], "run it where torch finds a GPU"),
        (["table", "tiny"], "device; make one with: s2hand plan tiny"),
        (["table", "tinny"], "no recipe has this name either; did you mean 'tiny'?"),
        (["plan", "rates"], "sweeps/tables has no recipe 'rates'; sweeps/searches has one"),
        (["plan", "tiny", "--workspace", "file"], "must be a folder, "),
        (["run", "tiny", "--workspace", "file"], "must be a folder, "),
        (["table", "tiny", "--workspace", "file"], "must be a folder, "),
        (["submit", "run", "tiny"], "a job is submitted from the project's folder"),
    ],
)
def test_user_errors_are_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert call(monkeypatch, *arguments) == EXIT_USER_ERROR
    printed = capsys.readouterr().err.replace("\n", " ")
    assert message in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    "option",
    ["--address=local", "--max-concurrent=1", "--cpus-per-worker=1", "--gpus-per-worker=0"],
)
def test_what_a_run_without_ray_would_ignore_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert call(monkeypatch, "run", "tiny", "--without-ray", option) == EXIT_USER_ERROR
    assert f"goes without {option.partition('=')[0]}" in capsys.readouterr().err


def test_mlflow_is_where_the_option_or_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str | None] = []

    def sink(_workspace: object, *, data: str, uri: str | None, say: object) -> None:
        told.append(uri)
        raise SpecError([data])

    monkeypatch.setattr(mlflow_sink, "mlflow_sink", sink)
    command = ("run", "tiny", "--without-ray")
    call(monkeypatch, *command)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tools")
    call(monkeypatch, *command)
    monkeypatch.setenv("S2HAND_TRACKING_URI", "http://ours")
    call(monkeypatch, *command)
    call(monkeypatch, *command, "--tracking-uri", "http://given")
    assert told == [None, "http://tools", "http://ours", "http://given"]


@pytest.fixture
def shared(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project in a folder that other users may read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    shutil.copytree(project / "sweeps", folder / "sweeps")
    monkeypatch.chdir(folder)
    yield folder
    shutil.rmtree(folder)


def test_what_may_not_be_looked_at_is_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    locked: Callable[[Path], AbstractContextManager[None]],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    monkeypatch.setattr(Place, "choose", lambda **_: (folder / "below").exists())
    with locked(folder):
        assert call(monkeypatch, "plan", "tiny") == EXIT_USER_ERROR
    printed = capsys.readouterr().err.replace("\n", "")
    assert printed == f"error: {folder / 'below'}: Permission denied; check its permissions"


@contextmanager
def only_reading(folder: Path) -> Iterator[None]:
    """Have no right to write to a folder; root, whom nothing stops, is somebody else meanwhile."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    is_root = os.geteuid() == 0
    for each in folders:
        each.chmod(0o555)
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for each in folders:
            each.chmod(0o755)


def test_a_colleagues_workspace_is_read_and_not_written(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    shared: Path,
) -> None:
    reading = [["table", "tiny", "--json"], ["plan", "tiny", "--json"]]
    call(monkeypatch, "plan", "tiny")
    place = Place.choose()
    plan = plan_table(place.table("tiny"), place.experiment, place.store, place.seeds(None))
    run_in_process(plan, place.experiment, place.workspace, Sink())
    capsys.readouterr()
    before = [(call(monkeypatch, *each), capsys.readouterr()) for each in reading]
    files = {path: path.stat().st_mtime_ns for path in shared.rglob("*")}
    with only_reading(shared / "workspace"):
        assert [(call(monkeypatch, *each), capsys.readouterr()) for each in reading] == before
        assert caplog.messages == []
        assert call(monkeypatch, "plan", "tiny", "--data", "there") == 0
        assert "(the plan is shown, and not kept)" in caplog.messages[0]
        for command in ("run", "sweep"):
            name = {"run": "tiny", "sweep": "rates"}[command]
            capsys.readouterr()
            assert call(monkeypatch, command, name, "--without-ray") == EXIT_USER_ERROR
            message = capsys.readouterr().err.replace("\n", "")
            assert "cannot be written to (Permission denied); name another, as" in message
            assert "Traceback" not in message
    assert {path: path.stat().st_mtime_ns for path in shared.rglob("*")} == files


def test_characters_that_the_output_lacks_are_escaped(
    monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    with (project / "out").open("w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert call(monkeypatch, "plan", "tiny", "--seeds", "1") == 0
    assert r"1 \xd7 never run" in (project / "out").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_output_that_cannot_be_written_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert call(monkeypatch, "plan", "tiny", *options) == EXIT_USER_ERROR
    message = capsys.readouterr().err.replace("\n", "")
    assert message.startswith("error: the output cannot be written (No space left on device)")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_a_reader_that_goes_away_ends_the_command_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert call(monkeypatch, "plan", "tiny", *options) == 1
    assert capsys.readouterr().err == ""


def test_a_closed_output_is_one_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert call(monkeypatch, "plan", "tiny") == 0


def test_unexpected_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["s2hand", "plan", "tiny", "--data", "bug"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def interrupt(*_arguments: Any, **_named: Any) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr(running, "run_in_process", interrupt)
    # A process in a shell's background ignores Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert call(monkeypatch, "run", "tiny", "--without-ray") == EXIT_INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)
    assert "run the same command again to go on" in capsys.readouterr().err


def test_unknown_experiment_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S2HAND_EXPERIMENT", "nowhere:Nothing")
    assert call(monkeypatch, "plan", "tiny") == EXIT_USER_ERROR
    assert "must be MODULE:CLASS" in capsys.readouterr().err


def test_ui_serves_the_workspace(
    monkeypatch: pytest.MonkeyPatch, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(workspace: Workspace, port: int, ready: Callable[[str, dict], None]) -> None:
        assert (workspace.root, port) == (project / "workspace", 5001)
        ready("http://here", {"tiny": "http://here/view"})

    monkeypatch.setattr(mlflow_pages, "serve", serve)
    call(monkeypatch, "ui", "--port", "5001")
    assert capsys.readouterr().out.splitlines() == [
        "MLflow: http://here (one process; Ctrl-C ends it)",
        "tiny, means and printed values as columns: http://here/view",
    ]


def test_wrong_address_of_the_tracker_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ("--tracking-uri", "localhost:5000")
    assert call(monkeypatch, "run", "tiny", "--without-ray", *wrong) == EXIT_USER_ERROR
    message = capsys.readouterr().err
    assert message.startswith("error: MLflow's tracking URI must be a server's (http://HOST:PORT)")
    assert len(message.splitlines()) == 1
    assert s2hand_platform.ResultStore(project / "workspace" / "store").trials().empty


def test_reproduce_runs_only_what_is_missing(project: Path) -> None:
    how = HowToRun(without_ray=True)
    measured = s2hand_platform.reproduce("tiny", seeds=2, how=how)
    assert list(measured.frame().query("kind == 'measured'")["n"]) == [2, 2]
    store = s2hand_platform.ResultStore(project / "workspace" / "store")
    s2hand_platform.reproduce("tiny", seeds=3, how=how)
    assert list(store.trials()["attempt"]) == [0] * 6


def test_what_was_not_asked_for_is_what_the_experiment_usually_takes() -> None:
    assert Place.choose().label == "made (demo)"
    assert Place.choose(data="curve").label == "curve (full)"
    assert Place.choose(data="curve", scale="demo").label == "curve (demo)"


def test_the_experiment_says_what_searches_are_steered_by(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del project
    place = Place.choose()
    asked: list[tuple[object, ...]] = []

    def steer(*where: object) -> dict[str, object]:
        asked.append(where)
        return {"grid": 7}

    monkeypatch.setattr(place.experiment, "search_overrides", steer)
    sweep = place.sweep("rates")
    assert place.experiment.build_config(dict(sweep.base)).grid == 7
    table = place.table("tiny")
    assert place.experiment.build_config(dict(table.base)).grid == 21
    assert asked == [(place.data, sweep.dataset, place.workspace, place.scale.data)]


def test_a_search_over_what_changes_no_training_is_refused(project: Path) -> None:
    text = GRID.replace("learning_rate = [0.01, 0.1, 0.3]", "grid = [11, 21]")
    (project / "sweeps" / "searches" / "rates.toml").write_text(text)
    place = Place.choose()
    with pytest.raises(SpecError, match=r"rates: space\.grid: changes no training"):
        run_search(place, place.sweep("rates"), seed=0, how=HowToRun(without_ray=True))
    assert place.store.latest_search_plan("rates") is None


def test_optuna_needs_ray(project: Path) -> None:
    text = GRID.replace('"grid"', '"optuna"').replace("[space]", "num_trials = 2\n[space]")
    (project / "sweeps" / "searches" / "rates.toml").write_text(text)
    place = Place.choose()
    with pytest.raises(SpecError, match="this search needs Ray"):
        run_search(place, place.sweep("rates"), seed=0, how=HowToRun(without_ray=True))
    assert place.store.latest_search_plan("rates") is None


def test_at_least_one_seed_is_wanted() -> None:
    with pytest.raises(SpecError, match="seeds: must be at least 1, got 0"):
        s2hand_platform.reproduce("tiny", seeds=0, how=HowToRun(without_ray=True))


def test_unknown_name_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = s2hand_platform.nothing
