"""The ledger of a tiny project, from the file to the command."""

import io
import json
import shlex
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from slow_tiny import Sink
from tiny_experiment import TinyConfig, TinyExperiment

import s2hand_platform
from s2hand_platform import cli
from s2hand_platform.claims import ClaimLedger
from s2hand_platform.cli.endings import EXIT_USER_ERROR
from s2hand_platform.errors import SpecError
from s2hand_platform.execution.local import run_in_process
from s2hand_platform.runs.claims import check_claims
from s2hand_platform.runs.place import Place
from s2hand_platform.runs.tables import plan_to_show
from s2hand_platform.tables.kept import is_label_of, options_of

PRINTED = """
title = "P"
dataset = "curve"
version = "v1"
columns = [{ label = "error_cm", metric = "test/error", unit = "cm" }]
[[rows]]
id = "flat"
label = "no curvature"
cells = ["0.40"]
[[rows]]
id = "curved"
label = "curvature"
cells = ["0.10"]
[[rows]]
id = "quoted"
label = "another paper's"
quoted = true
cells = ["0.20"]
"""
TINY = """
published = "tiny"
[base]
epochs = 60
points.noise = 0.05
[[rows]]
id = "flat"
overrides = { curvature = false }
[[rows]]
id = "curved"
"""
AGAIN = """
title = "The same once more"
dataset = "curve"
[base]
epochs = 60
points.noise = 0.05
[[rows]]
id = "once_more"
label = "curvature"
[[columns]]
label = "error_cm"
metric = "test/error"
"""
CLAIMS = """
notes = ["A note."]
[[claims]]
id = "better"
section = "1"
table = "tiny"
sentence = "paragraph 1"
says = "Curvature helps."
quote = "so it does"
checks = [{ kind = "order", rows = ["tiny.curved", "tiny.flat"], columns = ["error_cm"] }]
[[claims]]
id = "worse"
section = "1"
sentence = "paragraph 2"
says = "Curvature does harm."
checks = [{ kind = "order", rows = ["tiny.flat", "tiny.curved"], columns = ["error_cm"] }]
[[claims]]
id = "by_75"
section = "2"
sentence = "paragraph 3"
says = "Curvature helps by 75 %."
checks = [
  { kind = "ratio", row = "tiny.curved.error_cm", baseline = "tiny.flat.error_cm", is = "75" },
]
[[claims]]
id = "the_same"
section = "2"
sentence = "paragraph 4"
says = "Trained again, it is the same."
checks = [
  { kind = "within", by = "0", row = "again.once_more.error_cm", baseline = "tiny.curved.error_cm"},
]
[[claims]]
id = "best"
section = "2"
sentence = "paragraph 5"
says = "Nothing is better."
checks = [{ kind = "best", row = "tiny.curved.error_cm", of = ["tiny.quoted.error_cm"] }]
[[claims]]
id = "which"
section = "2"
sentence = "paragraph 6"
says = "One of them is better."
checks = [
  { kind = "order", reading = "the one", rows = ["tiny.curved.error_cm", "tiny.flat.error_cm"] },
  { kind = "order", reading = "the other", rows = ["tiny.flat.error_cm", "tiny.curved.error_cm"] },
]
[[claims]]
id = "curves"
section = "2"
sentence = "paragraph 7"
says = "Curves cross."
not_checkable = "No value of a curve is printed."
"""
NO_HELP = """
[[claims]]
id = "missing"
section = "1"
sentence = "paragraph 1"
says = "A cell that is not there."
checks = [{ kind = "order", rows = ["tiny.curved.error_cm", "tiny.flad.error_cm"] }]
"""


class Failing(TinyExperiment):
    """Curvature fails with seed 1."""

    def train(self, config: TinyConfig, seed: int, context: Any) -> Any:
        if config.curvature and seed == 1:
            raise ArithmeticError("not finite")
        return super().train(config, seed, context)


def make_project(folder: Path) -> None:
    files = {
        "claims.toml": CLAIMS,
        "published/tiny.toml": PRINTED,
        "tables/tiny.toml": TINY,
        "tables/again.toml": AGAIN,
        "scales/demo.toml": 'title = "D"\nseeds = 3\n',
        "scales/full.toml": 'title = "F"\nseeds = 3\n',
    }
    for name, text in files.items():
        path = folder / "sweeps" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of which nothing is measured."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2HAND_EXPERIMENT", "tiny_experiment:TinyExperiment")
    return tmp_path


@pytest.fixture(scope="module")
def measured_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    make_project(folder)
    with chdir(folder):
        run("tiny", "again")
        run("tiny", data="official", workspace="elsewhere")
    return folder


