"""What more seeds of a table would decide, and cost: from the store alone."""

from collections.abc import Collection, Sequence
from typing import Literal

from s2hand_platform.devices import DeviceType
from s2hand_platform.errors import SpecError
from s2hand_platform.planning.cost import hours_by_seeds
from s2hand_platform.statistics.power import MAX_SEEDS
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.kept import command_of, stored_plan
from s2hand_platform.tables.power import TablePower
from s2hand_platform.workspace import Workspace

_USEFUL_SEEDS = 3


def table_power(
    workspace: Workspace,
    name: str,
    *,
    effect: float | Literal["published"],
    seeds: Collection[int],
    data: str | Sequence[str] | None = None,
    scale: str | None = None,
    device: DeviceType | None = None,
) -> TablePower:
    """Say which of a table's contrasts how many seeds would decide.

    Args:
        workspace: whose store.
        name: the table's name.
        effect: to plan for, in the primary column's unit, or what the paper printed.
        seeds: numbers of seeds to look at, rising.
        data: what it was measured on, as it was run; None where that is clear.
        scale: the scale, as it was run; None where that is clear.
        device: where its trials ran; None is the latest.

    Raises:
        SpecError: if the table was never planned, declares no contrasts, or no contrast has two
            pairs, by which the spread would be known; or for an effect of zero, or numbers of
            seeds outside 2 to 1000.
    """
    if effect == 0:
        raise SpecError(["effect: must not be zero, which no number of seeds finds"])
    if min(seeds, default=0) < 2 or max(seeds) > MAX_SEEDS:
        raise SpecError([f"seeds: must be a range within 2..{MAX_SEEDS}, such as 3..20"])
    store = ResultStore(workspace.store_dir)
    plan = stored_plan(store, name, data=data, scale=scale, device=device)
    measured = MeasuredTable.build(plan, store)
    found = [each for each in measured.contrasts if each.column == plan.primary_column]
    if not found:
        raise SpecError([f"{name}: declares no contrasts, so there is nothing to decide"])
    if not any(len(contrast.pairs) > 1 for contrast in found):
        fault = f"{name}: no contrast has two seeds, by which the spread of pairs is known"
        raise SpecError([f"{fault}; get them with: {command_of(plan, seeds=_USEFUL_SEEDS)}"])
    has = {row.id: set(row.trial_ids) for row in measured.rows}
    hours = hours_by_seeds(plan, store, has=has, seeds=seeds)
    return TablePower.build(plan, measured, effect=effect, seeds=seeds, hours=hours)
