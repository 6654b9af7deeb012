"""What the store keeps of a plan, so that a table needs neither recipe nor data to be shown."""

from collections.abc import Mapping

from s2hand_platform.experiments.protocol import DataRecord, MetricInfo
from s2hand_platform.planning.plan import Plan, PlannedTrial
from s2hand_platform.spec.overrides import flatten
from s2hand_platform.spec.schema import Look, RowSpec, TableSpec
from s2hand_platform.store.table_plan import PlanColumn, PlanRow, PrintedRow, TablePlan


def persisted_table(
    spec: TableSpec,
    plan: Plan,
    *,
    experiment: str,
    metrics: Mapping[str, MetricInfo],
    data: Mapping[str, DataRecord],
    looks: tuple[Look, ...] = (),
) -> TablePlan:
    """Collect all that is needed to show a planned table.

    Args:
        spec: the table with scale and data laid over its base.
        plan: of this table, with at least one seed.
        experiment: the experiment's name.
        metrics: metric (without its split) → unit and direction.
        data: row id → what it is measured on.
        looks: where contrasts are judged while seeds accumulate, if they are.
    """
    planned = {row.row: row.trials for row in plan.rows if row.table == spec.name}
    return TablePlan(
        name=spec.name,
        title=spec.title,
        experiment=experiment,
        label=spec.label,
        device_type=plan.trials[0].identity.device_type,
        columns=tuple(
            PlanColumn(
                label=column.label,
                metric=column.metric,
                unit=metrics[column.metric.partition("/")[2]].unit,
                direction=metrics[column.metric.partition("/")[2]].direction,
                tolerance=column.tolerance,
            )
            for column in spec.columns
        ),
        rows=tuple(_row(spec, row, planned[row.id], data[row.id]) for row in spec.rows),
        contrasts=spec.contrasts,
        primary_column=spec.primary_column,
        looks=looks,
        printed=tuple(
            PrintedRow(id=row.id, label=row.label, quoted=row.quoted, cells=row.cells)
            for row in (spec.published.rows if spec.published else ())
        ),
        notes=(*spec.notes, *filter(None, [spec.left_out])),
    )


def _row(
    spec: TableSpec,
    row: RowSpec,
    trials: Mapping[int, PlannedTrial],
    data: DataRecord,
) -> PlanRow:
    trial = next(iter(trials.values()))
    return PlanRow(
        id=row.id,
        label=row.label,
        why_not_comparable=_why_not_comparable(spec, row, data),
        settings=flatten(trial.config),
        config_hash=trial.identity.config_hash,
        data=trial.identity.data,
        code=trial.identity.code,
        evaluation=trial.evaluation_fingerprint,
        measured_on=data,
        trial_ids={seed: each.trial_id for seed, each in trials.items()},
    )


def _why_not_comparable(spec: TableSpec, row: RowSpec, data: DataRecord) -> str:
    """Say why a row's cells cannot be judged against the printed ones; empty where they can."""
    printed = spec.published.row(row.id) if spec.published else None
    if printed is None:
        return "the paper prints no cells of it"
    if not row.comparable:
        return "the recipe differs from the paper's row"
    if spec.reduced_by:
        return f"the scale '{spec.reduced_by}' changes the paper's training"
    if data.origin != "official":
        return f"measured on {data.title}, which is not the published set"
    paper = printed.measured_on
    if (data.dataset, data.version) != (paper.dataset, paper.version):
        return f"measured on {data.title}, printed for {paper}"
    return ""
