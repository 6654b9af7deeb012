import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from mlflow.entities import ExperimentTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from s2hand_platform.errors import ExecutionError
from s2hand_platform.tracking.mlflow_pages import serve
from s2hand_platform.workspace import Workspace


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_pages_are_one_process_on_this_machine_only(tmp_path: Path) -> None:
    uri, root = Workspace(tmp_path).mlflow_uri, (tmp_path / "mlartifacts").as_uri()
    tracked = SqlAlchemyStore(uri, root)
    table = tracked.create_experiment(
        "tiny", tags=[ExperimentTag("mlflow.sharedViewState.summary", "{}")]
    )
    tracked.create_experiment("a search")
    port = free_port()
    command = [sys.executable, "-m", "s2hand_platform.cli", "ui", "--port", str(port)]
    with subprocess.Popen(
        command,
        env={**os.environ, "S2HAND_WORKSPACE": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            line, view = server.stdout.readline(), server.stdout.readline()
            assert line == f"MLflow: {address} (one process; Ctrl-C ends it)\n"
            there = f"{address}/#/experiments/{table}/runs?viewStateShareKey=summary\n"
            assert view == f"tiny, means and printed values as columns: {there}"
            asked = f"{address}/ajax-api/2.0/mlflow/experiments/get?experiment_id=0"
            with urlopen(asked, timeout=120) as answer:
                experiment = json.load(answer)["experiment"]
            assert experiment["artifact_location"].startswith((tmp_path / "mlartifacts").as_uri())
            tasks = Path(f"/proc/{server.pid}/task").glob("*/children")
            assert "".join(task.read_text() for task in tasks) == ""
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(120) == 0


def test_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ExecutionError, match=f"port {port} of this machine cannot be had"):
            serve(Workspace(tmp_path), port, pytest.fail)
