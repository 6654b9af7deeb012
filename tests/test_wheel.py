"""The wheel carries the recipes, and works where there is no checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from this source tree, without an index, and unpack it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def outside(unpacked: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder that is no checkout, with the wheel's packages before all others."""
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_all_recipes_are_in_the_wheel(unpacked: Path) -> None:
    recipes = {path.relative_to(ROOT / "sweeps") for path in (ROOT / "sweeps").rglob("*.toml")}
    installed = unpacked / "s2hand_platform" / "sweeps"
    assert len(recipes) > 20
    assert {path.relative_to(installed) for path in installed.rglob("*.toml")} == recipes


def test_all_starting_weights_are_in_the_wheel(unpacked: Path) -> None:
    folder = Path("s2hand") / "weights"
    committed, installed = (
        {path.name: path.read_bytes() for path in (root / folder).glob("*.safetensors")}
        for root in (ROOT, unpacked)
    )
    assert installed == committed


def test_recipes_are_found_without_a_checkout(unpacked: Path, tmp_path: Path) -> None:
    program = (
        "from s2hand_platform.experiments import default_experiment\n"
        "from s2hand_platform.spec import claims, files, loader\n"
        "print(*files.folders())\n"
        "experiment = default_experiment()\n"
        "for name in files.names('tables'): loader.load_table(name, experiment)\n"
        "for name in files.names('searches'): loader.load_sweep(name, experiment)\n"
        "for name in files.names('scales'): loader.load_scale(name, experiment)\n"
        "assert claims.load_claims(experiment).claims\n"
    )
    done = outside(unpacked, tmp_path, "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(unpacked / "s2hand_platform" / "sweeps")]


def test_the_command_line_works_without_a_checkout(unpacked: Path, tmp_path: Path) -> None:
    done = outside(unpacked, tmp_path, "-m", "s2hand_platform.cli", "plan", "tabel4")
    assert done.returncode == 2
    assert "sweeps/tables has no recipe 'tabel4'; did you mean 'table4'?" in done.stderr


def test_pages_and_their_command_are_in_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    folder = Path("s2hand_dashboards") / "page"
    source = ROOT / "dashboards" / folder
    assert {path.name for path in (unpacked / folder).iterdir()} == {
        path.name for path in source.iterdir()
    }
    done = outside(unpacked, tmp_path, "-m", "s2hand_platform.cli", "report", "tabel4")
    assert done.returncode == 2
    assert "no plan of a table or search of this name; did you mean 'table4'?" in done.stderr
