"""COCO-WholeBody's layout: 133 points a person, of which the last 42 are the two hands.

References:
    Jin et al., "Whole-Body Human Pose Estimation in the Wild", 2020, and the data's own
    description: 17 points of the body, 6 of the feet, 68 of the face, 21 of the left and 21 of the
    right hand (wrist, then thumb to little finger from base to tip: OpenPose's order). Results
    hold them as one list ``keypoints`` of 399 numbers, or split, with ``lefthand_kpts`` and
    ``righthand_kpts`` of 63.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from s2hand.errors import DataError
from s2hand.files import whole_file
from s2hand.keypoints.hands import (
    UNKNOWN_SIDE,
    FoundHand,
    HandTable,
    match_images,
    parse_hand,
)
from s2hand.keypoints.json_files import read_json, require_fields, require_list
from s2hand.keypoints.rules import image_key

NUM_POINTS = 133
LEFT_HAND = slice(91 * 3, 112 * 3)
RIGHT_HAND = slice(112 * 3, 133 * 3)
_DECIMALS = 4


def read_wholebody(path: Path, images: Mapping[str, tuple[int, int]]) -> HandTable:
    """Read the hands of every person in the given images, the left one first.

    Args:
        path: A list of results, whose ``image_id`` is the image's name or number; or an object with
            such a list as ``annotations`` beside ``images``, which gives each ``id`` a
            ``file_name``. There an image without a result has nothing found in it; of a plain list
            nobody can tell, and it counts as missing.
        images: Width and height by file name.

    Raises:
        DataError: If the file is damaged or of another layout; and what ``match_images`` refuses.
    """
    content = read_json(path)
    names: dict[int | str, str] | None = None
    if isinstance(content, dict):
        require_fields(content, ("images", "annotations"), f"{path}: the content")
        names = _names_by_id(content["images"], path)
        content = content["annotations"]
    entries: dict[str, list[FoundHand]] = {image_key(name): [] for name in (names or {}).values()}
    for number, result in enumerate(require_list(content, f"{path}: the results")):
        where = f"{path}: result {number}"
        identity = _identity(require_fields(result, ("image_id",), where)["image_id"], where)
        if names is not None and identity not in names:
            raise DataError(f"{where}: image_id {identity!r} must be the id of one of its images")
        name = str(identity) if names is None else names[identity]
        entries.setdefault(image_key(name), []).extend(_hands_of(result, where))
    return match_images(path, entries, images, detector="coco-wholebody", version="")


def write_wholebody(path: Path, table: HandTable) -> None:
    """Write images and results, a person for each hand; it appears whole or not at all."""
    ids = {sample: number for number, sample in enumerate(dict.fromkeys(table.samples))}
    results = []
    for row in np.flatnonzero(table.confidence.any(axis=1)):
        triples = np.column_stack([table.keypoints_px[row], table.confidence[row]])
        values = np.zeros(NUM_POINTS * 3)
        place = RIGHT_HAND if table.right[row] >= UNKNOWN_SIDE else LEFT_HAND
        values[place] = triples.astype(np.float64).reshape(-1).round(_DECIMALS)
        results.append(
            {
                "image_id": ids[table.samples[row]],
                "category_id": 1,
                "keypoints": values.tolist(),
                "score": round(float(table.confidence[row].mean()), _DECIMALS),
            }
        )
    images = [{"id": number, "file_name": sample} for sample, number in ids.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(json.dumps({"images": images, "annotations": results}).encode())


def _names_by_id(images: Any, path: Path) -> dict[int | str, str]:
    names = {}
    for number, image in enumerate(require_list(images, f"{path}: images")):
        where = f"{path}: image {number}"
        fields = require_fields(image, ("id", "file_name"), where)
        if not isinstance(fields["file_name"], str):
            raise DataError(f"{where}: file_name must be a text, got {fields['file_name']!r}")
        names[_identity(fields["id"], where)] = fields["file_name"]
    return names


def _identity(value: Any, where: str) -> int | str:
    if type(value) not in {int, str}:
        raise DataError(f"{where}: an image's id must be a number or a name, got {value!r}")
    return value


def _hands_of(result: dict[str, Any], where: str) -> list[FoundHand]:
    if "lefthand_kpts" in result and "righthand_kpts" in result:
        left, right = result["lefthand_kpts"], result["righthand_kpts"]
    else:
        points = require_list(result.get("keypoints"), f"{where}: keypoints")
        if len(points) != NUM_POINTS * 3:
            raise DataError(
                f"{where}: keypoints must be {NUM_POINTS} times x, y, confidence, got "
                f"{len(points)} numbers; a detector of the body alone finds no hands"
            )
        left, right = points[LEFT_HAND], points[RIGHT_HAND]
    hands = (
        parse_hand(f"{where}, left hand", left, 0.0),
        parse_hand(f"{where}, right hand", right, 1.0),
    )
    return [hand for hand in hands if hand is not None]
