import io
from dataclasses import replace

import pytest
from planned import plan_of, planned
from rich.console import Console
from tiny_experiment import TinyExperiment

from s2hand_platform.progress import ProgressSink
from s2hand_platform.store.records import StoredAttempt

TRIAL = planned(TinyExperiment(), seed=3)
LOST = StoredAttempt(
    trial_id=TRIAL.trial_id,
    attempt=0,
    status="failed",
    failure="lost_process",
    reason="the trial's process was lost",
    evaluation_fingerprint=None,
    evaluator_id=None,
    metrics={},
    notes={},
    duration_s=12.0,
    training_s=None,
    evaluation_s=None,
)
FINISHED = replace(
    LOST,
    attempt=1,
    status="finished",
    failure=None,
    reason="",
    metrics={"test/error": 0.5},
    duration_s=1.0,
    training_s=65.0,
    evaluation_s=5.0,
)


@pytest.fixture
def text() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(text: io.StringIO) -> ProgressSink:
    return ProgressSink(Console(file=text, width=200))


def test_failure_that_is_tried_again_is_no_end(progress: ProgressSink, text: io.StringIO) -> None:
    progress.begin(plan_of(TRIAL))
    progress.started(TRIAL, 0)
    progress.ended(TRIAL, LOST, tried_again=True)
    again = "tiny.row seed 3 attempt 0 failed: the trial's process was lost; trying again\n"
    assert text.getvalue().endswith(again)
    assert "[1/1]" not in text.getvalue()
    progress.started(TRIAL, 1)
    progress.ended(TRIAL, FINISHED)
    assert "[1/1] tiny.row seed 3 finished in 70 s: test/error 0.5\n" in text.getvalue()


def test_last_failure_is_an_end(progress: ProgressSink, text: io.StringIO) -> None:
    progress.begin(plan_of(TRIAL))
    progress.started(TRIAL, 0)
    progress.ended(TRIAL, LOST)
    end = "[1/1] tiny.row seed 3 failed in 12 s (the trial's process was lost)"
    assert end in text.getvalue()
