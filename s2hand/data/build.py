"""From a configuration to its datasets, and the fingerprint of a dataset's content."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from s2hand.config import DatasetName, S2HandConfig
from s2hand.data.freihand import load_freihand
from s2hand.data.ho3d import load_ho3d
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError

MANIFEST_NAME = "manifest.json"
"""File by which a synthetic set lists its content; it stands beside ``freihand`` and ``ho3d``."""
_ANNOTATION_SUFFIXES = {".json", ".txt", ".pkl"}
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}
_BLOCK_BYTES = 1 << 20


def dataset_folder(root: str | Path, dataset: DatasetName) -> Path:
    """Return the folder in the official layout: ``root``, or ``root/dataset`` if that exists."""
    if not str(root):
        raise DataError(
            "data.root must name the folder of the dataset, got an empty text; "
            "`s2hand data make synthetic` makes one that needs no download"
        )
    nested = Path(root) / dataset
    return nested if nested.is_dir() else Path(root)


def load_train(config: S2HandConfig) -> FrameTable:
    """Load the training split that a configuration asks for, without what it holds out.

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others.
    """
    table = _load_official_train(config)
    return table.select(np.flatnonzero(~_held_out(table, config.data.validation_fraction)))


def load_validation(config: S2HandConfig) -> FrameTable:
    """Load the part of the training split that the configuration holds out.

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others.
    """
    table = _load_official_train(config)
    return table.select(np.flatnonzero(_held_out(table, config.data.validation_fraction)))


def _held_out(table: FrameTable, fraction: float) -> Bool[np.ndarray, "frames"]:
    """Say which rows are held out: the last sequences, or the last images of a collection."""
    if any(table.sequences):
        units = np.unique(table.sequences, return_inverse=True)[1]
    else:
        units = np.arange(len(table))
    num_units = int(units.max(initial=-1)) + 1
    held: np.ndarray = units >= num_units - math.ceil(fraction * num_units)
    if held.all():
        raise DataError(
            f"data.validation_fraction={fraction} leaves none of {num_units} sequences or images "
            "to train on; lower it or use a larger set"
        )
    return held


def _load_official_train(config: S2HandConfig) -> FrameTable:
    data = config.data
    root = dataset_folder(data.root, data.dataset)
    match data.dataset:
        case "freihand":
            return load_freihand(
                root, "train", keypoints=data.keypoints, max_frames=data.max_frames
            )
        case "ho3d":
            return load_ho3d(
                root,
                "train",
                keypoints=data.keypoints,
                train_crop=data.train_crop,
                max_frames=data.max_frames,
            )


def load_test(config: S2HandConfig) -> FrameTable:
    """Load the evaluation split that a configuration asks for.

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others.
    """
    root = dataset_folder(config.data.root, config.data.dataset)
    match config.data.dataset:
        case "freihand":
            return load_freihand(root, "test")
        case "ho3d":
            return load_ho3d(root, "test")


def load_datasets(config: S2HandConfig) -> tuple[FrameTable, FrameTable]:
    """Load the training and the evaluation split that a configuration asks for.

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others.
    """
    return load_train(config), load_test(config)


def fingerprint_dataset(root: str | Path) -> str:
    """Return a SHA-256 of what a dataset's folder holds.

    A synthetic set's manifest lists a hash of every file, so the manifest's own hash is enough.
    Of other folders, annotation files (JSON, TXT, PKL) count with their content, images with
    name and size: hashing gigabytes of pictures before each run would take longer than the run.

    Args:
        root: The folder that ``data.root`` names.

    Raises:
        DataError: If the folder is missing or a file in it cannot be read.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise DataError(f"{folder}: folder of the dataset is missing; set data.root to it")
    for place in (folder, folder.parent):
        manifest = place / MANIFEST_NAME
        if _is_ours(manifest):
            digest = hashlib.sha256(b"synthetic\0")
            digest.update(manifest.read_bytes())
            return digest.hexdigest()
    return _fingerprint_files(folder)


def _is_ours(manifest: Path) -> bool:
    try:
        content = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("generator") == "s2hand"


def _fingerprint_files(folder: Path) -> str:
    digest = hashlib.sha256(b"files\0")
    try:
        for path in sorted(folder.rglob("*")):
            suffix = path.suffix.lower()
            name = path.relative_to(folder).as_posix()
            if suffix in _IMAGE_SUFFIXES:
                digest.update(f"{name}\0{path.stat().st_size}\n".encode())
            elif suffix in _ANNOTATION_SUFFIXES and path.is_file():
                digest.update(f"{name}\0{_hash_file(path)}\n".encode())
    except OSError as error:
        raise DataError(f"{folder}: a file cannot be read ({error}); check permissions") from error
    return digest.hexdigest()


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
