"""What a recipe in ``sweeps/`` says, once it is checked."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from s2hand_platform.errors import SpecError
from s2hand_platform.spec.overrides import lay_over
from s2hand_platform.spec.published import PublishedTable

Expected = Literal["better", "worse"]
Start = Literal["", "features", "model"]
"""What rows begin with by nature: ``features`` of pictures, of which they train everything, or a
whole ``model``, of which they train what they are about. A scale says which it has; where it has
none, rows begin as its base says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSpec:
    """A row: what it changes in the table's base configuration."""

    id: str
    label: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Dotted configuration path → value."""
    comparable: bool = True
    """Whether this is the paper's training: only then its cells are judged against the paper's."""
    dataset: str = ""
    """What the row is trained and measured on; empty: the table's."""
    extra_datasets: tuple[str, ...] = ()
    """What it is trained on besides."""
    starts_from: Start | None = None
    """None: as the table's rows do."""
    base: Mapping[str, Any] = field(default_factory=dict)
    """Nested overrides between the table's base and the row's own: what its start means, and where
    its data lies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnSpec:
    """A column: the paper's word for it, and the metric that it means."""

    label: str
    metric: str
    """``split/metric``, for instance ``test/pa_mpjpe_cm``."""
    tolerance: float = 0.0
    """The difference that is declared, before measuring, not to matter; in the metric's unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastSpec:
    """Two rows of which the paper says that one is better, paired by seed."""

    row: str
    baseline: str
    columns: tuple[str, ...]
    """Labels of the columns that the statement is about; the primary one is among them."""
    expected: Expected
    """Whether ``row`` is better or worse than ``baseline``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """A number of seeds at which contrasts are judged before more are run."""

    seeds: int
    """So many, from the first on."""
    level: float
    """What the p of a contrast may be there at most."""


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
    primary_column: str = ""
    """Label of the column that decides contrasts, and in which rows are compared with what needs
    no training; empty where neither is done."""
    published: PublishedTable | None = None
    notes: tuple[str, ...] = ()
    label: str = ""
    """What is measured on, and at which scale, in the words of the command."""
    reduced_by: str = ""
    """The scale, where it changes the paper's training."""
    starts_from: Start = ""
    left_out: str = ""
    """Which rows the scale cannot measure, and why; empty where it can measure all."""

    def dataset_of(self, row: RowSpec) -> str:
        """Name what a row is trained and measured on."""
        return row.dataset or self.dataset

    def start_of(self, row: RowSpec) -> Start:
        """Name what a row begins with by nature."""
        return self.starts_from if row.starts_from is None else row.starts_from

    def over_rows(self, overrides: Callable[[RowSpec], Mapping[str, Any]]) -> "TableSpec":
        """Return the table with overrides (dotted or nested) for each row laid over its base."""
        return replace(
            self,
            rows=tuple(replace(row, base=lay_over(row.base, overrides(row))) for row in self.rows),
        )

    def at(self, scale: "ScaleSpec") -> "TableSpec":
        """Return the table at a scale, whose base lies over its own and whose notes come last.

        Rows that set something else than what the scale fixes go, with the contrasts that name
        them; ``left_out`` says so. The start that a row is of lies over the scale's base, and what
        starts are without any training comes first, once for each set that rows of theirs are
        measured on.

        Raises:
            SpecError: if no row is left, or one has the name of what comes first.
        """
        rows = tuple(row for row in self.rows if not scale.contradictions(row.overrides))
        if not rows:
            fixed = ", ".join(f"{path} = {value}" for path, value in scale.fixed.items())
            fault = f"every row sets something else than what the scale '{scale.name}' fixes"
            raise SpecError([f"{self.name}: {fault} ({fixed}); choose another scale"])
        ids = {row.id for row in rows}
        unadapted = self._unadapted(rows, scale)
        for row in unadapted:
            if row.id in ids:
                fault = f"the id '{row.id}' is what the scale '{scale.name}' adds"
                raise SpecError([f"{self.name}: rows: {fault}; give the row another"])
        starts = dict.fromkeys(map(self.start_of, rows))
        is_reduced = any(scale.base_of(start) for start in starts)
        start_notes = (note for start in starts for note in scale.start_of(start).notes)
        table = replace(
            self,
            base=lay_over(self.base, scale.base),
            rows=(*unadapted, *rows),
            contrasts=tuple(each for each in self.contrasts if {each.row, each.baseline} <= ids),
            notes=(*self.notes, *scale.notes, *start_notes),
            reduced_by=scale.name if is_reduced else "",
            left_out=self._left_out(scale),
        )
        return table.over_rows(lambda row: scale.over_base(self.start_of(row)))

    def _left_out(self, scale: "ScaleSpec") -> str:
        """Name the rows that set something else than what a scale fixes, and what they set."""
        found = [(row, scale.contradictions(row.overrides)) for row in self.rows]
        rows = "; ".join(f"'{row.id}' ({', '.join(paths)})" for row, paths in found if paths)
        return f"Left out at the scale '{scale.name}', which fixes what they set: {rows}." * bool(
            rows
        )

    def _unadapted(self, rows: Iterable[RowSpec], scale: "ScaleSpec") -> tuple[RowSpec, ...]:
        """Return the rows of what starts are without any training."""
        sets = dict.fromkeys((self.start_of(row), self.dataset_of(row)) for row in rows)
        found = [
            replace(row, dataset=dataset, starts_from=start)
            for start, dataset in sets
            if (row := scale.start_of(start).unadapted) is not None
        ]
        if len(found) < 2:
            return tuple(found)
        return tuple(
            replace(row, id=f"{row.id}_{row.dataset}", label=f"{row.label} ({row.dataset})")
            for row in found
        )


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


