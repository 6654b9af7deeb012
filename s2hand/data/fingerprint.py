"""Fingerprints of the data that a configuration uses: of exactly the files that are read."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from s2hand.config import S2HandConfig
from s2hand.data.build import (
    Source,
    evaluation_source,
    extra_sources,
    training_source,
    validation_source,
)
from s2hand.data.digests import file_digests
from s2hand.data.manifest import find_manifest

_FORMAT = b"s2hand dataset 2\0"


def fingerprint_training_data(config: S2HandConfig) -> str:
    """Return the SHA-256 of what a configuration trains on, all sets of a mixture in their order.

    It covers the name, in the dataset's folder, and the content of every file that the loader
    reads under this configuration, symbolic links followed, and of a generated set the manifest.
    With ``runtime.cache_dir`` images are hashed once for all processes.

    Raises:
        DataError: If a file is missing or cannot be read.
    """
    sources = (training_source(config), *extra_sources(config))
    return fingerprint_of_training(
        [
            fingerprint_of(source, content_digests(source, cache_dir_of(config)))
            for source in sources
        ]
    )


def fingerprint_of_training(sets: Sequence[str]) -> str:
    """Return the SHA-256 of training on sets of these fingerprints: a single one's is its own."""
    first, *others = sets
    return _combined({str(place): each for place, each in enumerate(sets)}) if others else first


def fingerprint_evaluation_data(config: S2HandConfig) -> str:
    """Return the SHA-256 of what a configuration is evaluated on; see above.

    Raises:
        DataError: If a file is missing or cannot be read.
    """
    source = evaluation_source(config)
    return fingerprint_of(source, content_digests(source, cache_dir_of(config)))


def fingerprint_data(config: S2HandConfig, *, training: str | None = None) -> str:
    """Return one SHA-256 of what a configuration trains on, is evaluated and validated on.

    Where the fingerprint of what it trains on is known already, ``training`` saves reading it.

    Raises:
        DataError: If a file is missing or cannot be read.
    """
    parts = {
        "training": training or fingerprint_training_data(config),
        "evaluation": fingerprint_evaluation_data(config),
    }
    validation = validation_source(config)
    if validation is not None:
        digests = content_digests(validation, cache_dir_of(config))
        parts["validation"] = fingerprint_of(validation, digests)
    return _combined(parts)


def content_digests(source: Source, cache_dir: Path | None) -> dict[str, str]:
    """Return the SHA-256 of every file that is read of a source, by its name in the folder.

    Raises:
        DataError: If a file is missing or cannot be read.
    """
    files = source.files_read()
    cache_file = None
    if cache_dir is not None:
        key = f"{source.folder.resolve()}\0{source.split}".encode()
        cache_file = cache_dir / "digests" / f"{hashlib.sha256(key).hexdigest()}.json"
    names = [path.relative_to(source.folder).as_posix() for path in files]
    return dict(zip(names, file_digests(files, cache_file), strict=True))


def cache_dir_of(config: S2HandConfig) -> Path | None:
    """Return the folder in which digests of images are remembered; None: in memory only."""
    return Path(config.runtime.cache_dir) if config.runtime.cache_dir else None


def fingerprint_of(source: Source, digests: Mapping[str, str]) -> str:
    """Return the SHA-256 of a source whose files have these digests."""
    found = find_manifest(source.folder)
    manifest = {} if found is None else {"/manifest": found[0].sha256}
    return _combined({**digests, **manifest})


def _combined(digests: Mapping[str, str]) -> str:
    digest = hashlib.sha256(_FORMAT)
    for name, value in sorted(digests.items()):
        digest.update(f"{name}\0{value}\n".encode())
    return digest.hexdigest()
