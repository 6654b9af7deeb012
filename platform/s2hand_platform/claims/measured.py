"""Claims against what was measured: differences paired by seed, and what they decide."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from s2hand_platform.claims.outcomes import Outcome
from s2hand_platform.identity import EVALUATION_DATA
from s2hand_platform.spec.claim_cells import ClaimCell
from s2hand_platform.spec.claim_checks import Part, Region
from s2hand_platform.statistics.intervals import MeanInterval, mean_interval
from s2hand_platform.statistics.significance import (
    ALPHA,
    holm,
    p_of_difference,
    p_of_equivalence,
)
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanRow, TablePlan
from s2hand_platform.tables import MeasuredTable


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredFinding:
    """What the seeds say of one part of a claim."""

    outcome: Outcome
    pairs: Mapping[int, float] = field(default_factory=dict)
    """Seed → the quantity, for the seeds that both rows have."""
    interval: MeanInterval | None = None
    """Mean of the pairs with its 95 % t interval; None where there are none."""
    reason: str = ""
    """Why nothing was decided, where it is not the spread over seeds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredRow:
    """A row as it was planned, with what its seeds achieved."""

    plan: PlanRow
    values: Mapping[str, Mapping[int, float]]
    """Column → seed → value."""
    failed: Mapping[int, str]
    """Seed → why it failed; no value is of it."""
    evaluation: Mapping[str, str] | None = None
    """What its evaluation's fingerprint was taken of, with digests; None where it is not known."""


def measured_rows(plan: TablePlan, store: ResultStore) -> dict[str, MeasuredRow]:
    """Return the rows of a table that trainings fill, by their ids."""
    of_plan = {row.id: row for row in plan.rows}
    contents = {row.evaluation: store.code_files(row.evaluation or "") for row in plan.rows}
    return {
        row.id: MeasuredRow(
            plan=of_plan[row.id],
            values={label: cell.planned_values for label, cell in row.cells.items()},
            failed=row.failed,
            evaluation=contents[of_plan[row.id].evaluation],
        )
        for row in MeasuredTable.build(plan, store).rows
        if row.kind == "measured"
    }


def measured_tables(
    names: Iterable[str], store: ResultStore, *, label: str, device_type: str
) -> dict[str, dict[str, MeasuredRow]]:
    """Gather from the store what was measured of tables under one label, on one kind of device.

    Returns:
        Table → row → what was measured; without tables that were not planned so.
    """
    tables: dict[str, dict[str, MeasuredRow]] = {}
    for name in names:
        plan = store.latest_table_plan(name, label=label, device_type=device_type)
        if plan is not None:
            tables[name] = measured_rows(plan, store)
    return tables


def judge_measured(
    parts: Sequence[Part], tables: Mapping[str, Mapping[str, MeasuredRow]]
) -> list[MeasuredFinding]:
    """Test all parts of one reading of a claim as one family.

    A part holds when the two-sided paired t test at 5 % places its quantity where the claim says
    (two one-sided tests, where that has two ends). As all parts must hold, that needs no
    correction. One part is enough to contradict the claim, so that being elsewhere is tested at 5 %
    for all of its parts by Holm's procedure. A stated number is compared where both rows are the
    paper's trainings on the paper's data, and is shown otherwise.

    Args:
        parts: what must be true.
        tables: table → row → what was measured, all on the same data at the same scale.
    """
    found = [_measure(part, tables) for part in parts]
    tested = [each.interval if each.outcome == "not decided" else None for each in found]
    against = holm(
        [
            None if interval is None else _p_elsewhere(part.region, interval)
            for part, interval in zip(parts, tested, strict=True)
        ]
    )
    return [
        each if interval is None else replace(each, outcome=_outcome(part.region, interval, p))
        for part, each, interval, p in zip(parts, found, tested, against, strict=True)
    ]