def short(value: object) -> str:
    """Write a value of a search's point with as many digits as anyone reads."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
    paper: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The points that the paper chose: what to call one → dotted configuration path → value."""
    notes: tuple[str, ...] = ()
    label: str = ""
    """What is measured on, and at which scale, in the words of the command."""
    starts_from: Start = ""

    @property
    def axes(self) -> dict[str, str]:
        """Return the space's paths with what to call them: their last words, where those differ."""
        words = Counter(path.rpartition(".")[2] for path in self.space)
        return {
            path: path if words[path.rpartition(".")[2]] > 1 else path.rpartition(".")[2]
            for path in self.space
        }

    def describe(self, point: Mapping[str, Any]) -> str:
        """Name a point by its values, with as many digits as anyone reads."""
        return ", ".join(f"{name}={short(point[path])}" for path, name in self.axes.items())

    def over(self, overrides: Mapping[str, Any]) -> "SweepSpec":
        """Return the sweep with ``overrides`` (dotted or nested) laid over its base."""
        return replace(self, base=lay_over(self.base, overrides))

    def at(self, scale: "ScaleSpec") -> "SweepSpec":
        """Return the sweep at a scale, whose base lies over its own and whose notes come last.

        Raises:
            SpecError: if the space holds what the scale fixes.
        """
        faults = [
            f"{self.name}: space.{path}: the scale '{scale.name}' fixes it to {scale.fixed[path]}; "
            "choose another scale"
            for path in self.space
            if path in scale.fixed
        ]
        if faults:
            raise SpecError(faults)
        notes = (*self.notes, *scale.notes, *scale.start_of(self.starts_from).notes)
        return replace(self.over(scale.base_of(self.starts_from)), notes=notes)


@dataclass(frozen=True, kw_only=True, slots=True)
class StartSpec:
    """What one kind of start means at a scale."""

    base: Mapping[str, Any] = field(default_factory=dict)
    """Nested overrides, over the scale's base."""
    notes: tuple[str, ...] = ()
    """What a reader of a table whose rows start so must know."""
    unadapted: RowSpec | None = None
    """The start itself, as a row of every table whose rows begin with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleSpec:
    """A size at which any table can be run: overrides of its base, and the seeds to take."""

    name: str
    title: str
    base: Mapping[str, Any]
    seeds: int
    data: Mapping[str, Any]
    """Which data is meant, in the experiment's own words."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Dotted configuration path → value at this size. A row that sets something else there cannot
    be measured at this size."""
    notes: tuple[str, ...] = ()
    """What a reader of any table measured at this size must know."""
    starts: Mapping[str, StartSpec] = field(default_factory=dict)
    """Start → what it means; a start that is absent means nothing here."""

    def start_of(self, starts_from: Start) -> StartSpec:
        """Return what a recipe's start means at this size."""
        return self.starts.get(starts_from, StartSpec())

    def base_of(self, starts_from: Start) -> dict[str, Any]:
        """Return the overrides for a recipe's start, with what is fixed."""
        return lay_over(self.base, self.over_base(starts_from))

    def over_base(self, starts_from: Start) -> dict[str, Any]:
        """Return what of them lies over the scale's own base."""
        return lay_over(self.start_of(starts_from).base, self.fixed)

    def contradictions(self, overrides: Mapping[str, Any]) -> tuple[str, ...]:
        """Name the paths at which dotted overrides set something else than what is fixed."""
        return tuple(
            path for path, value in self.fixed.items() if overrides.get(path, value) != value
        )
