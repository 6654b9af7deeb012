"""The annotation files of both layouts, joined from the shards' records."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from s2hand.errors import DataError
from s2hand.synthetic import collection, sequences
from s2hand.synthetic.files import write_file, write_json_arrays
from s2hand.synthetic.shard import ShardRecord, load_record
from s2hand.synthetic.sizes import Split

_DETECTIONS: dict[Split, str] = {
    "train": "freihand/openpose_v2/training/detect_all.json",
    "test": "freihand/openpose/evaluation/detect.json",
}


def write_collection_annotations(
    root: Path, split: Split, records: Sequence[Path]
) -> dict[str, str]:
    """Write FreiHAND's files of one split; return their hashes.

    ``training_mano.json`` exists for the training set only, as published.

    Raises:
        DataError: When a record has gone or a file cannot be written.
    """
    prefix = collection.FOLDERS[split]
    small = {
        name: np.concatenate([record.arrays[name] for record in _read(records)])
        for name in ("K", "xyz", "mano", "keypoints", "confidence")
    }
    hashes = {
        f"{prefix}_{name}.json": write_json_arrays(root / f"{prefix}_{name}.json", [small[name]])
        for name in ("K", "xyz")
    }
    if split == "train":
        name = f"{prefix}_mano.json"
        hashes[name] = write_json_arrays(root / name, [small["mano"][:, None]])
    bones = np.linalg.norm(small["xyz"][:, 9] - small["xyz"][:, 10], axis=1)
    texts = {
        f"{prefix}_scale.json": bones.round(6).tolist(),
        _DETECTIONS[split]: [
            small["keypoints"].round(2).tolist(),
            small["confidence"].round(4)[..., None].tolist(),
            [[f"{index:08d}.jpg"] for index in range(len(bones))],
        ],
    }
    for name, content in texts.items():
        hashes[name] = write_file(root / name, json.dumps(content).encode())
    name = f"{prefix}_verts.json"
    vertices = (record.arrays["verts"] for record in _read(records))
    hashes[name] = write_json_arrays(root / name, vertices)
    return hashes


def write_sequence_annotations(root: Path, split: Split, records: Sequence[Path]) -> dict[str, str]:
    """Write HO-3D's lists of frames, and the truth of the evaluation set; return their hashes.

    Raises:
        DataError: When a record has gone or a file cannot be written.
    """
    lines = [
        f"{record.arrays['name'].item()}/{frame:04d}\n"
        for record in _read(records)
        for frame in record.arrays["frames"]
    ]
    name = f"{sequences.FOLDERS[split]}.txt"
    hashes = {name: write_file(root / name, "".join(lines).encode())}
    if split == "test":
        for name in ("xyz", "verts"):
            path = f"{sequences.FOLDERS[split]}_{name}.json"
            blocks = (record.arrays[name] for record in _read(records))
            hashes[path] = write_json_arrays(root / path, blocks)
    return hashes


def _read(records: Sequence[Path]) -> Iterator[ShardRecord]:
    for path in records:
        record = load_record(path)
        if record is None:
            raise DataError(f"{path}: record of finished work has gone; run the same command again")
        yield record
