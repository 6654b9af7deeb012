"""The command that judges the paper's sentences."""

import json
from typing import Annotated, Literal

import typer

from s2hand_platform.cli.options import JsonOption
from s2hand_platform.common_options import KeptDataOption, VerboseOption, WorkspaceOption


def claims(
    *,
    data: KeptDataOption = None,
    scale: Annotated[str | None, typer.Option(help="As it was run.")] = None,
    device: Annotated[Literal["cpu", "cuda"] | None, typer.Option(help="As it was run.")] = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Judge what the paper's text says, by its own cells and by what was measured."""
    from s2hand_platform.cli.shown import wide_console
    from s2hand_platform.runs.claims import check_claims

    ledger = check_claims(data=data, scale=scale, device=device, workspace=workspace)
    if as_json:
        typer.echo(json.dumps(ledger.to_json(), indent=2))
    else:
        wide_console().print(ledger.to_rich())
