"""What is written to the result store: one finished attempt of a trial."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

AttemptStatus = Literal["finished", "failed", "stopped_early"]

FailureCause = Literal[
    "non_finite",
    "data",
    "configuration",
    "code",
    "out_of_memory",
    "lost_process",
    "start",
    "storage",
    "other",
]
"""Why an attempt failed, for a machine to act on; ``AttemptRecord.reason`` says it to people.

``non_finite``: a loss or weight became NaN or infinite. ``data``, ``configuration``, ``code``: what
the trial was given cannot be used, or is not what it was planned with. ``out_of_memory``: of the
device or the machine. ``lost_process``: a worker ended without a word. ``start``: the workers could
not be started. ``storage``: a disk or file system failed. ``other``: none of these.
"""

Curve = Sequence[tuple[int, Mapping[str, float]]]
"""Epoch → what was reported there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """Where an attempt ran; nothing here names a machine."""

    framework: str
    """For instance ``torch 2.13.0``."""
    device: str
    """``cpu``, or ``cuda`` with the card's name."""
    precision: str
    threads: int
    """Threads per worker. Recorded; not part of the kind."""

    @property
    def kind(self) -> str:
        """Values of one cell come from one kind of environment."""
        return f"{self.device}, {self.framework}, {self.precision}"

    def to_json(self) -> str:
        """Write the fields and the kind."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({**fields, "kind": self.kind}, sort_keys=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptRecord:
    """One try at a trial that came to an end."""

    trial_id: str
    attempt: int
    """0 for the first try; a file is named by trial and attempt, so a repeat replaces itself."""
    experiment: str
    config: Mapping[str, Any]
    config_hash: str
    seed: int
    data_fingerprint: str | None
    code_fingerprint: str | None
    status: AttemptStatus
    reason: str = ""
    """Why it failed or was stopped."""
    environment: Environment
    started: datetime
    """With a time zone."""
    finished: datetime
    units: Mapping[str, str] = field(default_factory=dict)
    """Metric (without its split) → unit."""

    @property
    def duration_s(self) -> float:
        """Wall-clock seconds."""
        return (self.finished - self.started).total_seconds()
