"""A job on a running cluster, submitted as a user would."""

import os
import secrets
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution.runtime_env import job_runtime_env, submit_command
from s2hand_platform.store.results import ResultStore
from s2hand_platform.workspace import Workspace

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent

TABLE = """
title = "Tiny"
dataset = "curve"
[[rows]]
id = "curved"
label = "Curved"
[[columns]]
label = "error"
metric = "test/error"
"""
SCALE = """
title = "Tiny"
seeds = 1
[base]
epochs = 2
"""


@dataclass(frozen=True)
class Head:
    """A running cluster of one machine."""

    jobs: str
    address: str
    environment: dict[str, str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    port, jobs_port = free_port(), free_port()
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(HERE),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_DISABLE_USAGE_STATS": "1",
        "S2HAND_EXPERIMENT": "tiny_experiment:TinyExperiment",
    }
    log = (tmp_path_factory.mktemp("ray") / "head.log").open("w")
    command = [
        "ray",
        "start",
        "--head",
        "--block",
        "--num-cpus=2",
        "--num-gpus=0",
        f"--port={port}",
    ]
    command += ["--include-dashboard=true", f"--dashboard-port={jobs_port}"]
    # Ray's own number may be taken by another Ray on this machine; jobs then find no agent.
    command += [f"--dashboard-agent-listen-port={free_port()}"]
    process = subprocess.Popen(
        [str(BIN / command[0]), *command[1:]],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    cluster = Head(f"http://127.0.0.1:{jobs_port}", f"127.0.0.1:{port}", environment)
    try:
        wait_until_it_answers(cluster.jobs)
        yield cluster
    finally:
        process.terminate()
        process.wait(timeout=60)
        log.close()


def wait_until_it_answers(address: str) -> None:
    limit = time.monotonic() + 90
    while time.monotonic() < limit:
        try:
            urllib.request.urlopen(f"{address}/api/version", timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise AssertionError(f"the cluster's job server at {address} did not start")


@pytest.mark.ray
@pytest.mark.parametrize("given", [{}, {"RAY_AUTH_TOKEN": "0" * 64}])
def test_missing_and_wrong_tokens_are_named(
    head: Head, tmp_path: Path, given: dict[str, str]
) -> None:
    environment = {k: v for k, v in head.environment.items() if not k.startswith("RAY_AUTH")}
    mode = {"RAY_AUTH_MODE": "token"} if given else {}
    stranger = replace(head, environment=environment | mode | given | {"HOME": str(tmp_path)})
    (tmp_path / "tinyscale.toml").write_text(SCALE)
    (tmp_path / "tiny.toml").write_text(TABLE)
    table = [str(tmp_path / "tiny.toml"), "--scale", str(tmp_path / "tinyscale.toml")]
    workspace = ["--workspace", str(tmp_path / "workspace")]
    # Ray's client of the cluster itself does not tell a refused token from a silent host.
    for command, expected in (
        (
            ["submit", *workspace, "--address", head.jobs, "plan", "tiny"],
            f"error: the cluster at {head.jobs} asks for a token",
        ),
        (
            ["run", *table, *workspace, "--address", head.address],
            f"error: no Ray cluster answers at {head.address}",
        ),
    ):
        refused = run([sys.executable, "-m", "s2hand_platform.cli", *command], stranger)
        assert refused.returncode == 2, refused.stderr
        message = " ".join(refused.stderr.split())
        assert expected in message
        assert "token" in message.partition(expected)[2]
        assert "docs/cluster.md" in message


def run(command: list[str], head: Head) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, env=head.environment, cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.ray
def test_plain_job_submission_runs_a_table(head: Head, tmp_path: Path) -> None:
    scale = tmp_path / "tinyscale.toml"
    scale.write_text(SCALE)
    (tmp_path / "tiny.toml").write_text(TABLE)
    workspace = Workspace(tmp_path / "workspace")
    line = submit_command(
        ["run", str(tmp_path / "tiny.toml"), "--scale", str(scale)], head.jobs, ROOT, workspace
    )
    submitted = run(shlex.split(line), head)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    trials = ResultStore(workspace.store_dir).trials()
    assert list(trials["status"]) == ["finished"]
    command = [sys.executable, "-m", "s2hand_platform.cli", "submit", "--address", head.jobs]
    command += ["--workspace", str(workspace.root), "plan", "nonsense"]
    command += ["--scale", str(scale)]
    again = run(command, head)
    assert again.returncode != 0
    assert "sweeps/tables has no recipe 'nonsense'" in again.stdout


def test_job_environment_names_the_package_and_never_its_parent(tmp_path: Path) -> None:
    environment = job_runtime_env(ROOT, Workspace(tmp_path))
    assert environment["py_modules"] == ["platform/s2hand_platform"]
    assert environment["env_vars"]["S2HAND_WORKSPACE"] == str(tmp_path)


def test_job_needs_the_projects_folder(tmp_path: Path) -> None:
    with pytest.raises(ExecutionError, match="submitted from the project's folder"):
        job_runtime_env(tmp_path, Workspace(tmp_path))
