"""``s2hand report …``, which joins the platform's command line by an entry point."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from s2hand_platform.common_options import KeptDataOption, VerboseOption, WorkspaceOption

_EXIT_SOME_MISSING = 1


def report(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME…", help="Tables or searches that were planned or run in the workspace."
        ),
    ],
    *,
    data: KeptDataOption = None,
    scale: Annotated[str | None, typer.Option(help="As it was run.")] = None,
    device: Annotated[
        Literal["cpu", "cuda"] | None, typer.Option(help="As it was run; else the latest.")
    ] = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Of the pages; else the workspace's reports."
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the pages in a browser.")] = False,
    with_pictures: Annotated[
        bool,
        typer.Option(
            "--with-pictures",
            help="Show pictures of data with a licence of its own too.",
        ),
    ] = False,
) -> None:
    """Write what has been measured as one HTML file each, which needs nothing else.

    One that cannot be written stops no other; then the exit code is 1, or 2 where none was written.
    """
    from s2hand_dashboards.reporting import report as write
    from s2hand_platform.errors import SpecError
    from s2hand_platform.workspace import Workspace

    folder = output or Workspace.resolve(workspace).root / "reports"
    different = dict.fromkeys(each.removesuffix(".toml").rpartition("/")[2] for each in names)
    faults: dict[str, SpecError] = {}
    for name in different:
        try:
            path = write(
                name,
                folder / f"{name}.html",
                data=data,
                scale=scale,
                device=device,
                workspace=workspace,
                with_pictures=with_pictures,
            )
        except SpecError as error:
            faults[name] = error
            continue
        typer.echo(str(path))
        if show:
            typer.launch(path.absolute().as_uri())
    if len(faults) == len(different):
        raise SpecError([fault for each in faults.values() for fault in each.faults])
    for name, fault in faults.items():
        typer.echo(f"error: no page of {name} is written: {fault}", err=True)
    if faults:
        raise typer.Exit(_EXIT_SOME_MISSING)
