"""The lock that lets only one training work on a stage."""

import subprocess
import sys

import pytest

from s2hand.training import sharing
from s2hand.training.sharing import first_free
from s2hand.training.workers import Workers

ALONE = Workers(rank=0, world_size=1)


def test_a_folder_is_held_by_one_process_and_freed_when_it_dies(tmp_path, caplog):
    script = (
        "import fcntl, sys\n"
        f"file = open({str(tmp_path / 'lock')!r}, 'a')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        entered = []

        def kill_holder(_seconds):
            entered.append("waited")
            holder.kill()
            holder.wait()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("s2hand.training.sharing.time.sleep", kill_holder)
            with first_free([tmp_path], ALONE) as place:
                entered.append(place)
    assert entered == ["waited", 0]
    assert caplog.messages == [f"other trainings hold {tmp_path}; waiting"]


def test_the_first_folder_that_nobody_holds_is_taken(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    with first_free(folders, ALONE) as first, first_free(folders, ALONE) as second:
        assert (first, second) == (0, 1)
        with first_free(folders[1:], ALONE) as third:
            assert third == 1
    with first_free(folders, ALONE) as freed:
        assert freed == 0


def test_while_all_folders_are_held_it_is_asked_twice_a_second(tmp_path, monkeypatch):
    folders = [tmp_path / name for name in "ab"]
    waits = []

    def free_the_second(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            second.__exit__(None, None, None)

    monkeypatch.setattr(sharing.time, "sleep", free_the_second)
    with first_free(folders[:1], ALONE):
        second = first_free(folders[1:], ALONE)
        second.__enter__()
        with first_free(folders, ALONE) as place:
            assert place == 1
    assert waits == [0.5] * 3


def test_a_folder_is_made_with_all_above_it_and_kept(tmp_path):
    folder = tmp_path / "not" / "yet"
    for _ in range(2):
        with first_free([folder], ALONE) as place:
            assert place == 0
            assert [path.name for path in folder.iterdir()] == ["lock"]


class Second(Workers):
    """The second of two workers, whose first says what it is given."""

    answers = iter(())

    def first_says(self, answer):
        assert answer is False, "the second worker never takes a lock itself"
        return next(self.answers)


def test_other_workers_do_as_the_first_says(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing.time, "sleep", lambda _: None)
    monkeypatch.setattr(Workers, "__post_init__", lambda _: None)
    monkeypatch.setattr(Second, "answers", iter([False, False, False, True]))
    second = Second(rank=1, world_size=2)
    folders = [tmp_path / name for name in "ab"]
    with first_free(folders, second) as place:
        assert place == 1
        with first_free(folders, ALONE) as free:
            assert free == 0
