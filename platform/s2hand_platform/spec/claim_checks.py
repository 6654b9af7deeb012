"""What a claim says of cells: differences, ratios, orders, the best of several, within."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from s2hand_platform.spec.claim_cells import ClaimCell, ClaimCells
from s2hand_platform.spec.faults import Section
from s2hand_platform.spec.published import PublishedCell
from s2hand_platform.spec.rounding import Span

Quantity = Literal["gain", "difference", "percent"]
"""What is made of two cells. ``gain``: by how much the row is better, in the cells' unit.
``difference``: row minus baseline. ``percent``: by how much the row is better, of the baseline."""

_COMMON = ("kind", "columns", "reading")
_STATED = ("is", "below", "above")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "difference": (*_COMMON, "row", "baseline", *_STATED),
    "ratio": (*_COMMON, "row", "baseline", *_STATED),
    "order": (*_COMMON, "rows"),
    "best": (*_COMMON, "row", "of"),
    "within": (*_COMMON, "row", "baseline", "by"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """The values of a quantity of which a claim is true; None is no bound."""

    text: str
    """In words: ``19.5``, ``below 1``, ``better``."""
    low: Decimal | None = None
    high: Decimal | None = None
    is_stated: bool = False
    """Whether the claim states one number, whose rounding the region is."""

    @property
    def is_point(self) -> bool:
        """Whether both cells are said to be one number."""
        return self.low is not None and self.low == self.high

    @property
    def names_a_number(self) -> bool:
        """Whether the claim depends on a scale, as a mere order does not."""
        return bool(self.low or self.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One comparison of two cells: all of a claim's must be true."""

    quantity: Quantity
    row: ClaimCell
    baseline: ClaimCell
    region: Region

    @property
    def unit(self) -> str:
        """Of the quantity; empty for pure numbers."""
        if self.quantity == "percent":
            return "%"
        return "" if self.row.unit == "1" else self.row.unit


def read_checks(claim: Section, cells: ClaimCells) -> dict[str, tuple[Part, ...]]:
    """Read a claim's checks.

    Returns:
        Reading → what must be true for it. A claim that can be read in one way has one, ``""``.
    """
    readings: dict[str, list[Part]] = {}
    for section in claim.sections("checks", required=True):
        kind = section.choice("kind", _KEYS)
        if kind not in _KEYS:
            continue
        section.check_keys(_KEYS[kind])
        readings.setdefault(section.text("reading", ""), []).extend(_parts(kind, section, cells))
    if len(readings) > 1 and "" in readings:
        claim.faults.add(
            claim.place("checks"), "must have a reading each, or none; some have, some have not"
        )
    return {reading: tuple(parts) for reading, parts in readings.items()}


def _parts(kind: str, section: Section, cells: ClaimCells) -> Iterator[Part]:
    quantity, region = _asked(kind, section)
    for key, row, baseline in _pairs(kind, section):
        for column in section.texts("columns") or ("",):
            suffix = f".{column}" if column else ""
            of_row = cells.find(f"{row}{suffix}", section, key)
            of_baseline = cells.find(f"{baseline}{suffix}", section, key)
            if of_row is None or of_baseline is None:
                continue
            if (of_row.unit, of_row.direction) != (of_baseline.unit, of_baseline.direction):
                section.faults.add(
                    section.place(key),
                    f"must compare like with like, got '{of_row}' in {of_row.unit} "
                    f"({of_row.direction} is better) and '{of_baseline}' in {of_baseline.unit} "
                    f"({of_baseline.direction} is better)",
                )
            elif region is not None:
                yield Part(quantity=quantity, row=of_row, baseline=of_baseline, region=region)


def _pairs(kind: str, section: Section) -> list[tuple[str, str, str]]:
    """Return the key that names them, row and baseline of every pair that is compared."""
    if kind == "order":
        _at_least(section, "rows", 2)
        return [("rows", better, worse) for better, worse in pairwise(section.texts("rows"))]
    if kind == "best":
        _at_least(section, "of", 1)
        return [("of", section.text("row"), other) for other in section.texts("of")]
    return [("row", section.text("row"), section.text("baseline"))]


def _at_least(section: Section, key: str, count: int) -> None:
    found = len(section.texts(key))
    if found < count:
        section.faults.add(section.place(key), f"must name at least {count}, got {found}")


def _asked(kind: str, section: Section) -> tuple[Quantity, Region | None]:
    match kind:
        case "order" | "best":
            return "gain", Region(text="better", low=Decimal(0))
        case "within":
            return "difference", _within(section)
        case "ratio":
            return "percent", _stated(section)
        case _:
            return "difference", _stated(section)


def _within(section: Section) -> Region | None:
    text = _number(section, "by")
    by = Decimal(text or 0)
    if by < 0:
        section.faults.add(section.place("by"), f"must be at least 0, got {text}")
    return Region(text=f"within {text}" if by else "the same", low=-by, high=by) if text else None


def _stated(section: Section) -> Region | None:
    """Read ``is``, of which the region is the rounding, ``below`` or ``above``."""
    given = [key for key in _STATED if key in section.content]
    if len(given) != 1:
        section.faults.add(
            section.where, f"must have one of {_listed(_STATED)}, got {_listed(given) or 'none'}"
        )
        return None
    (key,) = given
    text = _number(section, key)
    if not text:
        return None
    if key == "is":
        rounding = Span.of(text)
        return Region(text=text, low=rounding.low, high=rounding.high, is_stated=True)
    if key == "below":
        return Region(text=f"below {text}", high=Decimal(text))
    return Region(text=f"above {text}", low=Decimal(text))


def _number(section: Section, key: str) -> str:
    """Read a printed number; empty where there is none."""
    text = section.text(key)
    try:
        if text:
            PublishedCell.parse(text)
    except ValueError as error:
        section.faults.add(section.place(key), str(error))
        return ""
    return text


def _listed(words: Collection[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)
