from pathlib import Path

import pytest

from s2hand_platform.workspace import Workspace


def test_the_path_given_comes_before_the_environment_and_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("S2HAND_WORKSPACE", raising=False)
    assert Workspace.resolve().root == tmp_path / "workspace"
    monkeypatch.setenv("S2HAND_WORKSPACE", str(tmp_path / "mine"))
    assert Workspace.resolve().root == tmp_path / "mine"
    assert Workspace.resolve("here").root == tmp_path / "here"


def test_folders_are_made_when_asked_for(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    assert not workspace.root.exists()
    assert workspace.store_dir.is_dir()
    assert workspace.mlflow_uri == f"sqlite:///{tmp_path}/w/mlflow.db"
    assert [path.name for path in workspace.root.iterdir()] == ["store"]
