"""Help comes at once: it imports nothing that a command needs only when it is run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("torch", "numba", "ray", "mlflow", "numpy", "pandas", "pyarrow", "scipy", "optuna")
PROGRAM = """
import sys
from s2hand_platform.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print("imported:", *{name.partition(".")[0] for name in sys.modules})
"""


NOBODY = """
import os, pwd, sys
import numba.core.dispatcher

def unknown(_uid):
    raise KeyError

def compile_nothing(*_arguments):
    raise AssertionError("this only prints")

del os.environ["HOME"]
pwd.getpwuid = unknown
numba.core.dispatcher.Dispatcher.compile = compile_nothing
from s2hand_platform.cli import main

def call(*arguments):
    sys.argv = ["s2hand", *arguments]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, arguments

call("--help")
call("hand", "--help")
call("weights")
call("weights", "hands")
os.environ["S2HAND_EXPERIMENT"] = "tiny_experiment:TinyExperiment"
call("plan", "tiny.toml", "--scale", "one.toml")
call("table", "tiny")
import s2hand_platform.tracking.mlflow_sink
print("imported MLflow")
"""
TABLE = """
title = "Tiny"
dataset = "curve"
[[rows]]
id = "curved"
label = "Curved"
[[columns]]
label = "error"
metric = "test/error"
"""


def test_what_only_prints_needs_no_home_and_compiles_nothing(tmp_path: Path) -> None:
    """A container's user has neither, and a package folder that only root may write."""
    (tmp_path / "tiny.toml").write_text(TABLE)
    (tmp_path / "one.toml").write_text('title = "One"\nseeds = 1\n')
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", NOBODY],
        cwd=tmp_path,
        env={**os.environ, "HOME": "/", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("imported MLflow\n"), done.stderr
    assert "1 distinct trials, 1 to run" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (
            ["--help"],
            [
                *("plan", "run", "sweep", "table", "claims", "ui", "submit"),
                *("hand", "data", "evaluate", "weights", "predict", "export"),
            ],
        ),
        (["-h"], ["plan", "hand", "keypoints"]),
        *(
            ([name, "-h"], ["--workspace"])
            for name in ("plan", "run", "sweep", "table", "power", "claims", "ui")
        ),
        (["submit", "-h"], ["--address"]),
        (["hand", "--help"], ["export", "show"]),
        (["hand", "show", "-h"], ["--sampled"]),
        (["weights", "-h"], ["hands", "s2hand", "build"]),
        (["weights", "build", "-h"], ["hands|s2hand", "--device", "--workspace"]),
        (["predict", "-h"], ["--checkpoint", "--box", "--intrinsics", "--left", "--output"]),
        (["export", "-h"], ["--output"]),
        (["keypoints", "-h"], ["get-detector", "detect", "convert", "tracks"]),
        (["keypoints", "detect", "-h"], ["hands|detect|openpose", "--crops", "--without-ray"]),
        (["keypoints", "tracks", "-h"], ["--max-step", "--min-frames"]),
        (["data", "make", "-h"], ["demo|compact|small|full"]),
        (["data", "check", "-h"], ["--root", "--json"]),
        (["evaluate", "-h"], ["checkpoint", "--data", "--predictions", "--submission"]),
    ],
)
def test_help_imports_no_slow_package(
    arguments: list[str], shown: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    help_text, _, imported = done.stdout.rpartition("imported:")
    assert [word for word in shown if word not in help_text] == []
    assert set(SLOW) & set(imported.split()) == set()
