"""What a measured table consists of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from s2hand_platform.spec.published import PrintedDifference, PublishedCell
from s2hand_platform.spec.schema import Expected
from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.statistics.significance import SymmetryTests
from s2hand_platform.statistics.verdicts import CellVerdict, Decision, Direction

RowKind = Literal["measured", "baseline", "imported", "published", "quoted"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TableColumn:
    """A column and what its numbers are."""

    label: str
    metric: str
    unit: str
    direction: Direction
    tolerance: float = 0.0
    """The difference that was declared, before measuring, not to matter."""
    is_primary: bool = False
    """Whether it decides the contrasts."""

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
    """``measured`` has a recipe, ``imported`` is of somebody's predictions; ``published`` and
    ``quoted`` stand in the paper only."""
    trial_ids: Mapping[int, str]
    """Seed → the trial whose result stands in the cells."""
    cells: Mapping[str, TableCell]
    dataset: str = ""
    """The word of what it is measured on; empty of rows that stand in the paper only."""
    failed: Mapping[int, str] = field(default_factory=dict)
    """Seed → why its training failed or diverged; no cell holds a value of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableContrast:
    """A declared contrast in one column."""

    row: str
    baseline: str
    expected: Expected
    column: str
    pairs: Mapping[int, float]
    """Seed → row minus baseline, for the seeds that both have."""
    difference: MeanInterval | None
    """Mean of the pairs; None where there are none."""
    printed: PrintedDifference | None
    """The paper's; None where it prints one of the cells not."""
    by_symmetry: SymmetryTests | None
    """Tests that do without the normal distribution; None for few seeds."""
    decision: Decision | None = None
    """What is claimed; None in columns that are not the primary one, where an interval alone
    stands."""
    seeds_to_decide: int | None = None
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
