"""What seeds would decide and cost, drawn for the terminal."""

from collections.abc import Sequence

from rich.console import RenderableType

from s2hand_platform.statistics.power import POWER
from s2hand_platform.statistics.significance import ALPHA
from s2hand_platform.tables import layout
from s2hand_platform.tables.layout import Grid, GridCell, format_interval
from s2hand_platform.tables.power import ContrastPower, Effect, Estimate, TablePower


def to_rich(found: TablePower) -> RenderableType:
    """Draw the seeds that decide each contrast, and the power of each number of seeds."""
    return layout.to_rich([needed_grid(found), _power_grid(found)], _notes(found))


def needed_grid(found: TablePower) -> Grid:
    """Show the seeds that decide each contrast."""
    unit = "" if found.column.unit == "1" else f" [{found.column.unit}]"
    return Grid(
        title=f"{found.table}: seeds that decide {found.column.label} in {100 * POWER:.0f} % of "
        f"cases, on {found.data}",
        header=(
            "contrast",
            f"effect{unit}",
            f"measured{unit}",
            f"spread of pairs{unit}",
            "seeds",
            "cost of the table",
        ),
        rows=tuple(_needed_row(found, contrast) for contrast in found.contrasts),
    )


def _needed_row(found: TablePower, contrast: ContrastPower) -> tuple[GridCell, ...]:
    needed = contrast.needed
    ends = [needed.value, needed.low, needed.high] if needed else []
    measured = contrast.measured
    return (
        GridCell(text=contrast.name),
        _shown_effect(contrast.effect),
        GridCell(text=format_interval(measured, 0, signed=True) if measured else "not run"),
        _shown_spread(contrast.spread),
        _with_ends([_seeds(found, each) for each in ends], contrast.why_not),
        _with_ends([_cost(found, each) for each in ends], ""),
    )


def _power_grid(found: TablePower) -> Grid:
    answered = [contrast for contrast in found.contrasts if contrast.power]
    return Grid(
        title="Probability of deciding, by the number of seeds",
        header=("seeds", "cost", *(contrast.name for contrast in answered)),
        rows=tuple(
            (
                GridCell(text=str(seeds)),
                GridCell(text=_hours(found, hours)),
                *(_shown_power(contrast.power[seeds]) for contrast in answered),
            )
            for seeds, hours in found.hours.items()
        ),
    )


def _shown_effect(effect: Effect | None) -> GridCell:
    if effect is None:
        return GridCell(text="undefined")
    if effect.low == effect.high:
        return GridCell(text=_signed(effect.value))
    ends = f"{_signed(effect.low)} to {_signed(effect.high)} by rounding"
    return GridCell(text=_signed(effect.value), aside=ends)


def _shown_spread(spread: Estimate | None) -> GridCell:
    if spread is None:
        return GridCell(text="not known")
    return GridCell(text=f"{spread.value:.2g}", aside=f"{spread.low:.2g} to {spread.high:.2g}")


def _shown_power(found: Estimate) -> GridCell:
    return GridCell(text=f"{found.value:.2f}", aside=f"{found.low:.2f} to {found.high:.2f}")


def _with_ends(texts: Sequence[str], why_not: str) -> GridCell:
    if not texts:
        return GridCell(text="–", aside=why_not)
    value, low, high = texts
    return GridCell(text=value, aside="" if low == high else f"{low} to {high}")


def _seeds(found: TablePower, needed: int | None) -> str:
    fewest, most = min(found.hours), max(found.hours)
    if needed is None:
        return f"more than {most}"
    return f"at most {needed}" if needed == fewest > 2 else str(needed)


def _cost(found: TablePower, needed: int | None) -> str:
    hours = found.hours[max(found.hours) if needed is None else needed]
    more = "more than " if needed is None and hours is not None else ""
    return f"{more}{_hours(found, hours)}"


def _hours(found: TablePower, hours: float | None) -> str:
    if hours is None:
        return "unknown"
    return f"{hours:.2g} {'GPU-hours' if found.device_type == 'cuda' else 'h'}"


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "−")


def _notes(found: TablePower) -> tuple[str, ...]:
    share = f"{100 * ALPHA:.0f} % / {len(found.contrasts)}"
    seeds = (
        f"Effect: {found.effect}. Seeds: the fewest at which a two-sided paired t test at {share} "
        f"finds it in {100 * POWER:.0f} % of cases; that level is the hardest step of Holm's "
        "procedure, an easier one needs fewer. Beside stands what follows from the ends of the "
        "spread's 95 % interval (chi-square; with three seeds 0.52 to 6.3 times what was measured)."
    )
    basis = (
        "The measured difference is a poor basis for a plan, and stands here for comparison only: "
        "of few seeds it is mostly noise. Plan for what the paper claims, or by --effect for what "
        "would matter."
    )
    cost = (
        f"Cost: wall-clock, one trial after the other on {found.device_type}, of the seeds that "
        "any row of the table is missing, as earlier seeds took; a stage that trials of a seed "
        "share counts once. Unknown: a row was never run."
    )
    return seeds, basis, cost
