"""Submitting to servers that refuse, are silent, or are no job servers: no Ray is started."""

import json
import shlex
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s2hand_platform.errors import ExecutionError
from s2hand_platform.execution import jobs
from s2hand_platform.execution.jobs import job_server, submit_job
from s2hand_platform.execution.runtime_env import PLATFORM_PACKAGE, submit_command
from s2hand_platform.revision import Revision, read_revision
from s2hand_platform.workspace import Workspace

pytestmark = pytest.mark.filterwarnings("default::ResourceWarning")

VERSION = json.dumps({"ray_version": "2.60.0"})


class Server(ThreadingHTTPServer):
    """Answers ``/api/version`` with ``version``, everything else with ``otherwise``."""

    def __init__(self, version: tuple[int, str], otherwise: tuple[int, str]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.version, self.otherwise = version, otherwise
        self.asked: list[str] = []
        self.pause_s = 0.0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(f"{self.command} {self.path}")
        is_version = self.path == "/api/version"
        status, text = self.server.version if is_version else self.server.otherwise
        time.sleep(0.0 if is_version else self.server.pause_s)
        if self.command == "GET" and self.path.startswith("/api/packages"):
            status = 404  # nothing was uploaded before
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_PUT = do_POST = answer  # noqa: N815 - the names are Python's

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def serve() -> Iterator[Any]:
    running: list[Server] = []

    def start(
        version: tuple[int, str] = (200, VERSION), otherwise: tuple[int, str] = (404, "")
    ) -> Server:
        running.append(Server(version, otherwise))
        threading.Thread(target=running[-1].serve_forever, args=(0.01,), daemon=True).start()
        return running[-1]

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / PLATFORM_PACKAGE).mkdir(parents=True)
    (tmp_path / PLATFORM_PACKAGE / "__init__.py").write_text("")
    return tmp_path


def refusal(address: str, root: Path) -> str:
    with pytest.raises(ExecutionError) as refused:
        submit_job(["plan", "tiny"], job_server(address), root, Workspace(root / "w"))
    return str(refused.value)


@pytest.mark.parametrize("variable", ["RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"])
def test_the_option_says_to_whom(
    serve: Any, root: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    asked, other = serve(), serve()
    monkeypatch.setenv(variable, other.address)
    refusal(asked.address, root)
    assert other.asked == []
    assert asked.asked[0] == "GET /api/version"
    assert any(each.startswith("PUT") for each in asked.asked)
    assert job_server(None) == other.address
    monkeypatch.setenv("S2HAND_JOB_SERVER", asked.address)
    assert job_server(None) == asked.address


def test_the_plain_command_goes_without_the_variables_too(root: Path) -> None:
    line = shlex.split(submit_command(["plan", "tiny"], "http://a:1", root, Workspace(root)))
    assert line[:5] == ["env", "-u", "S2HAND_JOB_SERVER", "-u", "RAY_API_SERVER_ADDRESS"]
    assert line[5:12] == ["-u", "RAY_ADDRESS", "ray", "job", "submit", "--address", "http://a:1"]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1:8265", "localhost", "auto", "ray://127.0.0.1:10001", "ftp://127.0.0.1"),
        *("http://", "http://:8265", "http://a:b", "http://a:99999", "http://a:1/#/jobs"),
    ],
)
def test_what_is_no_address_of_a_job_server(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExecutionError, match=r"^--address: must be http://HOST:PORT"):
        job_server(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ExecutionError, match=r"^RAY_ADDRESS: must be http://HOST:PORT"):
        job_server(None)


def test_the_usual_address_and_a_slash_at_the_end() -> None:
    assert job_server(None) == "http://127.0.0.1:8265"
    assert job_server("https://host/jobs/") == "https://host/jobs"


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ((404, "not here"), "404"),
        ((200, "<html>"), "Expecting value"),
        ((200, "[]"), "does not know Ray's version"),
        ((200, "{}"), "does not know Ray's version"),
        ((500, "broken"), "500"),
    ],
)
def test_another_server(serve: Any, root: Path, version: tuple[int, str], reason: str) -> None:
    server = serve(version)
    message = refusal(server.address, root)
    assert message.startswith(f"no job server of Ray answers at {server.address}: ")
    assert reason in message
    assert "ray start --head" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("status", "text"), [(413, "Maximum request body size 104857600 exceeded"), (500, "no agent")]
)
def test_a_refused_upload(serve: Any, root: Path, status: int, text: str) -> None:
    server = serve(otherwise=(status, text))
    message = refusal(server.address, root)
    assert message.startswith(f"the job server at {server.address} did not take the job: ")
    assert str(status) in message
    assert text in message
    assert ".rayignore" in message


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_is_asked_for(serve: Any, root: Path, status: int) -> None:
    server = serve((status, ""))
    assert "asks for a token" in refusal(server.address, root)
    assert len(server.asked) == 2  # the second time Ray's client, with the token


