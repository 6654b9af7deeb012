"""Reads recipes from TOML; every fault of a file is told at once, with the nearest valid word."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec import files
from s2hand_platform.spec.expansion import expand_point, expand_table, grid_points
from s2hand_platform.spec.faults import Faults, Section
from s2hand_platform.spec.overrides import flatten, lay_over
from s2hand_platform.spec.published import PublishedTable, load_published
from s2hand_platform.spec.schema import (
    Choices,
    ColumnSpec,
    ContrastSpec,
    Domain,
    Expected,
    LogUniform,
    RowSpec,
    ScaleSpec,
    SweepSpec,
    TableSpec,
    Uniform,
)

DATASET_FIELD = "data.dataset"
"""Where an experiment's configuration takes the dataset that a recipe names."""

_TABLE_KEYS = (
    "title", "dataset", "published", "notes", "base", "rows", "columns", "contrasts",
    "margin_column",
)  # fmt: skip
_SWEEP_KEYS = (
    "title", "dataset", "notes", "base", "space", "search", "scheduler", "metric", "mode",
    "num_trials",
)  # fmt: skip
_SCALE_KEYS = ("leaves_out", "title", "seeds", "notes", "data", "base")
_ROW_KEYS = ("id", "label", "overrides", "comparable")
_CONTRAST_KEYS = ("row", "baseline", "columns", "expected")


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecEntry:
    """A recipe that can be run by name."""

    name: str
    kind: Literal["table", "sweep"]
    title: str
    path: Path


def list_specs() -> tuple[SpecEntry, ...]:
    """List the recipes that can be run by name, tables first."""
    found: dict[str, SpecEntry] = {}
    for folder in files.folders():
        for path in sorted(folder.glob("*.toml")):
            content = files.read(path)
            kind: Literal["table", "sweep"] = "sweep" if "space" in content else "table"
            entry = SpecEntry(
                name=path.stem, kind=kind, title=str(content.get("title", "")), path=path
            )
            found.setdefault(path.stem, entry)
    return tuple(sorted(found.values(), key=lambda entry: (entry.kind != "table", entry.name)))


def load_table(name_or_path: str | Path, experiment: Experiment) -> TableSpec:
    """Read and check a table's recipe, down to the configuration of every row.

    Args:
        name_or_path: a name in ``sweeps/``, or the path of a TOML file.
        experiment: knows which configurations and metrics exist.

    Raises:
        SpecError: with all faults of the file.
    """
    path = files.find(name_or_path)
    faults = Faults(path.name)
    root = Section(files.read(path), "", faults)
    root.check_keys(_TABLE_KEYS)
    columns = _columns(root, experiment)
    rows = _rows(root)
    margin_column = root.text("margin_column", "")
    _check_known(
        root, "margin_column", "column", [margin_column], [column.label for column in columns]
    )
    dataset = root.text("dataset")
    spec = TableSpec(
        name=path.stem,
        title=root.text("title"),
        dataset=dataset,
        base=lay_over({DATASET_FIELD: dataset}, root.table("base")),
        rows=rows,
        columns=columns,
        contrasts=_contrasts(root, rows, columns),
        margin_column=margin_column,
        published=_published(root, columns, path.parent),
        notes=root.texts("notes"),
    )
    _check_rows(spec, experiment, faults)
    faults.raise_if_any()
    return spec


def load_sweep(name_or_path: str | Path, experiment: Experiment) -> SweepSpec:
    """Read and check a search's recipe; a grid is checked at every point, others at the ends.

    Raises:
        SpecError: with all faults of the file.
    """
    path = files.find(name_or_path)
    faults = Faults(path.name)
    root = Section(files.read(path), "", faults)
    root.check_keys(_SWEEP_KEYS)
    dataset = root.text("dataset")
    space = _space(root)
    search = root.choice("search", ("grid", "optuna"))
    metric = root.text("metric")
    _check_metric(metric, "metric", experiment, faults)
    spec = SweepSpec(
        name=path.stem,
        title=root.text("title"),
        dataset=dataset,
        base=lay_over({DATASET_FIELD: dataset}, root.table("base")),
        space=space,
        search=cast("Literal['grid', 'optuna']", search),
        scheduler=cast(
            "Literal['none', 'asha']", root.choice("scheduler", ("none", "asha"), "none")
        ),
        metric=metric,
        mode=cast("Literal['min', 'max']", root.choice("mode", ("min", "max"))),
        num_trials=_num_trials(root, search, space),
        notes=root.texts("notes"),
    )
    _check_points(spec, experiment, faults)
    faults.raise_if_any()
    return spec


def load_scale(name_or_path: str | Path) -> ScaleSpec:
    """Read the size at which tables are run: ``demo``, ``small`` or ``full``.

    Raises:
        SpecError: with all faults of the file.
    """
    path = files.find(name_or_path, within="scales")
    faults = Faults(path.name)
    root = Section(files.read(path), "", faults)
    root.check_keys(_SCALE_KEYS)
    data = Section(root.table("data"), "data", faults)
    data.check_keys(("size", "image_size_px"))
    spec = ScaleSpec(
        name=path.stem,
        title=root.text("title"),
        base=root.table("base"),
        seeds=root.integer("seeds", 1),
        data_size=data.choice("size", ("demo", "compact", "small", "full")),
        image_size_px=data.integer("image_size_px", 32),
        leaves_out=root.texts("leaves_out"),
        notes=root.texts("notes"),
    )
    faults.raise_if_any()
    return spec


