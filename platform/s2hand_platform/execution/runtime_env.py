"""The runtime environment of a job: how this folder's code reaches a cluster."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution import QUIET_RAY
from s2hand_platform.workspace import ENVIRONMENT_VARIABLE, Workspace

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
    return {
        "py_modules": [PLATFORM_PACKAGE],
        "env_vars": {**QUIET_RAY, ENVIRONMENT_VARIABLE: str(workspace.root)},
    }


def entry_point(command: Sequence[str]) -> str:
    """Write the job's command line."""
    return f"python -m s2hand_platform.cli {shlex.join(command)}"


def submit_command(command: Sequence[str], address: str, root: Path, workspace: Workspace) -> str:
    """Write the ``ray job submit`` line that does the same as ``submit_job``."""
    environment = json.dumps(job_runtime_env(root, workspace))
    return (
        f"ray job submit --address {shlex.quote(address)} --working-dir {shlex.quote(str(root))} "
        f"--runtime-env-json {shlex.quote(environment)} -- {entry_point(command)}"
    )


def submit_job(command: Sequence[str], address: str, root: Path, workspace: Workspace) -> int:
    """Submit a job, print its log while it runs, and return its exit code.

    Raises:
        ExecutionError: if no job server answers, or it wants another token.
    """
    import asyncio

    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    environment = job_runtime_env(root, workspace)
    environment["working_dir"] = str(root)
    environment["py_modules"] = [str(root / PLATFORM_PACKAGE)]
    try:
        client = JobSubmissionClient(address)
    except AuthenticationError as error:
        raise ExecutionError(
            f"the cluster at {address} asks for a token, and got none or another one; set "
            "RAY_AUTH_MODE=token, and the cluster's own in RAY_AUTH_TOKEN or the token file "
            "(docs/cluster.md)"
        ) from error
    except (ConnectionError, RuntimeError) as error:
        raise ExecutionError(
            f"no job server answers at {address} ({error}); start a cluster with "
            "'ray start --head', and check the address and the token"
        ) from error
    job = client.submit_job(entrypoint=entry_point(command), runtime_env=environment)

    async def follow() -> None:
        async for text in client.tail_job_logs(job):
            sys.stdout.write(text)
            sys.stdout.flush()

    asyncio.run(follow())
    code = client.get_job_info(job).driver_exit_code
    return 1 if code is None else int(code)