@pytest.fixture
def measured(measured_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of which both tables are measured on made data; tests only read it."""
    monkeypatch.chdir(measured_folder)
    monkeypatch.setenv("S2HAND_EXPERIMENT", "tiny_experiment:TinyExperiment")
    return measured_folder


def run(*tables: str, experiment: TinyExperiment | None = None, **choice: Any) -> None:
    place = Place.choose(experiment=experiment or TinyExperiment(), device="cpu", **choice)
    for table in tables:
        plan = plan_to_show(place, table, seeds=None)
        run_in_process(plan, place.experiment, place.workspace, Sink())


def outcomes(ledger: ClaimLedger) -> dict[str, tuple[str, str]]:
    return {claim.spec.id: (claim.printed, claim.measured) for claim in ledger.claims}


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["s2hand", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def shown(ledger: ClaimLedger) -> str:
    """Print with columns wide enough for any line."""
    console = Console(width=600, file=io.StringIO(), record=True)
    console.print(ledger.to_rich())
    return console.export_text()


@pytest.mark.usefixtures("project")
def test_without_a_measurement_the_printed_cells_are_judged() -> None:
    ledger = check_claims()
    assert outcomes(ledger) == {
        "better": ("holds", "not run"),
        "worse": ("contradicted", "not run"),
        "by_75": ("holds", "not run"),
        "the_same": ("not printed", "not run"),
        "best": ("holds", "not run"),
        "which": ("ambiguous", "not run"),
        "curves": ("not checkable", "not checkable"),
    }
    assert ledger.measured_on == ""
    (hint,) = ledger.remarks
    assert hint.endswith("begin with: s2hand run tiny")
    assert not Path("workspace").exists()


@pytest.mark.usefixtures("measured")
def test_synthetic_data_judge_orders_and_no_numbers() -> None:
    ledger = check_claims()
    assert {name: measured for name, (_, measured) in outcomes(ledger).items()} == {
        "better": "holds",
        "worse": "contradicted",
        "by_75": "not comparable",
        "the_same": "holds",
        "best": "not run",
        "which": "ambiguous",
        "curves": "not checkable",
    }
    assert (ledger.measured_on, ledger.device_type) == ("made (demo)", "cpu")
    assert ledger.remarks == ()


@pytest.mark.usefixtures("measured")
def test_measured_pairs_are_those_of_the_store() -> None:
    (reading,) = check_claims().claim("better").readings.values()
    store = s2hand_platform.ResultStore("workspace/store")
    trials = store.trials()
    lines = store.metrics(trials).query("split == 'test' and metric == 'error'")
    error = lines.set_index("trial_id")["value"].to_dict()
    errors: dict[bool, dict[int, float]] = {True: {}, False: {}}
    for line in trials.itertuples():
        errors[json.loads(line.config_json)["curvature"]][line.seed] = error[line.trial_id]
    assert sorted(errors[True]) == [0, 1, 2]
    assert reading.parts[0].measured.pairs == {
        seed: errors[False][seed] - errors[True][seed] for seed in errors[True]
    }


@pytest.mark.usefixtures("measured")
def test_on_the_papers_data_numbers_are_compared() -> None:
    claim = check_claims(workspace="elsewhere").claim("by_75")
    (reading,) = claim.readings.values()
    found = reading.parts[0].measured
    assert found.interval is not None
    assert (claim.measured, found.reason) == ("not decided", "")


@pytest.mark.usefixtures("project")
def test_nothing_is_mixed() -> None:
    for table, data in (("tiny", "made"), ("tiny", "official"), ("again", "made")):
        place = Place.choose(experiment=TinyExperiment(), device="cpu", data=data)
        plan_to_show(place, table, seeds=None)
    with pytest.raises(SpecError) as caught:
        check_claims()
    assert str(caught.value) == (
        "claims: tables were run on 'made (demo)' on cpu, 'official (full)' on cpu; name one by "
        "data, scale and device"
    )
    for choice, label, reason in (
        ({"data": "made"}, "made (demo)", "again.once_more.error_cm was not run"),
        ({"scale": "full"}, "official (full)", "again was not planned"),
    ):
        ledger = check_claims(**choice)
        assert ledger.measured_on == label
        (reading,) = ledger.claim("the_same").readings.values()
        assert reading.parts[0].measured.reason == reason


@pytest.mark.usefixtures("project")
def test_what_was_never_run_is_told_with_the_command() -> None:
    run("tiny")
    assert check_claims().remarks == (
        "again is not measured: s2hand run again --data made --scale demo",
    )
    with pytest.raises(SpecError) as caught:
        check_claims(data="my data", scale="full", device="cuda")
    assert str(caught.value).endswith(
        "has no table of the ledger with --data 'my data' --scale full --device cuda; make one "
        "with: s2hand run tiny --data 'my data' --scale full --device cuda"
    )


def test_no_command_is_named_that_the_scale_refuses(project: Path) -> None:
    other = AGAIN.replace("[[columns]]", "overrides = { curvature = true }\n[[columns]]")
    (project / "sweeps/tables/again.toml").write_text(other)
    scale = 'title = "D"\nseeds = 3\n[fixed]\ncurvature = false\n'
    (project / "sweeps/scales/demo.toml").write_text(scale)
    run("tiny")
    (remark,) = check_claims().remarks
    assert remark == (
        "again is not measured: every row sets something else than what the scale 'demo' fixes "
        "(curvature = False); choose another scale"
    )


@pytest.mark.usefixtures("project")
def test_a_table_that_was_only_planned_is_not_run() -> None:
    plan_to_show(Place.choose(experiment=TinyExperiment(), device="cpu"), "tiny", seeds=None)
    ledger = check_claims()
    assert ledger.claim("better").measured == "not run"
    assert "tiny is not measured: s2hand run tiny --data made --scale demo" in ledger.remarks


@pytest.mark.usefixtures("project")
def test_failed_seeds_are_named() -> None:
    run("tiny", experiment=Failing())
    ledger = check_claims()
    (reading,) = ledger.claim("better").readings.values()
    assert sorted(reading.parts[0].measured.pairs) == [0, 2]
    assert "Failed: tiny.curved, seed 1: " in ledger.remarks[1]


@pytest.mark.usefixtures("measured")
def test_the_command_prints_sections_and_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "claims") == 0
    text = capsys.readouterr().out
    assert text.index("Section 1") < text.index("Section 2") < text.index("By the paper's cells: ")


@pytest.mark.usefixtures("measured")
def test_what_is_shown_of_a_claim() -> None:
    text = shown(check_claims())
    for expected in (
        "measured on made (demo), cpu",
        "Curvature helps. “so it does”",
        "better: tiny, paragraph 1",
        "curved to flat, error_cm: +0.30 cm (+0.290 to +0.310)",
        "curved to flat, error_cm: +75 % (+73.4 to +76.5)",
        "flat to curved, error_cm: −0.30 cm (−0.310 to −0.290)",
        "(3) %; ",
        "once_more to tiny.curved, error_cm: +0.00 ± 0.00 (3) cm",
        "tiny.quoted: quoted by the paper from another publication",
        "the other: contradicted",
        "No value of a curve is printed.",
        "1 ambiguous, 1 contradicted, 3 holds, 1 not checkable, 1 not printed.",
        "1 ambiguous, 1 contradicted, 2 holds, 1 not checkable, 1 not comparable, 1 not run.",
        "· A note.",
    ):
        assert expected in text


@pytest.mark.usefixtures("measured")
def test_the_command_speaks_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--data", "made", "--scale", "demo", "--device", "cpu", "--workspace", "workspace")
    assert call(monkeypatch, "claims", "--json", *options) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(json.dumps(check_claims().to_json()))
    assert told["measured_on"] == "made (demo)"
    assert told["notes"] == ["A note."]
    assert told["counts"]["printed"]["holds"] == 3
    assert sum(told["counts"]["measured"].values()) == len(told["claims"]) == 7
    by_id = {claim["id"]: claim for claim in told["claims"]}
    assert by_id["curves"]["not_checkable"] == "No value of a curve is printed."
    (reading,) = by_id["by_75"]["readings"]
    (part,) = reading["parts"]
    assert (part["row"], part["baseline"]) == ("tiny.curved.error_cm", "tiny.flat.error_cm")
    assert (part["quantity"], part["unit"], part["claimed"]) == ("percent", "%", "75")
    assert part["printed"] == {
        "outcome": "holds",
        "value": 75,
        "low": pytest.approx(100 * (1 - 0.105 / 0.395)),
        "high": pytest.approx(100 * (1 - 0.095 / 0.405)),
        "reason": "",
    }
    assert part["measured"]["outcome"] == "not comparable"
    assert len(part["measured"]["pairs"]) == 3


def test_a_claim_about_a_missing_cell_ends_with_its_place(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "sweeps" / "claims.toml").write_text(NO_HELP)
    assert call(monkeypatch, "claims") == EXIT_USER_ERROR
    printed = capsys.readouterr()
    assert printed.out == ""
    assert (
        "claims.toml: claims[0].checks[0].rows: unknown row of tiny 'flad'; did you mean 'flat'?"
        in printed.err
    )


@pytest.mark.usefixtures("measured")
def test_python_has_the_ledger() -> None:
    ledger = s2hand_platform.check_claims(experiment=TinyExperiment())
    frame = ledger.frame()
    assert list(frame["id"]) == [claim.spec.id for claim in ledger.claims]
    assert frame.set_index("id").loc["worse", "printed"] == "contradicted"
    assert frame.set_index("id").loc["worse", "measured"] == "contradicted"
    with pytest.raises(KeyError, match="nowhere"):
        ledger.claim("nowhere")


def test_many_parts_are_shown_in_short(project: Path) -> None:
    others = ", ".join(['"tiny.flat.error_cm", "tiny.curved.error_cm"'] * 5)
    (project / "sweeps" / "claims.toml").write_text(
        NO_HELP.replace('"tiny.curved.error_cm", "tiny.flad.error_cm"', others)
    )
    text = shown(check_claims())
    assert text.count("flat to curved, error_cm: −0.30 cm") == 1  # the same is said once
    assert "curved to flat" not in text  # holds, where the outcome is that others do not


@pytest.mark.parametrize(
    ("data", "scale"), [("made", "demo"), ("/data/my set (new)", "full"), ("a b", "x")]
)
def test_options_are_those_of_the_label(data: str, scale: str) -> None:
    label = f"{data} ({scale})"
    assert shlex.split(options_of(label)) == ["--data", data, "--scale", scale]
    assert is_label_of(label, data, scale)