def _measure(part: Part, tables: Mapping[str, Mapping[str, MeasuredRow]]) -> MeasuredFinding:
    cells = (part.row, part.baseline)
    reasons = [reason for cell in cells if (reason := _why_not_run(cell, tables))]
    if reasons:
        return MeasuredFinding(outcome="not run", reason=reasons[0])
    row, baseline = (tables[cell.table][cell.row] for cell in cells)
    # Rows of one table are planned at once: they differ in what they have to evaluate, not in how.
    sets = {each.plan.measured_on.dataset for each in (row, baseline)}
    is_one_plan = part.row.table == part.baseline.table and len(sets) == 1
    if not is_one_plan and not _are_evaluated_alike(row, baseline):
        fault = f"{part.row} and {part.baseline} were planned with different evaluations"
        return MeasuredFinding(outcome="not run", reason=f"{fault}; plan and run both tables again")
    pairs = _pairs(part, row.values[part.row.column], baseline.values[part.baseline.column])
    if not pairs:
        fault = f"{part.row} and {part.baseline} have no seed in common"
        return MeasuredFinding(outcome="not run", reason=fault)
    outcome: Outcome = "not decided"
    why = row.plan.why_not_comparable or baseline.plan.why_not_comparable
    if why and part.region.names_a_number:
        outcome = "not comparable"
    return MeasuredFinding(
        outcome=outcome,
        pairs=pairs,
        interval=mean_interval(list(pairs.values())),
        reason=why if outcome == "not comparable" else "",
    )


def _are_evaluated_alike(row: MeasuredRow, baseline: MeasuredRow) -> bool:
    """Say whether both are measured on one set, by the same code as far as both need it.

    A row that was trained on more data, or has a 2D branch, is evaluated by more modules, and its
    training frames are measured too.
    """
    if row.plan.evaluation == baseline.plan.evaluation:
        return True
    found = {each.plan.measured_on.fingerprint for each in (row, baseline)}
    if len(found) > 1 or not all(found) or row.evaluation is None or baseline.evaluation is None:
        return False
    in_both = (row.evaluation.keys() & baseline.evaluation.keys()) - {EVALUATION_DATA}
    return all(row.evaluation[name] == baseline.evaluation[name] for name in in_both)


def _why_not_run(cell: ClaimCell, tables: Mapping[str, Mapping[str, MeasuredRow]]) -> str:
    if cell.why_never_run:
        return f"{cell.table}.{cell.row}: {cell.why_never_run}"
    if cell.table not in tables:
        return f"{cell.table} was not planned"
    row = tables[cell.table].get(cell.row)
    if row is None:
        return f"{cell.table} was planned without the row '{cell.row}'"
    return "" if row.values.get(cell.column) else f"{cell} was not run"


def _pairs(part: Part, row: Mapping[int, float], baseline: Mapping[int, float]) -> dict[int, float]:
    """Return the quantity for every seed that both have; percents need baselines above zero."""
    better = -1.0 if part.row.direction == "lower" else 1.0
    found = {}
    for seed in sorted(set(row) & set(baseline)):
        difference = row[seed] - baseline[seed]
        if part.quantity == "difference":
            found[seed] = difference
        elif part.quantity == "gain":
            found[seed] = better * difference
        elif baseline[seed] > 0:
            found[seed] = better * 100 * difference / baseline[seed]
    return found


def _outcome(region: Region, interval: MeanInterval, p_elsewhere: float | None) -> Outcome:
    if p_elsewhere is not None and p_elsewhere <= ALPHA:
        return "contradicted"
    return "holds" if _is_there(region, interval) else "not decided"


def _p_elsewhere(region: Region, interval: MeanInterval) -> float | None:
    """Return p of the t test against the bound that the mean is beyond; 1 if it is beyond none."""
    bound = _exceeded(region, interval.mean)
    return 1.0 if bound is None else p_of_difference(_from(interval, bound))


def _is_there(region: Region, interval: MeanInterval) -> bool:
    """Say whether a test at 5 % places the mean inside the region."""
    if region.low is not None and region.high is not None:
        if region.is_point:
            return interval.sd == 0 and interval.mean == float(region.low)
        middle, half = (region.low + region.high) / 2, (region.high - region.low) / 2
        p = p_of_equivalence(_from(interval, float(middle)), float(half))
        return p is not None and p <= ALPHA
    bound = region.high if region.low is None else region.low
    if bound is None or _exceeded(region, interval.mean) is not None:
        return False
    p = p_of_difference(_from(interval, float(bound)))
    return p is not None and p <= ALPHA


def _exceeded(region: Region, mean: float) -> float | None:
    if region.low is not None and mean < float(region.low):
        return float(region.low)
    if region.high is not None and mean > float(region.high):
        return float(region.high)
    return None


def _from(interval: MeanInterval, origin: float) -> MeanInterval:
    return replace(interval, mean=interval.mean - origin)
