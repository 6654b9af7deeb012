"""Copies what a table is made of into another store: small enough to stand beside a paper."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from s2hand_platform.identity import canonical_json
from s2hand_platform.store.attempts import AttemptFiles, Wanted
from s2hand_platform.store.documents import config_of
from s2hand_platform.store.files import parquet_files, read_whole, write_replacing
from s2hand_platform.store.results import BASELINES_FOLDER, ResultStore, baselines_begin_with
from s2hand_platform.store.schema import ATTEMPTS, BASELINES
from s2hand_platform.store.set_aside import SetAsideRoom
from s2hand_platform.store.table_plan import TablePlan


def export_table(plan: TablePlan, source: ResultStore, target: ResultStore) -> int:
    """Copy a plan, its trials' attempts and modules of code, its baselines, what was imported.

    Predictions and pictures stay behind, patches too, which may hold what nobody means to publish,
    and the addresses of trackers, and of the values of samples all but those of the primary
    column, which the table's note on samples needs. Of folders in configurations the last two names
    remain: where somebody's data lies is nobody's business.

    Returns:
        How many attempts were copied.

    Raises:
        StoreError: if a file cannot be written, or an attempt's settings are no JSON object.
    """
    trials = frozenset(name for row in plan.rows for name in row.trial_ids.values())
    wanted = Wanted(columns=ATTEMPTS.names, trial_ids=trials)
    primary = next((each.metric for each in plan.columns if each.label == plan.primary_column), "")
    files = AttemptFiles(target.path, SetAsideRoom(target.path))
    lines = AttemptFiles(source.path, SetAsideRoom(source.path)).read(wanted).to_pylist()
    for line in lines:
        config = config_of(line["trial_id"], line["attempt"], line["config_json"])
        line["config_json"] = canonical_json(_without_folders(config))
        line["samples"] = [
            values
            for values in line["samples"] or ()
            if f"{values['split']}/{values['metric']}" == primary
        ]
        splits = {values["split"] for values in line["samples"]}
        line["sample_ids"] = [ids for ids in line["sample_ids"] or () if ids["split"] in splits]
        files.write(pa.Table.from_pylist([line], schema=ATTEMPTS))
    for fingerprint in {each for row in plan.rows for each in (row.code, row.evaluation) if each}:
        code = source.code_files(fingerprint)
        if code is not None:
            target.write_code(fingerprint, code)
    for evaluation in {row.evaluation for row in plan.rows if row.evaluation}:
        start = baselines_begin_with(plan.experiment, evaluation)
        for path in parquet_files(source.path / BASELINES_FOLDER):
            if path.name.startswith(start):
                copy = target.path / BASELINES_FOLDER / path.name
                write_replacing(read_whole(path, BASELINES), copy)
    for imported in source.imported(plan.experiment, plan.name):
        target.write_imported(imported)
    rows = tuple(replace(row, settings=_without_folders(row.settings)) for row in plan.rows)
    target.write_plan(replace(plan, rows=rows))
    return len(lines)


def _without_folders(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _without_folders(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_without_folders(inner) for inner in value]
        case str() if PurePath(value).is_absolute():
            return str(PurePath("…", *PurePath(value).parts[1:][-2:]))
        case _:
            return value
