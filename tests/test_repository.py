"""Guards on the repository itself: layout, purity of the library, shape checks switched on."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

from s2hand.geometry.cameras import project
from s2hand.parts import WEIGHTS

ROOT = Path(__file__).resolve().parents[1]


def test_platform_stays_the_standard_library_seen_from_the_root() -> None:
    for folder in ("platform", "tests/platform", "dashboards"):
        init = ROOT / folder / "__init__.py"
        assert not init.exists(), f"{init} hides the standard library's platform module"
    subprocess.run(
        [sys.executable, "-c", "import platform, uuid; platform.system()"], cwd=ROOT, check=True
    )


def test_s2hand_imports_without_the_platform_and_its_tools() -> None:
    program = (
        "import pkgutil, importlib, sys, s2hand\n"
        "optional = {f's2hand.rendering.{backend}' for backend in "
        "('cuda', 'cuda_device', 'cuda_kernels', 'pytorch3d')}\n"
        "names = {m.name for m in pkgutil.walk_packages(s2hand.__path__, 's2hand.')}\n"
        "assert optional < names, names\n"
        "assert len(names) > 20, names\n"
        "[importlib.import_module(name) for name in sorted(names - optional)]\n"
        "found = {n.split('.')[0] for n in sys.modules} "
        "& {'ray', 'mlflow', 'pandas', 'pyarrow', 'pydantic', 's2hand_platform', 'triton'}\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_shapes_are_checked_while_testing() -> None:
    with pytest.raises(TypeCheckError):
        project(torch.zeros(2, 21, 4), torch.eye(3).expand(2, 3, 3))


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an unpacked archive tracks nothing")
def test_no_licensed_or_large_file_is_tracked() -> None:
    # A checkout of another owner is one too, as in containers.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    files = [ROOT / name for name in listing.stdout.split("\0") if name]
    assert len(files) > 50
    assert not [file for file in files if file.suffix == ".pkl"]
    large = [file for file in files if file.exists() and file.stat().st_size > 1_000_000]
    # Of our own making, from the embedded hand and pictures of it; and a page with its script.
    weights = {ROOT / "s2hand" / "weights" / f"{name}.safetensors" for name in WEIGHTS}
    assert set(large) <= weights | {ROOT / "docs" / "pages" / "table4.html"}


def test_no_two_test_files_have_one_name() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) > 100
    assert sorted(set(names)) == sorted(names), "pytest imports them by name alone"
