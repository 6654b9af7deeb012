"""The command that shows where a number comes from."""

import json
from typing import Annotated, Literal

import typer

from s2hand_platform.cli.options import JsonOption
from s2hand_platform.common_options import KeptDataOption, VerboseOption, WorkspaceOption


def explain(
    cell: Annotated[
        str,
        typer.Argument(
            metavar="TABLE.ROW.COLUMN", help="A cell, for instance table4.quaternion.mpjpe_cm."
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
    as_json: JsonOption = False,
) -> None:
    """Show the card of a cell: its verdict, and all that it comes from; the store is enough."""
    from s2hand_platform.cards.shown import to_rich
    from s2hand_platform.cli.shown import wide_console
    from s2hand_platform.runs.explaining import explain as explain_named
    from s2hand_platform.workspace import Workspace

    card = explain_named(Workspace.resolve(workspace), cell, data=data, scale=scale, device=device)
    if as_json:
        typer.echo(json.dumps(card.to_json(), indent=2))
    else:
        wide_console().print(to_rich(card))
