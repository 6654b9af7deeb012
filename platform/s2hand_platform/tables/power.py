"""How many seeds would decide a table's contrasts, from the spread of the pairs it has."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.statistics.power import POWER, power, spread_interval
from s2hand_platform.statistics.significance import ALPHA
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables.measured import MeasuredTable
from s2hand_platform.tables.parts import TableColumn, TableContrast


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """A difference to plan for, in the column's unit; the sign tells the side only."""

    value: float
    low: float
    high: float
    """Between these the paper's rounding leaves it; both are ``value`` where it was given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What follows from the measured spread, and from the ends of the spread's 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsNeeded:
    """The fewest seeds, of those that were asked for, that decide in 80 % of cases.

    None is more than all of them.
    """

    value: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastPower:
    """What is known of deciding one declared contrast in the primary column."""

    row: str
    baseline: str
    expected: Literal["better", "worse"]
    measured: MeanInterval | None
    """Of the pairs there are."""
    spread: Estimate | None
    """Standard deviation of the pairs; None for fewer than two, and where all agree."""
    effect: Effect | None
    why_not: str = ""
    """Why there is no answer; empty where there is one."""
    power: Mapping[int, Estimate]
    """Seeds → probability of deciding; empty without an answer."""
    needed: SeedsNeeded | None

    @property
    def name(self) -> str:
        """Say what is claimed."""
        return f"{self.row} {self.expected} than {self.baseline}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TablePower:
    """A table's contrasts, with what each number of seeds would decide and cost."""

    table: str
    data: str
    device_type: str
    column: TableColumn
    level: float
    """Of each contrast's test."""
    effect: str
    """What is planned for, in words."""
    contrasts: tuple[ContrastPower, ...]
    hours: Mapping[int, float | None]
    """Seeds → wall-clock hours of those that are missing in any row; None where not known."""

    @classmethod
    def build(
        cls,
        plan: TablePlan,
        measured: MeasuredTable,
        *,
        effect: float | Literal["published"],
        seeds: Collection[int],
        hours: Mapping[int, float | None],
    ) -> "TablePower":
        """Plan for an effect.

        Args:
            plan: the table as it was planned.
            measured: what it has, with at least one declared contrast in its primary column.
            effect: in the primary column's unit; ``published`` is the paper's difference, or where
                the rows are not of official data its share of the paper's baseline, of ours.
            seeds: the numbers of seeds to look at, rising, from two on.
            hours: what each of them would cost.
        """
        column = next(column for column in measured.columns if column.is_primary)
        of_family = [each for each in measured.contrasts if each.column == column.label]
        level = ALPHA / len(of_family)
        planned = []
        for contrast in of_family:
            aim, why_not = (
                _published_effect(plan, measured, contrast)
                if effect == "published"
                else (Effect(value=effect, low=effect, high=effect), "")
            )
            planned.append(_contrast_power(contrast, aim, why_not, seeds=seeds, level=level))
        return cls(
            table=plan.name,
            data=measured.data,
            device_type=plan.device_type,
            column=column,
            level=level,
            effect=_in_words(plan, effect, column),
            contrasts=tuple(planned),
            hours=hours,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for programs."""
        return asdict(self)


def _contrast_power(
    contrast: TableContrast,
    effect: Effect | None,
    why_not: str,
    *,
    seeds: Collection[int],
    level: float,
) -> ContrastPower:
    found = contrast.difference
    spread = None
    if found is not None and found.sd:
        low, high = spread_interval(found.sd, found.n)
        spread = Estimate(value=found.sd, low=low, high=high)
    powers = {}
    if effect is not None and spread is not None:
        powers = {each: _power(effect, spread, each, level) for each in seeds}
    return ContrastPower(
        row=contrast.row,
        baseline=contrast.baseline,
        expected=contrast.expected,
        measured=found,
        spread=spread,
        effect=effect,
        why_not=why_not or _why_no_spread(found),
        power=powers,
        needed=_needed(powers) if powers else None,
    )


def _power(effect: Effect, spread: Estimate, seeds: int, level: float) -> Estimate:
    """A small spread gives much power: the ends change places."""
    value, high, low = (
        power(effect.value, sd, seeds, level) for sd in (spread.value, spread.low, spread.high)
    )
    return Estimate(value=value, low=low, high=high)


def _needed(powers: Mapping[int, Estimate]) -> SeedsNeeded:
    def fewest(end: Literal["value", "low", "high"]) -> int | None:
        found = (seeds for seeds, each in powers.items() if getattr(each, end) >= POWER)
        return next(found, None)

    return SeedsNeeded(value=fewest("value"), low=fewest("high"), high=fewest("low"))


def _why_no_spread(found: MeanInterval | None) -> str:
    if found is None or found.n < 2:
        have = "one seed has" if found else "no seed has"
        return f"{have} both rows, two are needed"
    return "" if found.sd else "all pairs agree, so their spread is not known"


def _published_effect(
    plan: TablePlan, measured: MeasuredTable, contrast: TableContrast
) -> tuple[Effect | None, str]:
    """Return what the paper's difference means here, or why it means nothing."""
    printed = contrast.printed
    if printed is None:
        return None, "the paper does not print both cells"
    if not printed.is_decided:
        return None, f"zero is within its rounding ({printed.low:+.4g} to {printed.high:+.4g})"
    origins = {row.id: row.measured_on.origin for row in plan.rows}
    factor = 1.0
    if {origins[contrast.row], origins[contrast.baseline]} != {"official"}:
        ours = next(row for row in measured.rows if row.id == contrast.baseline)
        values = list(ours.cells[contrast.column].planned_values.values())
        baseline = plan.printed_cell(contrast.baseline, contrast.column)
        if not values:
            return None, f"no seed has '{contrast.baseline}', of which it would be a share"
        if baseline is None or not baseline.value:
            return None, "the paper's baseline is zero, of which nothing is a share"
        factor = sum(values) / len(values) / baseline.value
    effect = Effect(
        value=factor * printed.value, low=factor * printed.low, high=factor * printed.high
    )
    return effect, ""


def _in_words(plan: TablePlan, effect: float | Literal["published"], column: TableColumn) -> str:
    if effect != "published":
        return f"{effect:g}{'' if column.unit == '1' else f' {column.unit}'}, as given"
    official = all(row.measured_on.origin == "official" for row in plan.rows)
    return "the paper's" if official else "the paper's share of its baseline, of ours"
