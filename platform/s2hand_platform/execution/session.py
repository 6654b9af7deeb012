"""A Ray to run on: our own on this machine, or a cluster at an address."""

import logging
import os
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ray
from ray._private.node import Node

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution.termination import termination_interrupts
from s2hand_platform.settings import CLUSTER, RAY_FOLDER, Chosen

SLOT = "slot"
"""Resource of our own Ray that limits how many trials run at once."""
LOCAL = "local"
"""The address of a Ray of our own."""
CONNECT_TIMEOUT_S = 10.0

_LAST_PORT = 65535

_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103
"""Bytes of a socket's path: the operating system's limit."""
_LONGEST_SOCKET = "ray/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""What Ray adds to the folder of temporary files."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerResources:
    """What one training worker gets."""

    cpus: float = 1.0
    gpus: float = 0.0

    @property
    def threads(self) -> int:
        """Threads that the worker's numerics use: part of what makes a run repeatable."""
        return max(1, int(self.cpus))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """What the connected Ray has to give."""

    cpus: float
    gpus: float
    slots: int | None
    """Trials that our own Ray runs at once; None on a cluster that is not ours."""

    def worker_resources(
        self, device_type: str, cpus: float | None, gpus: float | None
    ) -> WorkerResources:
        """Fill in what was not asked for: a GPU for CUDA and its share of the CPUs, or one CPU.

        Raises:
            ExecutionError: if the trials are planned for a device that there is none of, or that
                the GPUs asked for contradict.
        """
        gpus = gpus if gpus is not None else float(device_type == "cuda")
        if (device_type == "cuda") != (gpus > 0):
            raise ExecutionError(
                f"the trials are planned for {device_type}, but {gpus:g} GPUs are asked for per "
                "worker; leave that out, or plan for the other device"
            )
        if gpus and not self.gpus:
            raise ExecutionError(
                "the trials are planned for cuda, but this Ray has no GPUs; run them on a cluster "
                "that has, or plan them for cpu"
            )
        if cpus is None:
            cpus = max(1.0, self.cpus * gpus // self.gpus) if gpus else 1.0
        return WorkerResources(cpus=cpus, gpus=gpus)

    def trials_at_once(self, worker: WorkerResources, world_size: int) -> int:
        """Count the trials of ``world_size`` workers that fit.

        Raises:
            ExecutionError: if not even one fits.
        """
        fits = self.cpus // (worker.cpus * world_size)
        if worker.gpus:
            fits = min(fits, self.gpus // (worker.gpus * world_size))
        if fits < 1:
            raise ExecutionError(
                f"a trial needs {world_size} workers of {worker.cpus:g} CPUs and "
                f"{worker.gpus:g} GPUs, but this Ray has {self.cpus:g} CPUs and {self.gpus:g} "
                "GPUs in all; ask for less per worker, or for a larger cluster"
            )
        return min(int(fits), self.slots) if self.slots else int(fits)


@contextmanager
def connect(address: str | None = None, *, cpus: int = 1) -> Iterator[Cluster]:
    """Connect to ``address``, or start a Ray of our own that ends with the block.

    A Ray that this process is connected to already is used and left running. Until the block ends
    a request to terminate interrupts it as Ctrl-C does.

    Args:
        address: ``HOST:PORT`` of a cluster's head, ``auto`` for the one on this machine, or
            ``local`` for a Ray of our own; None is what the environment says, or else ``local``.
        cpus: CPUs that our own Ray has at the least; this machine's are claimed anyway.

    Raises:
        ExecutionError: if no cluster answers at the address, or our own does not start.
    """
    if ray.is_initialized():
        yield _describe()
        return
    with termination_interrupts():  # in the end this puts back the handler from before Ray's start
        chosen = CLUSTER.choose(address)
        with CLUSTER.hidden():  # Ray lets its variable overrule 'auto', and hands it on
            if chosen.value in {"", LOCAL}:
                _start(max(cpus, len(os.sched_getaffinity(0))))
            else:
                _join(chosen)
        try:
            with termination_interrupts():  # Ray's start has put its own handler there
                yield _describe()
        finally:
            ray.shutdown()


def _start(cpus: int) -> None:
    """Start a Ray of our own; what did not start on a busy machine is tried once more."""
    folder = session_folder()
    for first in (True, False):
        try:
            ray.init(
                address=LOCAL,
                num_cpus=cpus,
                resources={SLOT: cpus},
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=str(folder),
            )
        except Exception as error:  # Ray's own processes fail with a bare one
            ray.shutdown()
            _end_processes(error)
            reason = " ".join(str(error).split()) or type(error).__name__
            if not first:
                raise ExecutionError(
                    f"Ray did not start on this machine, nor at a second try: {reason}; its log is "
                    f"in {folder / 'session_latest' / 'logs'}; mostly the machine is too busy or "
                    "short of memory: run the command again when it is less so, or "
                    "without Ray",
                    "start",
                ) from error
            _LOG.warning("Ray did not start (%s); trying once more", reason)
        else:
            return


def _end_processes(error: Exception) -> None:
    """End what a failed start has started: Ray itself leaves it running until this process ends."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        node = frame.f_locals.get("self")
        if isinstance(node, Node):
            node.kill_all_processes(check_alive=False)
            return


def session_folder() -> Path:
    """Return where Ray keeps its sockets and logs: as it is told, where its sockets fit in there.

    Raises:
        ExecutionError: if they do not, and the folder was named for Ray alone.
    """
    chosen = RAY_FOLDER.choose()
    folder = Path(chosen.value).absolute()
    if len(os.fsencode(folder / _LONGEST_SOCKET)) > _LONGEST_SOCKET_PATH:
        longest = _LONGEST_SOCKET_PATH - len(_LONGEST_SOCKET) - 1
        told = (
            f"{chosen.source}: Ray's sockets need a path of at most {longest} bytes, got {folder}"
        )
        if chosen.source == "RAY_TMPDIR":
            raise ExecutionError(f"{told}; name a shorter one")
        folder = Path(RAY_FOLDER.default)
        _LOG.warning("%s; they are put into %s (RAY_TMPDIR names another)", told, folder)
    return folder / "ray"


def _join(chosen: Chosen) -> None:
    address = chosen.value
    if "://" in address:
        raise ExecutionError(
            f"{chosen.source}: must be HOST:PORT of the cluster's head, auto, or local for a Ray "
            f"on this machine, got {address!r}; a job server (http://) is for 's2hand submit', "
            "which also serves from outside the cluster (docs/cluster.md)"
        )
    if address != "auto":
        _probe(chosen)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ExecutionError(_no_cluster(chosen, error)) from error


def _probe(chosen: Chosen) -> None:
    host, _, port = chosen.value.rpartition(":")
    if not host or not port.isdigit() or int(port) > _LAST_PORT:
        raise ExecutionError(
            f"{chosen.source}: must be HOST:PORT, auto or local, got {chosen.value!r}"
        )
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, UnicodeError) as error:  # a name that no host can have is a UnicodeError
        raise ExecutionError(_no_cluster(chosen, error)) from error


def _no_cluster(chosen: Chosen, error: Exception) -> str:
    return (
        f"no Ray cluster answers at {chosen.value} ({error}), which {chosen.source} names; start "
        "one with 'ray start --head', check the address and, if the cluster asks for one, the "
        "token (docs/cluster.md), or name the address local to run on this machine"
    )


def _describe() -> Cluster:
    total = ray.cluster_resources()
    slots = total.get(SLOT)
    return Cluster(
        cpus=total.get("CPU", 0.0),
        gpus=total.get("GPU", 0.0),
        slots=int(slots) if slots else None,
    )
