"""The page among the files that a run leaves of its table; an entry point names it."""

from pathlib import Path

from s2hand_dashboards.reporting import report_plan
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan

NAME = "page.html"


def write_page(plan: TablePlan, store: ResultStore, folder: Path) -> None:
    """Write the page of a planned table, as ``s2hand report`` does, into a folder.

    Raises:
        ReportError: if it cannot be written.
    """
    report_plan(plan, store, folder / NAME)
