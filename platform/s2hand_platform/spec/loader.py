"""Reads recipes from TOML; every fault of a file is told at once, with the nearest valid word."""

from pathlib import Path
from typing import Literal, cast

from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec import files
from s2hand_platform.spec.checks import check_metric
from s2hand_platform.spec.faults import Faults, Section
from s2hand_platform.spec.overrides import flatten, lay_over
from s2hand_platform.spec.schema import ScaleSpec, SweepSpec, TableSpec
from s2hand_platform.spec.spaces import check_points, read_num_trials, read_paper, read_space
from s2hand_platform.spec.starts import read_start, read_starts
from s2hand_platform.spec.table_parts import (
    check_rows,
    read_columns,
    read_contrasts,
    read_heading,
    read_primary_column,
    read_published,
    read_rows,
)

_TABLE_KEYS = (
    "title", "dataset", "published", "notes", "base", "rows", "columns", "contrasts",
    "primary_column", "tolerances", "starts_from",
)  # fmt: skip
_SWEEP_KEYS = (
    "title", "dataset", "notes", "base", "space", "search", "scheduler", "metric", "mode",
    "num_trials", "paper", "starts_from",
)  # fmt: skip
_SCALE_KEYS = ("title", "seeds", "notes", "data", "base", "fixed", "starts")


def load_table(name_or_path: str | Path, experiment: Experiment) -> TableSpec:
    """Read and check a table's recipe, down to the configuration of every row.

    Title, dataset, columns and the rows' labels of a printed table stand there, and are not
    repeated in the recipe that names it.

    Args:
        name_or_path: a name in ``sweeps/tables``, or the path of a TOML file.
        experiment: knows which configurations and metrics exist.

    Raises:
        SpecError: with all faults of the file.
    """
    path, root = _open(name_or_path, "tables", _TABLE_KEYS)
    published = read_published(root, path)
    columns = read_columns(root, published, experiment)
    title, dataset = read_heading(root, published)
    rows = read_rows(root, published, dataset)
    contrasts = read_contrasts(root, rows, columns, published)
    spec = TableSpec(
        name=path.stem,
        title=title,
        dataset=dataset,
        base=root.table("base"),
        rows=rows,
        columns=columns,
        contrasts=contrasts,
        primary_column=read_primary_column(root, columns, contrasts),
        published=published,
        notes=root.texts("notes"),
        starts_from=read_start(root),
    )
    check_rows(spec, experiment, root.faults)
    root.faults.raise_if_any()
    return spec


def load_sweep(name_or_path: str | Path, experiment: Experiment) -> SweepSpec:
    """Read and check a search's recipe; a grid is checked at every point, others at the ends.

    Args:
        name_or_path: a name in ``sweeps/searches``, or the path of a TOML file.
        experiment: knows which configurations and metrics exist.

    Raises:
        SpecError: with all faults of the file.
    """
    path, root = _open(name_or_path, "searches", _SWEEP_KEYS)
    dataset = root.text("dataset")
    space = read_space(root)
    search = root.choice("search", ("grid", "optuna"))
    metric = root.text("metric")
    check_metric(metric, "metric", experiment, root.faults)
    spec = SweepSpec(
        name=path.stem,
        title=root.text("title"),
        dataset=dataset,
        base=lay_over(experiment.dataset_overrides(dataset, ()), root.table("base")),
        space=space,
        search=cast("Literal['grid', 'optuna']", search),
        scheduler=cast(
            "Literal['none', 'asha']", root.choice("scheduler", ("none", "asha"), "none")
        ),
        metric=metric,
        mode=cast("Literal['min', 'max']", root.choice("mode", ("min", "max"))),
        num_trials=read_num_trials(root, search, space),
        paper=read_paper(root, space),
        notes=root.texts("notes"),
        starts_from=read_start(root),
    )
    check_points(spec, experiment, root.faults)
    root.faults.raise_if_any()
    return spec


def load_scale(name_or_path: str | Path, experiment: Experiment) -> ScaleSpec:
    """Read a size at which tables and searches are run.

    Args:
        name_or_path: a name in ``sweeps/scales``, or the path of a TOML file.
        experiment: knows what may stand under ``data``.

    Raises:
        SpecError: with all faults of the file.
    """
    path, root = _open(name_or_path, "scales", _SCALE_KEYS)
    data = root.table("data")
    spec = ScaleSpec(
        name=path.stem,
        title=root.text("title"),
        base=root.table("base"),
        seeds=root.integer("seeds", 1),
        data=data,
        fixed=flatten(root.table("fixed")),
        notes=root.texts("notes"),
        starts=read_starts(root),
    )
    for fault in experiment.check_scale_data(data):
        root.faults.add("", f"data.{fault}")
    root.faults.raise_if_any()
    return spec


def _open(
    name_or_path: str | Path, kind: files.Kind, keys: tuple[str, ...]
) -> tuple[Path, Section]:
    path = files.find(name_or_path, kind)
    root = Section(files.read(path), "", Faults(path.name))
    root.check_keys(keys)
    return path, root
