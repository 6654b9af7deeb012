"""A generated set is known as one, by its manifest, and its fingerprint sees every change."""

import json
import shutil
from pathlib import Path

import pytest

from s2hand.config import DataConfig, S2HandConfig
from s2hand.data.fingerprint import fingerprint_data
from s2hand.data.record import DatasetRecord, describe_datasets
from s2hand.synthetic import NamespaceSize, make_synthetic

SPLIT = NamespaceSize(
    images=5, sequences=2, min_frames=4, max_frames=6, subjects=2, backgrounds=2, objects=2
)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generated")
    size = {"training": SPLIT, "test": SPLIT}
    make_synthetic(root, size=size, seed=7, image_size_px=32, num_workers=2)
    return root


@pytest.fixture
def root(generated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "set"))


def config_of(root: Path, **settings) -> S2HandConfig:
    return S2HandConfig(data=DataConfig(root=str(root), **{"dataset": "ho3d", **settings}))


@pytest.mark.parametrize("dataset", ["freihand", "ho3d"])
def test_a_generated_set_says_so(root: Path, dataset: str) -> None:
    config = config_of(root / dataset, dataset=dataset)
    records = describe_datasets(config)
    for record in (records.training, records.evaluation):
        assert record.origin == "synthetic"
        assert record.version == ""
        assert record.generation.seed == 7
        assert record.generation.image_size_px == 32
        assert record.generation.size["training"]["subjects"] == 2
        assert record.generation.detections == "simulated"
        assert record.generation.is_unchanged
        assert record.detections
        assert record.kind == ("collection" if dataset == "freihand" else "sequences")
        assert record.sequences == (0 if dataset == "freihand" else 2)
        assert DatasetRecord.from_plain(json.loads(json.dumps(record.to_plain()))) == record
    layout = "FreiHAND" if dataset == "freihand" else "HO-3D"
    expected = f"synthetic ({layout}'s layout, seed 7)"
    assert records.evaluation.title == expected
    assert describe_datasets(config_of(root, dataset=dataset)) == records


def test_a_set_behind_links_is_still_a_generated_one(root: Path, tmp_path: Path) -> None:
    (tmp_path / "ho3d").symlink_to(root / "ho3d")
    assert describe_datasets(config_of(tmp_path)).training.origin == "synthetic"
    for name in ("train", "evaluation", "openpose"):
        (root / "ho3d" / name).rename(tmp_path / name)
        (root / "ho3d" / name).symlink_to(tmp_path / name)
    record = describe_datasets(config_of(root)).training
    assert record.origin == "synthetic"
    assert record.generation.is_unchanged


def test_a_manifest_speaks_for_its_own_folders_only(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "ho3d", root / "mine")
    assert describe_datasets(config_of(root / "mine")).training.origin == "own"
    without = tmp_path / "without"
    shutil.copytree(root / "ho3d", without)
    record = describe_datasets(config_of(without)).training
    assert record.origin == "own"
    assert record.title == "own data in HO-3D's layout"


def test_the_manifest_and_every_changed_file_count(root: Path) -> None:
    config = config_of(root)
    first = fingerprint_data(config)
    detections = next((root / "ho3d/openpose").glob("*/detect.json"))
    original = detections.read_bytes()
    detections.write_bytes(original + b" ")
    assert fingerprint_data(config) != first
    records = describe_datasets(config)
    changed = [records.training, records.evaluation]
    assert sorted(record.generation.is_unchanged for record in changed) == [False, True]
    assert any("changed since it was made" in record.title for record in changed)
    detections.write_bytes(original)
    assert fingerprint_data(config) == first
    manifest = root / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert fingerprint_data(config) != first
