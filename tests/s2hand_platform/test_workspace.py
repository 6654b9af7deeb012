from pathlib import Path

import pytest
import sqlalchemy

from s2hand_platform.errors import SpecError
from s2hand_platform.workspace import Workspace


def test_the_path_given_comes_before_the_environment_and_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
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


@pytest.mark.parametrize("character", ["?", "#", "%", "\n"])
def test_what_no_address_can_hold_is_refused_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, character: str
) -> None:
    odd = tmp_path / f"what{character}x=1"
    odd.mkdir()
    with pytest.raises(SpecError, match=r"^--workspace: the workspace's path must not hold '"):
        Workspace.resolve(odd / "w")
    monkeypatch.setenv("S2HAND_WORKSPACE", str(odd))
    with pytest.raises(SpecError, match=r"^S2HAND_WORKSPACE: .* must not hold"):
        Workspace.resolve()
    monkeypatch.delenv("S2HAND_WORKSPACE")
    monkeypatch.chdir(odd)
    with pytest.raises(SpecError, match=r"^default: .* must not hold"):
        Workspace.resolve()
    assert list(odd.iterdir()) == []


def test_a_workspace_is_on_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="s3: addresses are not supported"):
        Workspace.resolve("s3://my-bucket/ws")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["o'brien's", "a b", "a;b&c", "ü\\x"])
def test_the_database_of_a_strange_name_lies_inside(tmp_path: Path, name: str) -> None:
    workspace = Workspace.resolve(tmp_path / name)
    engine = sqlalchemy.create_engine(workspace.mlflow_uri)
    with engine.connect():
        pass
    engine.dispose()
    assert [path.name for path in (tmp_path / name).iterdir()] == ["mlflow.db"]
