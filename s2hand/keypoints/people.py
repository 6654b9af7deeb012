"""OpenPose's own output: a folder with a file ``NAME_keypoints.json`` for each image.

References:
    OpenPose, ``doc/02_output.md``: ``people`` is empty where nobody was found; each person has
    ``hand_left_keypoints_2d`` and ``hand_right_keypoints_2d``, 21 times x, y, confidence, zeros
    where the hand was not found, or an empty list where hands were not looked for.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from s2hand.errors import DataError
from s2hand.files import what_lies_at, whole_file
from s2hand.keypoints.hands import (
    UNKNOWN_SIDE,
    FoundHand,
    HandTable,
    match_images,
    parse_hand,
)
from s2hand.keypoints.json_files import read_json, require_fields, require_list
from s2hand.keypoints.rules import image_key

ENDING = "_keypoints.json"
_FIELDS = {"hand_left_keypoints_2d": 0.0, "hand_right_keypoints_2d": 1.0}
"""Field of a person → probability that its hand is a right one."""
_FORMAT_VERSION = 1.3
_DECIMALS = 4


def read_people(folder: Path, images: Mapping[str, tuple[int, int]]) -> HandTable:
    """Read what OpenPose wrote of the given images: every person's hands, the left one first.

    Args:
        folder: The folder of ``--write_json``, in pixels of the images (``--keypoint_scale 0``).
        images: Width and height by file name.

    Raises:
        DataError: If the folder has no such file, one is damaged or of another layout, or two are
            of one image; and what ``match_images`` refuses.
    """
    paths = sorted(folder.glob(f"*{ENDING}")) if folder.is_dir() else []
    if not paths:
        raise DataError(
            f"{folder}: must be a folder with a file NAME{ENDING} for each image, there is "
            f"{what_lies_at(folder)} without any; run OpenPose with --hand --write_json"
        )
    entries: dict[str, list[FoundHand]] = {}
    versions = set()
    for path in paths:
        content = require_fields(read_json(path), ("people",), f"{path}: the content")
        key = image_key(path.name.removesuffix(ENDING) + ".json")
        if key in entries:
            raise DataError(
                f"{path}: an image must have one file, got another whose name differs by leading "
                "zeros alone; keep the one of these images"
            )
        entries[key] = _hands_of(content["people"], path)
        versions.add(str(content.get("version", "")))
    version = ", ".join(sorted(versions - {""}))
    return match_images(folder, entries, images, detector="openpose", version=version)


def write_people(folder: Path, table: HandTable) -> None:
    """Write a folder as OpenPose would, a person for each hand; it appears whole or not at all.

    Raises:
        DataError: If the folder exists, or two images' files would have one name.
    """
    if folder.exists():
        raise DataError(f"{folder}: must not exist yet, there is {what_lies_at(folder)}; move it")
    people: dict[str, list[dict[str, Any]]] = {}
    for row, sample in enumerate(table.samples):
        of_image = people.setdefault(sample, [])
        if table.confidence[row].any():
            of_image.append(_person(table, row))
    names = [f"{Path(sample).stem}{ENDING}" for sample in people]
    if len(set(names)) < len(names):
        raise DataError(f"{folder}: two images' files would have one name; write them apart")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        for name, of_image in zip(names, people.values(), strict=True):
            with whole_file(made / name) as file:
                content = {"version": _FORMAT_VERSION, "people": of_image}
                file.write(json.dumps(content).encode())
        made.rename(folder)


def _hands_of(people: Any, path: Path) -> list[FoundHand]:
    hands = []
    for number, person in enumerate(require_list(people, f"{path}: people")):
        where = f"{path}: person {number}"
        require_fields(person, tuple(_FIELDS), where)
        for field, right in _FIELDS.items():
            hand = parse_hand(f"{where}, {field}", person[field], right)
            if hand is not None:
                hands.append(hand)
    return hands


def _person(table: HandTable, row: int) -> dict[str, Any]:
    triples = np.column_stack([table.keypoints_px[row], table.confidence[row]]).astype(np.float64)
    is_right = table.right[row] >= UNKNOWN_SIDE
    nothing = [0] * 63
    values = triples.round(_DECIMALS).reshape(-1).tolist()
    return {
        "person_id": [-1],
        "pose_keypoints_2d": [],
        "face_keypoints_2d": [],
        "hand_left_keypoints_2d": nothing if is_right else values,
        "hand_right_keypoints_2d": values if is_right else nothing,
    }
