"""Reads rows, columns and contrasts of a table; what is printed is taken from the printed table."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec import files
from s2hand_platform.spec.checks import check_known, check_metric, check_once
from s2hand_platform.spec.expansion import expand_table
from s2hand_platform.spec.faults import Faults, Section
from s2hand_platform.spec.overrides import flatten
from s2hand_platform.spec.published import PublishedTable, load_published
from s2hand_platform.spec.schema import ColumnSpec, ContrastSpec, Expected, RowSpec, TableSpec
from s2hand_platform.spec.starts import read_start

_ROW_KEYS = (
    "id", "label", "overrides", "comparable", "dataset", "extra_datasets", "starts_from",
)  # fmt: skip
_CONTRAST_KEYS = ("row", "baseline", "columns", "expected")


def read_published(root: Section, recipe: Path) -> PublishedTable | None:
    """Read the printed table that the recipe names, from the folder beside the recipe's own.

    Raises:
        SpecError: if it cannot be read; without it the recipe cannot be checked.
    """
    name = root.text("published", "")
    if not name:
        return None
    beside = recipe.parent.parent / "published" / f"{name}.toml"
    try:
        return load_published(beside if files.is_recipe(beside) else files.find(name, "published"))
    except SpecError as error:
        for fault in error.faults:
            root.faults.add("published", fault)
        root.faults.raise_if_any()
        raise


def read_heading(root: Section, published: PublishedTable | None) -> tuple[str, str]:
    """Read title and dataset of the table; they stand in the printed table if there is one."""
    if published is None:
        return root.text("title"), root.text("dataset")
    for key in ("title", "dataset"):
        if key in root.content:
            root.faults.add(key, _printed_already(published))
    return published.title, published.measured_on.dataset


def read_rows(root: Section, published: PublishedTable | None, dataset: str) -> tuple[RowSpec, ...]:
    """Read the rows; a printed one is named by its id, one of the recipe's own has a label.

    What a printed row is measured on stands in the printed table too.
    """
    printed = {row.id: row for row in published.rows} if published else {}
    rows = []
    for section in root.sections("rows", required=True):
        section.check_keys(_ROW_KEYS)
        own_label = section.text("label", "")
        row_id = section.text("id", _identifier(own_label))
        known = printed.get(row_id)
        if published and known:
            for key in ("label", "dataset"):
                if key in section.content:
                    section.faults.add(section.place(key), _printed_already(published))
            if known.quoted:
                fault = "is quoted from another publication, and cannot be run; remove this row"
                section.faults.add(section.place("id"), f"'{row_id}' {fault}")
        elif published and not own_label:
            section.faults.add_unknown(section.place("id"), "row", row_id, printed)
        elif not own_label:
            section.faults.add(section.place("label"), "is missing")
        rows.append(
            RowSpec(
                id=row_id,
                label=known.label if known else own_label,
                overrides=flatten(section.table("overrides")),
                comparable=section.flag("comparable", default=True),
                dataset=known.measured_on.dataset if known else section.text("dataset", dataset),
                extra_datasets=section.texts("extra_datasets"),
                starts_from=read_start(section) if "starts_from" in section.content else None,
            )
        )
    check_once(root, "rows", "id", [row.id for row in rows])
    return tuple(rows)


def read_columns(
    root: Section, published: PublishedTable | None, experiment: Experiment
) -> tuple[ColumnSpec, ...]:
    """Read the columns: the printed ones, then those that the recipe adds."""
    columns = []
    for printed in published.columns if published else ():
        columns.append(ColumnSpec(label=printed.label, metric=printed.metric))
        check_metric(printed.metric, "published", experiment, root.faults)
        info = experiment.metrics.get(printed.metric.partition("/")[2])
        if info is not None and info.unit != printed.unit:
            root.faults.add(
                "published",
                f"the column '{printed.label}' must have the unit of '{printed.metric}', "
                f"'{info.unit}', got '{printed.unit}'",
            )
    for section in root.sections("columns", required=published is None):
        section.check_keys(("label", "metric"))
        column = ColumnSpec(label=section.text("label"), metric=section.text("metric"))
        check_metric(column.metric, section.place("metric"), experiment, root.faults)
        columns.append(column)
    labels = [column.label for column in columns]
    check_once(root, "columns", "label", labels)
    tolerances = root.numbers("tolerances")
    check_known(root, "tolerances", "column", tolerances, labels)
    return tuple(replace(column, tolerance=tolerances.get(column.label, 0.0)) for column in columns)


def read_primary_column(
    root: Section, columns: Iterable[ColumnSpec], contrasts: Iterable[ContrastSpec]
) -> str:
    """Read which column decides contrasts; each must be about it, so that one family is judged."""
    primary = root.text("primary_column", None if "contrasts" in root.content else "")
    labels = [column.label for column in columns]
    check_known(root, "primary_column", "column", [primary], labels)
    for place, contrast in enumerate(contrasts):
        if primary in labels and primary not in contrast.columns:
            root.faults.add(
                f"contrasts[{place}].columns",
                f"must hold the primary column '{primary}', which decides the contrast; got "
                f"{', '.join(contrast.columns)}",
            )
    return primary


def read_contrasts(
    root: Section,
    rows: Iterable[RowSpec],
    columns: Iterable[ColumnSpec],
    published: PublishedTable | None,
) -> tuple[ContrastSpec, ...]:
    """Read which of two rows the paper says is better, and in which columns.

    Where none are named: all that are printed, or all where nothing is. Both rows must be measured
    on one dataset.
    """
    measured_on = {row.id: row.dataset for row in rows}
    ids, labels = list(measured_on), [column.label for column in columns]
    usual = [column.label for column in published.columns] if published else labels
    contrasts = []
    for section in root.sections("contrasts"):
        section.check_keys(_CONTRAST_KEYS)
        for key in ("row", "baseline"):
            check_known(section, key, "row", [section.text(key)], ids)
        sets = {measured_on.get(section.text(key, "")) for key in ("row", "baseline")} - {None}
        if len(sets) > 1:
            names = " and ".join(sorted(map(str, sets)))
            section.faults.add(section.where, f"must be between rows of one dataset, got {names}")
        check_known(section, "columns", "column", section.texts("columns"), labels)
        contrasts.append(
            ContrastSpec(
                row=section.text("row", ""),
                baseline=section.text("baseline", ""),
                columns=section.texts("columns") or tuple(usual),
                expected=cast("Expected", section.choice("expected", get_args(Expected))),
            )
        )
    return tuple(contrasts)


def check_rows(spec: TableSpec, experiment: Experiment, faults: Faults) -> None:
    """Build every row's configuration; a fault that all rows share is told once."""
    per_row: dict[str, list[str]] = {}
    for row in spec.rows:
        try:
            expand_table(replace(spec, rows=(row,)), experiment)
        except SpecError as error:
            prefix = f"{spec.name}: row '{row.id}': "
            per_row[row.id] = [fault.removeprefix(prefix) for fault in error.faults]
    everywhere = len(per_row) == len(spec.rows) > 1
    shared = set.intersection(*map(set, per_row.values())) if everywhere else set()
    for fault in sorted(shared):
        faults.add("", f"in every row: {fault}")
    for row_id, found in per_row.items():
        for fault in found:
            if fault not in shared:
                faults.add(f"row '{row_id}'", fault)


def _identifier(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def _printed_already(published: PublishedTable) -> str:
    return f"stands in published/{published.name}.toml; remove this key"
