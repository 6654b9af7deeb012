"""Seeds and hours that a stored table needs, against closed forms and by hand."""

import dataclasses
import hashlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from scipy import stats

from s2hand_platform import cli
from s2hand_platform.cli.endings import EXIT_USER_ERROR
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.protocol import DataRecord, StageReport
from s2hand_platform.runs.power import table_power
from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.schema import ContrastSpec
from s2hand_platform.statistics.power import POWER
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanColumn, PlanRow, PrintedRow, TablePlan
from s2hand_platform.tables.power import TablePower
from s2hand_platform.tables.power_layout import to_rich
from s2hand_platform.workspace import Workspace

OFFICIAL = DataRecord(title="Curves v1", dataset="curve", version="v1", origin="official")
MADE = DataRecord(title="made curves", dataset="curve", version="", origin="synthetic")
DIFFERENCES = (-0.30, -0.10, -0.20)  # spread 0.1
SEEDS = range(3, 21)


def row(name: str, measured_on: DataRecord = MADE) -> PlanRow:
    return PlanRow(
        id=name,
        label=name,
        settings={"epochs": 4},
        config_hash=f"config of {name}",
        data="d" * 64,
        code="e" * 64,
        evaluation="f" * 64,
        trial_ids={seed: trial_id(name, seed) for seed in range(3)},
        measured_on=measured_on,
    )


def trial_id(name: str, seed: int) -> str:
    return hashlib.sha256(f"{name}:{seed}".encode()).hexdigest()


def printed(name: str, error: str) -> PrintedRow:
    cells = {"error_cm": PublishedCell.parse(error)}
    return PrintedRow(id=name, label=name, quoted=False, cells=cells)


def contrast(name: str) -> ContrastSpec:
    return ContrastSpec(row=name, baseline="base", columns=("error_cm",), expected="better")


PLAN = TablePlan(
    name="t",
    title="Power",
    experiment="tiny",
    label="made (demo)",
    device_type="cpu",
    primary_column="error_cm",
    rows=tuple(map(row, ("base", "clear", "same", "unprinted", "waiting"))),
    columns=(PlanColumn(label="error_cm", metric="test/error", unit="cm", direction="lower"),),
    contrasts=tuple(map(contrast, ("clear", "same", "unprinted", "waiting"))),
    printed=(
        printed("base", "1.10"),
        printed("clear", "0.99"),
        printed("same", "1.09"),
        printed("waiting", "0.99"),
    ),
)


def stage(name: str, stage_id: str, hours: float) -> StageReport:
    return StageReport(name=name, stage_id=stage_id, training_s=3600 * hours, trained_here=True)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


Write = Callable[..., ResultStore]


@pytest.fixture
def write(workspace: Workspace, make_record: Any, make_evaluation: Any) -> Write:
    """Keep a plan, with some seeds of its rows; all share their first stage."""

    def write(plan: TablePlan = PLAN, seeds: int = 3) -> ResultStore:
        store = ResultStore(workspace.store_dir)
        store.write_plan(plan)
        for name in ("base", "clear", "same", "unprinted"):
            for seed in range(seeds):
                difference = {"base": 0.0, "same": 0.5}.get(name, DIFFERENCES[seed])
                record = make_record(
                    trial_id(name, seed),
                    config_hash=f"config of {name}",
                    seed=seed,
                    evaluation_fingerprint="f" * 64,
                    device_type="cpu",
                    stages=[stage("first", f"{seed}", 1.0), stage("last", f"{name}:{seed}", 0.5)],
                    evaluation_s=360,
                )
                store.write_attempt(record, make_evaluation(2.0 + 0.1 * seed + difference))
        return store

    return write


def power_of(workspace: Workspace, **changes: Any) -> TablePower:
    return table_power(workspace, "t", **{"effect": "published", "seeds": SEEDS, **changes})


def by_hand(effect: float, sd: float, seeds: int, level: float) -> float:
    """Student's t of a shifted mean, integrated over the measured spread."""
    critical = stats.t.isf(level / 2, seeds - 1)

    def found(scale: float) -> float:
        shift = effect / sd * seeds**0.5
        return float(stats.norm.sf(critical * (scale / (seeds - 1)) ** 0.5 - shift))

    return float(stats.chi2.expect(found, args=(seeds - 1,)))


def test_seeds_that_decide_an_effect_with_the_spreads_interval(
    workspace: Workspace, write: Write
) -> None:
    write()
    clear = power_of(workspace, effect=0.25).contrasts[0]
    assert clear.spread is not None
    assert clear.needed is not None
    assert clear.spread.value == pytest.approx(0.1)
    assert clear.spread.low == pytest.approx(0.1 * 0.5207, rel=1e-3)
    assert clear.spread.high == pytest.approx(0.1 * 6.285, rel=1e-3)
    for seeds in (3, 5, 20):
        found = clear.power[seeds]
        for value, sd in (
            (found.value, clear.spread.value),
            (found.high, clear.spread.low),
            (found.low, clear.spread.high),
        ):
            assert value == pytest.approx(by_hand(0.25, sd, seeds, 0.05 / 4), abs=1e-4)
    assert clear.needed.value == 5
    assert clear.power[5].value >= POWER > clear.power[4].value
    assert clear.needed.low == 4
    assert clear.power[4].high >= POWER > clear.power[3].high
    assert clear.needed.high is None  # more than 20
    assert clear.power[20].low < POWER


