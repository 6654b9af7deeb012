"""What else is judged of a table: the paper's sentences about it, and seeds that would decide."""

from dataclasses import dataclass, replace

from s2hand_platform.claims.ledger import ClaimLedger
from s2hand_platform.claims.measured import measured_tables
from s2hand_platform.claims.verdict import ClaimVerdict
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import default_experiment
from s2hand_platform.planning.cost import hours_by_seeds
from s2hand_platform.spec import files
from s2hand_platform.spec.claims import ClaimSpec, LedgerSpec, load_claims
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.power import TablePower

SEEDS = range(3, 21)
"""The numbers of seeds that are looked at, as ``s2hand power`` does unless told otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableClaims:
    """The claims that cells of a table decide."""

    claims: tuple[ClaimVerdict, ...] = ()
    fault: str = ""
    """Why they cannot be read."""


def read_claims(plan: TablePlan, store: ResultStore) -> TableClaims:
    """Judge the claims about a table as ``s2hand claims`` does, on what the table is of."""
    try:
        # The file is asked before the experiment, which takes seconds to import.
        if plan.name not in str(files.read(files.find_claims())):
            return TableClaims()
        ledger = load_claims(default_experiment())
    except SpecError as error:
        return TableClaims(fault=str(error))
    spec = LedgerSpec(claims=tuple(each for each in ledger.claims if _is_about(each, plan.name)))
    tables = measured_tables(spec.tables, store, label=plan.label, device_type=plan.device_type)
    return TableClaims(claims=ClaimLedger.judge(spec, tables).claims)


def _is_about(claim: ClaimSpec, table: str) -> bool:
    parts = [part for parts in claim.readings.values() for part in parts]
    return any(table in {part.row.table, part.baseline.table} for part in parts)


def read_power(plan: TablePlan, table: MeasuredTable, store: ResultStore) -> TablePower | None:
    """Plan for the paper's effect in what is undecided; None where no spread is known of it."""
    undecided = {
        (each.row, each.baseline, each.expected): len(each.pairs)
        for each in table.contrasts
        if each.decision is not None and each.decision.verdict == "undecided"
    }
    if max(undecided.values(), default=0) < 2:
        return None
    has = {row.id: set(row.trial_ids) for row in table.rows}
    hours = hours_by_seeds(plan, store, has=has, seeds=SEEDS)
    found = TablePower.build(plan, table, effect="published", seeds=SEEDS, hours=hours)
    chosen = [
        each for each in found.contrasts if (each.row, each.baseline, each.expected) in undecided
    ]
    return replace(found, contrasts=tuple(chosen))
