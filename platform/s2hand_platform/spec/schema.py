"""What a recipe in ``sweeps/`` says, once it is checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from s2hand_platform.spec.overrides import lay_over
from s2hand_platform.spec.published import PublishedTable

Expected = Literal["better", "worse"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSpec:
    """A row: what it changes in the table's base configuration."""

    id: str
    label: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Dotted configuration path → value."""
    comparable: bool = True
    """Whether this is the paper's training: only then its cells are judged against the paper's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnSpec:
    """A column: the paper's word for it, and the metric that it means."""

    label: str
    metric: str
    """``split/metric``, for instance ``test/pa_mpjpe_cm``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastSpec:
    """Two rows of which the paper says that one is better, paired by seed."""

    row: str
    baseline: str
    columns: tuple[str, ...]
    """Labels of the columns that the statement is about."""
    expected: Expected
    """Whether ``row`` is better or worse than ``baseline``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableSpec:
    """A table that can be measured."""

    name: str
    title: str
    dataset: str
    base: Mapping[str, Any]
    """Nested overrides that all rows share."""
    rows: tuple[RowSpec, ...]
    columns: tuple[ColumnSpec, ...]
    contrasts: tuple[ContrastSpec, ...] = ()
    margin_column: str = ""
    """Label of the column in which rows are compared with what needs no training."""
    published: PublishedTable | None = None
    notes: tuple[str, ...] = ()

    def over(self, overrides: Mapping[str, Any]) -> "TableSpec":
        """Return the table with ``overrides`` (dotted or nested) laid over its base."""
        return replace(self, base=lay_over(self.base, overrides))


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """A finite set of values, in the order of the file; what a grid runs through."""

    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LogUniform:
    """Any number between two positive bounds, uniform in its logarithm."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Uniform:
    """Any number between two bounds."""

    low: float
    high: float


Domain = Choices | LogUniform | Uniform


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepSpec:
    """A search over a space of configurations."""

    name: str
    title: str
    dataset: str
    base: Mapping[str, Any]
    space: Mapping[str, Domain]
    """Dotted configuration path → values to search."""
    search: Literal["grid", "optuna"]
    scheduler: Literal["none", "asha"]
    metric: str
    """``split/metric`` of the finished trial."""
    mode: Literal["min", "max"]
    num_trials: int
    """Trials to draw; for a grid, its size."""
    notes: tuple[str, ...] = ()

    def over(self, overrides: Mapping[str, Any]) -> "SweepSpec":
        """Return the sweep with ``overrides`` (dotted or nested) laid over its base."""
        return replace(self, base=lay_over(self.base, overrides))


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleSpec:
    """A size at which any table can be run: overrides of its base, and the seeds to take."""

    name: str
    title: str
    base: Mapping[str, Any]
    seeds: int
    data_size: str
    """Size of the synthetic benchmark: ``demo``, ``small`` or ``full``."""
    image_size_px: int
    """Stored image size of the synthetic benchmark."""
