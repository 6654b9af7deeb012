"""The room for what cannot be used."""

import json
from pathlib import Path

import pytest

from s2hand_platform.store.files import UnusableFile
from s2hand_platform.store.set_aside import SetAside, SetAsideRoom

A, B = "a" * 64, "b" * 64


@pytest.fixture
def room(tmp_path: Path) -> SetAsideRoom:
    return SetAsideRoom(tmp_path)


def lying(store: Path, place: str = "attempts/a.parquet", content: str = "") -> Path:
    path = store / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def test_a_file_is_moved_with_the_reason_beside_it(tmp_path: Path, room: SetAsideRoom) -> None:
    path = lying(tmp_path, content="x")
    assert room.take(UnusableFile(path, "damaged", "it is cut"), {B, A})
    target = tmp_path / "set-aside" / "attempts-a.parquet"
    assert not path.exists()
    assert target.read_text() == "x"
    assert json.loads(target.with_name(f"{target.name}.reason.json").read_text()) == {
        "path": "attempts/a.parquet", "reason": "it is cut", "trial_ids": [A, B],
    }  # fmt: skip
    told = SetAside(path="attempts/a.parquet", reason="it is cut", trial_ids=(A, B))
    assert room.entries() == SetAsideRoom(tmp_path).entries() == [told]
    assert room.remarks == (
        f"Set aside, in {tmp_path / 'set-aside'}: {path}: it is cut. What it holds does not count.",
    )
    assert room.passed_over == frozenset()


def test_what_has_the_place_of_an_earlier_one_lies_beside_it(
    tmp_path: Path, room: SetAsideRoom
) -> None:
    for content in "123":
        fault = UnusableFile(lying(tmp_path, content=content), "foreign", content)
        assert room.take(fault)
    kept = {path.name: path.read_text() for path in tmp_path.glob("set-aside/*.parquet")}
    assert kept == {
        "attempts-a.parquet": "1", "attempts-a-2.parquet": "2", "attempts-a-3.parquet": "3",
    }  # fmt: skip
    assert sorted(entry.reason for entry in room.entries()) == ["1", "2", "3"]
    assert {entry.trial_ids for entry in room.entries()} == {()}
    assert len(room.remarks) == 1  # a path is told once


@pytest.mark.parametrize("why", ["newer", "read-only", "asked"])
def test_what_is_not_moved_is_passed_over(tmp_path: Path, room: SetAsideRoom, why: str) -> None:
    path = lying(tmp_path)
    if why == "read-only":
        (tmp_path / "set-aside").write_text("no folder")
    fault = UnusableFile(path, "newer" if why == "newer" else "damaged", "no use")
    if why == "asked":
        room.pass_over(fault)
    else:
        assert not room.take(fault)
    assert path.exists()
    assert room.passed_over == {path}
    assert room.remarks == (f"Passed over: {path}: no use. What it holds does not count.",)
    assert room.entries() == []


def test_what_another_process_took_counts_as_moved(tmp_path: Path, room: SetAsideRoom) -> None:
    assert room.take(UnusableFile(tmp_path / "attempts" / "gone.parquet", "damaged", "cut"))
    assert room.passed_over == frozenset()
    assert room.remarks[0].startswith("Set aside")


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"path": "p", "reason": "r"}'])
def test_a_reason_that_cannot_be_read_hides_no_other(
    tmp_path: Path, room: SetAsideRoom, text: str
) -> None:
    room.take(UnusableFile(lying(tmp_path), "damaged", "cut"))
    (tmp_path / "set-aside" / "a.reason.json").write_text(text)
    (tmp_path / "set-aside" / "b.reason.json").mkdir()
    assert [entry.reason for entry in room.entries()] == ["cut"]
