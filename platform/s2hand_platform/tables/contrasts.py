"""Declared contrasts: paired differences, and what the table as a whole may claim of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from s2hand_platform.spec.published import PrintedDifference
from s2hand_platform.spec.schema import ContrastSpec
from s2hand_platform.statistics.intervals import mean_interval, paired_differences
from s2hand_platform.statistics.power import seeds_to_decide
from s2hand_platform.statistics.significance import ALPHA, by_symmetry
from s2hand_platform.statistics.verdicts import judge_contrasts
from s2hand_platform.tables.parts import TableCell, TableColumn, TableContrast, TableRow


def contrasts(
    specs: Collection[ContrastSpec], rows: Collection[TableRow], columns: Collection[TableColumn]
) -> tuple[TableContrast, ...]:
    """Return every declared contrast, column by column; those of the primary one are decided."""
    cells = {row.id: row.cells for row in rows if row.kind == "measured"}
    found = [
        _contrast(spec, column.label, cells[spec.row], cells[spec.baseline])
        for spec in specs
        for column in columns
        if column.label in spec.columns
    ]
    for column in columns:
        if column.is_primary:
            of_family = [place for place, each in enumerate(found) if each.column == column.label]
            decided = _decided([found[place] for place in of_family], column)
            for place, contrast in zip(of_family, decided, strict=True):
                found[place] = contrast
    return tuple(found)


def _contrast(
    spec: ContrastSpec,
    column: str,
    row: Mapping[str, TableCell],
    baseline: Mapping[str, TableCell],
) -> TableContrast:
    pairs = paired_differences(row[column].planned_values, baseline[column].planned_values)
    differences = list(pairs.values())
    return TableContrast(
        row=spec.row,
        baseline=spec.baseline,
        expected=spec.expected,
        column=column,
        pairs=pairs,
        difference=mean_interval(differences) if pairs else None,
        printed=_printed(row[column], baseline[column]),
        by_symmetry=by_symmetry(differences),
    )


def _printed(row: TableCell, baseline: TableCell) -> PrintedDifference | None:
    if row.published is None or baseline.published is None:
        return None
    return row.published.minus(baseline.published)


def _decided(family: Sequence[TableContrast], column: TableColumn) -> list[TableContrast]:
    decisions = judge_contrasts(
        [contrast.difference for contrast in family],
        [contrast.expected for contrast in family],
        column.direction,
        tolerance=column.tolerance,
    )
    decided = []
    for contrast, decision in zip(family, decisions, strict=True):
        seeds = None
        if decision.verdict == "undecided" and contrast.difference is not None:
            # The hardest step of Holm's procedure; an easier one needs fewer.
            seeds = seeds_to_decide(contrast.difference, alpha=ALPHA / len(family))
        decided.append(replace(contrast, decision=decision, seeds_to_decide=seeds))
    return decided
