"""Detections as Parquet, a row a hand, beside the layouts of JSON that ``s2hand`` itself reads."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from s2hand.errors import DataError
from s2hand.files import what_lies_at, whole_file
from s2hand.keypoints.hands import FoundHand, HandTable, match_images, parse_hand
from s2hand.keypoints.names import Side
from s2hand.keypoints.rules import image_key
from s2hand.keypoints.tables import read_table, write_table
from s2hand_platform.experiments.s2hand.layouts import DetectionLayout

SCHEMA = pa.schema(
    [
        pa.field("sample", pa.string(), nullable=False),
        pa.field("hand", pa.int32(), nullable=False),
        pa.field("keypoints_px", pa.list_(pa.float32(), 42), nullable=False),
        pa.field("confidence", pa.list_(pa.float32(), 21), nullable=False),
        pa.field("right", pa.float32(), nullable=False),
        pa.field("detector", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("fault", pa.string()),
    ]
)
"""``HandTable``'s rows. ``keypoints_px`` is x, y of 21 points; ``fault`` says why a picture could
not be looked at. A picture without a hand has one row, of confidence 0."""


def read_detections(
    path: Path,
    layout: DetectionLayout,
    images: Mapping[str, tuple[int, int]],
    *,
    folder: Path | None = None,
) -> HandTable:
    """Read detections of some images in any layout.

    Args:
        path: The file.
        layout: Its layout.
        images: Width and height by file name.
        folder: Where they lie. Of a Parquet file of several folders, whose samples are
            ``FOLDER/IMAGE``, the samples of that one are meant.

    Raises:
        DataError: If the file is missing, damaged, of another layout, or of other images.
    """
    if layout != "parquet":
        return read_table(path, layout, images)
    rows = read_rows(path)
    texts = {name: _only(path, rows, name) for name in ("detector", "version")}
    if folder is not None:
        rows = _of_folder(path, rows, folder)
    looked_at = rows.filter(pc.is_null(rows["fault"]))  # the others count as without an entry
    entries: dict[str, list[FoundHand]] = {}
    samples: dict[str, str] = {}
    for sample, hands in hands_by_sample(path, looked_at).items():
        first = samples.setdefault(image_key(sample), sample)
        if first != sample:
            raise DataError(
                f"{path}: samples must differ in more than folder, ending and leading zeros, got "
                f"{first!r} and {sample!r}; give each folder's detections a file of its own"
            )
        entries[image_key(sample)] = hands
    return match_images(path, entries, images, **texts)


def write_detections(
    path: Path,
    layout: DetectionLayout,
    table: HandTable,
    *,
    side: Side = "right",
    faults: Mapping[str, str] | None = None,
) -> None:
    """Write a table in any layout; it appears whole or not at all.

    Args:
        path: The file, or for ``openpose`` the folder.
        layout: Its layout.
        table: What is written.
        side: Which hand of an image ``detect`` holds; the other layouts hold all of them.
        faults: Sample → why it could not be looked at; only ``parquet`` keeps them.

    Raises:
        DataError: If it is a folder that exists.
    """
    if layout != "parquet":
        write_table(path, layout, table, side)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rows(path, rows_of(table, faults or {}))


def rows_of(table: HandTable, faults: Mapping[str, str]) -> pa.Table:
    """Return a table's rows in the columns of ``SCHEMA``."""
    count = len(table.samples)
    columns = {
        "sample": pa.array(table.samples, pa.string()),
        "hand": pa.array(table.hands, pa.int32()),
        "keypoints_px": _lists(table.keypoints_px.reshape(-1, 42)),
        "confidence": _lists(table.confidence),
        "right": pa.array(table.right, pa.float32()),
        "detector": pa.array([table.detector] * count, pa.string()),
        "version": pa.array([table.version] * count, pa.string()),
        "fault": pa.array([faults.get(sample) for sample in table.samples], pa.string()),
    }
    return pa.table(columns, schema=SCHEMA)


