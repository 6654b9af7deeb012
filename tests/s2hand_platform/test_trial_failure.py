import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray.exceptions
import torch
from ray.train.v2._internal import exceptions as train_errors
from tiny_experiment import TinyDataError, TinyExperiment

from s2hand_platform.errors import ExecutionError, FailureCause, SpecError, StoreError
from s2hand_platform.execution import worker
from s2hand_platform.store.results import ResultStore
from s2hand_platform.trials.failure import LOST, Failure, decisive, failure_of

TINY = TinyExperiment()

ActorDied = ray.exceptions.ActorDiedError


def imitation(module: str, name: str, *bases: type[Exception]) -> Exception:
    """Make an error that only looks like another package's."""
    kind = type(name, bases or (RuntimeError,), {"__module__": module})
    return kind("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize(
    ("error", "cause", "may_pass"),
    [
        (TinyDataError("no points"), "data", False),
        (FloatingPointError("nan"), "non_finite", False),
        (ZeroDivisionError("division by zero"), "code", False),
        (ValueError("shapes"), "code", False),
        (ImportError("no module"), "code", False),
        (AttributeError("none"), "code", False),
        (SpecError(["bad key"]), "configuration", False),
        (FileNotFoundError("weights.pt"), "configuration", False),
        (ExecutionError("no GPU"), "configuration", False),
        (ExecutionError("other code", "code"), "code", False),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory", False),
        (imitation("torch", "OutOfMemoryError"), "out_of_memory", False),
        (imitation("torch.cuda", "OutOfMemoryError"), "out_of_memory", False),
        (imitation("elsewhere", "OutOfMemoryError"), "other", True),
        (MemoryError("cannot allocate"), "out_of_memory", False),
        (ray.exceptions.OutOfMemoryError("the node ran low on memory"), "lost_process", True),
        (ActorDied(), "lost_process", True),
        (ray.exceptions.WorkerCrashedError(), "lost_process", True),
        (ray.exceptions.NodeDiedError("a node"), "lost_process", True),
        (torch.distributed.DistNetworkError("peer"), "lost_process", True),
        (ConnectionResetError("peer"), "lost_process", True),
        (TimeoutError("no answer"), "lost_process", True),
        (train_errors.WorkerGroupStartupTimeoutError(2), "start", True),
        (train_errors.WorkerGroupStartupFailedError("node died"), "start", True),
        (OSError(28, "No space left on device"), "storage", True),
        (StoreError("cannot write the result store"), "storage", True),
        (RuntimeError("CUDA error: unspecified launch failure"), "other", True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_cause_decides_whether_it_is_tried_again(
    error: Exception, cause: FailureCause, may_pass: bool
) -> None:
    failure = failure_of(error, TINY)
    assert (failure.cause, failure.may_pass) == (cause, may_pass)


def test_experiment_has_the_first_word_on_its_own_errors() -> None:
    experiment = SimpleNamespace(cause=lambda error: "data" if "pixel" in str(error) else None)
    assert failure_of(ValueError("a pixel is missing"), experiment).cause == "data"
    assert failure_of(ValueError("shapes"), experiment).cause == "code"


def test_reason_is_one_line_with_the_errors_kind() -> None:
    failure = failure_of(SpecError(["epochs: must be at least 1", "", "  rate: unknown"]), TINY)
    assert failure.reason == "SpecError: epochs: must be at least 1; rate: unknown"


def test_lost_process_is_told_in_the_same_words_by_whoever_notices() -> None:
    assert failure_of(ActorDied(), TINY) == LOST
    assert LOST.reason == "the trial's process was lost"


def test_killed_for_memory_and_not_started_are_told_as_such() -> None:
    killed = failure_of(ray.exceptions.OutOfMemoryError("low"), TINY)
    assert killed.reason == "the trial's process was lost: its machine ran out of memory"
    late = failure_of(train_errors.WorkerGroupStartupFailedError("a node died"), TINY)
    assert late.reason == "the training workers could not be started: a node died"


def test_what_would_come_again_outweighs_what_it_dragged_along() -> None:
    data, dragged = Failure("data", "no points"), Failure("other", "peer closed")
    assert decisive([dragged, data, LOST]) == data
    assert decisive([dragged, LOST]) == LOST
    assert decisive([dragged]) == dragged


def test_an_unknown_error_in_the_same_words_is_tried_again_once(
    store: ResultStore, make_record: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: Any) -> None:
        raise error

    def record(_trial: Any, _experiment: Any, store: ResultStore, *rest: Any) -> None:
        failure = rest[1]
        store.write_attempt(
            make_record(
                attempt=store.next_attempt("a" * 64),
                status="failed",
                failure=failure.cause,
                reason=failure.reason,
            )
        )

    monkeypatch.setattr(worker, "_fit", fit)
    monkeypatch.setattr(worker, "_trainer", lambda *_, **__: None)
    monkeypatch.setattr(worker, "record_failure", record)
    job: Any = SimpleNamespace(
        trial=SimpleNamespace(trial_id="a" * 64),
        store=store,
        experiment=TINY,
        folder=tmp_path,
        stop_file=tmp_path / "stop",
    )
    store.write_attempt(make_record())  # trained, and now evaluated by other code
    lost, once, twice = OSError("disk"), RuntimeError("CUDA: launch"), RuntimeError("shapes")
    for error, comes in ((lost, 2), (once, 1), (twice, 1), (once, 1)):
        for _ in range(comes):
            with pytest.raises(type(error), match=str(error)):
                worker._try(job, b"", lean=True)
    worker._try(job, b"", lean=True)
    assert store.next_attempt("a" * 64) == 7


def test_cause_of_an_execution_error_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(ExecutionError("other code", "code")))
    assert (str(error), error.cause) == ("other code", "code")


def test_causes_are_found_without_importing_torch_or_ray() -> None:
    import s2hand_platform.trials.failure as module

    source = Path(module.__file__).read_text()
    assert "import torch" not in source
    assert "import ray" not in source
