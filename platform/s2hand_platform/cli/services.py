"""Commands beside the measuring: MLflow's pages, and jobs on a cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from s2hand_platform.common_options import VerboseOption, WorkspaceOption
from s2hand_platform.settings import JOB_SERVER
from s2hand_platform.workspace import Workspace


def ui(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Serve MLflow's pages on this machine for the workspace's runs, until Ctrl-C."""
    from s2hand_platform.tracking.mlflow_pages import serve

    def ready(address: str, views: Mapping[str, str]) -> None:
        typer.echo(f"MLflow: {address} (one process; Ctrl-C ends it)")
        for table, view in views.items():
            typer.echo(f"{table}, means and printed values as columns: {view}")

    serve(Workspace.resolve(workspace), port, ready)


def submit(
    command: Annotated[
        list[str], typer.Argument(help="What the job runs: run table4 …, or sweep loss_weights …")
    ],
    *,
    address: Annotated[
        str | None,
        typer.Option(
            help="http://HOST:PORT of the cluster's job server; else S2HAND_JOB_SERVER, "
            f"RAY_API_SERVER_ADDRESS, RAY_ADDRESS, or {JOB_SERVER.default}."
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    verbose: VerboseOption = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print the 'ray job submit' command instead.")
    ] = False,
) -> None:
    """Run a command as a job on a Ray cluster, with the code of this folder."""
    from s2hand_platform.execution.jobs import job_server, submit_job
    from s2hand_platform.execution.runtime_env import submit_command

    place, server = Workspace.resolve(workspace), job_server(address)
    if show:
        typer.echo(submit_command(command, server, Path.cwd(), place))
    else:
        raise typer.Exit(submit_job(command, server, Path.cwd(), place))
