"""How attempts ended, as the store has them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from s2hand_platform.errors import FailureCause
from s2hand_platform.planning.plan import PlannedTrial
from s2hand_platform.store.records import AttemptStatus
from s2hand_platform.store.results import ResultStore


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialOutcome:
    """How an attempt ended."""

    trial_id: str
    attempt: int
    status: AttemptStatus
    failure: FailureCause | None = None
    evaluation_fingerprint: str | None = None
    reason: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """``split/metric`` → value; empty unless finished."""
    duration_s: float = 0.0
    notes: Mapping[str, str] = field(default_factory=dict)
    """What the experiment wants to be known about the result: subject → text."""


def last_outcome(store: ResultStore, trial_id: str) -> TrialOutcome | None:
    """Read how the last attempt at a trial ended; None if there was none."""
    trials, metrics = store.trials(), store.metrics()
    attempts = trials[trials["trial_id"] == trial_id].sort_values("attempt")
    if attempts.empty:
        return None
    last = attempts.iloc[-1]
    mine = metrics[(metrics["trial_id"] == trial_id) & (metrics["attempt"] == last["attempt"])]
    return TrialOutcome(
        trial_id=trial_id,
        attempt=int(last["attempt"]),
        status=last["status"],
        failure=last["failure"],
        evaluation_fingerprint=last["evaluation_fingerprint"],
        reason=last["reason"],
        metrics={f"{line.split}/{line.metric}": line.value for line in mine.itertuples()},
        duration_s=float(last["duration_s"]),
        notes=json.loads(last["notes_json"]),
    )


def finished_outcome(store: ResultStore, trial: PlannedTrial) -> TrialOutcome | None:
    """Return the result that a planned trial is to have, if the store has it already."""
    outcome = last_outcome(store, trial.trial_id)
    if outcome is None or outcome.status != "finished" or trial.evaluation is None:
        return None
    return outcome if outcome.evaluation_fingerprint == trial.evaluation_fingerprint else None
