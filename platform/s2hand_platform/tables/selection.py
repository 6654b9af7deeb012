"""Chooses the results that may stand in a table's cells."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from s2hand_platform.store.documents import notes_of, stages_of
from s2hand_platform.store.imported import ImportedRow
from s2hand_platform.store.measured import measured_attempts
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import PlanRow, TablePlan


@dataclass(frozen=True, kw_only=True, slots=True)
class RowResults:
    """What a row's seeds achieved."""

    row: PlanRow
    values: Mapping[str, Mapping[int, float]]
    """``split/metric`` → seed → value."""
    trial_ids: Mapping[int, str]
    """Seed → trial."""
    attempts: Mapping[int, int]
    """Seed → the attempt at it whose numbers these are."""
    of_other_code: frozenset[int]
    """Seeds whose results are of other code, data, device or evaluation than planned."""
    failed: Mapping[int, str]
    """Seed → why it failed and never finished."""
    stages: Mapping[int, frozenset[tuple[str, str]]]
    """Seed → the stages of its training: name and id; those of one id were trained once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The results of a table, and what was left out."""

    rows: tuple[RowResults, ...]
    baselines: Mapping[tuple[str, str], Mapping[str, float]]
    """Dataset and label → ``split/metric`` → value."""
    imported: tuple[ImportedRow, ...]
    """Other people's predictions of what the rows are measured on."""
    evaluator_ids: tuple[str, ...]
    environments: tuple[str, ...]
    remarks: tuple[str, ...]
    """What a reader must know about the choice."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that any row has."""
        return tuple(sorted({seed for row in self.rows for seed in row.trial_ids}))


def select_results(
    plan: TablePlan,
    store: ResultStore,
    *,
    seeds: Collection[int] | None,
    other_code: bool,
) -> Selection:
    """Find the results that count for a table's rows: the rule is that of the planner.

    Args:
        plan: the table as it was planned.
        store: where results are.
        seeds: the seeds to take; None takes all that are there.
        other_code: fill what is not measured with results of the same settings and seed that
            are of other code, data, device or evaluation, marked.
    """
    attempts = store.attempts(config_hashes={row.config_hash for row in plan.rows})
    if seeds is not None:
        attempts = attempts[attempts["seed"].isin(list(seeds))]
    of_row = {row.id: attempts_of_row(attempts, plan, row) for row in plan.rows}
    counted = {row.id: counted_attempts(of_row[row.id], row) for row in plan.rows}
    evaluator = _evaluator(attempts, counted)
    others = {row.id: _others(attempts, row, counted[row.id], evaluator) for row in plan.rows}
    chosen = {
        row.id: pd.concat([counted[row.id], others[row.id]]) if other_code else counted[row.id]
        for row in plan.rows
    }
    everything = pd.concat(chosen.values()).drop_duplicates(["trial_id", "attempt"])
    metrics = store.metrics(everything)
    sets = {row.measured_on.fingerprint for row in plan.rows} - {""}
    others_rows = store.imported(plan.experiment, plan.name)
    imported = tuple(row for row in others_rows if row.data_fingerprint in sets)
    return Selection(
        rows=tuple(
            _row_results(
                row,
                chosen[row.id],
                frozenset(others[row.id]["seed"]),
                metrics,
                failed=_failed(of_row[row.id], counted[row.id]),
            )
            for row in plan.rows
        ),
        baselines=_baselines(store, plan),
        imported=imported,
        evaluator_ids=tuple(sorted(everything["evaluator_id"].dropna().unique())),
        environments=tuple(sorted(everything["environment_kind"].dropna().unique())),
        remarks=(
            *_failures(plan, of_row, counted),
            *_set_aside(plan, store, counted, seeds),
            *_about_others(others, shown=other_code),
            *_of_other_evaluators(attempts, plan, counted, others),
            *_notes(everything),
            *_of_other_data(row for row in others_rows if row not in imported),
            *_older(store),
            *store.remarks,
        ),
    )


