import errno
import tempfile
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
import sqlalchemy

from s2hand_platform.errors import SpecError
from s2hand_platform.workspace import Workspace


def test_reports_of_one_table_on_other_data_lie_apart(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    labels = ["synthetic (demo)", "synthetic/demo", "/data/ü", "/data/ö", "x" * 300]
    folders = {workspace.report_dir("table4", label) for label in labels}
    assert len(folders) == len(labels)
    assert {folder.parent for folder in folders} == {tmp_path / "reports"}
    assert all(len(folder.name) < 80 for folder in folders)


def test_the_path_given_comes_before_the_environment_and_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Workspace.resolve().root == tmp_path / "workspace"
    monkeypatch.setenv("S2HAND_WORKSPACE", str(tmp_path / "mine"))
    assert Workspace.resolve().root == tmp_path / "mine"
    assert Workspace.resolve("here").root == tmp_path / "here"


def test_nothing_is_made_by_asking_where_it_lies(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    assert workspace.store_dir == tmp_path / "w" / "store"
    assert workspace.checkpoints_dir == tmp_path / "w" / "checkpoints"
    assert not workspace.root.exists()
    assert workspace.mlflow_uri == f"sqlite:///{tmp_path}/w/mlflow.db"
    assert [path.name for path in workspace.root.iterdir()] == []


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


def test_a_workspace_that_can_be_written_to_is_made_and_left_clean(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "deep" / "w")
    for _ in range(2):
        workspace.require_writable()
    assert not [path for path in workspace.root.rglob("*") if path.is_file()]


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "w").write_text("")
    with pytest.raises(SpecError, match=r"must be a folder, .*/w is a file; name another"):
        Workspace.resolve(tmp_path / "w")
    with pytest.raises(SpecError, match=r"/w/below cannot be written to \(Not a directory\); name"):
        Workspace(tmp_path / "w" / "below").require_writable()


@pytest.mark.parametrize("part", ["", "store", "checkpoints", "stages"])
def test_any_folder_that_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    refused = tmp_path / part

    def make_file(*, dir: Path) -> BinaryIO:
        if dir == refused:
            raise PermissionError(errno.EACCES, "Permission denied")
        return BytesIO()

    monkeypatch.setattr(tempfile, "TemporaryFile", make_file)
    with pytest.raises(SpecError) as refusal:
        Workspace(tmp_path).require_writable()
    assert f"{refused} cannot be written to (Permission denied)" in str(refusal.value)


def test_a_workspace_that_cannot_be_looked_into_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(SpecError, match=r"cannot be looked into \(Permission denied\)"):
        Workspace(tmp_path)
