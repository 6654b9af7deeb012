"""A file is there as it was, or whole and new."""

import errno
import os
import stat

import pytest
from filelock import FileLock, Timeout

from s2hand.files import broken_link, exclusive, what_lies_at, whole_file


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


def test_what_a_killed_process_left_under_a_known_name_is_written_over(tmp_path):
    path, beside = tmp_path / "file", tmp_path / "file.partial"
    beside.write_bytes(b"left by a process that was killed")
    with whole_file(path, beside=beside) as file:
        file.write(b"new")
        file.flush()
        assert beside.read_bytes() == b"new"
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_who_does_not_wait_for_the_disk_syncs_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: pytest.fail("waited for the disk"))
    with whole_file(tmp_path / "file", on_disk=False) as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


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


def test_who_waits_for_another_says_so_and_is_then_alone(tmp_path, monkeypatch):
    lock = tmp_path / "lock"
    holder = FileLock(lock)
    holder.acquire()
    told = []

    def release(text, *values):
        told.append(text % values)
        holder.release()

    monkeypatch.setattr("s2hand.files._LOG.warning", release)
    for _ in range(2):
        with exclusive(lock, work="makes it"), pytest.raises(Timeout):
            FileLock(lock).acquire(blocking=False)
    assert told == ["another process makes it; waiting until it is done"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "a web page, which a server sends"),
        (b"<HTML><body>Please log in", "a web page, which a server sends"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a",
            "a pointer of Git LFS; `git",
        ),
        (b"PK\x03\x04\x14\x00", "a zip archive (an .npz file, a PyTorch file, or"),
        (b"\x1f\x8b\x08", "a gzip archive; unpack it"),
        (b"\x93NUMPY\x01\x00", "a NumPy array (.npy)"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"\x80\x02}", "a file that is cut short or of another kind"),
    ],
)
def test_what_people_have_instead_of_a_file_is_recognised(tmp_path, content, kind):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert what_lies_at(path).startswith(kind)


def test_links_folders_and_nothing_are_told_apart(tmp_path):
    assert what_lies_at(tmp_path) == "a folder"
    assert what_lies_at(tmp_path / "absent") == "nothing"
    (tmp_path / "file").write_bytes(b"")
    assert what_lies_at(tmp_path / "file" / "below") == "nothing"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    words = f"a symbolic link to {tmp_path / 'gone'}, which does not exist; mount its disk or"
    assert what_lies_at(link).startswith(words)
    assert what_lies_at(link / "file").startswith(f"nothing, as {link} is {words}")
    (tmp_path / "gone").mkdir()
    assert broken_link(link / "file") is None
    assert what_lies_at(link) == "a folder"
    link.unlink()
    link.symlink_to(link)
    assert "which cannot be followed (Too many levels" in what_lies_at(link)


def test_what_may_not_be_read_is_no_broken_link(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"content")
    monkeypatch.setattr(type(tmp_path), "is_symlink", _refuse)
    monkeypatch.setattr(type(tmp_path), "is_dir", _refuse)
    found = what_lies_at(tmp_path / "file")
    assert found == "something that cannot be opened (Permission denied); check its permissions"


def _refuse(path):
    raise PermissionError(errno.EACCES, "Permission denied", str(path))
