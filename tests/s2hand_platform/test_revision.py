import hashlib
import subprocess
from pathlib import Path

import pytest

from s2hand_platform.revision import UNKNOWN, Revision, find_revision, read_revision


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    answer = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True
    )
    return answer.stdout


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A module in a repository with one commit."""
    folder = tmp_path / "project" / "package"
    folder.mkdir(parents=True)
    (folder / "model.py").write_text("rate = 1\n")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder.parent, "init", "-q")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-qm", "First")
    return folder / "model.py"


def test_a_clean_tree_is_its_commit(code: Path) -> None:
    (code.parent / "training.log").write_text("ignored")
    commit = git(code.parent, "rev-parse", "HEAD").strip()
    found = find_revision(["(absent)", str(code)])
    assert found == (Revision(commit=commit, state="clean", patch=None), "")


def test_what_was_changed_is_a_patch_that_git_applies(code: Path, tmp_path: Path) -> None:
    git(code.parent, "config", "diff.noprefix", "true")
    git(code.parent, "config", "color.ui", "always")
    code.write_text("rate = 2\n")
    (code.parent / "new.py").write_text("staged = True\n")
    git(code.parent, "add", "new.py")
    (code.parent / "notes.txt").write_text("not told to git")
    (revision, text) = find_revision([str(code)])
    assert (revision.state, revision.patch) == ("dirty", hashlib.sha256(text.encode()).hexdigest())
    assert text.startswith("untracked: package/notes.txt\n")

    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(code.parents[1]), str(other))
    (tmp_path / "patch").write_text(text)
    git(other, "apply", str(tmp_path / "patch"))
    assert (other / "package" / "model.py").read_text() == "rate = 2\n"
    assert (other / "package" / "new.py").read_text() == "staged = True\n"


def test_files_beside_those_of_git_are_named(code: Path) -> None:
    (code.parent / "new.py").write_text("rate = 3\n")
    (code.parents[1] / "data" / "empty").mkdir(parents=True)
    assert find_revision([str(code)])[1] == "untracked: package/new.py\n"
    for name in ("1.bin", "2.bin"):
        (code.parents[1] / "data" / name).write_text("")
    (revision, text) = find_revision([str(code), str(code.parent / "new.py")])
    assert revision.state == "untracked"
    assert text == "untracked: data/\nuntracked: package/new.py\n"


def test_nothing_is_written_into_the_repository(code: Path) -> None:
    index = code.parents[1] / ".git" / "index"
    code.touch()  # git would like to remember that the content is the same
    before = index.read_bytes()
    find_revision([str(code)])
    assert index.read_bytes() == before


def test_code_that_no_repository_tracks(code: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside.py"
    beside.write_text("")
    installed = code.parent / "environment.log"  # inside of a repository that ignores it
    installed.write_text("")
    for files in ([str(beside)], [str(installed)], [str(code), str(beside)], ["(absent)"], []):
        assert find_revision(files) == (UNKNOWN, "")


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    assert find_revision([str(tmp_path / "model.py")]) == (UNKNOWN, "")


def test_variables_of_git_do_not_name_another_repository(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", "decoy")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "decoy" / ".git"))
    (revision, _) = find_revision([str(code)])
    monkeypatch.delenv("GIT_DIR")
    assert revision.commit == git(code.parent, "rev-parse", "HEAD").strip()


def test_without_git(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert find_revision([str(code)]) == (UNKNOWN, "")


@pytest.mark.parametrize(
    "revision",
    [
        Revision(commit="a" * 40, state="clean"),
        Revision(commit="a" * 40, state="dirty", patch="b" * 64),
    ],
)
def test_uploaded_code_is_of_the_revision_that_it_is_told(
    revision: Revision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S2HAND_REVISION", str(revision))
    (tmp_path / "model.py").write_text("")
    assert find_revision([str(tmp_path / "model.py")]) == (revision, "")


@pytest.mark.parametrize("text", ["", "clean", "unknown", f"{'a' * 40} polished", "a clean b c"])
def test_other_words_are_no_revision(text: str) -> None:
    assert read_revision(text) == UNKNOWN