def test_a_server_that_falls_silent(
    serve: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    monkeypatch.setattr(jobs, "REQUEST_TIMEOUT_S", 0.1)
    monkeypatch.setattr(server, "pause_s", 1.0)
    assert "timed out" in refusal(server.address, root)


def test_nobody_answers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert "Connection refused" in refusal(f"http://127.0.0.1:{port}", root)
        silent.listen()
        monkeypatch.setattr(jobs, "CONNECT_TIMEOUT_S", 0.1)
        assert "timed out" in refusal(f"http://127.0.0.1:{port}", root)

    def unknown(*_: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "Name or service not known" in refusal("http://nowhere.example:8265", root)


def test_the_whole_waiting_is_shorter_than_ten_seconds_and_goes_without_ray(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 * jobs.CONNECT_TIMEOUT_S < 10
    monkeypatch.setitem(sys.modules, "ray.job_submission", None)
    assert "Connection refused" in refusal("http://127.0.0.1:1", root)


class Client:
    """A job server's client whose job has come to an end."""

    def __init__(self, code: int | None, failure: Exception | None = None) -> None:
        self._code, self._failure = code, failure
        self.submitted: dict[str, Any] = {}

    def submit_job(self, **submitted: Any) -> str:
        self.submitted = submitted
        return "raysubmit_1"

    async def tail_job_logs(self, _job: str) -> AsyncIterator[str]:
        yield "a line\n"
        if self._failure is not None:
            raise self._failure

    def get_job_info(self, _job: str) -> Any:
        status = SimpleNamespace(value="FAILED")
        return SimpleNamespace(driver_exit_code=self._code, status=status, message="no pip here")


def test_a_job_is_told_the_revision_of_what_is_uploaded(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, asked = Client(0), []
    revision = Revision(commit="c" * 40, state="dirty", patch="d" * 64)

    def find(files: list[str]) -> tuple[Revision, str]:
        asked.extend(files)
        return revision, "a patch"

    monkeypatch.setattr(jobs, "_probe", lambda _address: None)
    monkeypatch.setattr(jobs, "_connect", lambda _address: client)
    monkeypatch.setattr(jobs, "find_revision", find)
    submit_job(["plan", "tiny"], "http://a:1", root, Workspace(root / "w"))
    variables = client.submitted["runtime_env"]["env_vars"]
    assert read_revision(variables["S2HAND_REVISION"]) == revision
    assert asked == [str(root / "platform" / "s2hand_platform" / "__init__.py")]


def test_the_jobs_exit_code_and_log(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs, "_probe", lambda _address: None)
    monkeypatch.setattr(jobs, "_connect", lambda _address: Client(3))
    assert submit_job(["plan", "tiny"], "http://a:1", root, Workspace(root / "w")) == 3
    printed = capsys.readouterr()
    assert printed.out == "a line\n"
    assert "submitted raysubmit_1" in printed.err


@pytest.mark.parametrize(
    ("client", "message"),
    [
        (Client(None), r"raysubmit_1 at http://a:1 has no exit code \(failed\): no pip here"),
        (Client(0, RuntimeError("closed")), "lost the log of raysubmit_1 at http://a:1: closed"),
    ],
)
def test_a_job_that_ends_otherwise(
    root: Path, monkeypatch: pytest.MonkeyPatch, client: Client, message: str
) -> None:
    monkeypatch.setattr(jobs, "_probe", lambda _address: None)
    monkeypatch.setattr(jobs, "_connect", lambda _address: client)
    with pytest.raises(ExecutionError, match=message):
        submit_job(["plan", "tiny"], "http://a:1", root, Workspace(root / "w"))
