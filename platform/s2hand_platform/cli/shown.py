"""What commands print; imported by a command when it is run."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from s2hand_platform.planning.plan import Plan, PlannedLook
from s2hand_platform.runs.searches import SearchTrial
from s2hand_platform.spec.schema import SweepSpec, short

_WIDTH_WITHOUT_TERMINAL = 120


def wide_console() -> Console:
    """Write as wide as the terminal; where there is none, wide enough for a table."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH_WITHOUT_TERMINAL)


def print_plan(planned: Plan) -> None:
    """Print rows with their trials, and what is to run because of what."""
    table = Table("table", "row", "trials", "reused", "to run because")
    for row in planned.rows:
        reasons = Counter(each.reason for each in row.trials.values() if each.status != "cached")
        because = "\n".join(f"{count} × {reason}" for reason, count in reasons.items())
        table.add_row(
            row.table, escape(row.label), str(len(row.trials)), str(row.cached), escape(because)
        )
    console = wide_console()
    console.print(table)
    hours = planned.estimated_hours
    cost = "unknown, as one was never run" if hours is None else f"{hours:.2f} h one by one"
    again = sum(trial.status == "evaluate" for trial in planned.trials)
    only = f" ({again} of them only evaluated again)" if again else ""
    console.print(
        f"{len(planned.trials)} distinct trials, {len(planned.to_run)} to run{only}; cost: {cost}",
        highlight=False,
    )
    for sentence in planned.left_out:
        console.print(escape(sentence), highlight=False)
    if planned.looks:
        _print_looks(console, planned.looks)


def _print_looks(console: Console, looks: Sequence[PlannedLook]) -> None:
    table = Table("look at", "level", "to run until then", "cost until then")
    for look in looks:
        hours = look.estimated_hours
        cost = "unknown" if hours is None else f"{hours:.2f} h"
        table.add_row(f"{look.seeds} seeds", f"{look.level:.2g}", str(look.num_to_run), cost)
    console.print(table)
    console.print("It stops after the first of these looks that leaves no contrast open.")


def print_search(spec: SweepSpec, ranked: Sequence[SearchTrial]) -> None:
    """Print the trials of a search, best first."""
    table = Table("trial", *spec.axes.values(), spec.metric, "status", "remarks", title=spec.title)
    table.caption, table.caption_justify = Text("\n".join(spec.notes), style="dim"), "left"
    for trial in ranked:
        values = [short(trial.point[path]) for path in spec.space]
        value = "–" if trial.value is None else short(trial.value)
        remarks = "; ".join(f"{subject}: {text}" for subject, text in trial.notes.items())
        status = trial.status.replace("_", " ")
        table.add_row(trial.trial_id[:12], *values, value, status, escape(remarks))
    wide_console().print(table)


def search_json(ranked: Sequence[SearchTrial]) -> list[dict[str, Any]]:
    """Return the trials of a search as plain data."""
    return [{**asdict(trial), "point": dict(trial.point)} for trial in ranked]
