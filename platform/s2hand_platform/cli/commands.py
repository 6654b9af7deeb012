"""Commands that plan, run and show tables and searches."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from s2hand_platform.cli.endings import exit_if_failed, resumable
from s2hand_platform.cli.options import (
    ConcurrentOption,
    CpusOption,
    DataOption,
    DeviceOption,
    GpusOption,
    JsonOption,
    MaxSeedsOption,
    ScaleOption,
    SearchArgument,
    SeedsOption,
    TableArgument,
    TableNameArgument,
    TrackingOption,
    UntilDecidedOption,
    WithoutRayOption,
    choose_place,
    how_to_run,
    seeds_until_decided,
)
from s2hand_platform.common_options import (
    AddressOption,
    KeptDataOption,
    VerboseOption,
    WorkspaceOption,
)
from s2hand_platform.errors import SpecError

if TYPE_CHECKING:
    from s2hand_platform.spec.schema import SweepSpec


def plan(
    recipe: TableArgument,
    *,
    data: DataOption = None,
    scale: ScaleOption = None,
    device: DeviceOption = "auto",
    seeds: SeedsOption = None,
    until_decided: UntilDecidedOption = False,
    max_seeds: MaxSeedsOption = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a table would run, what is reused and why, and the cost."""
    from s2hand_platform.cli.shown import print_plan
    from s2hand_platform.runs.tables import plan_to_show

    last = seeds_until_decided(until_decided=until_decided, max_seeds=max_seeds, seeds=seeds)
    place = choose_place(data, scale, workspace, device)
    planned = plan_to_show(place, recipe, seeds=seeds, max_seeds=last)
    if as_json:
        typer.echo(json.dumps(planned.to_json(), indent=2))
    else:
        print_plan(planned)


def run(
    recipe: TableArgument,
    *,
    data: DataOption = None,
    scale: ScaleOption = None,
    device: DeviceOption = "auto",
    seeds: SeedsOption = None,
    until_decided: UntilDecidedOption = False,
    max_seeds: MaxSeedsOption = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
    address: AddressOption = None,
    tracking_uri: TrackingOption = None,
    max_concurrent: ConcurrentOption = None,
    cpus_per_worker: CpusOption = None,
    gpus_per_worker: GpusOption = None,
    without_ray: WithoutRayOption = False,
) -> None:
    """Run what a table is missing, and print the table. Run again to go on after a stop."""
    from s2hand_platform.cli.shown import wide_console
    from s2hand_platform.runs.tables import run_table, run_until_decided

    last = seeds_until_decided(until_decided=until_decided, max_seeds=max_seeds, seeds=seeds)
    place = choose_place(data, scale, workspace, device)
    how = how_to_run(
        address=address,
        tracking_uri=tracking_uri,
        max_concurrent=max_concurrent,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        without_ray=without_ray,
    )
    with resumable():
        if last is not None:
            measured, summary = run_until_decided(place, recipe, max_seeds=last, how=how)
        else:
            measured, summary = run_table(place, recipe, seeds=seeds, how=how)
    wide_console().print(measured.to_rich())
    exit_if_failed(summary)


def sweep(
    recipe: SearchArgument,
    *,
    data: DataOption = None,
    scale: ScaleOption = None,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the trials and of the search.")] = 0,
    trials: Annotated[
        int | None, typer.Option(min=1, help="How many trials to draw; else the recipe's number.")
    ] = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
    address: AddressOption = None,
    tracking_uri: TrackingOption = None,
    max_concurrent: ConcurrentOption = None,
    cpus_per_worker: CpusOption = None,
    gpus_per_worker: GpusOption = None,
    without_ray: WithoutRayOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search a space: a grid, or Optuna's suggestions with early stopping."""
    from s2hand_platform.cli.shown import print_search, search_json
    from s2hand_platform.runs.searches import run_search

    place = choose_place(data, scale, workspace, device)
    spec = _with_trials(place.sweep(recipe), trials)
    how = how_to_run(
        address=address,
        tracking_uri=tracking_uri,
        max_concurrent=max_concurrent,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        without_ray=without_ray,
    )
    with resumable():
        ranked, summary = run_search(place, spec, seed=seed, how=how)
    if as_json:
        typer.echo(json.dumps(search_json(ranked), indent=2))
    else:
        print_search(spec, ranked)
    exit_if_failed(summary)


def table(
    name: TableNameArgument,
    *,
    data: KeptDataOption = None,
    scale: Annotated[str | None, typer.Option(help="As it was run.")] = None,
    device: Annotated[
        Literal["cpu", "cuda"] | None, typer.Option(help="As it was run; else the latest.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Take the first N seeds; else all there are.")
    ] = None,
    other_code: Annotated[
        bool,
        typer.Option(
            "--other-code",
            help="Show results of other code, data or device too, marked.",
        ),
    ] = False,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
    form: Annotated[
        Literal["rich", "markdown", "latex", "csv", "html", "json"],
        typer.Option("--format", help="How to write it."),
    ] = "rich",
    as_json: JsonOption = False,
) -> None:
    """Print what has been measured of a table that was planned or run; the store is enough."""
    from s2hand_platform.cli.shown import wide_console
    from s2hand_platform.runs.tables import show_table
    from s2hand_platform.workspace import Workspace

    measured = show_table(
        Workspace.resolve(workspace),
        name.removesuffix(".toml").rpartition("/")[2],
        data=data,
        scale=scale,
        device=device,
        seeds=range(seeds) if seeds else None,
        other_code=other_code,
    )
    match "json" if as_json else form:
        case "rich":
            wide_console().print(measured.to_rich())
        case "markdown":
            typer.echo(measured.to_markdown())
        case "latex":
            typer.echo(measured.to_latex())
        case "csv":
            typer.echo(measured.to_csv())
        case "html":
            typer.echo(measured.to_html())
        case "json":
            typer.echo(json.dumps(measured.to_json(), indent=2))


def _with_trials(spec: "SweepSpec", trials: int | None) -> "SweepSpec":
    if trials is None:
        return spec
    if spec.search == "grid":
        raise SpecError([f"--trials: the grid '{spec.name}' has the size of its space"])
    return replace(spec, num_trials=trials)
