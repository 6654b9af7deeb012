"""A measured table as files that people open, and MLflow shows."""

import logging
import tempfile
from importlib.metadata import entry_points
from pathlib import Path

from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables import MeasuredTable

GROUP = "s2hand_platform.table_files"
"""Entry points of other packages: functions of plan, store and folder that write files of their
own into the folder."""

_LOG = logging.getLogger(__name__)


def write_table_files(
    table: MeasuredTable, plan: TablePlan, store: ResultStore, recipe: Path, folder: Path
) -> bool:
    """Write ``table.md``, ``table.parquet``, ``contrasts.parquet`` and ``recipe.toml``.

    Other packages' files join them. Each replaces what was there in one step.

    Returns:
        False, after a warning, where they cannot be written: the store has all of it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
            new = Path(temporary)
            (new / "table.md").write_text(table.to_markdown(), encoding="utf-8")
            table.frame().to_parquet(new / "table.parquet")
            table.verdicts().to_parquet(new / "contrasts.parquet")
            (new / "recipe.toml").write_bytes(recipe.read_bytes())
            _add_others(plan, store, new)
            for path in new.iterdir():
                path.replace(folder / path.name)
    except OSError as error:
        _LOG.warning("%s: the table could not be written there: %s", folder, error.strerror)
        return False
    return True


def _add_others(plan: TablePlan, store: ResultStore, folder: Path) -> None:
    """Let other packages write; what they cannot is told, and ends nothing that was trained."""
    for entry in sorted(entry_points(group=GROUP)):
        try:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                entry.load()(plan, store, Path(own))
                for path in Path(own).iterdir():
                    path.replace(folder / path.name)
        except ModuleNotFoundError as error:  # an extra that was not asked for
            _LOG.debug("'%s' writes nothing of %s: %s", entry.name, plan.name, error)
        except Exception as error:  # noqa: BLE001 - whatever others raise
            _LOG.warning("'%s' (%s) of %s: %s", entry.name, entry.value, plan.name, error)