def attempts_of_row(attempts: pd.DataFrame, plan: TablePlan, row: PlanRow) -> pd.DataFrame:
    """Return the attempts at the row's trials, of all seeds, also those planned at other times."""
    as_planned = (
        (attempts["config_hash"] == row.config_hash)
        & (attempts["data_fingerprint"] == row.data)
        & (attempts["code_fingerprint"] == row.code)
        & (attempts["device_type"] == plan.device_type)
    )
    # What cannot be fingerprinted equals nothing; such a trial is known by its id alone.
    return attempts[as_planned | attempts["trial_id"].isin(row.trial_ids.values())]


def counted_attempts(attempts: pd.DataFrame, row: PlanRow) -> pd.DataFrame:
    """Choose from a row's attempts those whose numbers stand in its cells: one per seed."""
    if row.evaluation is not None:
        return measured_attempts(attempts, row.evaluation)
    own = attempts[attempts["trial_id"].isin(row.trial_ids.values())]
    return own[own["status"] == "finished"].drop_duplicates("trial_id", keep="last")


def _others(
    attempts: pd.DataFrame, row: PlanRow, counted: pd.DataFrame, evaluator: str | None
) -> pd.DataFrame:
    """Return the latest result of each seed that is not measured as planned."""
    finished = attempts[
        (attempts["config_hash"] == row.config_hash)
        & (attempts["status"] == "finished")
        & (attempts["evaluator_id"] == evaluator)
        & ~attempts["seed"].isin(counted["seed"])
    ]
    return finished.drop_duplicates("seed", keep="last")


def _evaluator(attempts: pd.DataFrame, counted: Mapping[str, pd.DataFrame]) -> str | None:
    """Return the planned results' evaluator, or else the most frequent one: none are mixed."""
    known = Counter(name for found in counted.values() for name in found["evaluator_id"])
    known = known or Counter(attempts["evaluator_id"].dropna())
    return known.most_common(1)[0][0] if known else None


def _row_results(
    row: PlanRow,
    chosen: pd.DataFrame,
    others: frozenset[int],
    metrics: pd.DataFrame,
    *,
    failed: Mapping[int, str],
) -> RowResults:
    own = chosen.sort_values("seed")
    seed_of = {(line.trial_id, line.attempt): int(line.seed) for line in own.itertuples()}
    values: dict[str, dict[int, float]] = {}
    for line in metrics[metrics["trial_id"].isin(set(own["trial_id"]))].itertuples():
        seed = seed_of.get((line.trial_id, line.attempt))
        if seed is not None:
            values.setdefault(f"{line.split}/{line.metric}", {})[seed] = float(line.value)
    return RowResults(
        row=row,
        values={metric: dict(sorted(found.items())) for metric, found in values.items()},
        trial_ids={seed: trial_id for (trial_id, _), seed in seed_of.items()},
        attempts={seed: attempt for (_, attempt), seed in seed_of.items()},
        of_other_code=others & frozenset(seed_of.values()),
        failed={seed: reason for seed, reason in failed.items() if seed not in seed_of.values()},
        stages={int(line.seed): _stages(line) for line in own.itertuples()},
    )


def _stages(line: Any) -> frozenset[tuple[str, str]]:
    if pd.isna(line.stages_json):
        return frozenset()
    stages = stages_of(line.trial_id, line.attempt, line.stages_json)
    return frozenset((stage.name, stage.stage_id) for stage in stages)


def _baselines(store: ResultStore, plan: TablePlan) -> dict[tuple[str, str], dict[str, float]]:
    found: dict[tuple[str, str], dict[str, float]] = {}
    evaluations = {row.evaluation: row.measured_on.dataset for row in plan.rows if row.evaluation}
    for evaluation, dataset in evaluations.items():
        for line in store.baselines(plan.experiment, evaluation).itertuples():
            of_label = found.setdefault((dataset, line.label), {})
            of_label.setdefault(f"{line.split}/{line.metric}", float(line.value))
    return found


