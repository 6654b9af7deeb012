"""Cards of the tiny experiment's cells, held against what was run and against scipy."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planned import plan_of, planned
from rich.console import Console
from scipy import stats
from slow_tiny import Sink
from tiny_experiment import TinyConfig, TinyExperiment

from s2hand_platform.cards import Cards, CellCard, explain_cell
from s2hand_platform.cards.arithmetic import about_contrast, about_interval, about_verdict
from s2hand_platform.cards.card import RowOrigin
from s2hand_platform.cards.shown import parts, to_rich
from s2hand_platform.errors import SpecError, StoreError
from s2hand_platform.execution.local import run_in_process
from s2hand_platform.experiments.protocol import StageReport
from s2hand_platform.planning.persist import persisted_table
from s2hand_platform.planning.planner import plan_table
from s2hand_platform.revision import Revision
from s2hand_platform.runs.explaining import explain
from s2hand_platform.runs.running import Stamp
from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.schema import ColumnSpec, ContrastSpec, Look, RowSpec, TableSpec
from s2hand_platform.statistics.intervals import mean_interval
from s2hand_platform.statistics.verdicts import judge_cell
from s2hand_platform.store.records import TrackedRun
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PrintedRow, TablePlan
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.parts import TableCell, TableColumn
from s2hand_platform.workspace import Workspace

SEEDS = (0, 1, 2)
DOTTED = "error (v1.0/grid)"
SPEC = TableSpec(
    name="tiny",
    title="Curvature",
    dataset="curve",
    label="made (demo)",
    base={"epochs": 2},
    primary_column="error_cm",
    rows=(
        RowSpec(id="curved", label="Curved"),
        RowSpec(id="flat", label="Flat", overrides={"curvature": False, "grid": 11}),
        RowSpec(id="flat.slow", label="Slow", overrides={"curvature": False, "epochs": 1}),
        RowSpec(id="broken", label="Broken", overrides={"fail": True}),
    ),
    columns=(
        ColumnSpec(label="error_cm", metric="test/error", tolerance=0.5),
        ColumnSpec(label=DOTTED, metric="test/score"),
    ),
    contrasts=(
        ContrastSpec(
            row="curved", baseline="flat", columns=("error_cm", DOTTED), expected="better"
        ),
    ),
)
OTHER = replace(
    SPEC,
    name="tiny.two",
    rows=(RowSpec(id="same", label="Same", overrides={"curvature": False}),),
    columns=(ColumnSpec(label="points", metric="test/score"),),
    contrasts=(),
    primary_column="",
)
PRINTED = PrintedRow(
    id="curved", label="with curves", quoted=False, cells={"error_cm": PublishedCell.parse("0.50")}
)
QUOTED = PrintedRow(
    id="elsewhere", label="Of others", quoted=True, cells={"error_cm": PublishedCell.parse("0.6")}
)
OWN = PrintedRow(id="ours", label="Without a recipe", quoted=False, cells={})


ZERO = TinyExperiment().baselines(TinyConfig())["zero"]


def keep(spec: TableSpec, store: ResultStore, tiny: TinyExperiment) -> Any:
    """Plan a table, and keep the plan as a run does."""
    plan = plan_table(spec, tiny, store, SEEDS)
    record = tiny.describe_data(TinyConfig())
    kept = persisted_table(
        spec,
        plan,
        experiment=tiny.name,
        metrics=tiny.metrics,
        data={row.id: record for row in spec.rows},
    )
    store.write_plan(replace(kept, printed=(PRINTED, QUOTED, OWN)))
    return plan


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two tables with rows in common, of which the second was never run."""
    workspace, tiny = Workspace(tmp_path_factory.mktemp("cards")), TinyExperiment()
    store = ResultStore(workspace.store_dir)
    plan = keep(SPEC, store, tiny)
    run_in_process(plan_of(*plan.trials), tiny, workspace, Sink())
    evaluation = plan.trials[0].evaluation_fingerprint
    store.write_baseline(tiny.name, "zero", evaluation, ZERO, {"error": "cm", "score": "1"})
    keep(OTHER, store, tiny)
    return workspace


@pytest.fixture
def measured(workspace: Workspace) -> ResultStore:
    return ResultStore(workspace.store_dir)


def the_plan(store: ResultStore, name: str = "tiny") -> TablePlan:
    plan = store.latest_table_plan(name)
    assert plan is not None
    return plan


