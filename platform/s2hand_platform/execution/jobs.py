"""Submitting a command as a job; whatever keeps it from running is one message.

Ray, which takes long to import, is left out until its job server has answered.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution.runtime_env import PLATFORM_PACKAGE, entry_point, job_runtime_env
from s2hand_platform.revision import find_revision
from s2hand_platform.settings import JOB_SERVER, REVISION
from s2hand_platform.workspace import Workspace

CONNECT_TIMEOUT_S = 4.0
"""For a connection, and again for the first answer."""
REQUEST_TIMEOUT_S = 60.0
"""For every further answer: to take a job a cluster may have to start processes."""
_WANTS_TOKEN = {401, 403}


def job_server(given: str | None) -> str:
    """Return the address of the job server that is meant.

    Raises:
        ExecutionError: if it is not an address of HTTP.
    """
    chosen = JOB_SERVER.choose(given)
    try:
        parts = urlsplit(chosen.value)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number
        is_url = False
    if not is_url or parts.query or parts.fragment:
        raise ExecutionError(
            f"{chosen.source}: must be http://HOST:PORT of the cluster's job server, got "
            f"{chosen.value!r}; give --address {JOB_SERVER.default} for one on this machine "
            "(HOST:PORT of a cluster's head is for 's2hand run' and 's2hand sweep')"
        )
    return chosen.value.rstrip("/")


def submit_job(command: Sequence[str], address: str, root: Path, workspace: Workspace) -> int:
    """Submit a job, print its log while it runs, and return its exit code.

    Args:
        command: what the job runs.
        address: from ``job_server``.
        root: the project's folder.
        workspace: on a disk that the cluster's machines share.

    Raises:
        ExecutionError: if no job server answers, it wants another token or refuses the job, or the
            job ends without an exit code.
    """
    environment = job_runtime_env(root, workspace)
    environment["working_dir"] = str(root)
    environment["py_modules"] = [str(root / PLATFORM_PACKAGE)]
    # What is uploaded has no repository, so the job is told which revision it is.
    revision, _ = find_revision([str(root / PLATFORM_PACKAGE / "__init__.py")])
    environment["env_vars"][REVISION.variables[0]] = str(revision)
    _probe(address)
    client = _connect(address)
    try:
        job = client.submit_job(entrypoint=entry_point(command), runtime_env=environment)
    except Exception as error:
        raise ExecutionError(
            f"the job server at {address} did not take the job: {_reason(error)}; where that is of "
            f"the size of the upload, .rayignore in {root} names what is left out"
        ) from error
    sys.stderr.write(f"submitted {job}, which goes on without this command\n")
    try:
        asyncio.run(_follow(client, job))
        info = client.get_job_info(job)
    except Exception as error:
        raise ExecutionError(
            f"lost the log of {job} at {address}: {_reason(error)}; the job goes on, see "
            f"'ray job logs --follow {job}'"
        ) from error
    if info.driver_exit_code is None:
        status = str(info.status.value).lower()
        raise ExecutionError(f"{job} at {address} has no exit code ({status}): {info.message}")
    return int(info.driver_exit_code)


def _probe(address: str) -> None:
    """Ask for Ray's version as Ray's own client does, which waits for an answer for good."""
    try:
        with urlopen(f"{address}/api/version", timeout=CONNECT_TIMEOUT_S) as answer:
            found = json.load(answer)
    except HTTPError as error:
        error.close()
        if error.code in _WANTS_TOKEN:  # Ray's client brings it
            return
        raise _no_job_server(address, error) from error
    except (OSError, ValueError, HTTPException) as error:
        raise _no_job_server(address, error) from error
    if not isinstance(found, dict) or "ray_version" not in found:
        raise _no_job_server(address, ValueError("what answers there does not know Ray's version"))


def _no_job_server(address: str, error: Exception) -> ExecutionError:
    return ExecutionError(
        f"no job server of Ray answers at {address}: {_reason(error)}; start a cluster with "
        "'ray start --head', and check the address and the token (docs/cluster.md)"
    )


def _connect(address: str) -> Any:
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):
        """Ray's client, with an end to its waiting."""

        def _do_request(self, *asked: Any, **named: Any) -> Any:
            named["timeout"] = REQUEST_TIMEOUT_S
            return super()._do_request(*asked, **named)

    try:
        with JOB_SERVER.hidden():  # Ray lets its variables overrule what it is given
            return Client(address)
    except AuthenticationError as error:
        raise ExecutionError(
            f"the cluster at {address} asks for a token, and got none or another one; set "
            "RAY_AUTH_MODE=token, and the cluster's own in RAY_AUTH_TOKEN or the token file "
            "(docs/cluster.md)"
        ) from error
    except Exception as error:
        raise _no_job_server(address, error) from error


async def _follow(client: Any, job: str) -> None:
    async for text in client.tail_job_logs(job):
        sys.stdout.write(text)
        sys.stdout.flush()


def _reason(error: BaseException) -> str:
    """Say in a line what befell the connection, which the client wraps several times, or else."""
    told, inner = error, error.__cause__ or error.__context__
    while inner is not None:
        told = inner if isinstance(inner, OSError) else told
        inner = inner.__cause__ or inner.__context__
    return " ".join(str(told).split()) or type(told).__name__
