"""From a recipe to configurations: one per row of a table, or one per point of a grid."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec.overrides import lay_over
from s2hand_platform.spec.schema import Choices, RowSpec, SweepSpec, TableSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpandedRow:
    """A row with its whole configuration."""

    row: RowSpec
    config: Any
    dump: Mapping[str, Any]


def expand_table(spec: TableSpec, experiment: Experiment) -> tuple[ExpandedRow, ...]:
    """Build the configuration of every row: its datasets, the table's base, its own, its overrides.

    Each lies over the one before.

    Raises:
        SpecError: with the faults of all rows, each behind its row's id.
    """
    rows, faults = [], []
    for row in spec.rows:
        try:
            config = experiment.build_config(_overrides(spec, row, experiment))
        except SpecError as error:
            faults += [f"{spec.name}: row '{row.id}': {fault}" for fault in error.faults]
        else:
            rows.append(ExpandedRow(row=row, config=config, dump=experiment.dump_config(config)))
    if faults:
        raise SpecError(faults)
    return tuple(rows)


def _overrides(spec: TableSpec, row: RowSpec, experiment: Experiment) -> Mapping[str, Any]:
    datasets = experiment.dataset_overrides(spec.dataset_of(row), row.extra_datasets)
    return reduce(lay_over, (spec.base, row.base, row.overrides), datasets)


def grid_points(spec: SweepSpec) -> tuple[dict[str, Any], ...]:
    """Return every point of a grid as dotted overrides; the last key runs fastest.

    Raises:
        SpecError: if a domain of the space is not a finite set.
    """
    values = []
    for path, domain in spec.space.items():
        if not isinstance(domain, Choices):
            raise SpecError([f"{spec.name}: space.{path}: a grid needs a list of values"])
        values.append(domain.values)
    return tuple(dict(zip(spec.space, point, strict=True)) for point in itertools.product(*values))


def expand_point(spec: SweepSpec, point: Mapping[str, Any], experiment: Experiment) -> Any:
    """Build the configuration of one point of a sweep's space.

    Raises:
        SpecError: with the faults that this point brings.
    """
    return experiment.build_config(lay_over(spec.base, point))
