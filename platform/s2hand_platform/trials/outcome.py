"""How attempts ended, as a run asks the store for it."""

from dataclasses import replace

from s2hand_platform.planning.plan import PlannedTrial
from s2hand_platform.store.records import StoredAttempt
from s2hand_platform.store.results import ResultStore


def last_try(store: ResultStore, trial_id: str) -> StoredAttempt | None:
    """Return how the last attempt at a trial ended; None if there was none.

    Other than ``store.last_attempt`` this is one that failed to evaluate a finished trial again.
    """
    last = store.last_attempt(trial_id)
    if last is None or last.attempt + 1 == store.next_attempt(trial_id):
        return last
    later = store.attempts(trial_ids=[trial_id]).sort_values("attempt").iloc[-1]
    return replace(
        last,
        attempt=int(later["attempt"]),
        status=later["status"],
        failure=later["failure"],
        reason=later["reason"],
        evaluation_fingerprint=None,
        evaluator_id=None,
        duration_s=float(later["duration_s"]),
        training_s=None,
        evaluation_s=None,
        metrics={},
        notes={},
    )


def finished_as_planned(store: ResultStore, trial: PlannedTrial) -> StoredAttempt | None:
    """Return the result that a planned trial is to have, if the store has it already."""
    evaluation = trial.evaluation_fingerprint
    return store.last_attempt(trial.trial_id, evaluation=evaluation) if evaluation else None


def outcome_of(store: ResultStore, trial: PlannedTrial) -> StoredAttempt | None:
    """Return a planned trial's result, or else how the last attempt at it ended."""
    return finished_as_planned(store, trial) or last_try(store, trial.trial_id)
