"""Declared contrasts: paired differences, and what the table as a whole may claim of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from s2hand_platform.spec.published import PrintedDifference
from s2hand_platform.spec.schema import ContrastSpec, Look
from s2hand_platform.statistics.intervals import (
    MeanInterval,
    mean_interval,
    paired_differences,
)
from s2hand_platform.statistics.power import seeds_to_decide
from s2hand_platform.statistics.sequential import judge_at_looks
from s2hand_platform.statistics.significance import ALPHA, by_symmetry
from s2hand_platform.statistics.verdicts import Decision, judge_contrasts
from s2hand_platform.tables.parts import TableCell, TableColumn, TableContrast, TableRow


def contrasts(
    specs: Collection[ContrastSpec],
    rows: Collection[TableRow],
    columns: Collection[TableColumn],
    looks: Sequence[Look] = (),
) -> tuple[TableContrast, ...]:
    """Return every declared contrast, column by column; those of the primary one are decided.

    Args:
        specs: what the paper says.
        rows: of the table.
        columns: of the table.
        looks: the numbers of seeds at which the table is judged; without them it is judged once,
            with all seeds there are.
    """
    measured = {row.id: row for row in rows if row.kind == "measured"}
    found = [
        _contrast(spec, column.label, measured[spec.row].cells, measured[spec.baseline].cells)
        for spec in specs
        for column in columns
        if column.label in spec.columns
    ]
    for column in columns:
        if column.is_primary:
            of_family = [place for place, each in enumerate(found) if each.column == column.label]
            family = [found[place] for place in of_family]
            decisions = (
                _at_looks(family, column, measured, looks) if looks else _at_once(family, column)
            )
            decided = _decided(family, decisions)
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


def _at_once(family: Sequence[TableContrast], column: TableColumn) -> list[Decision]:
    return judge_contrasts(
        [contrast.difference for contrast in family],
        [contrast.expected for contrast in family],
        column.direction,
        tolerance=column.tolerance,
    )


def _at_looks(
    family: Sequence[TableContrast],
    column: TableColumn,
    rows: Mapping[str, TableRow],
    looks: Sequence[Look],
) -> list[Decision]:
    decisions = []
    for contrast in family:
        failed = {*rows[contrast.row].failed, *rows[contrast.baseline].failed}
        decisions.append(
            judge_at_looks(
                list(_taken(contrast.pairs, failed, looks)),
                contrast.difference,
                contrast.expected,
                column.direction,
                last=looks[-1],
                tolerance=column.tolerance,
            )
        )
    return decisions


def _taken(
    pairs: Mapping[int, float], failed: Collection[int], looks: Sequence[Look]
) -> Iterator[tuple[Look, MeanInterval | None]]:
    """Yield the looks at which every seed has both rows, or failed: none is taken half-way."""
    for look in looks:
        if not all(seed in pairs or seed in failed for seed in range(look.seeds)):
            return
        values = [value for seed, value in pairs.items() if seed < look.seeds]
        yield look, mean_interval(values) if values else None


def _decided(family: Sequence[TableContrast], decisions: Sequence[Decision]) -> list[TableContrast]:
    decided = []
    for contrast, decision in zip(family, decisions, strict=True):
        seeds = None
        if decision.verdict == "undecided" and contrast.difference is not None:
            # The hardest step of Holm's procedure; an easier one needs fewer.
            seeds = seeds_to_decide(contrast.difference, alpha=ALPHA / len(family))
        decided.append(replace(contrast, decision=decision, seeds_to_decide=seeds))
    return decided
