"""Other people's predictions: scored as the table's rows are, and kept as a row of it."""

import hashlib
import re
from pathlib import Path

from s2hand.files import is_file, what_lies_at
from s2hand_platform.errors import SpecError, nearest
from s2hand_platform.paths import local_path
from s2hand_platform.runs.place import Place
from s2hand_platform.spec.expansion import ExpandedRow, expand_table
from s2hand_platform.spec.schema import TableSpec
from s2hand_platform.store.imported import ImportedRow


def import_row(
    place: Place, table: str | Path, predictions: str | Path, label: str, *, dataset: str = ""
) -> ImportedRow:
    """Score predictions of a table's test set, and keep them as a row of the table.

    It is one set of predictions: n is 1, and nothing is judged. A row of the same label, on the
    same data, is replaced.

    Args:
        place: what to work with.
        table: a name in ``sweeps/tables``, or the path of a TOML file.
        predictions: a file in the form that the experiment reads.
        label: whose predictions they are; the row's label.
        dataset: of which of the table's sets; empty where there is one.

    Raises:
        SpecError: if the file is not there, the set is not known, or the label is a row's.
        StoreError: if the row cannot be kept.
    """
    experiment, path = place.experiment, local_path(predictions, "FILE")
    if not is_file(path):
        raise SpecError([f"{path}: must be a file of predictions, there is {what_lies_at(path)}"])
    spec = place.table(table)
    row_id = _identifier(label, spec)
    row = _row_on(spec, dataset, expand_table(spec, experiment))
    place.workspace.require_writable()
    measured = experiment.measure_predictions(row.config, path)
    data = experiment.describe_data(row.config)
    units = {name: experiment.metrics[name.partition("/")[2]].unit for name in measured.metrics}
    imported = ImportedRow(
        experiment=experiment.name,
        table=spec.name,
        id=row_id,
        label=label.strip(),
        dataset=data.dataset,
        data_title=data.title,
        data_fingerprint=data.fingerprint,
        evaluator_id=measured.evaluator_id,
        file_name=path.name,
        file_sha256=_sha256(path),
        metrics=measured.metrics,
        units=units,
    )
    place.store.write_imported(imported)
    return imported


def remove_row(
    place: Place, table: str | Path, name: str, *, dataset: str = ""
) -> tuple[ImportedRow, ...]:
    """Take an imported row out of a table: what was kept of it on every set, or on one.

    Args:
        place: what to work with.
        table: a name in ``sweeps/tables``, or the path of a TOML file.
        name: the row's label or id.
        dataset: the word of the set on which it was scored; empty: all.

    Returns:
        What was removed.

    Raises:
        SpecError: if there is no such row; the imported ones are named.
        StoreError: if one cannot be removed.
    """
    spec = place.table(table)
    rows = place.store.imported(place.experiment.name, spec.name)
    found = tuple(
        row for row in rows if name in {row.label, row.id} and dataset in {"", row.dataset}
    )
    if not found:
        there = "; ".join(f"'{row.label}' on {row.data_title} ({row.dataset})" for row in rows)
        on = f" on {dataset}" if dataset else ""
        fault = f"--remove: nothing was imported into {spec.name} as '{name}'{on}"
        raise SpecError([f"{fault}; there is {there or 'no imported row'}"])
    place.workspace.require_writable()
    for row in found:
        place.store.remove_imported(row)
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _identifier(label: str, spec: TableSpec) -> str:
    """Make the row's id of its label, which no other row may have."""
    found = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    if not found:
        raise SpecError([f"--label: must hold letters or digits, got {label!r}"])
    printed = spec.published.rows if spec.published else ()
    if found in {row.id for row in spec.rows} | {row.id for row in printed}:
        raise SpecError([f"--label: '{label}' is the row '{found}' of {spec.name}; say another"])
    return found


def _row_on(spec: TableSpec, dataset: str, rows: tuple[ExpandedRow, ...]) -> ExpandedRow:
    """Choose a row that is measured on the dataset that is meant."""
    of_set: dict[str, ExpandedRow] = {}
    for each in rows:
        of_set.setdefault(spec.dataset_of(each.row), each)
    if not dataset and len(of_set) > 1:
        known = ", ".join(of_set)
        raise SpecError([f"--dataset: {spec.name} is measured on {known}; say which one"])
    chosen = dataset or next(iter(of_set))
    if chosen not in of_set:
        hint = nearest(chosen, list(of_set))
        raise SpecError([f"--dataset: {spec.name} has no rows on '{chosen}'; {hint}"])
    return of_set[chosen]
