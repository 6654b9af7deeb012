"""The paper's printed cells: values with their printed precision."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from s2hand_platform.spec import files
from s2hand_platform.spec.faults import Faults, Section


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedCell:
    """A printed number; what was measured lies within half a unit of its last decimal."""

    value: float
    decimals: int

    def __post_init__(self) -> None:
        """Check that the number can have been printed.

        Raises:
            ValueError: if its decimals are no count.
        """
        if self.decimals < 0:
            raise ValueError(f"the decimals of a printed number are a count, got {self.decimals}")

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

    def minus(self, other: "PublishedCell") -> "PrintedDifference":
        """Return the difference to another printed number, with what the rounding leaves open."""
        value = Decimal(str(self)) - Decimal(str(other))
        open_by = sum(Decimal(5).scaleb(-cell.decimals - 1) for cell in (self, other))
        return PrintedDifference(
            value=float(value), low=float(value - open_by), high=float(value + open_by)
        )

    def __str__(self) -> str:
        return f"{self.value:.{self.decimals}f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PrintedDifference:
    """The difference of two printed numbers; what was measured lies in ``low`` to ``high``."""

    value: float
    low: float
    high: float

    @property
    def is_decided(self) -> bool:
        """Whether the printed digits tell which number was larger: zero at an end does not."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedColumn:
    """A printed column and what it means here."""

    label: str
    metric: str
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PrintedOn:
    """The release of a dataset that the paper measured on."""

    dataset: str
    version: str

    def __str__(self) -> str:
        return f"{self.dataset} {self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRow:
    """A printed row."""

    id: str
    label: str
    measured_on: PrintedOn
    quoted: bool
    """Taken by the paper from another publication: never run here."""
    cells: Mapping[str, PublishedCell]
    """Column label → cell; a column that was not reported is absent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedTable:
    """A printed table."""

    name: str
    title: str
    measured_on: PrintedOn
    """What rows are measured on that do not name something else."""
    direction: str
    """What the paper's text concludes."""
    columns: tuple[PublishedColumn, ...]
    rows: tuple[PublishedRow, ...]

    def row(self, row_id: str) -> PublishedRow | None:
        """Return a printed row, or None where the paper has none of this id."""
        return next((row for row in self.rows if row.id == row_id), None)

    def cell(self, row: str, column: str) -> PublishedCell | None:
        """Return the printed cell, or None where the paper has none."""
        printed = self.row(row)
        return printed.cells.get(column) if printed else None


def load_published(path: Path) -> PublishedTable:
    """Read a printed table.

    Raises:
        SpecError: with all faults of the file.
    """
    faults = Faults(f"published/{path.name}")
    root = Section(files.read(path), "", faults)
    root.check_keys(("title", "dataset", "version", "direction", "columns", "rows"))
    columns = []
    for section in root.sections("columns", required=True):
        section.check_keys(("label", "metric", "unit"))
        columns.append(
            PublishedColumn(
                label=section.text("label"),
                metric=section.text("metric"),
                unit=section.text("unit"),
            )
        )
    measured_on = PrintedOn(dataset=root.text("dataset"), version=root.text("version"))
    table = PublishedTable(
        name=path.stem,
        title=root.text("title"),
        measured_on=measured_on,
        direction=root.text("direction", ""),
        columns=tuple(columns),
        rows=tuple(_row(section, columns, measured_on) for section in root.sections("rows")),
    )
    ids = [row.id for row in table.rows]
    for doubled in sorted({name for name in ids if ids.count(name) > 1}):
        faults.add("rows", f"the id '{doubled}' stands {ids.count(doubled)} times, must be once")
    faults.raise_if_any()
    return table


def _row(section: Section, columns: list[PublishedColumn], table: PrintedOn) -> PublishedRow:
    section.check_keys(("id", "label", "dataset", "version", "quoted", "cells"))
    texts = section.texts("cells")
    if len(texts) != len(columns):
        section.faults.add(
            section.place("cells"),
            f"must be one per column ({len(columns)}), '' where nothing is printed; "
            f"got {len(texts)}",
        )
    cells = {}
    for column, text in zip(columns, texts, strict=False):
        if text:
            try:
                cells[column.label] = PublishedCell.parse(text)
            except ValueError as error:
                section.faults.add(section.place("cells"), str(error))
    return PublishedRow(
        id=section.text("id"),
        label=section.text("label"),
        measured_on=PrintedOn(
            dataset=section.text("dataset", table.dataset),
            version=section.text("version", table.version),
        ),
        quoted=section.flag("quoted", default=False),
        cells=cells,
    )
