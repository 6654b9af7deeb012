"""Between the looks at a table: what goes on, and what is said."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from s2hand_platform.execution.settings import RunSummary
from s2hand_platform.planning.cost import Costs
from s2hand_platform.planning.plan import Plan, PlannedLook
from s2hand_platform.runs.place import HowToRun, Place
from s2hand_platform.spec.schema import Look
from s2hand_platform.store.records import StoredAttempt
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables import MeasuredTable


def at_looks(plan: Plan, looks: Sequence[Look], store: ResultStore) -> Plan:
    """Return the plan of a table's last look with what runs at most before each of them."""
    costs = Costs(
        store.attempts(config_hashes={trial.identity.config_hash for trial in plan.trials})
    )
    missing = {look: [each for each in plan.to_run if each.seed < look.seeds] for look in looks}
    return replace(
        plan,
        looks=tuple(
            PlannedLook(
                seeds=look.seeds,
                level=look.level,
                num_to_run=len(trials),
                estimated_hours=costs.of(trials),
            )
            for look, trials in missing.items()
        ),
    )


def say_if_judged_otherwise(kept: TablePlan, place: Place, how: HowToRun) -> None:
    """Say so where a table is judged by another rule than when it was run last."""
    before = place.store.latest_table_plan(
        kept.name, label=kept.label, device_type=kept.device_type
    )
    if before is not None and before.looks and before.looks != kept.looks:
        seeds = ", ".join(str(look.seeds) for look in before.looks)
        now = "other looks" if kept.looks else "Holm's procedure, at the seeds of this run,"
        how.console.print(
            f"{kept.name} was run until decided, with looks at {seeds} seeds; {now} now takes "
            "their place. What was seen before is not allowed for.",
            highlight=False,
            soft_wrap=True,
        )


def goes_on(measured: MeasuredTable, how: HowToRun) -> bool:
    """Say whether a contrast is open, and which."""
    still_open = [
        f"{contrast.row} against {contrast.baseline}"
        for contrast in measured.contrasts
        if contrast.decision is not None and contrast.decision.is_open
    ]
    if still_open:
        how.console.print(
            f"open, so more seeds are run: {', '.join(still_open)}",
            highlight=False,
            soft_wrap=True,
        )
    return bool(still_open)


def without(plan: Plan, failed: Collection[StoredAttempt]) -> Plan:
    """Return a plan without the trials that failed."""
    names = {attempt.trial_id for attempt in failed}
    return replace(
        plan, trials=tuple(trial for trial in plan.trials if trial.trial_id not in names)
    )


def joined(first: RunSummary, second: RunSummary) -> RunSummary:
    """Join what two steps did, of which the second plans all that the first one did."""
    finished_by_first = len(first.outcomes) - len(first.failed)
    return RunSummary(
        outcomes=(*first.outcomes, *second.outcomes), reused=second.reused - finished_by_first
    )
