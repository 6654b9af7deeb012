"""A copy of the tree, in which a module is changed and tests are run."""

import contextlib
import math
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from tools.mutants.swapping import swap


class TreeCopy:
    """A copy of a tree, in which modules are changed and tests are run."""

    def __init__(self, root: Path, folder: Path) -> None:
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
        for name in filter(None, listing.stdout.split("\0")):
            if (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, folder / name)
        for place in [path for path in folder.rglob("*") if path.is_dir()]:
            # Valid in the copy, where the sources have their times: nothing is compiled again.
            for path in (root / place.relative_to(folder) / "__pycache__").glob("*.pyc"):
                (place / "__pycache__").mkdir(exist_ok=True)
                shutil.copy2(path, place / "__pycache__")
        self.folder = folder
        self._compiled = set[Path]()

    def passes(
        self, tests: Sequence[str], module: str, source: bytes, limit_s: float | None = None
    ) -> bool:
        """Tell whether tests pass with a module as given, within a time; restore the module."""
        path = self.folder / module
        original = path.read_bytes()
        path.write_bytes(source)
        try:
            return self._run(tests, limit_s) == 0
        finally:
            path.write_bytes(original)
            for kept in path.parent.glob(f"__pycache__/{path.stem}.*"):
                kept.unlink()
            self.forget()

    def keep_compiled(self) -> None:
        """Keep what numba has compiled so far, which is the unchanged code."""
        self._compiled = set(self.folder.rglob("numba-*"))

    def forget(self) -> None:
        """Remove what numba and Hypothesis keep of changed code."""
        for folder in {*self.folder.rglob("numba-*")} - self._compiled:
            shutil.rmtree(folder)
        shutil.rmtree(self.folder / ".hypothesis", ignore_errors=True)

    def _run(self, tests: Sequence[str], limit_s: float | None) -> int | None:
        """Return the exit code of pytest in a fork, which is killed when it takes too long."""
        process = _forked(_run_pytest, self.folder, tests, limit_s)
        process.join(_patience_s(limit_s))
        _kill_group(process)
        process.join()
        return process.exitcode


class CollectedTests:
    """Tests of a tree in a process that has imported and collected them; each run is its fork."""

    def __init__(self, tree: TreeCopy, tests: Sequence[str]) -> None:
        self._tree = tree
        self._connection, other = multiprocessing.Pipe()
        self._process = _forked(_serve, tree.folder, tests, other)
        other.close()

    def passes(self, module: str, source: bytes | None, limit_s: float) -> bool | None:
        """Tell whether the tests pass with a module as given, or as it is for None, within a time.

        Returns:
            None if it cannot be told here: the module has to be imported anew, or the tests could
            not be collected.
        """
        try:
            self._connection.send((self._tree.folder / module, source, limit_s))
            code = self._connection.recv()
        except (EOFError, OSError):
            return None
        self._tree.forget()
        return None if code in _TELLS_NOTHING else code == 0

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        _kill_group(self._process)
        self._process.join()


def _forked(target: Callable[..., None], *arguments: object) -> multiprocessing.context.ForkProcess:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def _run_pytest(folder: Path, tests: Sequence[str], limit_s: float | None) -> None:
    """Run tests in this process and end it; what they print is dropped."""
    os.setsid()
    _limit(limit_s)
    os._exit(_pytest(folder, tests))


def _serve(folder: Path, tests: Sequence[str], connection: Connection) -> None:
    """Collect tests, run them in a fork for each request, and end this process."""
    os.setsid()
    torch.set_num_threads(1)  # threads of a pool would not be there after a fork
    os._exit(_pytest(folder, tests, _Serving(connection)))


class _Serving:
    """A plugin of pytest that stops before the first test: only forks of it go on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if session.testsfailed:
            os._exit(1)
        while True:
            try:
                path, source, limit_s = self._connection.recv()
            except EOFError:
                os._exit(0)
            child = os.fork()
            if child == 0:
                self._connection.close()
                os.setsid()
                _limit(limit_s)
                if source is not None and not swap(path, source):
                    os._exit(_NOT_HERE)
                return
            self._connection.send(_exit_code(child, _patience_s(limit_s)))


def _exit_code(child: int, patience_s: float | None) -> int:
    """Wait for a child and end it after a time, with all that it has started."""
    until = time.monotonic() + (patience_s or math.inf)
    ended, status = 0, -1
    while not ended and time.monotonic() < until:
        time.sleep(0.01)
        ended, status = os.waitpid(child, os.WNOHANG)
    _kill_group_of(child)
    if not ended:
        os.waitpid(child, 0)
        return 1
    return os.waitstatus_to_exitcode(status)


_NOT_HERE = 99
"""Exit code, none of pytest's: the change cannot be laid into what is imported."""

_TELLS_NOTHING = {
    _NOT_HERE,
    pytest.ExitCode.INTERNAL_ERROR,
    pytest.ExitCode.USAGE_ERROR,
    pytest.ExitCode.NO_TESTS_COLLECTED,
}
"""Exit codes of forks in which no test said anything."""


def _pytest(folder: Path, tests: Sequence[str], *plugins: object) -> int:
    os.chdir(folder)
    paths = [str(folder), str(folder / "platform")]
    sys.path[:0] = paths
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    # A limit of each test's time would, on a busy machine, pass for a change that was noticed.
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--timeout=0"]
    # Those take long, and promise of a wrong result only that there is one.
    return int(pytest.main([*options, "-m", "not fuzz", *tests], plugins=plugins))


def _limit(limit_s: float | None) -> None:
    """Limit the processor's time, so that a busy machine kills none that would pass."""
    if limit_s:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit_s),) * 2)


def _patience_s(limit_s: float | None) -> float | None:
    """Return how long to wait in all: what waits takes no time, and has ten times as long."""
    return 10 * limit_s if limit_s else None


def _kill_group(process: multiprocessing.context.ForkProcess) -> None:
    if process.pid:
        _kill_group_of(process.pid)


def _kill_group_of(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
