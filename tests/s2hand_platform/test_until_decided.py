"""Tables that are run look by look, with an experiment whose results are written down."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from slow_tiny import Sink
from tiny_experiment import TinyConfig, TinyExperiment

from s2hand_platform import cli, reproduce
from s2hand_platform.cli.endings import EXIT_USER_ERROR
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.protocol import Evaluation, StageReport, TrialContext
from s2hand_platform.runs import tables
from s2hand_platform.runs.place import HowToRun
from s2hand_platform.statistics import sequential
from s2hand_platform.statistics.sequential import planned_looks
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tables.measured import MeasuredTable

TABLE = """
title = "Written"
dataset = "curve"
primary_column = "error"
[[rows]]
id = "base"
label = "Base"
overrides = { epochs = 1 }
[[rows]]
id = "clear"
label = "Clear"
overrides = { epochs = 2 }
[[rows]]
id = "slow"
label = "Slow"
overrides = { epochs = 3 }
[[columns]]
label = "error"
metric = "test/error"
[[contrasts]]
row = "clear"
baseline = "base"
expected = "better"
[[contrasts]]
row = "slow"
baseline = "base"
expected = "better"
"""
SCALE = 'title = "Tiny"\nseeds = 3\n[base]\ncurvature = true\n'

WAVES = (0.2, -0.2, 0.0, 0.0, 0.0, 0.1, -0.1)
WRITTEN: Mapping[int, Sequence[float]] = {
    1: (2.0,) * 7,
    2: (1.0, 1.02, 0.98, 5.0, 5.0, 5.0, 5.0),  # decided at three seeds
    3: tuple(1.6 + wave for wave in WAVES),  # at five
}


class Written(TinyExperiment):
    written = WRITTEN
    failing: frozenset[tuple[int, int]] = frozenset()
    trained: ClassVar[list[tuple[int, int]]] = []

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        self.trained.append((config.epochs, seed))
        if (config.epochs, seed) in self.failing:
            raise ArithmeticError("diverged")
        return super().train(config, seed, context)

    def evaluate(self, config: TinyConfig, seed: int, context: TrialContext) -> Evaluation:
        error = self.written[config.epochs][seed]
        return Evaluation(
            metrics={"test/error": error},
            samples={"test": {"error": [error]}},
            sample_ids={"test": ["x"]},
            evaluator_id="written",
        )


class Told:
    """Keeps what is summarised, and hears nothing else."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(Sink(), name)

    def summarise(self, kind: str, group: str, name: str, values: Any) -> None:
        del kind, group, values
        self.rows.append(name)

    def attach(self, group: str, folder: Path, *, higher_is_better: bool) -> None: ...


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder, name, text in (("tables", "written", TABLE), ("scales", "demo", SCALE)):
        path = tmp_path / "sweeps" / folder / f"{name}.toml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2HAND_EXPERIMENT", f"{__name__}:Written")
    monkeypatch.setattr(Written, "trained", [])
    monkeypatch.setattr(tables, "tracker_of", no_tracker)
    monkeypatch.setattr(sequential, "LOOKS", (3, 5))
    return tmp_path


@contextmanager
def no_tracker(_place: object, _how: object) -> Iterator[Told]:
    yield Told()


