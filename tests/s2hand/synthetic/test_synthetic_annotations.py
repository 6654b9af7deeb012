"""Annotation files, joined from records that are made by hand."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from s2hand.errors import DataError
from s2hand.synthetic import annotations
from s2hand.synthetic.annotations import (
    write_collection_annotations,
    write_sequence_annotations,
)
from s2hand.synthetic.namespaces import ROLES, Namespace
from s2hand.synthetic.shard import ShardRecord, save_record


def saved(folder: Path, records: list[dict[str, np.ndarray]]) -> list[Path]:
    paths = [folder / f"{number}.npz" for number in range(len(records))]
    for path, arrays in zip(paths, records, strict=True):
        save_record(path, ShardRecord(hashes={}, arrays=arrays))
    return paths


def read(root: Path, hashes: dict[str, str]) -> dict[str, Any]:
    """Read what was written, by its path; every file must have the hash that was returned."""
    paths = [path for path in root.rglob("*") if path.is_file()]
    content = {str(path.relative_to(root)): path.read_bytes() for path in paths}
    assert hashes == {name: sha256(each).hexdigest() for name, each in content.items()}
    return {
        name: json.loads(each) if name.endswith(".json") else each.decode()
        for name, each in content.items()
    }


@pytest.fixture
def collection() -> list[dict[str, np.ndarray]]:
    """Shards of three pictures and of two."""
    draw = np.random.default_rng(0)
    return [
        {
            "K": draw.normal(0, 100, (count, 3, 3)),
            "keypoints": draw.uniform(0, 200, (count, 21, 2)),
            "confidence": draw.uniform(0, 1, (count, 21)),
            "xyz": draw.normal(0, 0.1, (count, 21, 3)),
            "verts": draw.normal(0, 0.1, (count, 778, 3)).astype(np.float32),
            "mano": draw.normal(0, 1, (count, 61)),
        }
        for count in (3, 2)
    ]


CAMERAS_AND_TRUTH = {"K", "xyz", "verts", "scale"}
COLLECTIONS = [
    ("pretraining", "training", "openpose_v2/training/detect_all.json", {"K"}),
    ("training", "training", "openpose_v2/training/detect_all.json", CAMERAS_AND_TRUTH | {"mano"}),
    ("test", "evaluation", "openpose/evaluation/detect.json", CAMERAS_AND_TRUTH),
]


@pytest.mark.parametrize(("namespace", "prefix", "detections", "names"), COLLECTIONS)
def test_a_collection_s_files_are_those_of_freihand(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    collection: list[dict[str, np.ndarray]],
    namespace: Namespace,
    prefix: str,
    detections: str,
    names: set[str],
) -> None:
    monkeypatch.setattr(annotations, "_ENTRIES_PER_PIECE", 2)
    if namespace == "pretraining":
        collection = [
            {name: each[name] for name in ("K", "keypoints", "confidence")} for each in collection
        ]
    root = tmp_path / "root"
    records = saved(tmp_path / "records", collection)
    found = read(root, write_collection_annotations(root, ROLES[namespace], records))
    paths = {name: f"freihand/{prefix}_{name}.json" for name in names}
    assert found.keys() == {*paths.values(), f"freihand/{detections}"}
    whole = {name: np.concatenate([each[name] for each in collection]) for name in collection[0]}
    for name in names & {"K", "xyz", "verts"}:
        assert_allclose(found[paths[name]], whole[name], atol=5.1e-7)
    if "mano" in names:
        assert_allclose(found[paths["mano"]], whole["mano"][:, None], atol=5.1e-7)
    if "scale" in names:
        bones = np.linalg.norm(whole["xyz"][:, 9] - whole["xyz"][:, 10], axis=1)
        assert found[paths["scale"]] == [round(bone, 6) for bone in bones.tolist()]
    keypoints, confidence, pictures = found[f"freihand/{detections}"]
    assert keypoints == whole["keypoints"].round(2).tolist()
    assert confidence == whole["confidence"].round(4)[..., None].tolist()
    assert pictures == [[f"0000000{number}.jpg"] for number in range(5)]


@pytest.mark.parametrize(
    ("namespace", "folder", "truth"),
    [("training", "train", set()), ("test", "evaluation", {"xyz", "verts"})],
)
def test_sequences_are_listed_frame_by_frame(
    tmp_path: Path, namespace: Namespace, folder: str, truth: set[str]
) -> None:
    draw = np.random.default_rng(1)
    sequences = [
        {
            "name": np.array(name),
            "frames": np.array(frames),
            "xyz": draw.normal(0, 0.1, (len(frames), 21, 3)),
            "verts": draw.normal(0, 0.1, (len(frames), 778, 3)).astype(np.float32),
        }
        for name, frames in (("SYN0000", [2, 3, 7]), ("SYN0001", [0, 1]))
    ]
    root = tmp_path / "root"
    records = saved(tmp_path / "records", sequences)
    found = read(root, write_sequence_annotations(root, ROLES[namespace], records))
    paths = {name: f"ho3d/{folder}_{name}.json" for name in truth}
    assert found.keys() == {f"ho3d/{folder}.txt", *paths.values()}
    lines = ["SYN0000/0002", "SYN0000/0003", "SYN0000/0007", "SYN0001/0000", "SYN0001/0001"]
    assert found[f"ho3d/{folder}.txt"] == "".join(f"{line}\n" for line in lines)
    for name, path in paths.items():
        whole = np.concatenate([each[name] for each in sequences])
        assert_allclose(found[path], whole, atol=5.1e-7)


def test_a_record_that_has_gone_is_named(
    tmp_path: Path, collection: list[dict[str, np.ndarray]]
) -> None:
    records = saved(tmp_path / "records", collection)
    records[1].unlink()
    with pytest.raises(DataError, match=r"1\.npz: record of finished work has gone; run the same"):
        write_collection_annotations(tmp_path, ROLES["training"], records)
