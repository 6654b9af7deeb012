"""The manifest of a generated set: what it was made with, and every file with hash and size."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2hand.data.digests import hash_file
from s2hand.errors import DataError

MANIFEST_NAME = "manifest.json"
"""It stands beside the folders ``freihand`` and ``ho3d``, and is written last."""

GENERATOR_VERSION = 3
"""Of the sets that are made now; raised whenever the same parameters give other bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A manifest as read from its file."""

    folder: Path
    sha256: str
    """Of the manifest's own file."""
    generator_version: int
    parameters: Mapping[str, Any]
    """What determines the set: ``generator_version``, ``seed``, ``image_size_px``,
    ``detections``, ``size``."""
    files: Mapping[str, str]
    """SHA-256 of every file by its path from ``folder``."""
    sizes: Mapping[str, int]
    """Bytes of every file, likewise; manifests of earlier versions have none."""

    def differences(self, *, verify: bool) -> Iterator[str]:
        """Say of each file that is not as it was written what it is.

        Args:
            verify: Read every file, instead of those alone that changed after the manifest, which
                was written last.
        """
        written_ns = (self.folder / MANIFEST_NAME).stat().st_mtime_ns
        after_ns = 0 if verify else written_ns
        return differences(self.folder, self.files, self.sizes, after_ns=after_ns)


def differences(
    folder: Path, files: Mapping[str, str], sizes: Mapping[str, int], *, after_ns: int
) -> Iterator[str]:
    """Say of each file that is not as it was written what it is.

    Args:
        folder: What the names count from.
        files: SHA-256 by name.
        sizes: Bytes by name, as far as they are known.
        after_ns: Files whose time of change is later are read. What was copied over a file with an
            earlier time and the same size is seen when this is 0.
    """
    for name, digest in files.items():
        path = folder / name
        try:
            status = path.stat()
            if status.st_size != sizes.get(name, status.st_size):
                yield f"{name} has {status.st_size} bytes, {sizes[name]} were written"
            elif status.st_mtime_ns > after_ns and hash_file(path) != digest:
                yield f"{name} has another content than was written"
        except OSError as error:
            yield f"{name} cannot be read ({error.strerror})"


def manifest_content(
    parameters: Mapping[str, Any], files: Mapping[str, str], sizes: Mapping[str, int]
) -> bytes:
    """Return the bytes of a manifest's file."""
    content = {
        "parameters": parameters,
        "files": dict(sorted(files.items())),
        "sizes": dict(sorted(sizes.items())),
    }
    return json.dumps(content, indent=1).encode()


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        DataError: If the file cannot be read or is not a generated set's manifest.
    """
    content, sha256 = _content(path)
    try:
        return Manifest(
            folder=path.parent,
            sha256=sha256,
            generator_version=content["parameters"]["generator_version"],
            parameters=content["parameters"],
            files={str(name): str(digest) for name, digest in content["files"].items()},
            sizes={str(name): int(size) for name, size in content.get("sizes", {}).items()},
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(_no_manifest(path, error)) from error


def find_manifest(folder: Path) -> tuple[Manifest, str] | None:
    """Find the manifest of the generated set that a dataset's folder belongs to.

    It lies beside the folder, or beside what the folder is a symbolic link to, and lists files of
    the folder: another set's manifest is not this one's, and nor is another program's file of that
    name, a JSON file that tells of no parameters and files.

    Returns:
        The manifest and the prefix that the folder's files have in it; None: no generated set.

    Raises:
        DataError: If a file of that name lies there that cannot be read, is damaged, or no JSON:
            the set's files could not be compared with it.
    """
    for place in dict.fromkeys((folder.absolute(), folder.resolve())):
        path = place.parent / MANIFEST_NAME
        if _is_absent(path) or not _is_of_a_set(_content(path)[0]):
            continue
        manifest = read_manifest(path)
        prefix = f"{place.name}/"
        if any(name.startswith(prefix) for name in manifest.files):
            return manifest, prefix
    return None


def _content(path: Path) -> tuple[Any, str]:
    """Return what a file holds as JSON, with the SHA-256 of its bytes."""
    try:
        raw = path.read_bytes()
        return json.loads(raw), hashlib.sha256(raw).hexdigest()
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(_no_manifest(path, error)) from error


def _is_absent(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _is_of_a_set(content: Any) -> bool:
    return isinstance(content, dict) and {"parameters", "files"} <= content.keys()


def _no_manifest(path: Path, error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    return (
        f"{path}: must be what `s2hand data make synthetic` writes, could not be read ({why}); "
        "delete a generated set's folder and make the data again, or, if the file is no part of "
        "one, move it away"
    )