def card(store: ResultStore, row: str = "flat", column: str = "error_cm") -> CellCard:
    return explain_cell(the_plan(store), store, row, column)


def trained(card: CellCard) -> RowOrigin:
    """Return where the cells of a row with a recipe come from."""
    assert card.trained is not None
    return card.trained


def lines_of(card: CellCard) -> dict[str, list[str]]:
    return {part.heading: [f"{name}: {text}" for name, text in part.lines] for part in parts(card)}


def test_values_and_interval_are_those_of_the_trials(measured: ResultStore) -> None:
    found = card(measured)
    attempts = measured.attempts(trial_ids=the_plan(measured).rows[1].trial_ids.values())
    metrics = measured.metrics(attempts)
    errors = metrics[metrics["metric"] == "error"].set_index("trial_id")["value"]
    by_seed = {line.seed: errors[line.trial_id] for line in attempts.itertuples()}
    assert found.values == pytest.approx(by_seed)
    low, high = stats.t.interval(
        0.95, 2, loc=errors.mean(), scale=errors.std(ddof=1) / len(errors) ** 0.5
    )
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert found.name == "tiny.flat.error_cm"


def test_settings_are_those_that_not_all_rows_share(measured: ResultStore) -> None:
    curved = trained(card(measured, "curved"))
    assert curved.settings == {"epochs": 2, "curvature": True, "fail": False, "grid": 21}
    assert curved.against_baselines == {"flat": {"curvature": (True, False), "grid": (21, 11)}}
    assert trained(card(measured, "flat")).against_baselines == {}


def test_a_failed_seed_is_told_with_its_reason(measured: ResultStore) -> None:
    found = card(measured, "broken")
    assert found.failed == dict.fromkeys(SEEDS, "RuntimeError: asked to fail")
    assert [each.counts for each in trained(found).attempts] == [False] * 3
    assert found.verdict == "not run"
    assert found.remedy == "s2hand run tiny --data made --scale demo --device cpu"
    shown = lines_of(found)
    assert f"measured: nothing yet; measure it with: {found.remedy}" in shown["Value"]
    assert "seed 2: failed: RuntimeError: asked to fail" in shown["Value"]
    assert shown["A rerun of the row"] == ["cost: not known: it was never run to its end"]


def test_the_same_trainings_fill_cells_of_other_tables(measured: ResultStore) -> None:
    assert trained(card(measured)).also_fills == {
        "tiny.flat": ("error_cm", DOTTED),
        "tiny.two.same": ("points",),
    }
    assert trained(card(measured, "curved")).also_fills == {"tiny.curved": ("error_cm", DOTTED)}


def test_code_data_and_evaluator(measured: ResultStore, tiny: TinyExperiment) -> None:
    found, plan = trained(card(measured)), the_plan(measured)
    assert (found.config_hash, found.code_fingerprint, found.data_fingerprint) == (
        plan.rows[1].config_hash,
        plan.rows[1].code,
        tiny.fingerprint_training_data(TinyConfig()),
    )
    assert (found.num_modules, found.starts) == (1, {})
    assert card(measured).evaluators == {"tiny-1": ("tiny-1",)}
    assert found.data["title"] == "made curves"


def test_what_acts_beside_modules_is_named(
    measured: ResultStore, tmp_path: Path, tiny: TinyExperiment
) -> None:
    store = ResultStore(tmp_path / "store")
    row = replace(the_plan(measured).rows[0], code="9" * 64)
    plan = replace(the_plan(measured), rows=(row,), contrasts=())
    store.write_code("9" * 64, {"a.module": "1" * 64, "starting weights 'hands'": "2" * 64})
    found = trained(explain_cell(plan, store, "curved", "error_cm"))
    assert (found.num_modules, found.starts) == (1, {"starting weights 'hands'": "2" * 64})


def test_attempts_tell_where_and_how_long(measured: ResultStore) -> None:
    attempts = trained(card(measured)).attempts
    lines = measured.attempts(trial_ids=[each.trial_id for each in attempts])
    lines = lines.set_index("trial_id")
    assert [each.seed for each in attempts] == [0, 1, 2]
    for each in attempts:
        line = lines.loc[each.trial_id]
        assert (each.status, each.counts, each.threads) == ("finished", True, 1)
        assert each.framework == json.loads(line["environment_json"])["framework"]
        assert each.started == line["started"]
        assert (each.duration_s, each.training_s) == (line["duration_s"], line["training_s"])
        assert each.runs == ()


