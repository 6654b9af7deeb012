"""Chooses the results that may stand together in one table."""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.identity import code_fingerprint, config_hash
from s2hand_platform.spec.expansion import ExpandedRow, expand_table
from s2hand_platform.spec.schema import RowSpec, TableSpec
from s2hand_platform.store.results import ResultStore

_GROUP = ["evaluator_id", "environment_kind"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowResults:
    """What a row's seeds achieved."""

    row: RowSpec
    values: Mapping[str, Mapping[int, float]]
    """``split/metric`` → seed → value."""
    trial_ids: Mapping[int, str]
    """Seed → trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The results of a table, and what was left out."""

    rows: tuple[RowResults, ...]
    baselines: Mapping[str, Mapping[str, float]]
    """Label → ``split/metric`` → value."""
    evaluator_ids: tuple[str, ...]
    environments: tuple[str, ...]
    remarks: tuple[str, ...]
    """What a reader must know about the choice."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that any row has."""
        return tuple(sorted({seed for row in self.rows for seed in row.trial_ids}))


def select_results(
    spec: TableSpec,
    store: ResultStore,
    experiment: Experiment,
    *,
    seeds: Collection[int] | None,
    mix_environments: bool,
) -> Selection:
    """Find the finished trials of a table's rows, of this code and this data.

    Early-stopped trials are never taken. Values of different evaluators are never mixed, nor of
    different kinds of environments unless asked: the most frequent kind is taken, the others are
    remarked on.

    Args:
        spec: the table with scale and data laid over its base.
        store: where results are.
        experiment: builds the rows' configurations.
        seeds: the seeds to take; None takes all that are there.
        mix_environments: let values from different kinds of environments stand together.
    """
    expanded = expand_table(spec, experiment)
    code = code_fingerprint(experiment)
    known = _current(store.trials(), code.sha256 if code else None, seeds)
    attempts = {row.row.id: _of_row(known, row, experiment) for row in expanded}
    everything = pd.concat(attempts.values()).drop_duplicates(["trial_id", "attempt"])
    chosen, remarks = _one_kind(
        everything[everything["status"] == "finished"], mix_environments=mix_environments
    )
    metrics = store.metrics(chosen)
    metrics = metrics.merge(chosen[["trial_id", "attempt"]], on=["trial_id", "attempt"])
    data = experiment.fingerprint_data(expanded[0].config)
    return Selection(
        rows=tuple(
            _row_results(row.row, attempts[row.row.id], chosen, metrics) for row in expanded
        ),
        baselines=_baselines(store, experiment.name, data),
        evaluator_ids=tuple(sorted(chosen["evaluator_id"].unique())),
        environments=tuple(sorted(chosen["environment_kind"].unique())),
        remarks=(*remarks, *_failures(attempts), *_notes(chosen)),
    )


def _current(trials: pd.DataFrame, code: str | None, seeds: Collection[int] | None) -> pd.DataFrame:
    kept = trials[trials["code_fingerprint"] == code]
    return kept if seeds is None else kept[kept["seed"].isin(list(seeds))]


def _of_row(known: pd.DataFrame, row: ExpandedRow, experiment: Experiment) -> pd.DataFrame:
    return known[
        (known["config_hash"] == config_hash(experiment, row.dump))
        & (known["data_fingerprint"] == experiment.fingerprint_data(row.config))
    ]


def _one_kind(finished: pd.DataFrame, *, mix_environments: bool) -> tuple[pd.DataFrame, list[str]]:
    """Keep the most frequent evaluator and kind of environment, and each trial's last attempt."""
    if finished.empty:
        return finished, []
    group = _GROUP[:1] if mix_environments else _GROUP
    counts = finished.groupby(group)["trial_id"].nunique().sort_index()
    winner = counts.idxmax()
    names = winner if isinstance(winner, tuple) else (winner,)
    keep = (finished[group] == list(names)).all(axis=1)
    chosen = finished[keep].drop_duplicates("trial_id", keep="last")
    left_out = finished[~finished["trial_id"].isin(chosen["trial_id"])]
    remarks = []
    for kind, trials in left_out.groupby(group)["trial_id"].nunique().items():
        where = ", ".join(kind) if isinstance(kind, tuple) else kind
        remarks.append(f"Left out: {trials} finished trial(s) measured otherwise ({where}).")
    if mix_environments and chosen["environment_kind"].nunique() > 1:
        remarks.append("Values from different kinds of environments are mixed, as asked.")
    return chosen, remarks


def _row_results(
    row: RowSpec, attempts: pd.DataFrame, chosen: pd.DataFrame, metrics: pd.DataFrame
) -> RowResults:
    own = chosen[chosen["trial_id"].isin(attempts["trial_id"])].sort_values("seed")
    seed_of = dict(zip(own["trial_id"], own["seed"].astype(int), strict=True))
    values: dict[str, dict[int, float]] = {}
    lines = metrics[metrics["trial_id"].isin(seed_of)]
    for line in lines.itertuples():
        of_metric = values.setdefault(f"{line.split}/{line.metric}", {})
        of_metric[seed_of[line.trial_id]] = float(line.value)
    return RowResults(
        row=row,
        values={metric: dict(sorted(found.items())) for metric, found in values.items()},
        trial_ids={seed: trial for trial, seed in seed_of.items()},
    )


def _baselines(
    store: ResultStore, experiment: str, data: str | None
) -> dict[str, dict[str, float]]:
    if data is None:
        return {}
    found: dict[str, dict[str, float]] = {}
    for line in store.baselines(experiment, data).itertuples():
        found.setdefault(line.label, {})[f"{line.split}/{line.metric}"] = float(line.value)
    return found


def _failures(attempts: Mapping[str, pd.DataFrame]) -> list[str]:
    """Name the seeds that failed and never finished: they must not vanish from a mean unseen."""
    remarks = []
    for row, tried in attempts.items():
        finished = set(tried.loc[tried["status"] == "finished", "seed"])
        failed = tried[(tried["status"] == "failed") & ~tried["seed"].isin(finished)]
        last = failed.drop_duplicates("seed", keep="last").sort_values("seed")
        remarks += [
            f"Failed: row '{row}', seed {line.seed}: {line.reason}" for line in last.itertuples()
        ]
    return remarks


def _notes(chosen: pd.DataFrame) -> list[str]:
    """Collect what the experiment wants to be known about its results."""
    notes = Counter(
        f"{subject}: {text}"
        for line in chosen["notes_json"]
        for subject, text in json.loads(line).items()
    )
    return [f"{note} ({count} of {len(chosen)} trials)" for note, count in notes.items()]
