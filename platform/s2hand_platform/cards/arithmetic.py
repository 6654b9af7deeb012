"""How a cell's interval and verdicts follow from its values, in sentences with the numbers."""

import math
from collections.abc import Iterator

from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.statistics.intervals import (
    MeanInterval,
    mean_interval,
    prediction_half_width,
)
from s2hand_platform.tables.parts import TableCell, TableColumn, TableContrast


def about_interval(interval: MeanInterval, unit: str) -> Iterator[str]:
    """Say how the interval follows from the values."""
    of = "" if unit == "1" else f" {unit}"
    yield f"mean of {interval.n} {_seeds(interval.n)}: {_n(interval.mean)}{of}"
    if interval.sd is None or interval.half_width is None:
        yield "one seed says nothing about the spread: no interval"
    elif interval.sd == 0:
        yield "all seeds agree: the interval has no width"
    else:
        root = math.sqrt(interval.n)
        yield (
            f"half of the 95 % interval: t({interval.n - 1}) × deviation / √n = "
            f"{_n(interval.half_width * root / interval.sd)} × {_n(interval.sd)} / √{interval.n} = "
            f"{_n(interval.half_width)}{of}"
        )


def about_verdict(cell: TableCell, column: TableColumn, why_not_comparable: str) -> Iterator[str]:
    """Say how the cell's verdict on the printed number follows."""
    if cell.interval is None:
        return
    if cell.of_other_code:
        yield "not judged: values are of other code, data or evaluation than planned"
    elif cell.published is None or why_not_comparable:
        why = why_not_comparable or "the paper prints nothing here"
        yield f"not judged against the paper: {why}"
    elif cell.interval.n > 1:
        yield from _against(cell, cell.interval, cell.published, column.tolerance)


def _against(
    cell: TableCell, interval: MeanInterval, printed: PublishedCell, tolerance: float
) -> Iterator[str]:
    away = abs(interval.mean - printed.value)
    half = mean_interval(list(cell.values.values()), 0.90).half_width or 0.0
    allowed = printed.half_width + tolerance
    yield (
        f"|mean − printed| + half of the 90 % interval = {_n(away)} + {_n(half)} = "
        f"{_n(away + half)}, rounding + tolerance = {_n(printed.half_width)} + {_n(tolerance)} = "
        f"{_n(allowed)}: "
        + ("equal within that" if away + half <= allowed else "not shown to be equal")
    )
    if cell.verdict != "reproduced":
        further = prediction_half_width(interval) or 0.0
        reach = further + printed.half_width
        yield (
            f"one more run lies within ± {_n(further)} of the mean (95 %); with the rounding "
            f"± {_n(reach)}: the printed number, {_n(away)} away, "
            + ("could be one" if away <= reach else "is none")
        )
    yield f"so the cell is: {cell.verdict}"


def about_contrast(contrast: TableContrast, num_declared: int, primary: str) -> str:
    """Say in a line what a declared contrast of the row says in the column.

    Args:
        contrast: in this column.
        num_declared: contrasts that the table declares: the family.
        primary: label of the column that decides.
    """
    what = f"{contrast.row} − {contrast.baseline} (the paper: {contrast.row} {contrast.expected})"
    difference = contrast.difference
    if difference is None:
        return f"{what}: no seed has both"
    pairs = ", ".join(f"seed {seed} {value:+.4g}" for seed, value in contrast.pairs.items())
    text = f"{what}: {difference.mean:+.4g}"
    if difference.half_width is not None:
        text += f" ± {_n(difference.half_width)}"
    text += f" over {difference.n} {_seeds(difference.n)} ({pairs})"
    decision = contrast.decision
    if decision is None:
        return f"{text}; no verdict, which '{primary}' gives"
    if decision.look is not None and decision.p is not None:
        look = decision.look
        text += f"; at the look at {look.seeds} seeds p = {_n(decision.p)}, level {_n(look.level)}"
    elif difference.sd and decision.p is not None and decision.p_adjusted is not None:
        t = difference.mean / (difference.sd / math.sqrt(difference.n))
        text += (
            f"; t({difference.n - 1}) = {t:+.4g}, p = {_n(decision.p)}, by Holm's procedure over "
            f"{num_declared} contrasts {_n(decision.p_adjusted)}"
        )
    if decision.p_equivalence is not None:
        text += f"; smaller than the tolerance: p = {_n(decision.p_equivalence)}"
    return f"{text}: {decision}"


def _n(value: float) -> str:
    return f"{value:.4g}"


def _seeds(count: int) -> str:
    return "seed" if count == 1 else "seeds"
