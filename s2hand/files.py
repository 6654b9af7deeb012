"""Files that are written whole or not at all, by one at a time, and what lies in their place."""

import errno
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

_LOG = logging.getLogger(__name__)


@contextmanager
def exclusive(lock: Path, *, work: str) -> Iterator[None]:
    """Be the only one in such a block, of all threads and processes; who must wait says so.

    The system frees the lock when its process ends, however that ends; the file stays.

    Args:
        lock: A file of nothing else; its folder must exist.
        work: What is done in the block, for those who wait: "another process …".

    Raises:
        OSError: If the file cannot be written.
    """
    file = FileLock(lock)
    try:
        file.acquire(blocking=False)
    except Timeout:
        _LOG.warning("another process %s; waiting until it is done", work)
        file.acquire()
    try:
        yield
    finally:
        file.release()


@contextmanager
def whole_file(
    path: Path, *, beside: Path | None = None, on_disk: bool = True
) -> Iterator[BinaryIO]:
    """Write a file that appears under its name once it is complete and on the disk.

    A reader sees the old file or the whole new one, never a part; so does one after a crash. What
    ends the block with an error leaves the old file, and nothing beside it.

    Args:
        path: The file, replaced if it exists; its folder must exist.
        beside: Where it is written until it is complete, in the same folder: a name by which what
            a killed process left is found or written over. None is a name of its own.
        on_disk: Wait until the disk has it. Without, which is for thousands of files that are
            checked as a whole later, a power failure can leave it short.

    Yields:
        An open binary file to write to, readable by everyone in the end.

    Raises:
        OSError: If the file cannot be written.
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "There is something that is no regular file", str(path))
    temporary = beside or path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            if on_disk:
                os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # where the folder itself is the trouble, there is no file
            temporary.unlink(missing_ok=True)
        raise


def is_file(path: Path) -> bool:
    """Say whether a file is there; False too where nobody may look, as ``what_lies_at`` tells."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Say whether a folder is there; False too where nobody may look, as ``what_lies_at`` tells."""
    try:
        return path.is_dir()
    except OSError:
        return False


def what_lies_at(path: Path) -> str:
    """Say what lies at a path where a file or a folder of another kind was expected.

    Returns:
        Words that go on from "there is": what people often have instead of the right thing, and
        what helps against it.
    """
    link = broken_link(path)
    if link is not None:
        place, trouble = link
        return trouble if place == path else f"nothing, as {place} is {trouble}"
    try:
        if path.is_dir():
            return "a folder"
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except OSError as error:
        return f"something that cannot be opened ({error.strerror}); check its permissions"
    return kind_of_content(head)


def kind_of_content(head: bytes) -> str:
    """Say by the first bytes of a file that is not what was expected what it is instead."""
    if not head:
        return "an empty file"
    beginning = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    known = (what for start, what in _BEGINNINGS.items() if beginning.startswith(start))
    return next(known, "a file that is cut short or of another kind")


def broken_link(path: Path) -> tuple[Path, str] | None:
    """Find the first symbolic link on the way to a path that leads nowhere.

    Returns:
        The link, and words for it; None: there is none.
    """
    for place in (*reversed(path.parents), path):
        try:
            if not place.is_symlink():
                continue
            place.stat()
        except FileNotFoundError:
            trouble = "which does not exist; mount its disk or repair the link"
        except PermissionError:
            return None  # It leads somewhere.
        except OSError as error:
            trouble = f"which cannot be followed ({error.strerror}); repair the link"
        else:
            continue
        return place, f"a symbolic link to {place.readlink()}, {trouble}"
    return None


HEAD_BYTES = 512
"""So much of a file's beginning tells its kind."""

_BEGINNINGS = {
    **dict.fromkeys(
        (b"<!doctype", b"<html"),
        "a web page, which a server sends in place of a file that needs a login",
    ),
    b"version https://git-lfs": "a pointer of Git LFS; `git lfs pull` fetches the file itself",
    b"pk\x03\x04": "a zip archive (an .npz file, a PyTorch file, or a download to be unpacked)",
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"\x93numpy": "a NumPy array (.npy)",
    b"\x89hdf": "an HDF5 file",
}
"""How files begin, in lower case, that people have in place of the right one."""
