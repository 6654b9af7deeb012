"""Which of the plans in the store is meant, and the command that it stands for."""

import shlex
from collections.abc import Collection, Sequence

from s2hand_platform.errors import SpecError, nearest
from s2hand_platform.spec import files
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import SearchPlan, TablePlan

_BETWEEN = " + "


def joined(data: str | Sequence[str]) -> str:
    """Write what ``--data`` names as one text, whatever its order."""
    return data if isinstance(data, str) else _BETWEEN.join(sorted(set(data)))


def label_of(data: str, scale: str) -> str:
    """Write a plan's label: what is measured on, as ``joined`` writes it, and at which scale."""
    return f"{data} ({scale})"


def stored_plan(
    store: ResultStore,
    name: str,
    *,
    data: str | Sequence[str] | None = None,
    scale: str | None = None,
    device: str | None = None,
) -> TablePlan:
    """Return how a table was planned last.

    Args:
        store: where plans are.
        name: the table's name.
        data: what it was measured on, as it was run; None where that is clear.
        scale: the scale, as it was run; None where that is clear.
        device: where its trials ran; None is the latest.

    Raises:
        SpecError: if it was never planned, or on several kinds of data and none is named.
    """
    known = dict.fromkeys(
        label
        for label, device_type in store.table_labels(name)
        if device in {None, device_type} and is_label_of(label, data, scale)
    )
    if len(known) > 1:
        listed = ", ".join(f"'{label}'" for label in known)
        raise SpecError([f"{name}: was run on {listed}; name one by its data and scale"])
    plan = None
    for label in known:
        plan = store.latest_table_plan(name, label=label, device_type=device)
    if plan is None:
        fault = f"{name}: the store at {store.path} has no plan of it with this data, scale and"
        planned = {each.name for each in store.table_plans()}
        remedy = how_to_plan(name, planned, asked_by(data, scale, device))
        raise SpecError([f"{fault} device; {remedy}"])
    return plan


def how_to_plan(name: str, known: Collection[str], asked: str = "") -> str:
    """Return the command that plans a table, or the nearest name where there is no such table.

    Args:
        name: the table that was asked for.
        known: tables that were planned before.
        asked: further options of the command, each after a space.
    """
    recipes = files.names("tables")
    if name in recipes or name in known:
        return f"make one with: s2hand plan {shlex.quote(name)}{asked}"
    return f"no recipe has this name either; {nearest(name, sorted({*known, *recipes}))}"


def asked_by(data: str | Sequence[str] | None, scale: str | None, device: str | None) -> str:
    """Write what was named as the options of a command, each after a space."""
    options = [
        *(("--data", word) for word in (joined(data).split(_BETWEEN) if data else ())),
        ("--scale", scale),
        ("--device", device),
    ]
    return "".join(f" {option} {shlex.quote(value)}" for option, value in options if value)


def is_label_of(label: str, data: str | Sequence[str] | None, scale: str | None) -> bool:
    """Say whether a plan's label tells of this data and this scale; None fits all."""
    return (not data or label.startswith(f"{joined(data)} (")) and (
        scale is None or label.endswith(f" ({scale})")
    )


def options_of(label: str) -> str:
    """Return the options of a command that a plan's label stands for; "" for one of other form."""
    data, _, scale = label.removesuffix(")").rpartition(" (")
    return asked_by(data, scale, None).lstrip() if data else ""


def command_of(plan: TablePlan | SearchPlan, *, seeds: int | None = None) -> str:
    """Return the command that measures what a plan lacks."""
    kind = "run" if isinstance(plan, TablePlan) else "sweep"
    parts = (
        f"s2hand {kind} {shlex.quote(plan.name)}",
        options_of(plan.label),
        f"--device {plan.device_type}",
        f"--seeds {seeds}" if seeds else "",
    )
    return " ".join(filter(None, parts))
