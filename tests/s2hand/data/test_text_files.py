"""Text files as editors and other programs leave them, and as nobody should."""

import numpy as np
import pytest

from s2hand.data.freihand import load_freihand
from s2hand.data.ho3d import load_ho3d
from s2hand.data.manifest import read_manifest
from s2hand.errors import CheckpointError, DataError
from s2hand.training.reports import REPORTS_NAME, read_stage_reports

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DEEP = b"[" * 100_000


@pytest.fixture(params=["freihand", "ho3d"])
def loaded(request, make_freihand, make_ho3d):
    """A set, what loads it, and the JSON files that a training reads."""
    if request.param == "freihand":
        root = make_freihand()
        return root, load_freihand, sorted(root.glob("training_*.json"))
    root = make_ho3d()
    return root, load_ho3d, sorted(root.glob("openpose/AB1/*.json"))


def test_a_byte_order_mark_changes_nothing(loaded):
    root, load, _ = loaded
    before = load(root, "train")
    texts = [path for path in root.rglob("*") if path.suffix in {".json", ".txt"}]
    assert texts
    for path in texts:
        path.write_bytes(BYTE_ORDER_MARK + path.read_bytes())
    after = load(root, "train")
    assert after.sample_ids == before.sample_ids
    np.testing.assert_array_equal(after.detected_keypoints_px, before.detected_keypoints_px)


def test_json_that_is_nested_without_end_is_named(loaded):
    root, load, paths = loaded
    assert paths
    for path in paths:
        content = path.read_bytes()
        path.write_bytes(DEEP)
        with pytest.raises(DataError, match=f"{path.name}: must be a complete JSON file"):
            load(root, "train")
        path.write_bytes(content)


def test_files_of_our_own_that_are_nested_without_end_are_named(tmp_path):
    (tmp_path / "manifest.json").write_bytes(DEEP)
    with pytest.raises(DataError, match=r"manifest.json: must be what `s2hand data make"):
        read_manifest(tmp_path / "manifest.json")
    (tmp_path / REPORTS_NAME).write_bytes(DEEP)
    with pytest.raises(CheckpointError, match=f"{REPORTS_NAME}: must list the stages"):
        read_stage_reports(tmp_path)