def test_a_rerun_costs_what_seeds_took_in_the_middle(measured: ResultStore) -> None:
    cost = trained(card(measured)).cost
    trials = the_plan(measured).rows[1].trial_ids.values()
    lines = measured.attempts(trial_ids=trials)[["training_s", "evaluation_s"]]
    median = lines.median()
    assert cost.hours_per_seed == pytest.approx(median.sum() / 3600)
    assert cost.hours == pytest.approx(3 * median.sum() / 3600)
    assert cost.evaluation_hours == pytest.approx(3 * median["evaluation_s"] / 3600)


def test_the_revision_is_looked_up_once_and_recorded(
    tmp_path: Path, tiny: TinyExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path)
    store = ResultStore(workspace.store_dir)
    asked: list[list[str]] = []

    def find(files: Any) -> tuple[Revision, str]:
        asked.append(list(files))
        return dirty, "a patch"

    dirty = Revision(commit="c" * 40, state="dirty", patch=PATCH_SHA256)
    monkeypatch.setattr("s2hand_platform.runs.running.find_revision", find)
    stamped = Stamp(store)
    trials = [stamped(planned(tiny, {"fail": seed == 1}, seed=seed)) for seed in (0, 1)]
    run_in_process(plan_of(*trials), tiny, workspace, Sink())
    (files,) = asked
    assert [Path(file).name for file in files] == ["tiny_experiment.py"]
    found = store.trials()
    assert sorted(found["status"]) == ["failed", "finished"]
    assert found["code_commit"].tolist() == ["c" * 40] * 2
    assert found["code_patch"].tolist() == [PATCH_SHA256] * 2
    assert store.patch(PATCH_SHA256) == "a patch"
    plain = planned(tiny, {"fail": False}, seed=0)
    assert plain.trial_id == trials[0].trial_id  # no part of what a trial is


PATCH_SHA256 = hashlib.sha256(b"a patch").hexdigest()


@pytest.fixture
def by_hand(measured: ResultStore, tmp_path: Path, make_record: Any, make_evaluation: Any) -> Any:
    """Write an attempt at a row's trial into a store of its own."""
    plan = the_plan(measured)
    store = ResultStore(tmp_path / "store")

    def write(row: str, seed: int, **changes: Any) -> ResultStore:
        of = next(each for each in plan.rows if each.id == row)
        fields: Mapping[str, Any] = {
            "config_hash": of.config_hash,
            "seed": seed,
            "data_fingerprint": of.data,
            "code_fingerprint": of.code,
            "evaluation_fingerprint": of.evaluation,
            "device_type": plan.device_type,
        }
        record = make_record(of.trial_ids[seed], **{**fields, **changes})
        store.write_attempt(record, make_evaluation(1.0 + seed))
        return store

    return write


def test_commits_of_the_attempts_and_patches_that_are_not_here(
    measured: ResultStore, by_hand: Any
) -> None:
    for seed, revision in enumerate(
        (
            Revision(),
            Revision(commit="c" * 40, state="clean"),
            Revision(commit="d" * 40, state="dirty", patch="e" * 64),
        )
    ):
        store = by_hand("curved", seed, revision=revision)
    found = explain_cell(the_plan(measured), store, "curved", "error_cm")
    assert trained(found).missing_patches == ("e" * 64,)
    lost = "which this store does not have (exports leave patches out)"
    commits = [line for line in lines_of(found)["Code and data"] if line.startswith("commit")]
    assert commits == [
        "commit: unknown: the code lay in no repository",
        "commit: cccccccccccc, tree clean",
        f"commit: dddddddddddd, tree dirty; what differs: patch {'e' * 12}, {lost}",
    ]


