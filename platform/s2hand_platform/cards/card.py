"""What stands on a card."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from s2hand_platform.revision import Revision
from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.store.records import TrackedRun
from s2hand_platform.tables.parts import RowKind


@dataclass(frozen=True, kw_only=True, slots=True)
class PrintedNumber:
    """What the paper prints in the cell."""

    text: str
    """With the printed decimals."""
    decimals: int
    low: float
    high: float
    """What was measured lies between: half a unit of the last decimal to both sides."""
    table: str
    """The printed table's title."""
    row: str
    """The printed row's label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptCard:
    """An attempt at one of the row's trials."""

    trial_id: str
    attempt: int
    seed: int
    status: str
    reason: str
    """Why it failed or was stopped."""
    counts: bool
    """Whether the cell's value of this seed is of this attempt."""
    started: datetime
    duration_s: float
    training_s: float | None
    evaluation_s: float | None
    device: str
    """``cpu``, or ``cuda`` with the card's name."""
    framework: str
    """For instance ``torch 2.13.0``."""
    precision: str
    threads: int
    revision: Revision | None
    """Of the code; None where it was not recorded."""
    runs: tuple[TrackedRun, ...]
    """Where a tracker shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowCost:
    """What it would cost to run a row again, by what it took; None where that is not known."""

    seeds: int
    hours_per_seed: float | None
    """Training and evaluation, if nothing is shared with other rows."""
    hours: float | None
    """Of all seeds, one after the other."""
    evaluation_hours: float | None
    """Of evaluating all seeds again, without a training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowOrigin:
    """Where all cells of a row come from."""

    settings: Mapping[str, Any]
    """The row's settings that not all rows of the table share: dotted path → value."""
    against_baselines: Mapping[str, Mapping[str, tuple[Any, Any]]]
    """Baseline of a declared contrast → dotted path → what the row has, what the baseline has."""
    config_hash: str
    data_fingerprint: str | None
    code_fingerprint: str | None
    evaluation_fingerprint: str | None
    num_modules: int | None
    """Modules that the code's fingerprint is of; None where that is not known."""
    starts: Mapping[str, str]
    """What acts beside modules, as starting weights → SHA-256."""
    missing_patches: tuple[str, ...]
    """Patches of the attempts' code whose text this store does not have."""
    data: Mapping[str, Any]
    """The record of what was measured on."""
    evaluator_ids: tuple[str, ...]
    attempts: tuple[AttemptCard, ...]
    """In the order of seeds, then of attempts."""
    also_fills: Mapping[str, tuple[str, ...]]
    """``table.row`` that has the same trainings → columns, this row's own included."""
    shared_stages: Mapping[str, tuple[str, ...]]
    """Stage → ``table.row`` whose trainings share it."""
    cost: RowCost


@dataclass(frozen=True, kw_only=True, slots=True)
class CellCard:
    """A cell of a measured table, and where it comes from."""

    table: str
    title: str
    measured_on: str
    """Empty where nothing is ever measured."""
    label: str
    """What is measured on, and at which scale, in the words of the command."""
    device_type: str
    row: str
    row_label: str
    kind: RowKind
    what: tuple[str, ...]
    """What a row without a training is, a sentence each; empty for one with a recipe."""
    column: str
    metric: str
    unit: str
    direction: str
    values: Mapping[int, float]
    """Seed → value."""
    failed: Mapping[int, str]
    """Seed → why its training failed."""
    interval: MeanInterval | None
    verdict: str
    arithmetic: tuple[str, ...]
    """How interval and verdicts follow from the values, a sentence each."""
    published: PrintedNumber | None
    remedy: str
    """Where nothing was measured, the command that measures it, if there is one; else empty."""
    evaluators: Mapping[str, tuple[str, ...]]
    """Evaluator's id → its rules in words."""
    trained: RowOrigin | None
    """None for a row without a recipe: a baseline, or one that stands in the paper alone."""

    @property
    def name(self) -> str:
        """The cell's name, as ``s2hand explain`` takes it."""
        return f"{self.table}.{self.row}.{self.column}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for programs."""
        plain: dict[str, Any] = _plain({"name": self.name, **asdict(self)})
        return plain


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case datetime():
            return value.isoformat()
    return value
