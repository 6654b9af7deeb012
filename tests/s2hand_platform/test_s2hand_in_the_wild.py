"""Where videos in the wild lie, and what the commands say of them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import command_groups
from s2hand_platform.experiments.s2hand import official
from s2hand_platform.experiments.s2hand.datasets import find_dataset, sets_under
from s2hand_platform.workspace import Workspace


def test_they_lie_in_a_folder_of_their_own_beside_the_benchmark_s_sets(tmp_path: Path) -> None:
    workspace = Workspace.resolve(tmp_path)
    with pytest.raises(SpecError, match="s2hand data make in-the-wild --size demo"):
        find_dataset("synthetic", "youtube3d", workspace, "demo")
    with pytest.raises(SpecError, match="s2hand data make synthetic --size demo"):
        find_dataset("synthetic", "ho3d", workspace, "demo")
    benchmark = workspace.data_dir / "synthetic-demo"
    (benchmark / "in_the_wild/youtube3d").mkdir(parents=True)
    found = find_dataset("synthetic", "youtube3d", workspace, "demo")
    assert found == (benchmark / "in_the_wild/youtube3d").resolve()
    assert sets_under("synthetic", benchmark) == [
        ("youtube3d", benchmark / "in_the_wild/youtube3d")
    ]


def test_pretraining_has_none(tmp_path: Path) -> None:
    arguments = ["make", "in-the-wild", "--size", "pretraining", "--workspace", str(tmp_path)]
    done = CliRunner().invoke(command_groups()["data"], arguments)
    assert isinstance(done.exception, SpecError)
    assert "in-the-wild data are of size demo or compact or small or full" in str(done.exception)


def test_nothing_is_measured_on_youtube3d(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"must be freihand=PATH or ho3d=PATH, got 'youtube3d="):
        official.evaluation_set(f"youtube3d={tmp_path}")
