"""The runtime environment of a job: how this folder's code reaches a cluster."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution import QUIET_RAY, REQUIRED_OF_RAY
from s2hand_platform.settings import JOB_SERVER, WORKSPACE
from s2hand_platform.workspace import Workspace

PLATFORM_PACKAGE = "platform/s2hand_platform"
"""Named itself: with its parent on ``sys.path``, Python's own ``platform`` would be hidden."""


def job_runtime_env(root: Path, workspace: Workspace) -> dict[str, Any]:
    """Describe what a job needs: the packages, and the workspace's place.

    Args:
        root: the project's folder, uploaded but for what ``.rayignore`` names.
        workspace: on a disk that the cluster's machines share.

    Raises:
        ExecutionError: if ``root`` is not the project's folder.
    """
    if not (root / PLATFORM_PACKAGE).is_dir():
        raise ExecutionError(
            f"a job is submitted from the project's folder, {root} has no {PLATFORM_PACKAGE}"
        )
    (place,) = WORKSPACE.variables
    return {
        "py_modules": [PLATFORM_PACKAGE],
        "env_vars": {**QUIET_RAY, **REQUIRED_OF_RAY, place: str(workspace.root)},
    }


def entry_point(command: Sequence[str]) -> str:
    """Write the job's command line."""
    return f"python -m s2hand_platform.cli {shlex.join(command)}"


def submit_command(command: Sequence[str], address: str, root: Path, workspace: Workspace) -> str:
    """Write the ``ray job submit`` line that does the same as ``submit_job``.

    Ray lets its variables overrule ``--address``, so the line goes without them.
    """
    environment = json.dumps(job_runtime_env(root, workspace))
    without = " ".join(f"-u {name}" for name in JOB_SERVER.variables)
    return (
        f"env {without} ray job submit --address {shlex.quote(address)} "
        f"--working-dir {shlex.quote(str(root))} "
        f"--runtime-env-json {shlex.quote(environment)} -- {entry_point(command)}"
    )
