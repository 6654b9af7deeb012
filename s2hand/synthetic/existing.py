"""What a folder holds already: nothing, a part of the wanted set, all of it, or another one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s2hand.data.manifest import GENERATOR_VERSION, MANIFEST_NAME, Manifest, read_manifest
from s2hand.errors import DataError

UNFINISHED = ".unfinished"
"""Folder, beside the manifest's place, of what an interrupted run needs to continue."""


def is_finished(root: Path, parameters: Mapping[str, Any], *, verify: bool) -> bool:
    """Say whether a folder holds the whole set of these parameters.

    Args:
        root: The folder.
        parameters: What determines the set.
        verify: Check all of a finished set's files by content, instead of by size and time of
            change.

    Raises:
        DataError: If it holds another set, or one whose files are not those that were made.
    """
    manifest = root / MANIFEST_NAME
    for path in (manifest, root / UNFINISHED / "parameters.json"):
        if path.exists():
            found = _parameters_of(path)
            if found != parameters:
                raise DataError(f"{root}: {_difference(found, parameters)}")
    if not manifest.exists():
        return False
    _check_files(read_manifest(manifest), verify=verify)
    return True


def _parameters_of(path: Path) -> Mapping[str, object]:
    if path.name == MANIFEST_NAME:
        return read_manifest(path).parameters
    try:
        parameters: dict[str, object] = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: must be what `s2hand data make synthetic` writes, could not be read "
            f"({error}); delete the folder and make the data again"
        ) from error
    return parameters


def _check_files(manifest: Manifest, *, verify: bool) -> None:
    """Refuse a finished set whose files are not those that were made."""
    differences = list(manifest.differences(verify=verify))
    if differences:
        raise DataError(
            f"{manifest.folder}: {len(differences)} of {len(manifest.files)} files are not those "
            f"that were made: {differences[0]}; delete the folder and make the data again, or "
            "keep it elsewhere as data of your own, without its manifest.json"
        )


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    version = found.get("generator_version")
    if version != GENERATOR_VERSION:
        return (
            f"holds a benchmark of version {version}, and version {GENERATOR_VERSION} is made now, "
            "with other pictures; delete the folder, or move it where results of that version need "
            "it, and run the same command again"
        )
    differences = ", ".join(
        f"{name}: found {found.get(name)}, wanted {wanted[name]}"
        for name in wanted
        if found.get(name) != wanted[name]
    )
    return (
        f"holds a benchmark with other parameters, {differences}; choose another folder or delete "
        "this one"
    )
