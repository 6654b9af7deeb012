"""How a run uses its machines, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from s2hand_platform.store.records import StoredAttempt


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSettings:
    """Where and how trials run; none of it changes a result but the threads."""

    address: str | None = None
    """``HOST:PORT`` or ``auto`` of a Ray cluster, ``local`` for a Ray of our own; None: as the
    environment says, or else a Ray of our own."""
    cpus_per_worker: float | None = None
    """None: one, or with GPUs each GPU's share."""
    gpus_per_worker: float | None = None
    """None: one for trials that are planned for CUDA, none for others."""
    max_concurrent: int | None = None
    """Trials at once; None: as many as fit."""
    max_failures: int = 2
    """Further tries after a failure that may pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """What a run did."""

    outcomes: tuple[StoredAttempt, ...]
    """Last attempts of the trials that were to run, by whichever command."""
    reused: int
    """Trials that were in the store already."""

    @property
    def failed(self) -> Sequence[StoredAttempt]:
        """The trials that ended in failure."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]