def _failed(tried: pd.DataFrame, counted: pd.DataFrame) -> dict[int, str]:
    """Return why seeds failed that never finished: seed → reason."""
    failed = tried[(tried["status"] == "failed") & ~tried["seed"].isin(counted["seed"])]
    last = failed.drop_duplicates("seed", keep="last").sort_values("seed")
    return {int(line.seed): str(line.reason) for line in last.itertuples()}


def _failures(
    plan: TablePlan, of_row: Mapping[str, pd.DataFrame], counted: Mapping[str, pd.DataFrame]
) -> list[str]:
    """Name the seeds that failed and never finished: they must not vanish from a mean unseen."""
    return [
        f"Failed: row '{row.id}', seed {seed}: {reason}"
        for row in plan.rows
        for seed, reason in _failed(of_row[row.id], counted[row.id]).items()
    ]


def _of_other_evaluators(
    attempts: pd.DataFrame,
    plan: TablePlan,
    counted: Mapping[str, pd.DataFrame],
    others: Mapping[str, pd.DataFrame],
) -> list[str]:
    """Name what can stand beside nothing here, so that no cell is empty without a word."""
    remarks = []
    for row in plan.rows:
        shown = {*counted[row.id]["seed"], *others[row.id]["seed"]}
        left = attempts[
            (attempts["config_hash"] == row.config_hash)
            & (attempts["status"] == "finished")
            & ~attempts["seed"].isin(shown)
        ]
        if len(left):
            remarks.append(
                f"Row '{row.id}': seeds {_numbers(sorted(set(left['seed'])))} were measured by "
                f"another evaluator ({', '.join(sorted(set(left['evaluator_id'].dropna())))})."
            )
    return remarks


def _set_aside(
    plan: TablePlan,
    store: ResultStore,
    counted: Mapping[str, pd.DataFrame],
    seeds: Collection[int] | None,
) -> list[str]:
    """Name the planned trials whose results lie in damaged files and were not measured again."""
    measured = {name for found in counted.values() for name in found["trial_id"]}
    planned = {
        trial_id: f"row '{row.id}', seed {seed}"
        for row in plan.rows
        for seed, trial_id in row.trial_ids.items()
        if trial_id not in measured and (seeds is None or seed in seeds)
    }
    return [
        f"Not measured: {planned[name]}: its result was set aside: {file.path}: {file.reason}"
        for file in store.set_aside()
        for name in file.trial_ids
        if name in planned
    ]


def _of_other_data(rows: Iterable[ImportedRow]) -> list[str]:
    """Name what was imported for the table and scored on something else."""
    return [
        f"Imported '{row.label}' was scored on other data ({row.data_title}) and is left out."
        for row in rows
    ]


def _older(store: ResultStore) -> list[str]:
    count = store.num_of_version_1()
    if not count:
        return []
    return [f"{count} results of an older version are in the store; they fill no cell."]


def _about_others(others: Mapping[str, pd.DataFrame], *, shown: bool) -> list[str]:
    """Say of which rows there are results that are not of the planned code, data, evaluation."""
    remarks = []
    for row, found in others.items():
        if len(found):
            seeds = _numbers(sorted(found["seed"]))
            remarks.append(
                f"Row '{row}': seeds {seeds} are of other code, data, device or evaluation than "
                "planned."
                if shown
                else f"Row '{row}': seeds {seeds} were measured with other code, data, device "
                "or evaluation than planned and are left out; --other-code shows them, marked."
            )
    return remarks


def _numbers(seeds: Sequence[int]) -> str:
    return ", ".join(str(int(seed)) for seed in seeds)


def _notes(chosen: pd.DataFrame) -> list[str]:
    """Collect what the experiment wants to be known about its results."""
    notes = Counter(
        f"{subject}: {text}"
        for line in chosen.itertuples()
        for subject, text in notes_of(line.trial_id, line.attempt, line.notes_json).items()
    )
    return [f"{note} ({count} of {len(chosen)} trials)" for note, count in notes.items()]
