"""The command line: ``s2hand …``, also ``python -m s2hand_platform.cli …``."""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from s2hand_platform.errors import PlatformError, SpecError
from s2hand_platform.execution.settings import RunSettings, RunSummary
from s2hand_platform.experiments import user_errors
from s2hand_platform.planning import Plan, plan_table
from s2hand_platform.runs import HowToRun, Place, SweepTrial, run_sweep, run_table, short
from s2hand_platform.s2hand_commands import data_app, hand_app
from s2hand_platform.spec.schema import SweepSpec
from s2hand_platform.tables import MeasuredTable
from s2hand_platform.workspace import Workspace

EXIT_USER_ERROR = 2
EXIT_FAILED_TRIALS = 1
EXIT_INTERRUPTED = 128 + signal.SIGINT

app = typer.Typer(
    help="Which numbers of S2HAND and S2HAND(V) hold.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(hand_app, name="hand")
app.add_typer(data_app, name="data")

RecipeArgument = Annotated[
    str, typer.Argument(metavar="NAME|FILE", help="A name in sweeps/, or the path of a TOML file.")
]
DataOption = Annotated[
    str, typer.Option(metavar="synthetic|freihand|ho3d|PATH", help="What to measure on.")
]
ScaleOption = Annotated[
    str | None,
    typer.Option(help="demo, compact, small or full; else demo on synthetic data, full on other."),
]
SeedsOption = Annotated[
    int | None, typer.Option(min=1, help="How many seeds; else as many as the scale takes.")
]
WorkspaceOption = Annotated[
    Path | None, typer.Option(help="Folder of all results; else S2HAND_WORKSPACE or ./workspace.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AddressOption = Annotated[
    str | None,
    typer.Option(help="HOST:PORT of a Ray cluster; else RAY_ADDRESS or a Ray on this machine."),
]
TrackingOption = Annotated[
    str | None, typer.Option(help="MLflow's tracking URI; else the database in the workspace.")
]
ConcurrentOption = Annotated[
    int | None, typer.Option(min=1, help="Trials at once; else as many as fit.")
]
CpusOption = Annotated[
    float | None, typer.Option(min=1, help="CPUs (and threads) of each training worker.")
]
GpusOption = Annotated[
    float | None, typer.Option(min=0, help="GPUs of each training worker; else 1 if there are any.")
]
WithoutRayOption = Annotated[
    bool,
    typer.Option("--without-ray", help="One trial after the other in this process, on the CPU."),
]


@app.command()
def plan(
    recipe: RecipeArgument,
    *,
    data: DataOption = "synthetic",
    scale: ScaleOption = None,
    seeds: SeedsOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a table would run, what is reused and why, and the cost."""
    place = Place.choose(data=data, scale=scale, workspace=workspace)
    planned = plan_table(place.table(recipe), place.experiment, place.store, place.seeds(seeds))
    if as_json:
        typer.echo(json.dumps(planned.to_json(), indent=2))
    else:
        _show_plan(planned, _console())


@app.command()
def run(
    recipe: RecipeArgument,
    *,
    data: DataOption = "synthetic",
    scale: ScaleOption = None,
    seeds: SeedsOption = None,
    workspace: WorkspaceOption = None,
    address: AddressOption = None,
    tracking_uri: TrackingOption = None,
    max_concurrent: ConcurrentOption = None,
    cpus_per_worker: CpusOption = None,
    gpus_per_worker: GpusOption = None,
    without_ray: WithoutRayOption = False,
) -> None:
    """Run what a table is missing, and print the table. Run again to go on after a stop."""
    place = Place.choose(data=data, scale=scale, workspace=workspace)
    settings = RunSettings(
        address=address,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        max_concurrent=max_concurrent,
    )
    how = HowToRun(settings=settings, without_ray=without_ray, tracking_uri=tracking_uri)
    with _resumable():
        measured, summary = run_table(place, recipe, seeds=seeds, how=how)
    _console().print(measured.to_rich())
    _exit_if_failed(summary)


@app.command()
def sweep(
    recipe: RecipeArgument,
    *,
    data: DataOption = "synthetic",
    scale: ScaleOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the trials and of the search.")] = 0,
    trials: Annotated[
        int | None, typer.Option(min=1, help="How many trials to draw; else the recipe's number.")
    ] = None,
    workspace: WorkspaceOption = None,
    address: AddressOption = None,
    tracking_uri: TrackingOption = None,
    max_concurrent: ConcurrentOption = None,
    cpus_per_worker: CpusOption = None,
    gpus_per_worker: GpusOption = None,
    without_ray: WithoutRayOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search a space: a grid, or Optuna's suggestions with early stopping."""
    place = Place.choose(data=data, scale=scale, workspace=workspace)
    spec = _with_trials(place.sweep(recipe), trials)
    settings = RunSettings(
        address=address,
        cpus_per_worker=cpus_per_worker,
        gpus_per_worker=gpus_per_worker,
        max_concurrent=max_concurrent,
    )
    how = HowToRun(settings=settings, without_ray=without_ray, tracking_uri=tracking_uri)
    with _resumable():
        ranked, summary = run_sweep(place, spec, seed=seed, how=how)
    if as_json:
        typer.echo(json.dumps([_sweep_trial_json(trial) for trial in ranked], indent=2))
    else:
        _console().print(_sweep_table(spec, ranked))
    _exit_if_failed(summary)


@app.command()
def table(
    recipe: RecipeArgument,
    *,
    data: DataOption = "synthetic",
    scale: ScaleOption = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Take the first N seeds; else all there are.")
    ] = None,
    workspace: WorkspaceOption = None,
    form: Annotated[
        Literal["rich", "markdown", "latex", "csv", "html", "json"],
        typer.Option("--format", help="How to write it."),
    ] = "rich",
    as_json: JsonOption = False,
) -> None:
    """Print what has been measured of a table; nothing is run."""
    place = Place.choose(data=data, scale=scale, workspace=workspace)
    measured = MeasuredTable.build(
        place.table(recipe),
        place.store,
        place.experiment,
        data=place.label,
        seeds=place.seeds(seeds) if seeds else None,
    )
    match "json" if as_json else form:
        case "rich":
            _console().print(measured.to_rich())
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


@app.command()
def ui(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    workspace: WorkspaceOption = None,
) -> None:
    """Serve MLflow's pages on this machine for the workspace's runs, until Ctrl-C."""
    place = Workspace.resolve(workspace)
    typer.echo(f"MLflow: http://127.0.0.1:{port}")
    arguments = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--backend-store-uri", place.mlflow_uri]
    arguments += ["--default-artifact-root", place.artifacts_dir.as_uri()]
    os.execv(sys.executable, [sys.executable, *arguments])


@app.command(context_settings={"ignore_unknown_options": True})
def submit(
    command: Annotated[
        list[str], typer.Argument(help="What the job runs: run table4 …, or sweep loss_weights …")
    ],
    *,
    address: Annotated[
        str, typer.Option(help="Of the cluster's job server.")
    ] = "http://127.0.0.1:8265",
    workspace: WorkspaceOption = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print the 'ray job submit' command instead.")
    ] = False,
) -> None:
    """Run a command as a job on a Ray cluster, with the code of this folder."""
    from s2hand_platform.execution.runtime_env import submit_command, submit_job

    place = Workspace.resolve(workspace)
    if show:
        typer.echo(submit_command(command, address, Path.cwd(), place))
    else:
        raise typer.Exit(submit_job(command, address, Path.cwd(), place))


def _console() -> Console:
    """Write as wide as the terminal; where there is none, wide enough for a table."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH_WITHOUT_TERMINAL)


_WIDTH_WITHOUT_TERMINAL = 120


def main() -> None:
    """Run the command line; an error that the user can mend is one message, exit code 2."""
    try:
        app()
    except PlatformError as error:
        _complain(str(error))
        sys.exit(EXIT_USER_ERROR)
    except Exception as error:
        if not isinstance(error, user_errors()):
            raise
        _complain(str(error))
        sys.exit(EXIT_USER_ERROR)


@contextmanager
def _resumable() -> Iterator[None]:
    """Say after Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        _complain("interrupted; run the same command again to go on")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _complain(message: str) -> None:
    Console(stderr=True).print(
        f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True
    )


def _exit_if_failed(summary: RunSummary) -> None:
    for outcome in summary.failed:
        _complain(f"trial {outcome.trial_id[:12]} failed: {outcome.reason}")
    if summary.failed:
        raise typer.Exit(EXIT_FAILED_TRIALS)


def _with_trials(spec: SweepSpec, trials: int | None) -> SweepSpec:
    if trials is None:
        return spec
    if spec.search == "grid":
        raise SpecError([f"--trials: the grid '{spec.name}' has the size of its space"])
    return replace(spec, num_trials=trials)


def _show_plan(planned: Plan, console: Console) -> None:
    trials = {trial.trial_id: trial for trial in planned.trials}
    table = Table("table", "row", "trials", "reused", "to run because")
    for row in planned.rows:
        reasons = Counter(
            trials[name].reason for name in row.trial_ids if trials[name].status != "cached"
        )
        because = "\n".join(f"{count} × {reason}" for reason, count in reasons.items())
        table.add_row(
            row.table, row.label, str(len(row.trial_ids)), str(row.cached), escape(because)
        )
    console.print(table)
    hours = planned.estimated_hours
    cost = "unknown, as one was never run" if hours is None else f"{hours:.2f} h one by one"
    console.print(
        f"{len(planned.trials)} distinct trials, {len(planned.to_run)} to run; cost: {cost}",
        highlight=False,
    )


def _sweep_table(spec: SweepSpec, ranked: Sequence[SweepTrial]) -> Table:
    table = Table("trial", *spec.axes.values(), spec.metric, "status", "remarks", title=spec.title)
    table.caption, table.caption_justify = Text("\n".join(spec.notes), style="dim"), "left"
    for trial in ranked:
        values = [short(trial.point[path]) for path in spec.space]
        value = "–" if trial.value is None else short(trial.value)
        remarks = "; ".join(f"{subject}: {text}" for subject, text in trial.notes.items())
        status = trial.status.replace("_", " ")
        table.add_row(trial.trial_id[:12], *values, value, status, escape(remarks))
    return table


def _sweep_trial_json(trial: SweepTrial) -> dict[str, Any]:
    return {**asdict(trial), "point": dict(trial.point)}


if __name__ == "__main__":
    main()