def test_the_sign_of_an_effect_is_its_side_alone(workspace: Workspace, write: Write) -> None:
    write()
    one, other = (power_of(workspace, effect=value).contrasts[0] for value in (0.25, -0.25))
    assert one.power == other.power


def test_on_official_data_the_effect_is_the_printed_difference(
    workspace: Workspace, write: Write
) -> None:
    rows = tuple(row(each.id, OFFICIAL) for each in PLAN.rows)
    write(dataclasses.replace(PLAN, rows=rows))
    found = power_of(workspace)
    effect = found.contrasts[0].effect
    assert effect is not None
    assert [effect.value, effect.low, effect.high] == pytest.approx([-0.11, -0.12, -0.10])
    assert found.effect == "the paper's"


def test_on_other_data_the_effect_is_the_papers_share_of_our_baseline(
    workspace: Workspace, write: Write
) -> None:
    write()
    found = power_of(workspace)
    effect = found.contrasts[0].effect
    assert effect is not None
    assert effect.value == pytest.approx(-0.1 * 2.1)  # 10 % less than our mean
    assert effect.low == pytest.approx(-0.12 / 1.10 * 2.1)
    assert "share" in found.effect


def test_where_there_is_no_answer_it_says_why(workspace: Workspace, write: Write) -> None:
    write()
    found = power_of(workspace)
    reasons = {each.row: each.why_not for each in found.contrasts}
    assert reasons == {
        "clear": "",
        "same": "zero is within its rounding (-0.02 to +0)",
        "unprinted": "the paper does not print both cells",
        "waiting": "no seed has both rows, two are needed",
    }
    for each in found.contrasts[1:]:
        assert (each.needed, dict(each.power)) == (None, {})
    given = power_of(workspace, effect=0.1)
    assert given.contrasts[1].why_not == "all pairs agree, so their spread is not known"
    assert given.contrasts[2].needed is not None


def test_hours_are_of_missing_seeds_and_shared_stages_count_once(
    workspace: Workspace, write: Write
) -> None:
    rows = tuple(each for each in PLAN.rows if each.id != "waiting")
    write(dataclasses.replace(PLAN, rows=rows, contrasts=PLAN.contrasts[:3]))
    hours = power_of(workspace).hours
    each_seed = 1.0 + 4 * 0.5 + 4 * 0.1
    assert hours[3] == 0.0
    assert hours[4] == pytest.approx(each_seed)
    assert hours[20] == pytest.approx(17 * each_seed)


def test_hours_are_unknown_where_a_row_was_never_run(workspace: Workspace, write: Write) -> None:
    write()
    assert set(power_of(workspace).hours.values()) == {None}


def test_the_command_that_gets_seeds_is_named(workspace: Workspace, write: Write) -> None:
    write(seeds=1)
    with pytest.raises(SpecError, match="no contrast has two seeds") as told:
        power_of(workspace)
    assert str(told.value).endswith(
        "get them with: s2hand run t --data made --scale demo --device cpu --seeds 3"
    )


def test_what_cannot_be_planned(workspace: Workspace, write: Write) -> None:
    with pytest.raises(SpecError, match=r"has no plan of it .* no recipe has this name either"):
        power_of(workspace)
    write(dataclasses.replace(PLAN, contrasts=(), primary_column=""))
    with pytest.raises(SpecError, match="declares no contrasts"):
        power_of(workspace)
    with pytest.raises(SpecError, match="effect: must not be zero"):
        power_of(workspace, effect=0.0)
    for seeds in (range(1, 4), range(0)):
        with pytest.raises(SpecError, match="a range within 2"):
            power_of(workspace, seeds=seeds)


def shown(found: TablePower) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(to_rich(found))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_terminal_shows_ends_of_the_range_in_words(workspace: Workspace, write: Write) -> None:
    write()
    text = " ".join(shown(power_of(workspace, effect=0.25)).split())
    assert "4 to more than 20" in text
    assert "0.25 cm, as given" in text
    assert "poor basis for a plan" in text
    assert "unknown" in text
    large = " ".join(shown(power_of(workspace, effect=50.0)).split())
    assert "at most 3" in large
    assert "undefined" in " ".join(shown(power_of(workspace)).split())


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["s2hand", "power", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_command(
    workspace: Workspace,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write()
    where = ("--workspace", str(workspace.root))
    assert call(monkeypatch, "t", *where, "--seeds", "3..5", "--json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert list(plain["hours"]) == ["3", "4", "5"]
    assert plain["contrasts"][0]["effect"]["value"] == pytest.approx(-0.21)
    assert call(monkeypatch, "t.toml", *where, "--effect", "0.25", "--data", "made") == 0
    assert "more than 20" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--effect=much", "--effect: must be 'published' or a number, got 'much'"),
        ("--effect=nan", "--effect: must be 'published' or a number, got 'nan'"),
        ("--seeds=5", "--seeds: must be a range such as 3..20, got '5'"),
        ("--seeds=9..3", "--seeds: must be a range such as 3..20, got '9..3'"),
        ("--seeds=1..3", "seeds: must be a range within 2..1000"),
        ("--seeds=3..1001", "seeds: must be a range within 2..1000"),
    ],
)
def test_options_that_say_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    message: str,
) -> None:
    assert call(monkeypatch, "t", option) == EXIT_USER_ERROR
    assert message in capsys.readouterr().err.replace("\n", " ")
