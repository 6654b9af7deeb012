"""A measured table as files that people open, and MLflow shows."""

import logging
import tempfile
from pathlib import Path

from s2hand_platform.tables import MeasuredTable

_LOG = logging.getLogger(__name__)


def write_table_files(table: MeasuredTable, recipe: Path, folder: Path) -> bool:
    """Write ``table.md``, ``table.parquet``, ``contrasts.parquet`` and ``recipe.toml``.

    Each replaces what was there in one step.

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
            for path in new.iterdir():
                path.replace(folder / path.name)
    except OSError as error:
        _LOG.warning("%s: the table could not be written there: %s", folder, error.strerror)
        return False
    return True
