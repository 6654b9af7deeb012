"""The ledger of claims: what a paper's text says of its tables, as checks over cells."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec import files
from s2hand_platform.spec.checks import check_known, check_once
from s2hand_platform.spec.claim_cells import ClaimCells
from s2hand_platform.spec.claim_checks import Part, read_checks
from s2hand_platform.spec.faults import Faults, Section

MAX_QUOTED_WORDS = 8

_KEYS = ("id", "section", "table", "sentence", "quote", "says", "checks", "not_checkable")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimSpec:
    """A sentence of the paper, or a part of one, that its tables can confirm or deny."""

    id: str
    section: str
    """Where it stands: ``4.5.1``."""
    table: str
    """The table or figure that it is about; empty for none."""
    sentence: str
    """Where in the section: ``paragraph 2, sentence 3``."""
    says: str
    """What is claimed, in words of ours."""
    quote: str = ""
    """The paper's own words, at most eight, where the wording itself is what is checked."""
    readings: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    """Reading → all that must be true for it; one reading, ``""``, where the text leaves none
    open. None for what cannot be checked."""
    not_checkable: str = ""
    """Why no cell can confirm or deny it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerSpec:
    """All claims, in the order of the paper."""

    claims: tuple[ClaimSpec, ...]
    notes: tuple[str, ...] = ()
    """What is odd in the text without being a claim."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables whose cells are asked for."""
        cells = (
            cell.table
            for claim in self.claims
            for parts in claim.readings.values()
            for part in parts
            for cell in (part.row, part.baseline)
        )
        return tuple(sorted(set(cells)))


def load_claims(experiment: Experiment) -> LedgerSpec:
    """Read and check ``claims.toml``: the user's own in ``./sweeps``, or else the project's.

    Args:
        experiment: knows which recipes can be, and where better values of a metric lie.

    Raises:
        SpecError: with all faults of the file.
    """
    path = files.find_claims()
    root = Section(files.read(path), "", Faults(path.name))
    root.check_keys(("claims", "notes"))
    cells = ClaimCells(experiment)
    claims = tuple(_claim(section, cells) for section in root.sections("claims", required=True))
    ledger = LedgerSpec(claims=claims, notes=root.texts("notes"))
    check_once(root, "claims", "id", [claim.id for claim in claims])
    root.faults.raise_if_any()
    return ledger


def _claim(section: Section, cells: ClaimCells) -> ClaimSpec:
    section.check_keys(_KEYS)
    table, quote = section.text("table", ""), section.text("quote", "")
    check_known(section, "table", "table", [table], cells.known_tables)
    if len(quote.split()) > MAX_QUOTED_WORDS:
        section.faults.add(
            section.place("quote"),
            f"must be at most {MAX_QUOTED_WORDS} words, got {len(quote.split())}; say the rest "
            "in words of your own",
        )
    reason = section.text("not_checkable", "")
    if ("checks" in section.content) == bool(reason):
        section.faults.add(
            section.where,
            "must have either checks, or the reason why it is not_checkable; got "
            f"{'both' if reason else 'neither'}",
        )
    return ClaimSpec(
        id=section.text("id"),
        section=section.text("section"),
        table=table,
        sentence=section.text("sentence"),
        says=section.text("says"),
        quote=quote,
        readings=read_checks(section, cells) if "checks" in section.content else {},
        not_checkable=reason,
    )
