"""What a measured table consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.schema import Expected
from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.statistics.verdicts import CellVerdict, ContrastVerdict, Direction

RowKind = Literal["measured", "baseline", "published", "quoted"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TableColumn:
    """A column and what its numbers are."""

    label: str
    metric: str
    unit: str
    direction: Direction

    @property
    def header(self) -> str:
        """The label with its unit, and an arrow to where better values lie."""
        unit = "" if self.unit == "1" or self.label.endswith(f"_{self.unit}") else f" [{self.unit}]"
        return f"{self.label}{unit} {'↓' if self.direction == 'lower' else '↑'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TableCell:
    """Row × column."""

    values: Mapping[int, float]
    """Seed → value; empty for a baseline, which has no seeds."""
    interval: MeanInterval | None
    """None where nothing was measured."""
    published: PublishedCell | None
    verdict: CellVerdict
    of_other_code: tuple[int, ...] = ()
    """Seeds whose values are of other code, data or evaluation than planned."""

    @property
    def planned_values(self) -> dict[int, float]:
        """The values that are of the code, data and evaluation that was planned."""
        others = self.of_other_code
        return {seed: value for seed, value in self.values.items() if seed not in others}


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRow:
    """A row of the table; ``cells`` is by the column's label."""

    id: str
    label: str
    kind: RowKind
    """``measured`` has a recipe; ``published`` and ``quoted`` stand in the paper only."""
    trial_ids: Mapping[int, str]
    cells: Mapping[str, TableCell]


@dataclass(frozen=True, kw_only=True, slots=True)
class TableContrast:
    """A declared contrast in one column."""

    row: str
    baseline: str
    expected: Expected
    column: str
    difference: MeanInterval | None
    """Row minus baseline over paired seeds; None where no seed has both."""
    verdict: ContrastVerdict
    seeds_to_decide: int | None
    """About how many seeds an undecided difference needs, see
    :func:`~s2hand_platform.statistics.power.seeds_to_decide`; None where that is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableMargin:
    """How far a row's error lies from a predictor that needs no training."""

    row: str
    baseline: str
    column: str
    change: MeanInterval
    """(row - baseline) / baseline over seeds; -0.25 is a quarter less."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the 95 % interval does."""
        return self.change.low > 0 or self.change.high < 0
