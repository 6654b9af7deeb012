"""``pred.json`` as the evaluation servers of FreiHAND and HO-3D take it: writing and reading one.

The file is a list of two lists, joints and vertices, an entry for every frame of the evaluation
set in the order of its list, metres. The servers take it zipped.
"""

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from s2hand.errors import DataError
from s2hand.files import what_lies_at, whole_file
from s2hand.hand.joints import JointOrder, joint_permutation
from s2hand.layouts import DatasetName

FILE_NAME = "pred.json"
"""Also inside the archive."""

_DECIMALS = 6
"""Digits after the point: micrometres."""
_ENTRIES_PER_PIECE = 256
_NAMED = 10
"""So many samples are named in an error."""
_POINTS = {"joints": 21, "vertices": 778}
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of the archive's entry, so that equal predictions give equal files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerFormat:
    """What a server's files have otherwise than we."""

    joint_order: JointOrder
    axes: tuple[int, int, int]
    """Signs that bring our frame (OpenCV) to the server's; they are their own inverse."""
    frame: str
    """The same for people."""


FORMATS: Mapping[DatasetName, ServerFormat] = MappingProxyType(
    {
        "freihand": ServerFormat(
            joint_order="openpose", axes=(1, 1, 1), frame="OpenCV's, with y down and z forward"
        ),
        "ho3d": ServerFormat(
            joint_order="mano_tips", axes=(1, -1, -1), frame="OpenGL's, with y up and z back"
        ),
    }
)
"""Of every layout whose authors have a server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmittedHands:
    """The content of a ``pred.json``, in our joint order and frame."""

    joints: Float32[np.ndarray, "n 21 3"]
    vertices: Float32[np.ndarray, "n 778 3"]


def write_submission(
    path: Path,
    dataset: DatasetName,
    *,
    joints: Float[np.ndarray, "n 21 3"],
    vertices: Float[np.ndarray, "n 778 3"],
    predicted_ids: Sequence[str],
    asked_ids: Sequence[str],
) -> None:
    """Write predictions as the dataset's server asks; the file appears whole or not at all.

    Joints are written with the fingertips that they have.

    Args:
        path: The archive, which will hold ``pred.json``; its folder must exist.
        dataset: Whose server.
        joints: Metres, OpenPose order, OpenCV camera frame.
        vertices: Metres, the same frame.
        predicted_ids: Sample of each row.
        asked_ids: Every sample of the server's list, in its order.

    Raises:
        DataError: If a sample that the server asks for was left out, or its prediction is not
            finite; they are named.
        OSError: If the file cannot be written.
    """
    row_of = {sample: row for row, sample in enumerate(predicted_ids)}
    _require_all(
        [sample for sample in asked_ids if sample not in row_of], len(asked_ids),
        f"{path}: the server wants a prediction for every frame of its list, none was made for",
    )  # fmt: skip
    rows = np.array([row_of[sample] for sample in asked_ids], np.int64)
    server, values = FORMATS[dataset], {"joints": joints[rows], "vertices": vertices[rows]}
    for name, points in values.items():
        _require_all(
            [asked_ids[row] for row in _not_finite(points)], len(asked_ids),
            f"{path}: predicted {name} must be finite, got NaN or infinity for",
        )  # fmt: skip
    order = joint_permutation("openpose", server.joint_order)
    entry = zipfile.ZipInfo(FILE_NAME, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with (
        whole_file(path) as file,
        zipfile.ZipFile(file, "w") as archive,
        archive.open(entry, "w", force_zip64=True) as content,
    ):
        content.write(b"[")
        for piece in _pieces(values["joints"][:, order], server.axes):
            content.write(piece)
        content.write(b", ")
        for piece in _pieces(values["vertices"], server.axes):
            content.write(piece)
        content.write(b"]")


def read_submission(path: Path, dataset: DatasetName, sample_ids: Sequence[str]) -> SubmittedHands:
    """Read anybody's predictions for a dataset's server.

    Args:
        path: A ``pred.json``, or an archive that holds one.
        dataset: Whose server it is for.
        sample_ids: Every sample of the server's list, in its order.

    Raises:
        DataError: If the file is missing, truncated or another, if samples are left out, if an
            entry has another shape or is not finite, or all hands lie behind the camera.
    """
    content = _read_json(path)
    if not (isinstance(content, list) and len(content) == 2):
        raise DataError(
            f"{path}: must hold a list of two lists, joints and vertices, got "
            f"{_described(content)}; write it as the dataset's pred.py does"
        )
    server = FORMATS[dataset]
    points = {
        name: _points(path, name, entries, sample_ids) * np.array(server.axes, np.float32)
        for name, entries in zip(_POINTS, content, strict=True)
    }
    joints = points["joints"][:, joint_permutation(server.joint_order, "openpose")]
    if (joints[..., 2] < 0).all():
        raise DataError(
            f"{path}: hands must lie in front of the camera, got all joints behind it; y and z "
            f"look flipped: the frame of {dataset}'s predictions is {server.frame}"
        )
    return SubmittedHands(joints=joints, vertices=points["vertices"])


def _pieces(points: Float[np.ndarray, "n points 3"], axes: tuple[int, int, int]) -> Iterator[bytes]:
    """Write a list's text some entries at a time: Python's numbers are large."""
    yield b"["
    for start in range(0, len(points), _ENTRIES_PER_PIECE):
        piece = points[start : start + _ENTRIES_PER_PIECE].astype(np.float64) * axes
        text = json.dumps(piece.round(_DECIMALS).tolist())[1:-1]
        yield f"{', ' if start else ''}{text}".encode()
    yield b"]"


def _read_json(path: Path) -> Any:
    try:
        if not zipfile.is_zipfile(path):
            return json.loads(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(FILE_NAME))
    except KeyError as error:
        raise DataError(
            f"{path}: the archive must hold {FILE_NAME} at its top, got "
            f"{', '.join(zipfile.ZipFile(path).namelist()[:4]) or 'nothing'}; zip the file alone"
        ) from error
    except (
        OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise DataError(
            f"{path}: must be a complete {FILE_NAME}, or an archive that holds one, could not be "
            f"read: {error}; there is {what_lies_at(path)}"
        ) from error


def _points(
    path: Path, name: str, entries: Any, sample_ids: Sequence[str]
) -> Float32[np.ndarray, "n points 3"]:
    if not isinstance(entries, list):
        raise DataError(f"{path}: the {name} must be a list, got {_described(entries)}")
    _require_all(
        list(sample_ids[len(entries) :]), len(sample_ids),
        f"{path}: the {name} must have an entry for every frame of the list, in its order, and end "
        "before",
    )  # fmt: skip
    if len(entries) > len(sample_ids):
        raise DataError(
            f"{path}: the {name} must have an entry for each of the {len(sample_ids):,} frames of "
            f"the list, got {len(entries):,}; are they for another release of the dataset?"
        )
    shape, rows = (_POINTS[name], 3), []
    for sample, entry in zip(sample_ids, entries, strict=True):
        try:
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
                row = np.asarray(entry, np.float32)
        except (TypeError, ValueError, OverflowError):
            row = np.empty(0, np.float32)
        if row.shape != shape:
            found = row.shape if row.size else "ragged, missing or non-numeric values"
            raise DataError(f"{path}: {name} of {sample} must have shape {shape}, got {found}")
        rows.append(row)
    points = np.stack(rows)
    _require_all(
        [sample_ids[row] for row in _not_finite(points)], len(sample_ids),
        f"{path}: {name} must be finite, got NaN or infinity for",
    )  # fmt: skip
    return points


def _not_finite(points: Float[np.ndarray, "n points 3"]) -> list[int]:
    return np.flatnonzero(~np.isfinite(points).all(axis=(1, 2))).tolist()


def _require_all(wrong: Sequence[str], count: int, fault: str) -> None:
    """Name the samples that are not as they must be, if there are some."""
    if wrong:
        more = f" and {len(wrong) - _NAMED:,} more" if len(wrong) > _NAMED else ""
        named = ", ".join(wrong[:_NAMED])
        raise DataError(f"{fault} {named}{more} ({len(wrong):,} of {count:,})")


def _described(value: object) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else f"a {type(value).__name__}"
