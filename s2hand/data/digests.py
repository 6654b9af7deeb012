"""SHA-256 of files' content; of images it is remembered, so that a set is read once for it."""

import hashlib
import itertools
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from s2hand.data.files import IMAGE_SUFFIXES, refuse_dangling
from s2hand.errors import DataError
from s2hand.files import whole_file

_MAX_THREADS = 8
_FILES_PER_TASK = 64
_SETTLED_NS = 2_000_000_000
"""A file that changed within this time may change again without another time of change."""

_Entry = tuple[int, int, str]
"""Size, time of change in ns, SHA-256."""

_remembered: dict[str, _Entry] = {}
"""By resolved path; what this process has hashed."""


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(files: Sequence[Path], cache_file: Path | None = None) -> list[str]:
    """Return the SHA-256 of every file's content, symbolic links followed.

    Annotations are read each time. An image is read once: its digest is remembered by resolved
    path, size and time of change.

    Args:
        files: The files.
        cache_file: Where other processes find the digests of the same images; None: they are
            remembered in memory only. A damaged file is made anew, one that cannot be written
            costs time and nothing else.

    Raises:
        DataError: If a file cannot be read; a link that leads nowhere is named.
    """
    kept = _read_cache(cache_file) if cache_file else {}
    known = kept | _remembered
    folders = {folder: os.path.realpath(folder) for folder in {file.parent for file in files}}

    images: dict[str, _Entry] = {}

    def digest(file: Path) -> str:
        try:
            place, entry = _digest(file, folders[file.parent], known)
        except OSError as error:
            refuse_dangling(file)
            raise DataError(
                f"{file}: cannot be read ({error.strerror}); complete the download, or check the "
                "path and its permissions"
            ) from error
        if _is_image(file) and time.time_ns() - entry[1] > _SETTLED_NS:
            images[place] = entry
        return entry[2]

    chunks = [files[i : i + _FILES_PER_TASK] for i in range(0, len(files), _FILES_PER_TASK)]
    try:
        with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
            found = pool.map(lambda chunk: [digest(file) for file in chunk], chunks)
            return list(itertools.chain.from_iterable(found))
    finally:  # Gigabytes that were read before an interruption are not read again.
        _remembered.update(images)
        if cache_file and not images.items() <= kept.items():
            _write_cache(cache_file, kept | images)


def _digest(file: Path, folder: str, known: Mapping[str, _Entry]) -> tuple[str, _Entry]:
    """Return a file's resolved path and what is to be remembered of it."""
    # os.path costs a third of pathlib, which matters for 10^5 images.
    place = os.path.join(folder, file.name)  # noqa: PTH118
    if os.path.islink(place):  # noqa: PTH114
        place = os.path.realpath(place)
    status = os.stat(place)  # noqa: PTH116
    size, changed_ns, digest = known.get(place, (-1, -1, ""))
    if not _is_image(file) or (size, changed_ns) != (status.st_size, status.st_mtime_ns):
        digest = hash_file(file)
    return place, (status.st_size, status.st_mtime_ns, digest)


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES


def _read_cache(path: Path) -> dict[str, _Entry]:
    try:
        content = json.loads(path.read_bytes())
        return {str(name): (int(a), int(b), str(c)) for name, (a, b, c) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _write_cache(path: Path, entries: dict[str, _Entry]) -> None:
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(json.dumps(entries).encode())
