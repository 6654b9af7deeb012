import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2hand_platform.trials.lock import first_free
from s2hand_platform.workspace import Workspace

HOLDER = """
import sys
from pathlib import Path
from s2hand_platform.trials.lock import first_free
from s2hand_platform.workspace import Workspace
with first_free(Workspace(Path(sys.argv[1])), ["a"]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def holder(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of trial ``a`` until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(workspace.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_trial_that_another_process_runs_is_passed_over(
    workspace: Workspace, holder: subprocess.Popen[str]
) -> None:
    with first_free(workspace, ["a", "b"]) as taken:
        assert taken == "b"
    assert holder.poll() is None


def test_first_comes_first_and_is_free_again_afterwards(workspace: Workspace) -> None:
    for _ in range(2):
        with first_free(workspace, ["a", "b"]) as taken:
            assert taken == "a"


def test_lock_is_freed_by_an_error(workspace: Workspace) -> None:
    with pytest.raises(KeyError), first_free(workspace, ["a"]):
        raise KeyError
    with first_free(workspace, ["a"]) as taken:
        assert taken == "a"


def test_killed_process_leaves_its_trial_to_the_one_that_waits(
    workspace: Workspace,
    holder: subprocess.Popen[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        holder.kill()
        holder.wait()

    monkeypatch.setattr("s2hand_platform.trials.lock.time.sleep", wait)
    with first_free(workspace, ["a"]) as taken:
        assert taken == "a"
    assert len(waited) == 1
    assert caplog.messages == ["another command runs a; waiting until it is done"]
