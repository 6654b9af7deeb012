"""A file is there as it was, or whole and new."""

import os
import stat

import pytest

from s2hand.files import whole_file


def test_the_new_content_appears_at_the_end_readable_by_others(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_it_reaches_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, on_disk = tmp_path / "file", []

    def sync(handle):
        on_disk.append((os.fstat(handle).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    with whole_file(path) as file:
        file.write(b"12345")
    assert on_disk == [(5, False)]


@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt()])
def test_a_writing_that_fails_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write():
        with whole_file(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_device_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="no regular file"), whole_file(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with whole_file(path) as first:
        with whole_file(path) as second:
            second.write(b"second")
        first.write(b"first")
    assert path.read_bytes() == b"first"