def test_attempts_of_before_say_that_commits_were_not_recorded(
    measured: ResultStore, by_hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = by_hand("curved", 0)
    read = store.attempts

    def without(**asked: Any) -> Any:
        columns = ["code_commit", "code_state", "code_patch"]
        return read(**asked).assign(**dict.fromkeys(columns))

    monkeypatch.setattr(store, "attempts", without)
    found = explain_cell(the_plan(measured), store, "curved", "error_cm")
    assert trained(found).attempts[0].revision is None
    assert "commit: not recorded: measured before commits were" in lines_of(found)["Code and data"]


@pytest.mark.parametrize(
    ("column", "text", "what"),
    [
        ("stages_json", '{"name": "base"}', "stages of attempt 0 of trial .* JSON list of stages"),
        ("stages_json", "[", "stages of attempt 0 of trial .* JSON list of stages"),
        ("environment_json", "{}", "fields of the environment of attempt 0 of trial .* JSON"),
        ("environment_json", "cpu", "fields of the environment of attempt 0 of trial .* JSON"),
    ],
)
def test_columns_that_are_no_documents_of_ours_are_named(
    measured: ResultStore, by_hand: Any, monkeypatch: pytest.MonkeyPatch,
    column: str, text: str, what: str,
) -> None:  # fmt: skip
    store = by_hand("curved", 0)
    read = store.attempts

    def changed(**asked: Any) -> Any:
        return read(**asked).assign(**{column: text})

    monkeypatch.setattr(store, "attempts", changed)
    with pytest.raises(StoreError, match=what):
        explain_cell(the_plan(measured), store, "curved", "error_cm")


def test_stages_that_rows_share(measured: ResultStore, by_hand: Any) -> None:
    def stage(name: str, stage_id: str) -> StageReport:
        return StageReport(name=name, stage_id=stage_id, training_s=1.0, trained_here=True)

    for row, last in (("curved", "3"), ("flat", "4"), ("flat.slow", "5")):
        first = "1" if row != "flat.slow" else "2"
        store = by_hand(row, 0, stages=[stage("base", first), stage("finetune", last)])
    plan = the_plan(measured)
    shared = {
        row: trained(explain_cell(plan, store, row, "error_cm")).shared_stages
        for row in ("curved", "flat", "flat.slow")
    }
    assert shared == {
        "curved": {"base": ("tiny.flat",)},
        "flat": {"base": ("tiny.curved",)},
        "flat.slow": {},
    }


def test_runs_of_a_tracker_stand_beside_their_attempt(measured: ResultStore, by_hand: Any) -> None:
    store = by_hand("curved", 0)
    by_hand("curved", 1)
    trial_id = the_plan(measured).rows[0].trial_ids[1]
    run = TrackedRun(
        trial_id=trial_id, attempt=0, tracker="", group="tiny", name="curved", run_id="7f"
    )
    store.write_tracked(run)
    store.write_tracked(replace(run, attempt=1, run_id="8f"))
    found = explain_cell(the_plan(measured), store, "curved", "error_cm")
    assert [each.runs for each in trained(found).attempts] == [(), (run,)]
    assert (
        "MLflow, tiny: run 7f of 'curved' in the workspace database"
        in (lines_of(found)["Attempts"])
    )


def test_the_printed_number_with_its_rounding(measured: ResultStore) -> None:
    printed = card(measured, "curved").published
    assert printed is not None
    assert (printed.text, printed.decimals, printed.row) == ("0.50", 2, "with curves")
    assert (printed.low, printed.high) == pytest.approx((0.495, 0.505))
    assert card(measured, "curved", DOTTED).published is None


def test_contrasts_of_the_row_with_their_arithmetic(measured: ResultStore) -> None:
    curved, flat = card(measured, "curved"), card(measured, "flat")
    pairs = [curved.values[seed] - flat.values[seed] for seed in SEEDS]
    result = stats.ttest_1samp(pairs, 0.0)
    line = curved.arithmetic[-1]
    assert line == flat.arithmetic[-1]
    assert line.startswith("curved − flat (the paper: curved better): ")
    assert f"t(2) = {result.statistic:+.4g}, p = {result.pvalue:.4g}" in line
    assert card(measured, "flat.slow").arithmetic[-1].startswith("not judged against the paper")
    other = card(measured, "curved", DOTTED).arithmetic[-1]
    assert other.endswith("no verdict, which 'error_cm' gives")


COLUMN = TableColumn(
    label="error_cm", metric="test/error", unit="cm", direction="lower", tolerance=0.02
)


def judged(values: list[float], printed: str) -> tuple[TableCell, list[str]]:
    of_paper = PublishedCell.parse(printed)
    cell = TableCell(
        values=dict(enumerate(values)),
        interval=mean_interval(values),
        published=of_paper,
        verdict=judge_cell(values, of_paper, "lower", comparable=True, tolerance=0.02),
    )
    return cell, list(about_verdict(cell, COLUMN, ""))


def test_equal_within_rounding_and_tolerance() -> None:
    half = stats.t.ppf(0.95, 2) * 0.001 / 3**0.5
    cell, said = judged([1.109, 1.110, 1.111], "1.10")
    assert cell.verdict == "reproduced"
    assert said[0] == (
        f"|mean − printed| + half of the 90 % interval = 0.01 + {half:.4g} = {0.01 + half:.4g}, "
        "rounding + tolerance = 0.005 + 0.02 = 0.025: equal within that"
    )
    assert said[1:] == ["so the cell is: reproduced"]


@pytest.mark.parametrize(
    ("printed", "says", "verdict"),
    [("1.60", "could be one", "consistent but imprecise"), ("1.90", "is none", "better")],
)
def test_one_more_run_or_none(printed: str, says: str, verdict: str) -> None:
    reach = stats.t.ppf(0.975, 2) * 0.1 * (4 / 3) ** 0.5
    _, said = judged([1.0, 1.1, 1.2], printed)
    away = float(printed) - 1.1
    assert said[0].endswith("not shown to be equal")
    assert said[1] == (
        f"one more run lies within ± {reach:.4g} of the mean (95 %); with the rounding "
        f"± {reach + 0.005:.4g}: the printed number, {away:.4g} away, {says}"
    )
    assert said[2] == f"so the cell is: {verdict}"


def test_what_one_seed_and_equal_seeds_say() -> None:
    assert list(about_interval(mean_interval([1.5]), "1")) == [
        "mean of 1 seed: 1.5",
        "one seed says nothing about the spread: no interval",
    ]
    assert list(about_interval(mean_interval([1.5, 1.5]), "cm")) == [
        "mean of 2 seeds: 1.5 cm",
        "all seeds agree: the interval has no width",
    ]
    line = list(about_interval(mean_interval([1.0, 1.2, 1.1]), "cm"))[1]
    assert line.endswith("√n = 4.303 × 0.1 / √3 = 0.2484 cm")  # t(2) at 97.5 %: 4.3027


def test_values_of_other_code_are_not_judged() -> None:
    cell, _ = judged([1.0, 1.1, 1.2], "1.60")
    (said,) = about_verdict(replace(cell, of_other_code=(0,)), COLUMN, "")
    assert said.startswith("not judged: values are of other code")


def test_a_contrast_without_a_common_seed(measured: ResultStore) -> None:
    contrast = MeasuredTable.build(the_plan(measured), measured).contrasts[0]
    alone = replace(contrast, pairs={}, difference=None)
    assert about_contrast(alone, 1, "error_cm").endswith(
        "(the paper: curved better): no seed has both"
    )
    one = replace(contrast, pairs={4: -0.25}, difference=mean_interval([-0.25]))
    assert "-0.25 over 1 seed (seed 4 -0.25)" in about_contrast(one, 1, "error_cm")


def test_a_contrast_under_looks_names_its_look(measured: ResultStore) -> None:
    contrast = MeasuredTable.build(the_plan(measured), measured).contrasts[0]
    assert contrast.decision is not None
    look = Look(seeds=5, level=0.021)
    decision = replace(contrast.decision, p=0.5, p_adjusted=None, look=look)
    said = about_contrast(replace(contrast, decision=decision), 1, "error_cm")
    assert "; at the look at 5 seeds p = 0.5, level 0.021" in said
    assert "Holm" not in said


def test_json_is_plain_and_whole(measured: ResultStore) -> None:
    found = card(measured)
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["name"] == "tiny.flat.error_cm"
    assert plain["values"] == {str(seed): value for seed, value in found.values.items()}
    assert plain["interval"]["n"] == 3
    attempt = plain["trained"]["attempts"][0]
    assert attempt["started"] == trained(found).attempts[0].started.isoformat()
    assert attempt["revision"]["state"] == "unknown"


def test_the_terminal_shows_every_part(measured: ResultStore) -> None:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(to_rich(card(measured, "curved")))
    shown = captured.get()
    for part in parts(card(measured, "curved")):
        assert part.heading in shown
    assert "0.50 cm (rounded from 0.495 to 0.505)" in shown


def test_cards_of_a_table_are_those_of_its_cells(measured: ResultStore) -> None:
    cards = Cards(the_plan(measured), measured)
    assert cards.cell("flat", DOTTED) == card(measured, "flat", DOTTED)
    assert cards.cell("curved", "error_cm") == card(measured, "curved")


@pytest.mark.parametrize(
    ("name", "row", "column"),
    [
        ("tiny.flat.error_cm", "flat", "error_cm"),
        (f"tiny.flat.slow.{DOTTED}", "flat.slow", DOTTED),
        ("tiny.two.same.points", "same", "points"),
    ],
)
def test_names_may_hold_dots(workspace: Workspace, name: str, row: str, column: str) -> None:
    found = explain(workspace, name)
    assert (found.row, found.column, found.name) == (row, column, name)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (
            "tniy.flat.error_cm",
            "no plan of a table 'tniy'; no recipe has this name either; did you mean 'tiny'?",
        ),
        ("tiny", "must be named TABLE.ROW.COLUMN, got 'tiny'"),
        ("tiny.flat", "must be named TABLE.ROW.COLUMN, got 'tiny.flat'; columns: error_cm"),
        ("tiny.flta.error_cm", "tiny: there is no row 'flta'; did you mean 'flat'"),
        ("tiny.flat.eror_cm", "tiny: there is no column 'eror_cm'; did you mean 'error_cm'?"),
    ],
)
def test_a_name_that_is_no_cell(workspace: Workspace, name: str, fault: str) -> None:
    with pytest.raises(SpecError) as raised:
        explain(workspace, name)
    assert fault in str(raised.value)