def run(max_seeds: int = 7, **changes: Any) -> MeasuredTable:
    how = HowToRun(without_ray=True)
    return reproduce("written", until_decided=True, max_seeds=max_seeds, how=how, **changes)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["s2hand", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def verdicts(table: MeasuredTable) -> dict[str, tuple[str, int | None]]:
    found = {}
    for contrast in table.contrasts:
        assert contrast.decision is not None
        look = contrast.decision.look
        found[contrast.row] = str(contrast.decision), look.seeds if look else None
    return found


def seeds_of(epochs: int) -> list[int]:
    return [seed for trained, seed in Written.trained if trained == epochs]


def test_a_table_is_run_until_its_contrasts_are_decided_and_judged_so_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    measured = run()
    assert verdicts(measured) == {"clear": ("reproduced", 3), "slow": ("reproduced", 5)}
    assert [seeds_of(epochs) for epochs in (1, 2, 3)] == [[0, 1, 2, 3, 4]] * 3
    told = capsys.readouterr().err
    assert told.count("open, so more seeds are run: slow against base") == 1
    assert "clear against base" not in told

    plan = ResultStore(project / "workspace" / "store").latest_table_plan("written")
    assert plan is not None
    assert plan.looks == planned_looks(7, 2)
    assert call(monkeypatch, "table", "written", "--json") == 0
    table = json.loads(capsys.readouterr().out)
    clear, slow = table["contrasts"]
    assert clear["difference"]["n"] == 5  # of which all together say nothing
    assert clear["decision"]["verdict"] == slow["decision"]["verdict"] == "reproduced"
    assert clear["decision"]["look"] == {"seeds": 3, "level": 0.0107143}
    assert clear["decision"]["is_open"] is False
    assert call(monkeypatch, "table", "written", "--format", "markdown") == 0
    text = capsys.readouterr().out
    assert "looked at with 3 seeds at level 0.011, 5 seeds at level " in text
    assert "each contrast has 5 % / 2: Bonferroni in the place of Holm" in text
    assert "at 3 seeds (level 0.011)" in text
    assert "Holm's procedure" not in text

    Written.trained.clear()
    assert run().to_json() == measured.to_json()
    assert Written.trained == []
    # Another last look, and then none: the rule changes, and that is said.
    capsys.readouterr()
    run(5)
    told = capsys.readouterr().err
    assert "run until decided, with looks at 3, 5, 7 seeds; other looks now take" in told
    by_holm = reproduce("written", seeds=5, how=HowToRun(without_ray=True))
    told = capsys.readouterr().err
    assert "with looks at 3, 5 seeds; Holm's procedure, at the seeds of this run, now" in told
    assert verdicts(by_holm)["clear"] == ("undecided", None)
    assert any("Holm's procedure" in note for note in by_holm.footnotes)


def test_it_ends_where_no_look_could_decide_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows that never differ, and a row that never finishes, are not worth more seeds."""
    monkeypatch.setattr(Written, "written", {**WRITTEN, 3: WRITTEN[1]})
    monkeypatch.setattr(Written, "failing", frozenset((2, seed) for seed in range(7)))
    assert verdicts(run()) == {"clear": ("not run", 3), "slow": ("undecided", 3)}
    assert seeds_of(1) == [0, 1, 2]
    assert "was run until decided" not in capsys.readouterr().err


def test_a_failed_training_is_left_out_of_its_look_and_not_tried_at_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Written, "failing", frozenset({(3, 1)}))
    measured = run(5)
    assert seeds_of(3) == [0, 1, 2, 3, 4]
    assert {row.id: dict(row.failed) for row in measured.rows if row.failed} == {
        "slow": {1: "ArithmeticError: diverged"}
    }
    slow = measured.contrasts[1]
    assert slow.decision is not None
    assert (slow.decision.look, sorted(slow.pairs)) == (planned_looks(5, 2)[-1], [0, 2, 3, 4])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--until-decided", "--seeds", "5"], "--until-decided takes --max-seeds in its place"),
        (["--max-seeds", "5"], "--max-seeds: goes with --until-decided"),
    ],
)
def test_options_that_do_not_go_together(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    for command in (("run", "written", "--without-ray"), ("plan", "written")):
        assert call(monkeypatch, *command, *arguments) == EXIT_USER_ERROR
        assert message in capsys.readouterr().err.replace("\n", " ")
    assert Written.trained == []


def test_the_plan_tells_what_runs_at_most_and_is_kept_with_its_looks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    asked = ("plan", "written", "--until-decided", "--max-seeds", "7")
    assert call(monkeypatch, *asked, "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["num_to_run"] == 3 * 7
    assert [(look["seeds"], look["num_to_run"]) for look in planned["looks"]] == [
        (3, 9), (5, 15), (7, 21),
    ]  # fmt: skip
    assert [look["level"] for look in planned["looks"]] == [
        look.level for look in planned_looks(7, 2)
    ]
    assert {look["estimated_hours"] for look in planned["looks"]} == {None}
    kept = ResultStore(project / "workspace" / "store").latest_table_plan("written")
    assert kept is not None
    assert kept.looks == planned_looks(7, 2)

    run()  # until five seeds, which decide
    capsys.readouterr()
    assert call(monkeypatch, *asked) == 0
    told = capsys.readouterr().out
    assert "21 distinct trials, 6 to run" in told
    rows = [line.replace("│", " ").split() for line in told.splitlines() if " seeds " in line]
    assert [(line[0], line[3]) for line in rows] == [("3", "0"), ("5", "0"), ("7", "6")]
    assert "0.00 h" in told
    assert "stops after the first of these looks" in told
    assert call(monkeypatch, "plan", "written", "--json") == 0
    assert json.loads(capsys.readouterr().out)["looks"] == []


def test_what_python_asks_for_wrongly(project: Path) -> None:
    with pytest.raises(SpecError, match="until_decided takes max_seeds in their place"):
        run(seeds=3)
    with pytest.raises(SpecError, match=r"^max_seeds: must be at least 2, got 1"):
        run(1)
    recipe = project / "sweeps" / "tables" / "written.toml"
    recipe.write_text(TABLE.partition("[[contrasts]]")[0])
    with pytest.raises(SpecError, match="written: declares no contrasts"):
        run()
