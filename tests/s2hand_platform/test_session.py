"""How a Ray is found or started, without starting one."""

import errno
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private.node import Node
from ray._private.utils import validate_socket_filepath

from s2hand_platform import execution
from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution import session
from s2hand_platform.execution.session import Cluster, connect, session_folder
from s2hand_platform.execution.worker import free_orphaned_resources, note_resources
from s2hand_platform.settings import RAY_FOLDER
from s2hand_platform.workspace import Workspace


class Ray:
    """In the place of ``ray.init``: remembers, and fails as often as asked."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked: list[dict[str, Any]] = []
        self.address_variables: list[str | None] = []

    def init(self, **asked: Any) -> None:
        self.asked.append(asked)
        self.address_variables.append(os.environ.get("RAY_ADDRESS"))
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> Ray:
    for name in RAY_FOLDER.variables:
        monkeypatch.delenv(name, raising=False)
    started = Ray()
    monkeypatch.setattr(ray, "init", started.init)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(session, "_describe", lambda: Cluster(cpus=1, gpus=0, slots=1))
    monkeypatch.setattr(session, "_probe", lambda _chosen: None)
    return started


def test_the_option_says_which_ray(fake: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "other:1")
    for address in ("mine:1", "auto", "local", None):
        with connect(address):
            pass
    monkeypatch.setenv("S2HAND_ADDRESS", "ours:1")
    with connect():
        pass
    assert [asked["address"] for asked in fake.asked] == [
        *("mine:1", "auto", "local", "other:1", "ours:1")
    ]
    # Ray would take its variable for 'auto', and hand it to the processes that it starts.
    assert fake.address_variables == [None] * 5
    assert os.environ["RAY_ADDRESS"] == "other:1"


def test_who_asks_to_terminate_after_ray_is_heard_as_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def handlers_of_ray(**_asked: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def mine(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ray, "init", handlers_of_ray)
    before = signal.signal(signal.SIGTERM, mine)
    try:
        with connect():
            assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_workers_hold_is_noted_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    freed: list[str] = []
    monkeypatch.setattr(ray.util, "get_current_placement_group", lambda: "a group")
    monkeypatch.setattr(ray.util, "remove_placement_group", freed.append)
    place = (Workspace(tmp_path), "a" * 64, "run-1")
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            note_resources(*place)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    free_orphaned_resources(*place)
    assert freed == []
    note_resources(*place)
    for _ in range(2):
        free_orphaned_resources(*place)
    assert freed == ["a group"]


def test_without_any_address_a_ray_of_our_own_is_started(fake: Ray) -> None:
    with connect():
        pass
    assert fake.asked[0]["address"] == "local"
    assert fake.asked[0]["_temp_dir"] == "/tmp/ray"


@pytest.mark.parametrize("address", ["http://127.0.0.1:8265", "ray://127.0.0.1:10001"])
def test_other_addresses_are_blamed_on_where_they_stand(
    fake: Ray, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    with pytest.raises(ExecutionError, match=r"^--address: must be HOST:PORT"), connect(address):
        pass
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ExecutionError, match=r"^RAY_ADDRESS: must be HOST:PORT") as refused:
        connect().__enter__()
    assert "--address" not in str(refused.value)
    assert fake.asked == []


def test_an_unreachable_cluster_is_blamed_on_where_it_stands(
    monkeypatch: pytest.MonkeyPatch, fake: Ray
) -> None:
    fake.failures.append(ConnectionError("no answer"))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(ExecutionError, match=r"\(no answer\), which RAY_ADDRESS names"):
        connect().__enter__()


TIMED_OUT = "The current node timed out during startup. This\n could happen"


def test_a_start_that_failed_is_tried_once_more(
    fake: Ray, caplog: pytest.LogCaptureFixture
) -> None:
    fake.failures.append(Exception(TIMED_OUT))
    with connect():
        pass
    assert len(fake.asked) == 2
    assert fake.asked[0] == fake.asked[1]
    assert "timed out during startup. This could happen); trying once more" in caplog.text


def test_nothing_of_a_failed_start_is_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[Node] = []

    class Starting(Node):
        def __init__(self) -> None:
            raise TimeoutError

        def kill_all_processes(self, *, check_alive: bool) -> None:
            assert not check_alive
            ended.append(self)

    monkeypatch.setattr(ray, "init", lambda **_: Starting())
    with pytest.raises(ExecutionError, match="TimeoutError"):
        connect().__enter__()
    assert len(ended) == 2


def test_a_start_that_fails_twice_is_one_message(
    fake: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/short")
    fake.failures += [Exception(TIMED_OUT), OSError("no space")]
    with pytest.raises(ExecutionError) as failed:
        connect().__enter__()
    message = str(failed.value)
    assert message.startswith("Ray did not start on this machine, nor at a second try: no space;")
    assert "/short/ray/session_latest/logs" in message
    assert "without Ray" in message
    assert failed.value.cause == "start"


def test_rays_sockets_fit_into_their_folder(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    socket = "session_2026-11-29_23-33-00_123456_4194304/sockets/plasma_store"
    longest = max(
        length
        for length in range(2, 108)
        if _folder(monkeypatch, "TMPDIR", length) == Path("/" + "t" * (length - 1), "ray")
    )
    validate_socket_filepath(f"/{'t' * (longest - 1)}/ray/{socket}")
    with pytest.raises(OSError, match="AF_UNIX"):
        validate_socket_filepath(f"/{'t' * longest}/ray/{socket}")
    caplog.clear()
    assert _folder(monkeypatch, "TMPDIR", longest + 1) == Path("/tmp/ray")
    assert f"TMPDIR: Ray's sockets need a path of at most {longest} bytes" in caplog.text
    with pytest.raises(ExecutionError, match=r"^RAY_TMPDIR: .*; name a shorter one"):
        _folder(monkeypatch, "RAY_TMPDIR", longest + 1)


def _folder(monkeypatch: pytest.MonkeyPatch, variable: str, length: int) -> Path:
    monkeypatch.setenv(variable, "/" + "t" * (length - 1))
    return session_folder()


def test_ray_train_is_the_one_we_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TRAIN_V2_ENABLED", "0")
    monkeypatch.setenv("TUNE_RESULT_DIR", "/nowhere")
    importlib.reload(execution)
    assert os.environ["RAY_TRAIN_V2_ENABLED"] == "1"
    assert "TUNE_RESULT_DIR" not in os.environ
