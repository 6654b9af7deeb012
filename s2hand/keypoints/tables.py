"""Tables of hands as files: the project's own layout, and every layout by its name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from s2hand.errors import DataError
from s2hand.files import whole_file
from s2hand.keypoints.hands import (
    FoundHand,
    HandTable,
    match_images,
    one_per_image,
    parse_hand,
    table_of,
)
from s2hand.keypoints.json_files import read_json, require_fields, require_list
from s2hand.keypoints.names import LayoutName, Side
from s2hand.keypoints.openpose import read_detections, write_detections
from s2hand.keypoints.people import read_people, write_people
from s2hand.keypoints.rules import image_key
from s2hand.keypoints.wholebody import read_wholebody, write_wholebody

_FORMAT = "s2hand-keypoints/1"
_DECIMALS_PX, _DECIMALS = 2, 4


def read_table(path: Path, layout: LayoutName, images: Mapping[str, tuple[int, int]]) -> HandTable:
    """Read detections of the given images (width and height by file name) in some layout.

    ``detect`` does not tell sides: its hands are right ones, as that code has no others.

    Raises:
        DataError: If the file is missing, damaged, of another layout, or of other images.
    """
    match layout:
        case "hands":
            return _read_hands(path, images)
        case "openpose":
            return read_people(path, images)
        case "wholebody":
            return read_wholebody(path, images)
        case "detect":
            return _read_detect(path, images)


def write_table(path: Path, layout: LayoutName, table: HandTable, side: Side = "right") -> None:
    """Write a table in some layout; it appears whole or not at all.

    Args:
        path: The file, or for ``openpose`` the folder.
        layout: Its layout.
        table: What is written.
        side: Which hand of an image ``detect`` holds; the other layouts hold all of them.

    Raises:
        DataError: If it is a folder that exists.
    """
    match layout:
        case "hands":
            _write_hands(path, table)
        case "openpose":
            write_people(path, table)
        case "wholebody":
            write_wholebody(path, table)
        case "detect":
            write_detections(path, one_per_image(table, side))


def _read_detect(path: Path, images: Mapping[str, tuple[int, int]]) -> HandTable:
    read = read_detections(path, images)
    found = {
        name: [FoundHand(keypoints_px=keypoints_px, confidence=confidence, right=1.0)]
        if confidence.any()
        else []
        for name, keypoints_px, confidence in zip(
            read.filenames, read.keypoints_px, read.confidence, strict=True
        )
    }
    return table_of(
        found,
        detector="detect.json",
        version="",
        num_clipped=read.num_clipped,
        num_missing=read.num_missing,
        num_unknown=read.num_unknown,
    )


def _read_hands(path: Path, images: Mapping[str, tuple[int, int]]) -> HandTable:
    names = ("format", "detector", "version", "samples", "hands")
    content = require_fields(read_json(path), names, f"{path}: the content")
    if content["format"] != _FORMAT:
        raise DataError(f"{path}: format must be {_FORMAT!r}, got {content['format']!r}")
    texts = {name: _text(content[name], f"{path}: {name}") for name in ("detector", "version")}
    samples = [
        image_key(_text(sample, f"{path}: sample {number}"))
        for number, sample in enumerate(require_list(content["samples"], f"{path}: samples"))
    ]
    entries: dict[str, list[FoundHand]] = {sample: [] for sample in samples}
    for number, entry in enumerate(require_list(content["hands"], f"{path}: hands")):
        where = f"{path}: hand {number}"
        require_fields(entry, ("sample", "right", "points"), where)
        key = image_key(_text(entry["sample"], f"{where}, sample"))
        if key not in entries:
            raise DataError(f"{where}: sample {entry['sample']!r} must be one of its samples")
        right = _probability(entry["right"], f"{where}, right")
        hand = parse_hand(f"{where}, points", entry["points"], right)
        if hand is not None:
            entries[key].append(hand)
    return match_images(path, entries, images, **texts)


def _write_hands(path: Path, table: HandTable) -> None:
    hands = []
    for row in np.flatnonzero(table.confidence.any(axis=1)):
        keypoints_px = table.keypoints_px[row].astype(np.float64).round(_DECIMALS_PX)
        confidence = table.confidence[row].astype(np.float64).round(_DECIMALS)
        hands.append(
            {
                "sample": table.samples[row],
                "right": round(float(table.right[row]), _DECIMALS),
                "points": np.column_stack([keypoints_px, confidence]).reshape(-1).tolist(),
            }
        )
    content = {
        "format": _FORMAT,
        "detector": table.detector,
        "version": table.version,
        "samples": list(dict.fromkeys(table.samples)),
        "hands": hands,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(json.dumps(content).encode())


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where} must be a text, got {value!r}")
    return value


def _probability(value: Any, where: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 <= value <= 1):
        raise DataError(f"{where} must be a number from 0 to 1, got {value!r}")
    return float(value)
