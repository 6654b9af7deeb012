"""What the store keeps of a planned table: all that is needed to show it from the store alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from s2hand_platform.experiments.protocol import DataRecord
from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.schema import ContrastSpec, Look


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanColumn:
    """A column and what its numbers are."""

    label: str
    metric: str
    """``split/metric``."""
    unit: str
    direction: Literal["lower", "higher"]
    tolerance: float = 0.0
    """The difference that was declared not to matter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow:
    """A row, and what a result must be of to stand in it."""

    id: str
    label: str
    why_not_comparable: str = ""
    """Why its cells are not judged against the printed ones; empty where they are."""
    settings: Mapping[str, Any]
    """The whole configuration: dotted path → value."""
    config_hash: str
    data: str | None
    code: str | None
    evaluation: str | None
    trial_ids: Mapping[int, str]
    """Seed → trial."""
    measured_on: DataRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class PrintedRow:
    """A row of the paper's table."""

    id: str
    label: str
    quoted: bool
    cells: Mapping[str, PublishedCell]
    """Column label → cell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TablePlan:
    """A table as it was planned."""

    name: str
    title: str
    experiment: str
    label: str
    """What is measured on, and at which scale, in the words of the command."""
    device_type: str
    """``cpu`` or ``cuda``: where its trials run."""
    columns: tuple[PlanColumn, ...]
    rows: tuple[PlanRow, ...]
    contrasts: tuple[ContrastSpec, ...] = ()
    primary_column: str = ""
    """Label of the column that decides contrasts."""
    looks: tuple[Look, ...] = ()
    """Numbers of seeds at which contrasts are judged until they are decided; without them they are
    judged once, by Holm's procedure."""
    printed: tuple[PrintedRow, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that contrasts are between rows of the table, and decided in a column of it.

        Raises:
            ValueError: if one is not.
        """
        known = {row.id for row in self.rows}
        if self.contrasts and self.primary_column not in {each.label for each in self.columns}:
            raise ValueError(
                f"the primary column must be one of the table's, got '{self.primary_column}'"
            )
        for contrast in self.contrasts:
            if not {contrast.row, contrast.baseline} <= known:
                raise ValueError(f"a contrast must be between rows of the table, got {contrast}")

    @property
    def measured_on(self) -> str:
        """Say in a line what the rows are measured on."""
        return "; ".join(dict.fromkeys(row.measured_on.title for row in self.rows))

    def printed_cell(self, row: str, column: str) -> PublishedCell | None:
        """Return the printed cell, or None where the paper has none."""
        for candidate in self.printed:
            if candidate.id == row:
                return candidate.cells.get(column)
        return None

    def to_plain(self) -> dict[str, Any]:
        """Dump as JSON types."""
        plain: dict[str, Any] = _TABLE_PLAN.dump_python(self, mode="json")
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "TablePlan":
        """Read what ``to_plain`` wrote.

        Raises:
            pydantic.ValidationError: if it is something else.
        """
        return _TABLE_PLAN.validate_python(plain)


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchPlan:
    """A search, with the points that were tried."""

    name: str
    title: str
    experiment: str
    label: str
    device_type: str
    data: DataRecord
    metric: str
    mode: Literal["min", "max"]
    axes: Mapping[str, str]
    """Dotted configuration path → what to call it."""
    points: Mapping[str, Mapping[str, Any]]
    """Trial → dotted configuration path → value."""
    paper: Mapping[str, Mapping[str, Any]]
    """The points that the paper chose: what to call one → dotted configuration path → value."""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that points have a value on every axis.

        Raises:
            ValueError: if one has not.
        """
        for point in (*self.points.values(), *self.paper.values()):
            if set(point) != set(self.axes):
                axes = ", ".join(self.axes)
                raise ValueError(f"a point must have a value of each of {axes}, got {dict(point)}")

    def to_plain(self) -> dict[str, Any]:
        """Dump as JSON types."""
        plain: dict[str, Any] = _SEARCH_PLAN.dump_python(self, mode="json")
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "SearchPlan":
        """Read what ``to_plain`` wrote.

        Raises:
            pydantic.ValidationError: if it is something else.
        """
        return _SEARCH_PLAN.validate_python(plain)


_TABLE_PLAN = TypeAdapter(TablePlan)
_SEARCH_PLAN = TypeAdapter(SearchPlan)
