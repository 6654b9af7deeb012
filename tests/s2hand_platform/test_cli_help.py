"""Help comes at once: it imports nothing that a command needs only when it is run."""

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


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], ["plan", "run", "sweep", "table", "ui", "submit", "hand", "data", "weights"]),
        (["-h"], ["plan", "hand"]),
        *(([name, "-h"], ["--workspace"]) for name in ("plan", "run", "sweep", "table", "ui")),
        (["submit", "-h"], ["--address"]),
        (["hand", "--help"], ["export", "show"]),
        (["hand", "show", "-h"], ["--sampled"]),
        (["weights", "-h"], ["hands", "s2hand", "build"]),
        (["weights", "build", "-h"], ["hands|s2hand", "--device", "--workspace"]),
        (["data", "make", "-h"], ["demo|compact|small|full"]),
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
