"""What a page lacks, and the command that gets it."""

from collections.abc import Iterator
from dataclasses import dataclass

from s2hand_dashboards.contents import TableContents
from s2hand_dashboards.searches import SearchContents
from s2hand_platform.tables.kept import command_of
from s2hand_platform.tables.parts import TableContrast

_ENOUGH = 3
"""Seeds that a command asks for where one says nothing about the spread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """Something that is not there."""

    what: str
    command: str


def missing_of_table(contents: TableContents) -> Iterator[Missing]:
    """Yield what the store lacks for a table's page."""
    plan = contents.plan
    measured = [row for row in contents.measured_rows if row.trial_ids]
    if not measured:
        yield Missing(
            what="Nothing of this table is measured yet" + _elsewhere(contents) + ".",
            command=command_of(plan),
        )
        return
    empty = [row.label for row in contents.measured_rows if not row.trial_ids]
    if empty:
        yield Missing(
            what=f"Not measured{_elsewhere(contents)}: {', '.join(empty)}.",
            command=command_of(plan),
        )
    single = [row.label for row in measured if len(row.trial_ids) == 1]
    if single:
        yield Missing(
            what="One seed says nothing about the spread, so there is no interval and no verdict: "
            f"{', '.join(single)}.",
            command=command_of(plan, seeds=_ENOUGH),
        )
    without = [row for row in measured if row.id in contents.without_curves]
    if without:
        labels = ", ".join(row.label for row in without)
        yield Missing(
            what=f"No curves over thresholds (PCK) are stored of: {labels}. The program that "
            "evaluated them kept none; this evaluates again, and trains nothing that is there.",
            command=command_of(plan, seeds=1 + max(max(row.trial_ids) for row in without)),
        )
    apart = [each for each in contents.table.contrasts if _has_no_common_seed(each, contents)]
    if apart:
        names = dict.fromkeys(f"{each.row} and {each.baseline}" for each in apart)
        seeds = 1 + max(seed for row in measured for seed in row.trial_ids)
        yield Missing(
            what=f"No seed is measured in both rows of a contrast: {'; '.join(names)}.",
            command=command_of(plan, seeds=seeds),
        )


def missing_of_search(contents: SearchContents) -> Iterator[Missing]:
    """Yield what the store lacks for a search's page."""
    if all(point.value is None for point in contents.points):
        yield Missing(
            what="No trial of this search has a value yet.", command=command_of(contents.plan)
        )


def _elsewhere(contents: TableContents) -> str:
    """Point to the notes where the store has results that do not count here."""
    told = ("another evaluator", "other code, data")
    has = any(words in note for note in contents.table.footnotes for words in told)
    return " as it is planned (the notes name results of another evaluator or code)" if has else ""


def _has_no_common_seed(contrast: TableContrast, contents: TableContents) -> bool:
    cells = {row.id: row.cells[contrast.column].values for row in contents.measured_rows}
    both_measured = bool(cells[contrast.row]) and bool(cells[contrast.baseline])
    return both_measured and contrast.difference is None