def test_the_card_of_a_baseline_says_what_it_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S2HAND_EXPERIMENT", "tiny_experiment:TinyExperiment")
    monkeypatch.setattr("tiny_experiment.BASELINES", {"zero": "no curve at all"}, raising=False)
    found = explain(workspace, f"tiny.zero.{DOTTED}")
    assert (found.kind, found.trained, found.values, found.remedy) == ("baseline", None, {}, "")
    assert found.interval == mean_interval([ZERO.metrics["test/score"]])
    assert found.evaluators == {"tiny-1": ("tiny-1",)}
    said = lines_of(found)
    assert list(said) == ["Value", "What the row is", "Evaluator"]
    assert said["Value"][0] == f"measured: {ZERO.metrics['test/score']:.6g}"
    assert said["Value"][-1] == "measured on: made curves, as 'made (demo)'"
    assert said["What the row is"][0].startswith(": a predictor by formula: nothing is trained")
    assert said["What the row is"][1:] == [": no curve at all"]


@pytest.mark.parametrize(
    ("row", "kind", "printed", "says"),
    [
        ("elsewhere", "quoted", "0.6", "a row that the paper quotes from another publication"),
        ("ours", "published", None, "a row of the paper without a recipe here"),
    ],
)
def test_the_card_of_a_row_of_the_paper_alone_says_so(
    workspace: Workspace, row: str, kind: str, printed: str | None, says: str
) -> None:
    found = explain(workspace, f"tiny.{row}.error_cm")
    assert (found.kind, found.trained, found.evaluators, found.arithmetic) == (kind, None, {}, ())
    assert (found.published.text if found.published else None) == printed
    said = lines_of(found)
    assert list(said) == ["Value", "What the row is"]
    assert said["Value"][0] == "measured: nothing"  # and no command, as none would measure it
    assert not any(line.startswith("measured on") for line in said["Value"])
    assert said["What the row is"][0].startswith(f": {says}")
    assert json.loads(json.dumps(found.to_json()))["trained"] is None


def test_a_row_with_a_recipe_that_was_never_run_names_the_command(measured: ResultStore) -> None:
    (line, *_) = lines_of(card(measured, "broken"))["Value"]
    assert line.startswith("measured: nothing yet; measure it with: s2hand run tiny ")
    assert card(measured, "flat").remedy == ""


def test_the_path_of_a_setting_is_not_broken(measured: ResultStore) -> None:
    path = "losses.weights.of.something.with.a.very.long.name"
    found = card(measured)
    console = Console(width=100)
    with console.capture() as captured:
        console.print(to_rich(replace(found, trained=replace(trained(found), settings={path: 1}))))
    assert f"{path}  1" in captured.get()


def test_a_store_without_plans_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no recipe has this name either; known here: "):
        explain(Workspace(tmp_path), "tiny.flat.error_cm")


def test_data_that_was_not_planned(workspace: Workspace) -> None:
    with pytest.raises(SpecError, match="make one with: s2hand plan tiny --data line"):
        explain(workspace, "tiny.flat.error_cm", data="line")
