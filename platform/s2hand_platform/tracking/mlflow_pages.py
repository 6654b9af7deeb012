"""MLflow's pages for the runs of a workspace, served by this process alone."""

import os
import socket
import warnings
from collections.abc import Callable, Mapping

from s2hand_platform.errors import ExecutionError
from s2hand_platform.tracking.mlflow_sink import VIEW, VIEW_TAG, database_lock, quieten
from s2hand_platform.workspace import Workspace

_HOST = "127.0.0.1"


def serve(workspace: Workspace, port: int, ready: Callable[[str, Mapping[str, str]], None]) -> None:
    """Serve the pages on this machine until Ctrl-C.

    MLflow's own command starts four servers, one that watches them, and a runner of jobs that
    nothing here submits; its application needs none of them.

    Args:
        workspace: holds the database and the artifacts.
        port: to listen on.
        ready: called once it answers, with the address, and for each table with that of its view
            in which the rows' means, intervals and printed values are the columns.

    Raises:
        ExecutionError: if the port cannot be had.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((_HOST, port))
        except OSError as error:
            raise ExecutionError(
                f"port {port} of this machine cannot be had ({error.strerror}); "
                "name another one with --port"
            ) from error
        address = f"http://{_HOST}:{port}"
        _serve(workspace, listening, lambda: ready(address, _views(workspace, address)))


def _views(workspace: Workspace, address: str) -> dict[str, str]:
    from mlflow import MlflowClient

    experiments = MlflowClient(workspace.mlflow_uri).search_experiments(order_by=["name"])
    return {
        each.name: f"{address}/#/experiments/{each.experiment_id}/runs?viewStateShareKey={VIEW}"
        for each in experiments
        if VIEW_TAG in each.tags
    }


def _serve(workspace: Workspace, listening: socket.socket, ready: Callable[[], None]) -> None:
    from mlflow.server import constants

    root = workspace.artifacts_dir.as_uri()
    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = workspace.mlflow_uri
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = root
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own dependencies
        import uvicorn
        from mlflow.server.fastapi_app import app
        from mlflow.server.handlers import initialize_backend_stores

    quieten()
    with database_lock(workspace):
        initialize_backend_stores(workspace.mlflow_uri, workspace.mlflow_uri, root)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    listening.listen()
    ready()  # who comes before the first answer waits for it
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        return
