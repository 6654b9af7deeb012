"""Tables: planned, run, measured and shown."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from s2hand_platform.devices import DeviceType
from s2hand_platform.errors import SpecError, StoreError
from s2hand_platform.execution.settings import RunSummary
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.planning.persist import persisted_table
from s2hand_platform.planning.plan import Plan
from s2hand_platform.planning.planner import plan_table
from s2hand_platform.runs.looks import at_looks, goes_on, joined, say_if_judged_otherwise, without
from s2hand_platform.runs.place import HowToRun, Place
from s2hand_platform.runs.running import run_plan, tracker_of
from s2hand_platform.runs.table_files import write_table_files
from s2hand_platform.spec import files
from s2hand_platform.spec.expansion import expand_table
from s2hand_platform.spec.schema import Look, TableSpec
from s2hand_platform.statistics.sequential import LOOKS, planned_looks
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.kept import stored_plan
from s2hand_platform.tracking.writer import SpoolingSink
from s2hand_platform.workspace import Workspace

MAX_SEEDS_UNTIL_DECIDED = LOOKS[-1]

_LOG = logging.getLogger(__name__)


def reproduce(
    table: str | Path,
    *,
    data: str | Sequence[str] | None = None,
    seeds: int | None = None,
    scale: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workspace: str | Path | None = None,
    experiment: Experiment | None = None,
    how: HowToRun | None = None,
    until_decided: bool = False,
    max_seeds: int = MAX_SEEDS_UNTIL_DECIDED,
) -> MeasuredTable:
    """Measure a table; only what is missing from the store is run.

    Args:
        table: a name in ``sweeps/tables``, or the path of a TOML file.
        data: a dataset's name, or a folder; None is what the experiment usually takes.
        seeds: how many; None is what the scale takes.
        scale: a name in ``sweeps/scales``; None is the experiment's usual one for the data.
        device: what trials train on; ``auto`` is CUDA where this machine has it.
        workspace: None is ``S2HAND_WORKSPACE``, or else ``./workspace``.
        experiment: None is the one that the command line runs.
        how: where trials run; None is a Ray on this machine.
        until_decided: run up to a look, judge, and go on only while a declared contrast is open;
            goes without ``seeds``.
        max_seeds: with ``until_decided``, the seeds of the last look.

    Raises:
        SpecError: for a recipe, configuration or data that cannot be used.
        ExecutionError: if trials cannot be run.
    """
    place = Place.choose(
        data=data, scale=scale, workspace=workspace, experiment=experiment, device=device
    )
    how = how or HowToRun()
    if until_decided and seeds is not None:
        raise SpecError(["seeds: until_decided takes max_seeds in their place; leave one out"])
    if until_decided:
        measured, _ = run_until_decided(place, table, max_seeds=max_seeds, how=how)
    else:
        measured, _ = run_table(place, table, seeds=seeds, how=how)
    return measured


def run_table(
    place: Place, table: str | Path, *, seeds: int | None, how: HowToRun
) -> tuple[MeasuredTable, RunSummary]:
    """Run what a table is missing, tell the tracker, and measure the table."""
    return _run(place, table, [place.seeds(seeds)], how, looks=())


def run_until_decided(
    place: Place, table: str | Path, *, max_seeds: int, how: HowToRun
) -> tuple[MeasuredTable, RunSummary]:
    """Run a table look by look, as long as one of its declared contrasts is open.

    The looks stand in the kept plan from the start, and the table is judged by them from then on.

    Raises:
        SpecError: if the table declares no contrasts, or for fewer than two seeds.
    """
    looks = _looks_at(place, table, max_seeds)
    return _run(place, table, [range(look.seeds) for look in looks], how, looks=looks)


def _looks_at(place: Place, table: str | Path, max_seeds: int) -> tuple[Look, ...]:
    num_contrasts = len(place.table(table).contrasts)
    if not num_contrasts:
        raise SpecError([f"{table}: declares no contrasts, so nothing is to be decided"])
    if max_seeds < 2:
        raise SpecError([f"max_seeds: must be at least 2, got {max_seeds}"])
    return planned_looks(max_seeds, num_contrasts)


def _run(
    place: Place,
    table: str | Path,
    steps: Sequence[range],
    how: HowToRun,
    *,
    looks: tuple[Look, ...],
) -> tuple[MeasuredTable, RunSummary]:
    """Run step by step; a training that failed is not tried again in a later step."""
    place.workspace.require_writable()
    spec, plan = _plan_table(place, table, steps[-1])
    kept = _persisted_table(spec, plan, place, looks)
    say_if_judged_otherwise(kept, place, how)
    place.store.write_plan(kept)
    done = RunSummary(outcomes=(), reused=0)
    with tracker_of(place, how) as tracker:
        for seeds in steps:
            if len(steps) > 1:
                _, plan = _plan_table(place, table, seeds)
            done = joined(done, run_plan(without(plan, done.failed), place, tracker, how))
            _measure_baselines(spec, plan, place)
            measured = MeasuredTable.build(kept, place.store, seeds=seeds)
            if not goes_on(measured, how):
                break
        for row, values in measured.summaries().items():
            tracker.summarise("row", spec.name, row, values)
        _keep_files(measured, kept, place, files.find(table, "tables"), tracker)
    return measured, done


def _keep_files(
    measured: MeasuredTable, plan: TablePlan, place: Place, recipe: Path, tracker: SpoolingSink
) -> None:
    """Write the table beside its recipe, and show the tracker."""
    primary = next((column for column in measured.columns if column.is_primary), None)
    folder = place.workspace.report_dir(measured.name, place.label)
    if write_table_files(measured, plan, place.store, recipe, folder):
        higher_is_better = primary is not None and primary.direction == "higher"
        tracker.attach(measured.name, folder, higher_is_better=higher_is_better)


def plan_to_show(
    place: Place, table: str | Path, *, seeds: int | None = None, max_seeds: int | None = None
) -> Plan:
    """Plan a table without running it.

    Args:
        place: what would be run with.
        table: a name in ``sweeps/tables``, or the path of a TOML file.
        seeds: how many; None is what the scale takes.
        max_seeds: plan what a run until decided would run at most; goes without ``seeds``.

    The plan is kept for ``show_table``, but not in the place of one that has results: what was
    run is what a table shows, and what a later plan tells changes from. Where it cannot be kept,
    that is a warning.

    Raises:
        SpecError: for a recipe, configuration or data that cannot be used; with ``max_seeds``, as
            ``run_until_decided``.
    """
    looks = () if max_seeds is None else _looks_at(place, table, max_seeds)
    spec, plan = _plan_table(place, table, range(looks[-1].seeds) if looks else place.seeds(seeds))
    store = place.store
    kept = store.latest_table_plan(spec.name, label=spec.label, device_type=place.device_type)
    hashes = {row.config_hash for row in kept.rows} if kept is not None else set()
    if kept is None or store.attempts(config_hashes=hashes).empty:
        try:
            store.write_plan(_persisted_table(spec, plan, place, looks))
        except StoreError as error:  # somebody else's workspace, or a full disk
            _LOG.warning("%s (the plan is shown, and not kept)", error)
    return at_looks(plan, looks, store) if looks else plan


def _plan_table(place: Place, table: str | Path, seeds: range) -> tuple[TableSpec, Plan]:
    spec = place.table(table)
    plan = plan_table(spec, place.experiment, place.store, seeds, device_type=place.device_type)
    return spec, plan


def _persisted_table(
    spec: TableSpec, plan: Plan, place: Place, looks: tuple[Look, ...] = ()
) -> TablePlan:
    experiment = place.experiment
    return persisted_table(
        spec,
        plan,
        experiment=experiment.name,
        metrics=experiment.metrics,
        data={
            row.row.id: experiment.describe_data(row.config)
            for row in expand_table(spec, experiment)
        },
        looks=looks,
    )


def show_table(
    workspace: Workspace,
    name: str,
    *,
    data: str | Sequence[str] | None = None,
    scale: str | None = None,
    device: DeviceType | None = None,
    seeds: Collection[int] | None = None,
    other_code: bool = False,
) -> MeasuredTable:
    """Gather a table that was planned before, from the store alone.

    Args:
        workspace: whose store.
        name: the table's name.
        data: what it was measured on, as it was run; None where that is clear.
        scale: the scale, as it was run; None where that is clear.
        device: where its trials ran; None is the latest.
        seeds: the seeds to take; None takes all that are there.
        other_code: show results of other code, data, device or evaluation too, marked.

    Raises:
        SpecError: if it was never planned, or on several kinds of data and none is named.
    """
    store = ResultStore(workspace.store_dir)
    plan = stored_plan(store, name, data=data, scale=scale, device=device)
    return MeasuredTable.build(plan, store, seeds=seeds, other_code=other_code)


def _measure_baselines(spec: TableSpec, plan: Plan, place: Place) -> None:
    """Evaluate what needs no training, once per evaluation."""
    experiment, store = place.experiment, place.store
    units = {name: info.unit for name, info in experiment.metrics.items()}
    evaluations = {
        row.row: next(iter(row.trials.values())).evaluation_fingerprint for row in plan.rows
    }
    for row in expand_table(spec, experiment):
        evaluation = evaluations[row.row.id]
        if evaluation is not None and store.baselines(experiment.name, evaluation).empty:
            for label, measured in experiment.baselines(row.config).items():
                store.write_baseline(experiment.name, label, evaluation, measured, units)