def hands_by_sample(path: Path, rows: pa.Table) -> dict[str, list[FoundHand]]:
    """Return each sample's hands in the order of their numbers, as the rows of a file have them.

    Raises:
        DataError: If a row is not a hand, or two rows are the same hand of a sample.
    """
    numbered: dict[str, dict[int, FoundHand | None]] = {}
    for number, row in enumerate(rows.to_pylist()):
        hands = numbered.setdefault(row["sample"], {})
        where = f"{path}: hand {row['hand']} of {row['sample']!r}"
        if row["hand"] in hands:
            raise DataError(f"{where} must stand there once, row {number} has it again")
        hands[row["hand"]] = _hand(where, row)
    return {
        sample: [hand for _, hand in sorted(hands.items()) if hand is not None]
        for sample, hands in numbered.items()
    }


def write_rows(path: Path, rows: pa.Table) -> None:
    """Write rows to a file of an existing folder; it appears whole or not at all."""
    with whole_file(path) as file:
        pq.write_table(rows, file)


def read_rows(path: Path, schema: pa.Schema = SCHEMA) -> pa.Table:
    """Read the rows of a file of detections.

    Raises:
        DataError: If it is missing, damaged, or has other columns.
    """
    try:
        found = pq.ParquetFile(path).read()
        found.validate(full=True)  # texts that are no text are found when they are looked at, else
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: names that are no text
        raise DataError(
            f"{path}: must be a Parquet file of detections, could not be read: "
            f"{str(error).partition(chr(10))[0]}; there is {what_lies_at(path)}: detect again"
        ) from error
    for field in schema:
        if found.column_names.count(field.name) != 1:
            raise DataError(
                f"{path}: must have one column {field.name!r}, got "
                f"{', '.join(found.column_names)}; docs/keypoints.md tells the layout"
            )
        column = found[field.name]
        try:
            column = column.cast(field.type)
        except pa.ArrowException as error:
            raise DataError(
                f"{path}: column {field.name!r} must be of {field.type}, got {column.type}"
            ) from error
        if column.null_count and not field.nullable:
            raise DataError(f"{path}: column {field.name!r} must have no empty places")
        found = found.set_column(found.column_names.index(field.name), field.name, column)
    return found.select(schema.names)


def _of_folder(path: Path, rows: pa.Table, folder: Path) -> pa.Table:
    """Keep the samples of a folder, where samples name theirs: frames of others are named alike."""
    samples = rows["sample"].to_pylist()
    parents = [PurePosixPath(sample).parent.parts for sample in samples]
    mine = [bool(parts) and folder.parts[-len(parts) :] == parts for parts in parents]
    if any(parents) and not any(mine):
        known = sorted({"/".join(parts) for parts in parents})
        raise DataError(
            f"{path}: is of the folders {', '.join(known[:5])}, none of them is {folder}"
        )
    return rows.filter(pa.array(mine, pa.bool_())) if any(mine) else rows


def _hand(where: str, row: Mapping[str, Any]) -> FoundHand | None:
    if not 0 <= row["right"] <= 1:
        raise DataError(f"{where}, right: must be a number from 0 to 1, got {row['right']}")
    points = np.reshape(row["keypoints_px"], (21, 2))
    triples = np.column_stack([points, row["confidence"]])
    return parse_hand(f"{where}, points", triples.reshape(-1), row["right"])


def _only(path: Path, found: pa.Table, name: str) -> str:
    """Return what a column says in all rows."""
    values = found[name].unique().to_pylist()
    if len(values) != 1:
        told = ", ".join(map(repr, values[:3])) or "none"
        raise DataError(f"{path}: all rows must be of one {name}, got {told}; divide the file")
    return str(values[0])


def _lists(values: np.ndarray) -> pa.Array:
    width = values.shape[1]
    flat = pa.array(np.ascontiguousarray(values, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, width)
