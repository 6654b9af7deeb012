"""The cells that claims are about: of printed tables, and of recipes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec import files
from s2hand_platform.spec.faults import Section
from s2hand_platform.spec.loader import load_table
from s2hand_platform.spec.published import PublishedCell, PublishedTable, load_published


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimCell:
    """A cell of a table: printed, or one that a recipe measures, or both."""

    table: str
    row: str
    column: str
    unit: str
    direction: Literal["lower", "higher"]
    """Where better values lie."""
    printed: PublishedCell | None
    why_never_run: str = ""
    """Why no training here fills it; empty where a recipe does."""

    def __str__(self) -> str:
        return f"{self.table}.{self.row}.{self.column}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """What can be named of a table."""

    columns: Mapping[str, str]
    """Label → metric."""
    run: frozenset[str]
    """Rows of the recipe; none where there is no recipe."""
    printed: PublishedTable | None

    @property
    def rows(self) -> list[str]:
        return sorted(self.run | {row.id for row in (self.printed.rows if self.printed else ())})

    def why_never_run(self, row: str) -> str:
        if row in self.run:
            return ""
        printed = self.printed.row(row) if self.printed else None
        if printed is not None and printed.quoted:
            return "quoted by the paper from another publication"
        return "has no recipe"


class ClaimCells:
    """Finds cells by ``table.row.column``; every table is read once."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._tables: dict[str, _Table | None] = {}

    @property
    def known_tables(self) -> list[str]:
        """The tables that can be named: those with a recipe, and those that are printed."""
        return sorted({*files.names("tables"), *files.names("published")})

    def find(self, address: str, section: Section, key: str) -> ClaimCell | None:
        """Find a cell.

        Args:
            address: ``table4.quaternion.mpvpe_cm``.
            section: notes the fault of an address that leads nowhere; the cell is None then.
            key: where the address stands in the section.
        """
        where, words = section.place(key), address.split(".", 2)
        if len(words) < 3:
            section.faults.add(
                where,
                f"must be 'table.row.column', or 'table.row' where columns are named, "
                f"got '{address}'",
            )
            return None
        name, row, column = words
        if name not in self._tables:
            self._tables[name] = self._read(name, section, where)
        table = self._tables[name]
        if table is None:
            return None
        if row not in table.rows:
            section.faults.add_unknown(where, f"row of {name}", row, table.rows)
        if column not in table.columns:
            section.faults.add_unknown(where, f"column of {name}", column, table.columns)
        if row not in table.rows or column not in table.columns:
            return None
        return self._cell(table, words, section, where)

    def _cell(
        self, table: _Table, words: list[str], section: Section, where: str
    ) -> ClaimCell | None:
        name, row, column = words
        printed = table.printed.cell(row, column) if table.printed else None
        if printed is None and row not in table.run:
            section.faults.add(
                where,
                f"the paper prints nothing in '{name}.{row}.{column}', and no recipe measures it; "
                "name another cell",
            )
            return None
        metric = table.columns[column].partition("/")[2]
        info = self._experiment.metrics.get(metric)
        if info is None:
            section.faults.add_unknown(where, "metric", metric, self._experiment.metrics)
            return None
        return ClaimCell(
            table=name,
            row=row,
            column=column,
            unit=info.unit,
            direction=info.direction,
            printed=printed,
            why_never_run=table.why_never_run(row),
        )

    def _read(self, name: str, section: Section, where: str) -> _Table | None:
        """Read a table's recipe, or else the printed table; None, with its faults, if neither."""
        if name not in self.known_tables:
            section.faults.add_unknown(where, "table", name, self.known_tables)
            return None
        try:
            if name not in files.names("tables"):
                printed = load_published(files.find(name, "published"))
                columns = {column.label: column.metric for column in printed.columns}
                return _Table(columns=columns, run=frozenset(), printed=printed)
            spec = load_table(name, self._experiment)
        except SpecError as error:
            for fault in error.faults:
                section.faults.add(where, fault)
            return None
        return _Table(
            columns={column.label: column.metric for column in spec.columns},
            run=frozenset(row.id for row in spec.rows),
            printed=spec.published,
        )
