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
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
        return Manifest(
            folder=path.parent,
            sha256=hashlib.sha256(raw).hexdigest(),
            generator_version=content["parameters"]["generator_version"],
            parameters=content["parameters"],
            files={str(name): str(digest) for name, digest in content["files"].items()},
            sizes={str(name): int(size) for name, size in content.get("sizes", {}).items()},
        )
    except (
        OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError,
    ) as error:  # fmt: skip
        raise DataError(
            f"{path}: must be what `s2hand data make synthetic` writes, could not be read "
            f"({type(error).__name__}: {error}); delete the folder and make the data again"
        ) from error


def find_manifest(folder: Path) -> tuple[Manifest, str] | None:
    """Find the manifest of the generated set that a dataset's folder belongs to.

    It lies beside the folder, or beside what the folder is a symbolic link to, and lists files of
    the folder: another manifest is not this set's.

    Returns:
        The manifest and the prefix that the folder's files have in it; None: no generated set.
    """
    for place in dict.fromkeys((folder.absolute(), folder.resolve())):
        try:
            manifest = read_manifest(place.parent / MANIFEST_NAME)
        except DataError:
            continue
        prefix = f"{place.name}/"
        if any(name.startswith(prefix) for name in manifest.files):
            return manifest, prefix
    return None
