"""The annotation files of both layouts, joined from the shards' records."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from s2hand.errors import DataError
from s2hand.layouts import Split
from s2hand.synthetic import collection, sequences, videos
from s2hand.synthetic.files import format_entries, write_file, write_json_arrays, write_pieces
from s2hand.synthetic.namespaces import Role
from s2hand.synthetic.shard import ShardRecord, load_record

_DETECTIONS: dict[Split, str] = {
    "train": "freihand/openpose_v2/training/detect_all.json",
    "test": "freihand/openpose/evaluation/detect.json",
}
_ENTRIES_PER_PIECE = 4096


def write_collection_annotations(root: Path, role: Role, records: Sequence[Path]) -> dict[str, str]:
    """Write FreiHAND's files of one split; return their hashes.

    ``training_mano.json`` exists for the training set only, as published; without truth there are
    cameras and detections alone.

    Raises:
        DataError: When a record has gone or a file cannot be written.
    """
    prefix = collection.FOLDERS[role.split]
    names = ("K", "keypoints", "confidence", *(("xyz", "mano") if role.has_truth else ()))
    parts = [{name: record.arrays[name] for name in names} for record in _read(records)]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in names}
    detections = _detections(whole["keypoints"], whole["confidence"])
    hashes = {
        f"{prefix}_K.json": write_json_arrays(root / f"{prefix}_K.json", [whole["K"]]),
        _DETECTIONS[role.split]: write_pieces(root / _DETECTIONS[role.split], detections),
    }
    if not role.has_truth:
        return hashes
    bones = np.linalg.norm(whole["xyz"][:, 9] - whole["xyz"][:, 10], axis=1)
    scales = json.dumps(bones.round(6).tolist()).encode()
    hashes[f"{prefix}_scale.json"] = write_file(root / f"{prefix}_scale.json", scales)
    truth: dict[str, Iterable[np.ndarray]] = {
        "xyz": [whole["xyz"]],
        "verts": (record.arrays["verts"] for record in _read(records)),
    }
    if role.split == "train":
        truth["mano"] = [whole["mano"][:, None]]
    for name, blocks in truth.items():
        path = f"{prefix}_{name}.json"
        hashes[path] = write_json_arrays(root / path, blocks)
    return hashes


def write_sequence_annotations(root: Path, role: Role, records: Sequence[Path]) -> dict[str, str]:
    """Write HO-3D's lists of frames, and the truth of the evaluation set; return their hashes.

    Raises:
        DataError: When a record has gone or a file cannot be written.
    """
    lines = [
        f"{record.arrays['name'].item()}/{frame:04d}\n"
        for record in _read(records)
        for frame in record.arrays["frames"]
    ]
    name = f"{sequences.FOLDERS[role.split]}.txt"
    hashes = {name: write_file(root / name, "".join(lines).encode())}
    if role.split == "test":
        for name in ("xyz", "verts"):
            path = f"{sequences.FOLDERS[role.split]}_{name}.json"
            blocks = (record.arrays[name] for record in _read(records))
            hashes[path] = write_json_arrays(root / path, blocks)
    return hashes


def write_video_annotations(root: Path, records: Sequence[Path]) -> dict[str, str]:
    """Write YouTube-3D-Hands' file of the training split; return its hash.

    Raises:
        DataError: When a record has gone or the file cannot be written.
    """
    name = f"{videos.FOLDER}/youtube_train.json"
    return {name: write_pieces(root / name, _video_pieces(records))}


def _video_pieces(records: Sequence[Path]) -> Iterator[bytes]:
    width, height = videos.ANNOTATED_SIZE_PX
    images: list[dict[str, object]] = []
    first_images: list[int] = []
    for record in _read(records):
        first_images.append(len(images))
        folder = f"youtube/{record.arrays['name'].item()}/video/frames"
        for frame in record.arrays["frames"]:
            image = {"name": f"{folder}/{frame}.png", "width": width, "height": height}
            images.append({**image, "id": len(images)})
    yield b'{"images": ' + json.dumps(images).encode() + b', "annotations": ['
    count = 0
    for record, first_image in zip(_read(records), first_images, strict=True):
        hands = (record.arrays[name] for name in ("hand_places", "is_left", "vertices_px"))
        for place, is_left, vertices_px in zip(*hands, strict=True):
            image_id = first_image + int(place)
            hand = {"is_left": int(is_left), "image_id": image_id, "id": count}
            opening = b", " if count else b""
            yield opening + b'{"vertices": ' + format_entries(vertices_px[None]) + b", "
            yield json.dumps(hand).encode()[1:]
            count += 1
    yield b"]}"


def _detections(
    keypoints: Float[np.ndarray, "n 21 2"], confidence: Float[np.ndarray, "n 21"]
) -> Iterator[bytes]:
    """Write the detector's three lists, some entries at a time: Python's numbers are large."""
    names = np.array([[f"{index:08d}.jpg"] for index in range(len(keypoints))])
    opening = "[["
    for column in (keypoints.round(2), confidence.round(4)[..., None], names):
        for start in range(0, len(column), _ENTRIES_PER_PIECE):
            piece = json.dumps(column[start : start + _ENTRIES_PER_PIECE].tolist())
            yield (opening + piece[1:-1]).encode()
            opening = ", "
        opening = "], ["
    yield b"]]"


def _read(records: Sequence[Path]) -> Iterator[ShardRecord]:
    for path in records:
        record = load_record(path)
        if record is None:
            raise DataError(f"{path}: record of finished work has gone; run the same command again")
        yield record
