"""What is written to the result store, and one attempt as it is read back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np

from s2hand_platform.errors import FailureCause
from s2hand_platform.experiments.protocol import DataRecord, StageReport
from s2hand_platform.revision import UNKNOWN, Revision

AttemptStatus = Literal["finished", "failed", "stopped_early"]

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
        """Device, framework and precision in a line: shown beside results, never chosen by."""
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
    """0 for the first try; of two records of one attempt, the one written last counts."""
    experiment: str
    config: Mapping[str, Any]
    config_hash: str
    seed: int
    data_fingerprint: str | None
    """Of the training data; None where it cannot be known."""
    code_fingerprint: str | None
    """Of the code that acts in the training; None where it cannot be known."""
    revision: Revision = UNKNOWN
    """Of the code, where it was planned."""
    evaluation_fingerprint: str | None = None
    """Of code, data and settings of the evaluation; None where it cannot be known, or where
    nothing was evaluated."""
    device_type: str | None = None
    """``cpu`` or ``cuda``: part of the trial's identity."""
    data_record: DataRecord | None = None
    """What was evaluated on."""
    status: AttemptStatus
    failure: FailureCause | None = None
    """Of a failed attempt: its cause."""
    reason: str = ""
    """Why it failed or was stopped."""
    environment: Environment
    started: datetime
    """With a time zone."""
    finished: datetime
    training_s: float | None = None
    """Wall-clock seconds of the stages that this trial trained: of each the time of all trainings
    that worked on it, killed ones and those of other trials included. Stages that were found
    trained do not count. None where it is not known."""
    evaluation_s: float | None = None
    """Wall-clock seconds of this attempt's evaluation; None where there was none."""
    stages: Sequence[StageReport] = ()
    """In the order of the training."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Metric (without its split) → unit."""

    @property
    def duration_s(self) -> float:
        """Wall-clock seconds of this attempt."""
        return (self.finished - self.started).total_seconds()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAttempt:
    """How an attempt ended, as the store knows it."""

    trial_id: str
    attempt: int
    status: AttemptStatus
    failure: FailureCause | None
    reason: str
    evaluation_fingerprint: str | None
    evaluator_id: str | None
    metrics: Mapping[str, float]
    """``split/metric`` → value; empty unless finished."""
    notes: Mapping[str, str]
    """What the experiment wants to be known about the result: subject → text."""
    duration_s: float
    """Wall-clock seconds of this attempt."""
    training_s: float | None
    """See ``AttemptRecord``."""
    evaluation_s: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedRun:
    """Where a tracker shows an attempt; one that fills several rows has a run for each."""

    trial_id: str
    attempt: int
    tracker: str
    """Its address, without names and passwords; empty for the database in the workspace."""
    group: str
    """The table or search."""
    name: str
    """The row, or the search's point."""
    run_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """What a trained model said of the samples of one split."""

    sample_ids: tuple[str, ...]
    arrays: Mapping[str, np.ndarray]
    """Parameter → float32 array whose rows belong to ``sample_ids``."""
