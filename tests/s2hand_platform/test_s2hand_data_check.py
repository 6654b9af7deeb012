"""``s2hand data check``: what it says of sets, and how it ends."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import command_groups
from s2hand_platform.experiments.s2hand import checked

CAMERA = [[120.0, 0, 15.5], [0, 120, 15.5], [0, 0, 1]]


@pytest.fixture
def freihand(tmp_path: Path) -> Path:
    """An evaluation set without truth, as it is downloaded."""
    folder = tmp_path / "synthetic" / "freihand"
    (folder / "evaluation/rgb").mkdir(parents=True)
    random = np.random.default_rng(0)
    for index in range(4):
        pixels = random.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"evaluation/rgb/{index:08d}.jpg")
    (folder / "evaluation_K.json").write_text(json.dumps([CAMERA] * 4))
    return folder


def check(*arguments: object) -> Result:
    return CliRunner().invoke(command_groups()["data"], ["check", *map(str, arguments)])


def test_a_whole_set_ends_well(freihand: Path) -> None:
    for root in (freihand, freihand.parent):
        done = check("freihand", "--root", root)
        assert done.exit_code == 0, done.output
        lines = done.stdout.splitlines()
        assert lines[:3] == [
            f"{freihand}, train: not here",
            f"{freihand}, test: usable",
            "  folder: 1 complete",
        ]
        assert "  images: 4 complete" in lines
        assert "  evaluation_xyz.json: 1 missing (optional)" in lines


def test_damage_is_named_file_by_file_and_is_an_exit_code(
    freihand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [freihand / f"evaluation/rgb/{index:08d}.jpg" for index in range(4)]
    for image in images[:2]:
        image.write_bytes(image.read_bytes()[:300])
    images[3].unlink()
    done = check("synthetic", "--root", freihand.parent)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert f"{freihand}, test: NOT usable as it is" in lines
    assert "  images: 1 complete, 1 missing, 2 damaged" in lines
    assert f"    missing: {images[3]}" in lines
    named = [line for line in lines if line.startswith(f"    damaged: {freihand}")]
    assert [str(image) in line for image, line in zip(images, named, strict=False)] == [True] * 2
    monkeypatch.setattr(checked, "_SHOWN", 1)
    assert "    and 1 more; --json names all" in check("freihand", "--root", freihand).stdout
    told = check("freihand", "--root", freihand, "--json")
    assert told.exit_code == 1
    ((split,),) = json.loads(told.stdout).values()
    assert split["files"]["images"]["damaged"].keys() == set(map(str, images[:2]))


def test_a_damaged_image_among_many_is_told_and_ends_well(freihand: Path) -> None:
    images = freihand / "evaluation/rgb"
    for index in range(4, 100):
        shutil.copyfile(images / f"{index % 4:08d}.jpg", images / f"{index:08d}.jpg")
    (freihand / "evaluation_K.json").write_text(json.dumps([CAMERA] * 100))
    damaged = images / "00000050.jpg"
    damaged.write_bytes(damaged.read_bytes()[:300])
    done = check("freihand", "--root", freihand)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert f"{freihand}, test: usable, with 1 damaged image left out" in lines
    assert "  images: 99 complete, 1 damaged" in lines
    assert any(line.startswith(f"    damaged: {damaged}") for line in lines)
    told = json.loads(check("freihand", "--root", freihand, "--json").stdout)
    assert [(each["usable"], each["left_out"]) for each in told[str(freihand)]] == [(True, 1)]


def test_a_missing_file_alone_is_an_exit_code(freihand: Path) -> None:
    (freihand / "evaluation/rgb/00000000.jpg").unlink()
    assert check("freihand", "--root", freihand).exit_code == 1


def test_a_benchmark_that_is_not_there_is_told(tmp_path: Path) -> None:
    refused = check("synthetic", "--root", tmp_path)
    assert isinstance(refused.exception, SpecError)
    assert "expected a folder with freihand or ho3d or youtube3d or folder in it" in str(
        refused.exception
    )
