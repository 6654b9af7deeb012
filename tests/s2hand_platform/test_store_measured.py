from typing import Any

import pytest

from s2hand_platform.store.measured import measured_attempts
from s2hand_platform.store.results import ResultStore


@pytest.fixture
def tried(store: ResultStore, make_record: Any, make_evaluation: Any) -> Any:
    """Write attempts: (trial, status, evaluation), numbered by their order within the trial."""
    counts: dict[str, int] = {}

    def write(trial: str, status: str, evaluation: str | None) -> None:
        attempt = counts.setdefault(trial, 0)
        counts[trial] += 1
        store.write_attempt(
            make_record(
                trial * 64, attempt=attempt, status=status, evaluation_fingerprint=evaluation
            ),
            make_evaluation() if status == "finished" else None,
        )

    return write


def counted(store: ResultStore, evaluation: str | None) -> list[tuple[str, int]]:
    found = measured_attempts(store.attempts(), evaluation)
    return [(line.trial_id[0], line.attempt) for line in found.itertuples()]


def test_the_latest_finished_attempt_of_this_evaluation_counts(
    store: ResultStore, tried: Any
) -> None:
    tried("a", "failed", None)
    tried("a", "finished", "now")
    tried("a", "finished", "now")
    tried("a", "finished", "before")
    tried("a", "failed", "now")
    tried("b", "finished", "now")
    assert counted(store, "now") == [("a", 2), ("b", 0)]
    assert counted(store, "before") == [("a", 3)]


def test_what_was_not_finished_or_is_otherwise_evaluated_does_not_count(
    store: ResultStore, tried: Any
) -> None:
    tried("a", "failed", "now")
    tried("b", "stopped_early", "now")
    tried("c", "finished", "before")
    tried("d", "finished", None)
    assert counted(store, "now") == []
    assert counted(store, None) == []


def test_an_empty_store_has_nothing_that_counts(store: ResultStore) -> None:
    assert counted(store, "now") == []
    assert list(measured_attempts(store.attempts(), "now").columns) == list(
        store.attempts().columns
    )
