"""The command that says what more seeds would decide, and cost."""

import json
import math
import re
from typing import Annotated, Literal

import typer

from s2hand_platform.cli.options import JsonOption, TableNameArgument
from s2hand_platform.common_options import KeptDataOption, VerboseOption, WorkspaceOption
from s2hand_platform.errors import SpecError


def power(
    name: TableNameArgument,
    *,
    effect: Annotated[
        str,
        typer.Option(
            metavar="published|VALUE",
            help="The difference to plan for: the paper's, or one in the primary column's unit.",
        ),
    ] = "published",
    seeds: Annotated[
        str, typer.Option(metavar="FIRST..LAST", help="Numbers of seeds to look at.")
    ] = "3..20",
    data: KeptDataOption = None,
    scale: Annotated[str | None, typer.Option(help="As it was run.")] = None,
    device: Annotated[
        Literal["cpu", "cuda"] | None, typer.Option(help="As it was run; else the latest.")
    ] = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say how many seeds would decide a table's contrasts, and what they cost; from the store."""
    from s2hand_platform.cli.shown import wide_console
    from s2hand_platform.runs.power import table_power
    from s2hand_platform.tables.power_layout import to_rich
    from s2hand_platform.workspace import Workspace

    found = table_power(
        Workspace.resolve(workspace),
        name.removesuffix(".toml").rpartition("/")[2],
        effect=_effect(effect),
        seeds=_range(seeds),
        data=data,
        scale=scale,
        device=device,
    )
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        wide_console().print(to_rich(found))


def _effect(text: str) -> float | Literal["published"]:
    if text == "published":
        return "published"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SpecError([f"--effect: must be 'published' or a number, got {text!r}"])
    return value


def _range(text: str) -> range:
    ends = re.fullmatch(r"([0-9]{1,9})\.\.([0-9]{1,9})", text)
    if ends is None or int(ends[1]) > int(ends[2]):
        raise SpecError([f"--seeds: must be a range such as 3..20, got {text!r}"])
    return range(int(ends[1]), int(ends[2]) + 1)
