"""From a table's or a search's name to its page on the disk."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from s2hand.files import whole_file
from s2hand_dashboards.contents import read_contents
from s2hand_dashboards.errors import ReportError
from s2hand_dashboards.pages import Page, search_page, table_page
from s2hand_dashboards.pictures import choose_pictures
from s2hand_dashboards.rendering import render
from s2hand_dashboards.searches import read_search
from s2hand_platform.errors import SpecError, nearest
from s2hand_platform.paths import local_path
from s2hand_platform.spec import files
from s2hand_platform.store.results import ResultStore
from s2hand_platform.store.table_plan import TablePlan
from s2hand_platform.tables.kept import asked_by, is_label_of, stored_plan
from s2hand_platform.workspace import Workspace


def report(
    table: str,
    path: str | Path,
    *,
    data: str | Sequence[str] | None = None,
    scale: str | None = None,
    device: Literal["cpu", "cuda"] | None = None,
    workspace: str | Path | None = None,
    with_pictures: bool = False,
) -> Path:
    """Write what has been measured of a table, or found by a search, as one HTML file.

    Args:
        table: the name of a table or search that was planned or run.
        path: the file to write; an older one is replaced, and folders are made.
        data: what it was measured on, as it was run; None where that is clear.
        scale: the scale, as it was run; None where that is clear.
        device: what its trials ran on; None is the latest.
        workspace: None is ``S2HAND_WORKSPACE``, or else ``./workspace``.
        with_pictures: show pictures of data that is not of the project's own making too.

    Returns:
        The path.

    Raises:
        SpecError: if it was never planned, or on several kinds of data and none is named.
        ReportError: if the file cannot be written.
    """
    store = ResultStore(Workspace.resolve(workspace).store_dir)
    page = _page(store, table, data=data, scale=scale, device=device, with_pictures=with_pictures)
    target = local_path(path, "path")
    _write(render(page), target)
    return target


def report_plan(plan: TablePlan, store: ResultStore, path: Path) -> None:
    """Write what has been measured of a planned table, without pictures of others' data.

    Raises:
        ReportError: if the file cannot be written.
    """
    _write(render(_table_page(plan, store, with_pictures=False)), path)


def _page(
    store: ResultStore,
    name: str,
    *,
    data: str | Sequence[str] | None,
    scale: str | None,
    device: str | None,
    with_pictures: bool,
) -> Page:
    search = store.latest_search_plan(name, device_type=device)
    is_table = bool(store.table_labels(name))
    if search is not None and not is_table and is_label_of(search.label, data, scale):
        return search_page(read_search(search, store))
    if not is_table and name in files.names("searches"):
        asked = asked_by(data, scale, device)
        fault = f"{name}: the store at {store.path} has no plan of this search"
        raise SpecError(
            [f"{fault}{asked and ' with'}{asked}; make one with: s2hand sweep {name}{asked}"]
        )
    if not is_table and name not in files.names("tables"):
        planned = {plan.name for plan in store.table_plans()}
        known = {*planned, *files.names("tables"), *files.names("searches")}
        fault = f"{name}: the store at {store.path} has no plan of a table or search of this name"
        raise SpecError([f"{fault}; {nearest(name, sorted(known))}"])
    plan = stored_plan(store, name, data=data, scale=scale, device=device)
    return _table_page(plan, store, with_pictures=with_pictures)


def _table_page(plan: TablePlan, store: ResultStore, *, with_pictures: bool) -> Page:
    contents = read_contents(plan, store)
    return table_page(contents, choose_pictures(contents, store, with_pictures=with_pictures))


def _write(text: str, target: Path) -> None:
    """Write a file whole or not at all."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as file:
            file.write(text.encode())
    except OSError as error:
        raise ReportError(
            f"{target}: the page cannot be written ({os.strerror(error.errno or 0)}); name another "
            "place"
        ) from error
