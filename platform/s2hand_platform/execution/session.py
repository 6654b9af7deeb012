"""A Ray to run on: our own on this machine, or a cluster at an address."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution.termination import termination_interrupts

SLOT = "slot"
"""Resource of our own Ray that limits how many trials run at once."""
CONNECT_TIMEOUT_S = 10.0


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
                "worker (--gpus-per-worker); leave that out, or plan for the other device"
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
        address: ``HOST:PORT`` of a cluster's head, or ``auto``; None means ``RAY_ADDRESS`` or
            else a Ray of our own.
        cpus: CPUs that our own Ray has at the least; this machine's are claimed anyway.

    Raises:
        ExecutionError: if no cluster answers at the address.
    """
    if ray.is_initialized():
        yield _describe()
        return
    address = address or os.environ.get("RAY_ADDRESS")
    if address:
        _join(address)
    else:
        _start(max(cpus, len(os.sched_getaffinity(0))))
    try:
        with termination_interrupts():  # Ray's start has put its own handler there
            yield _describe()
    finally:
        ray.shutdown()


def _start(cpus: int) -> None:
    ray.init(
        address="local",
        num_cpus=cpus,
        resources={SLOT: cpus},
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def _join(address: str) -> None:
    if address.startswith("ray://"):
        raise ExecutionError(
            f"--address must be HOST:PORT of the cluster's head, got {address!r}; from outside the "
            "cluster submit a job: ray job submit (see docs/cluster.md)"
        )
    if address != "auto":
        _probe(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ExecutionError(_no_cluster(address, error)) from error


def _probe(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ExecutionError(f"--address must be HOST:PORT or auto, got {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise ExecutionError(_no_cluster(address, error)) from error


def _no_cluster(address: str, error: Exception) -> str:
    return (
        f"no Ray cluster answers at {address} ({error}); start one with 'ray start --head', "
        "check the address and, if the cluster asks for one, the token (docs/cluster.md), or leave "
        "--address out to run on this machine"
    )


def _describe() -> Cluster:
    total = ray.cluster_resources()
    slots = total.get(SLOT)
    return Cluster(
        cpus=total.get("CPU", 0.0),
        gpus=total.get("GPU", 0.0),
        slots=int(slots) if slots else None,
    )
