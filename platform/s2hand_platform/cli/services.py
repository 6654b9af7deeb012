"""Commands beside the measuring: MLflow's pages, and jobs on a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from s2hand_platform.cli.options import WorkspaceOption
from s2hand_platform.workspace import Workspace


def ui(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
    workspace: WorkspaceOption = None,
) -> None:
    """Serve MLflow's pages on this machine for the workspace's runs, until Ctrl-C."""
    from s2hand_platform.tracking.mlflow_pages import serve

    serve(
        Workspace.resolve(workspace),
        port,
        lambda address: typer.echo(f"MLflow: {address} (one process; Ctrl-C ends it)"),
    )


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