def _rows(root: Section) -> tuple[RowSpec, ...]:
    rows = []
    for section in root.sections("rows", required=True):
        section.check_keys(_ROW_KEYS)
        label = section.text("label")
        rows.append(
            RowSpec(
                id=section.text("id", _identifier(label)),
                label=label,
                overrides=flatten(section.table("overrides")),
                comparable=section.flag("comparable", default=True),
            )
        )
    _check_doubled(root, "rows", "id", [row.id for row in rows])
    return tuple(rows)


def _identifier(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def _columns(root: Section, experiment: Experiment) -> tuple[ColumnSpec, ...]:
    columns = []
    for section in root.sections("columns", required=True):
        section.check_keys(("label", "metric"))
        column = ColumnSpec(label=section.text("label"), metric=section.text("metric"))
        _check_metric(column.metric, section.place("metric"), experiment, root.faults)
        columns.append(column)
    _check_doubled(root, "columns", "label", [column.label for column in columns])
    return tuple(columns)


def _check_metric(metric: str, where: str, experiment: Experiment, faults: Faults) -> None:
    split, separator, name = metric.partition("/")
    if metric and not (split and separator):
        faults.add(where, f"must be 'split/metric' such as 'test/{metric}', got '{metric}'")
    elif name and name not in experiment.metrics:
        faults.add_unknown(where, "metric", name, experiment.metrics)


def _check_doubled(root: Section, key: str, what: str, words: list[str]) -> None:
    for word in sorted({word for word in words if word and words.count(word) > 1}):
        root.faults.add(key, f"the {what} '{word}' stands {words.count(word)} times, must be once")


def _contrasts(
    root: Section, rows: Iterable[RowSpec], columns: Iterable[ColumnSpec]
) -> tuple[ContrastSpec, ...]:
    ids, labels = [row.id for row in rows], [column.label for column in columns]
    contrasts = []
    for section in root.sections("contrasts"):
        section.check_keys(_CONTRAST_KEYS)
        for key in ("row", "baseline"):
            _check_known(section, key, "row", [section.text(key)], ids)
        _check_known(section, "columns", "column", section.texts("columns"), labels)
        contrasts.append(
            ContrastSpec(
                row=section.text("row", ""),
                baseline=section.text("baseline", ""),
                columns=section.texts("columns") or tuple(labels),
                expected=cast("Expected", section.choice("expected", get_args(Expected))),
            )
        )
    return tuple(contrasts)


def _check_known(
    section: Section, key: str, kind: str, words: Iterable[str], known: list[str]
) -> None:
    for word in words:
        if word and word not in known:
            section.faults.add_unknown(section.place(key), kind, word, known)


def _published(root: Section, columns: Iterable[ColumnSpec], folder: Path) -> PublishedTable | None:
    name = root.text("published", "")
    if not name:
        return None
    beside = folder / "published" / f"{name}.toml"
    try:
        path = beside if beside.is_file() else files.find(name, within="published")
        table = load_published(path)
    except SpecError as error:
        for fault in error.faults:
            root.faults.add("published", fault)
        return None
    meanings = {column.label: column.metric for column in table.columns}
    for column in columns:
        printed = meanings.get(column.label, column.metric)
        if printed != column.metric:
            root.faults.add(
                "columns",
                f"'{column.label}' must mean '{printed}' as in {path.name}, got '{column.metric}'",
            )
    return table


def _check_rows(spec: TableSpec, experiment: Experiment, faults: Faults) -> None:
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


def _space(root: Section) -> dict[str, Domain]:
    space: dict[str, Domain] = {}
    entries = root.table("space")
    if not entries:
        root.faults.add("space", "must name at least one field to search, got none")
    for path, entry in _space_entries(entries):
        domain = _domain(entry)
        if domain is None:
            root.faults.add(
                f"space.{path}",
                "must be a list of values, or { log_uniform = [low, high] } with 0 < low < high, "
                f"or {{ uniform = [low, high] }}, got {entry!r}",
            )
        else:
            space[path] = domain
    return space


def _space_entries(entries: Mapping[str, Any], where: str = "") -> Iterable[tuple[str, Any]]:
    for key, entry in entries.items():
        path = f"{where}{key}"
        if isinstance(entry, dict) and not {"log_uniform", "uniform"} & set(entry):
            yield from _space_entries(entry, f"{path}.")
        else:
            yield path, entry


def _domain(entry: Any) -> Domain | None:
    match entry:
        case [_, *_]:
            return Choices(values=tuple(entry))
        case {"log_uniform": [int() | float() as low, int() | float() as high]} if 0 < low < high:
            return LogUniform(low=float(low), high=float(high))
        case {"uniform": [int() | float() as low, int() | float() as high]} if low < high:
            return Uniform(low=float(low), high=float(high))
        case _:
            return None


def _num_trials(root: Section, search: str, space: Mapping[str, Domain]) -> int:
    if search != "grid":
        return root.integer("num_trials", 1)
    if "num_trials" in root.content:
        root.faults.add("num_trials", "a grid has the size of its space; remove this key")
    count = 1
    for path, domain in space.items():
        if isinstance(domain, Choices):
            count *= len(domain.values)
        else:
            root.faults.add(f"space.{path}", "a grid needs a list of values")
    return count


def _check_points(spec: SweepSpec, experiment: Experiment, faults: Faults) -> None:
    grid = all(isinstance(domain, Choices) for domain in spec.space.values())
    points = grid_points(spec) if grid else (_end(spec, 0), _end(spec, -1))
    found: dict[str, None] = {}
    for point in points:
        try:
            expand_point(spec, point, experiment)
        except SpecError as error:
            found.update(dict.fromkeys(error.faults))
    for fault in found:
        faults.add("", fault)


def _end(spec: SweepSpec, index: int) -> dict[str, Any]:
    ends = {}
    for path, domain in spec.space.items():
        values = domain.values if isinstance(domain, Choices) else (domain.low, domain.high)
        ends[path] = values[index]
    return ends
