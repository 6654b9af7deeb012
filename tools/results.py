"""Writes the measured parts of README and docs from ``results/``, a committed export of a store.

``python -m tools.results export [WORKSPACE]`` copies the tables of ``TABLES`` that a workspace's
store has to ``results/``, whose others stay; ``python -m tools.results`` writes what stands between
the marks ``<!-- measured: NAME -->`` and ``<!-- end of NAME -->`` anew, and the page of one table.
A test compares.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from s2hand_dashboards.reporting import report_plan
from s2hand_platform.runs.claims import check_claims
from s2hand_platform.statistics.intervals import MeanInterval
from s2hand_platform.store.export import export_table
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.tables.layout import format_interval
from s2hand_platform.tables.parts import TableContrast, TableRow
from s2hand_platform.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
"""A workspace with a store alone: `s2hand table table4 --workspace results` shows it too."""
TABLES = {
    "table3": ("table3", "synthetic (demo)"),
    "table4": ("table4", "synthetic (demo)"),
    "table5": ("table5", "synthetic (demo)"),
    "table7": ("table7", "synthetic (demo)"),
    "figure6": ("figure6", "synthetic (compact)"),
    "table9": ("table9", "synthetic (compact)"),
    "table3-small": ("table3", "synthetic (small)"),
    "table4-small": ("table4", "synthetic (small)"),
    "figure6-small": ("figure6", "synthetic (small)"),
}
"""Name of a mark → its table, and the label that it was run under."""
DOCUMENTS = ("README.md", "docs/results.md", "docs/claims.md")
PAGE = ROOT / "docs" / "pages" / "table4.html"
"""What `s2hand report table4` writes, for those who look before they install anything."""
_README_COLUMNS = ("auc_joints", "mpjpe_cm", "auc_verts", "mpvpe_cm")
_PART = re.compile(
    r"(?P<begin><!-- measured: (?P<name>[^\n]+?) -->\n).*?(?P<end><!-- end of (?P=name) -->)", re.S
)


def rewritten(text: str) -> str:
    """Return a document with its measured parts made from ``results/``.

    Raises:
        KeyError: for a part that no table of ``TABLES`` makes.
    """
    return _PART.sub(
        lambda part: f"{part['begin']}\n{_part(part['name']).strip()}\n\n{part['end']}", text
    )


def measured(name: str) -> MeasuredTable:
    """Build a table from ``results/``."""
    store = exported()
    return MeasuredTable.build(_plan(name, store), store)


def exported() -> ResultStore:
    """Open the store of ``results/``."""
    return ResultStore(Workspace(RESULTS).store_dir)


def _part(name: str) -> str:
    if name == "contrasts":
        return "\n".join(_all_contrasts())
    if name == "claims":
        return "\n".join(_claims())
    table, _, kind = name.partition(" ")
    whole = measured(table)
    return "\n".join(_brief(whole)) if kind == "in brief" else whole.to_markdown()


def _plan(name: str, store: ResultStore) -> TablePlan:
    table, label = TABLES[name]
    plan = store.latest_table_plan(table, label=label)
    if plan is None:
        raise KeyError(f"{store.path} has no plan of {table}, '{label}'; export it")
    return plan


def _brief(table: MeasuredTable) -> Iterator[str]:
    """Yield four columns of a table, a line per row that was measured here."""
    columns = [column for column in table.columns if column.label in _README_COLUMNS]
    yield f"| {table.data} | {' | '.join(column.header for column in columns)} |"
    yield f"|{' --- |' * (1 + len(columns))}"
    for row in table.rows:
        if row.kind in {"measured", "baseline"}:
            cells = (_brief_cell(row, column.label) for column in columns)
            yield f"| {row.label} | {' | '.join(cells)} |"


def _brief_cell(row: TableRow, label: str) -> str:
    cell = row.cells[label]
    if cell.interval is None:
        text = "not run"
    elif row.kind == "baseline":
        text = f"{cell.interval.mean:.3f}"
    else:
        text = format_interval(cell.interval, 3).rpartition(" (")[0]
    return f"{text} / {cell.published}" if cell.published else text


def _all_contrasts() -> Iterator[str]:
    """Yield a line for every declared contrast of every table, in its primary column.

    Of the scale ``small``, which has one seed, its tables alone tell.
    """
    yield "| table | the paper says | here | difference | p (Holm) |"
    yield "| --- | --- | --- | --- | --- |"
    for name in (each for each in TABLES if not each.endswith("-small")):
        table = measured(name)
        column = next(each for each in table.columns if each.is_primary)
        for contrast in table.contrasts:
            if contrast.decision is not None:
                says = f"{contrast.row} {contrast.expected} than {contrast.baseline}"
                verdict = f"**{contrast.decision}**{_needed(contrast)}"
                p = contrast.decision.p_adjusted
                shown = f"{p:.2g}" if p is not None else "–"
                difference = _difference(contrast.difference, column.unit)
                yield f"| {name} | {says} | {verdict} | {difference} | {shown} |"


def _claims() -> Iterator[str]:
    """Yield a line for every claim of the paper's text."""
    ledger = check_claims(workspace=RESULTS, data="synthetic", scale="demo")
    yield "| where | the paper says | by its own cells | by what was measured |"
    yield "| --- | --- | --- | --- |"
    for claim in ledger.claims:
        where = f"{claim.spec.section} {claim.spec.table}".strip()
        yield f"| {where} | {claim.spec.says} | {claim.printed} | {claim.measured} |"


def _needed(contrast: TableContrast) -> str:
    return f"; about {contrast.seeds_to_decide} seeds" if contrast.seeds_to_decide else ""


def _difference(difference: MeanInterval | None, unit: str) -> str:
    if difference is None:
        return "–"
    return f"{format_interval(difference, 0, signed=True)} {'' if unit == '1' else unit}".strip()


def export(workspace: Path) -> None:
    """Replace ``results/`` by what a workspace's store has of the tables; add it, if some lack."""
    source = ResultStore(Workspace(workspace).store_dir)
    plans = {
        name: source.latest_table_plan(table, label=label)
        for name, (table, label) in TABLES.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        if not all(plans.values()):
            shutil.copytree(RESULTS, folder, dirs_exist_ok=True)
        target = ResultStore(Workspace(Path(folder)).store_dir)
        for name, plan in plans.items():
            if plan is not None:
                attempts = export_table(plan, source, target)
                sys.stdout.write(f"{name}: {attempts} attempts\n")
        target.compact()
        shutil.rmtree(RESULTS, ignore_errors=True)
        shutil.copytree(folder, RESULTS, ignore=shutil.ignore_patterns(".lock"))


def write() -> None:
    """Write the measured parts of the documents, and the page, anew."""
    for name in DOCUMENTS:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        path.write_text(rewritten(text), encoding="utf-8")
    write_page(PAGE)


def write_page(path: Path) -> None:
    """Write the page of the README's table."""
    store = exported()
    report_plan(_plan("table4", store), store, path)


def main(arguments: Sequence[str]) -> None:
    """Export, or write."""
    match arguments:
        case ["export", *workspace]:
            export(Path(*workspace) if workspace else ROOT / "workspace")
        case []:
            write()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
