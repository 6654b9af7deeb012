"""What is to be known of the units behind a table: seeds that share stages, and samples."""

from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from s2hand_platform.spec.schema import ContrastSpec
from s2hand_platform.statistics.intervals import mean_interval, paired_differences
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables.selection import RowResults, Selection


def about_units(plan: TablePlan, chosen: Selection, store: ResultStore) -> Iterator[str]:
    """Say which cells are correlated, and what samples in the place of seeds would pretend."""
    yield from _shared_stages(chosen)
    if plan.contrasts and plan.primary_column:
        yield from _samples(plan, plan.contrasts[0], chosen, store)


def _shared_stages(chosen: Selection) -> Iterator[str]:
    """Name the rows that share trained stages of a seed, by the stages that they share."""
    sharing: dict[str, dict[str, None]] = {}
    for one, other in combinations(chosen.rows, 2):
        stages = sorted(
            {
                name
                for seed in set(one.stages) & set(other.stages)
                for name, _ in one.stages[seed] & other.stages[seed]
            }
        )
        if stages:
            rows = sharing.setdefault(", ".join(stages), {})
            rows.update(dict.fromkeys([f"'{one.row.id}'", f"'{other.row.id}'"]))
    for names, rows in sharing.items():
        yield (
            f"Rows {', '.join(rows)} share trained stages of each seed ({names}): their cells are "
            "correlated, which pairing by seed allows for."
        )


def _samples(
    plan: TablePlan, contrast: ContrastSpec, chosen: Selection, store: ResultStore
) -> Iterator[str]:
    """Show on the first contrast how narrow an interval over samples would be."""
    rows = {row.row.id: row for row in chosen.rows}
    metric = next(each.metric for each in plan.columns if each.label == plan.primary_column)
    one, other = (
        _per_sample(rows[name], metric, store) for name in (contrast.row, contrast.baseline)
    )
    values = {name: rows[name].values.get(metric, {}) for name in (contrast.row, contrast.baseline)}
    pairs = paired_differences(values[contrast.row], values[contrast.baseline])
    differences = (one - other).dropna()
    if len(pairs) < 2 or len(differences) < 2:
        return
    by_seeds, by_samples = mean_interval(list(pairs.values())), mean_interval(list(differences))
    yield (
        f"Seeds are the unit: {contrast.row} minus {contrast.baseline} is known to "
        f"± {by_seeds.half_width:.2g} over {by_seeds.n} of them. The {by_samples.n} held-out "
        f"samples as the unit would give ± {by_samples.half_width:.2g}, which is about these "
        "trained models alone and says nothing about training again."
    )


def _per_sample(row: RowResults, metric: str, store: ResultStore) -> pd.Series:
    """Return the mean over seeds of every sample's value, of the attempts that fill the cells."""
    split, _, name = metric.partition("/")
    found = store.samples(set(row.trial_ids.values()), split=split, metric=name)
    counted = {(row.trial_ids[seed], attempt) for seed, attempt in row.attempts.items()}
    pairs = zip(found["trial_id"], found["attempt"], strict=True)
    is_counted = pd.Series([pair in counted for pair in pairs], index=found.index, dtype=bool)
    means: pd.Series = found[is_counted].groupby("sample_id")["value"].mean()
    return means
