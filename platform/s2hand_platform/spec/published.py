"""The paper's printed cells: values with their printed precision."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedCell:
    """A printed number; what was measured lies within half a unit of its last decimal."""

    value: float
    decimals: int

    @classmethod
    def parse(cls, text: str) -> "PublishedCell":
        """Read a printed number, keeping its decimals: ``1.10`` has two.

        Raises:
            ValueError: if ``text`` is not a plain decimal number.
        """
        if not text.replace(".", "", 1).removeprefix("-").isdigit():
            raise ValueError(f"expected a printed number such as '1.10', got {text!r}")
        return cls(value=float(text), decimals=len(text.partition(".")[2]))

    @property
    def half_width(self) -> float:
        """Half a unit of the last printed decimal."""
        return float(Decimal(5).scaleb(-self.decimals - 1))

    def __str__(self) -> str:
        return f"{self.value:.{self.decimals}f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedColumn:
    """A printed column and what it means here."""

    label: str
    metric: str
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """A printed row."""

    id: str
    label: str
    dataset: str
    quoted: bool
    """Taken by the paper from another publication: never run here."""
    cells: Mapping[str, PublishedCell]
    """Column label → cell; a column that was not reported is absent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedTable:
    """A printed table."""

    name: str
    title: str
    dataset: str
    direction: str
    """What the paper's text concludes."""
    columns: tuple[PublishedColumn, ...]
    rows: tuple[PublishedRow, ...]

    def cell(self, row: str, column: str) -> PublishedCell | None:
        """Return the printed cell, or None where the paper has none."""
        for candidate in self.rows:
            if candidate.id == row:
                return candidate.cells.get(column)
        return None
