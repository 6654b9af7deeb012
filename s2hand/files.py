"""Files that are written whole or not at all."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Be the only one in such a block, of all threads and processes; wait while another is.

    The system frees the lock when its process ends, however that ends; the file stays.

    Args:
        lock: A file of nothing else; its folder must exist.

    Raises:
        OSError: If the file cannot be written.
    """
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that appears under its name once it is complete and on the disk.

    A reader sees the old file or the whole new one, never a part; so does one after a crash. What
    ends the block with an error leaves the old file, and nothing beside it.

    Args:
        path: The file, replaced if it exists; its folder must exist.

    Yields:
        An open binary file to write to, readable by everyone in the end.

    Raises:
        OSError: If the file cannot be written.
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "There is something that is no regular file", str(path))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
