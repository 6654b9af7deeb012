import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2hand.data.freihand import load_freihand
from s2hand.errors import DataError


def test_training_table_follows_the_annotation_files(make_freihand):
    root = make_freihand(count=5)
    table = load_freihand(root, "train")
    assert table.sample_ids == ("00000000", "00000001", "00000002", "00000003", "00000004")
    assert table.image_paths[3] == root / "training/rgb/00000003.jpg"
    joints = np.array(json.loads((root / "training_xyz.json").read_text()))
    np.testing.assert_allclose(table.joints, joints, rtol=1e-6)
    detected = json.loads((root / "openpose_v2/training/detect_all.json").read_text())
    np.testing.assert_allclose(table.detected_keypoints_px, detected[0], rtol=1e-6)
    assert np.all(table.detection_confidence == 0.5)
    assert table.vertices is None
    assert not table.is_cropped
    assert set(table.sequences) == {""}


def test_ground_truth_keypoints_are_the_projected_joints(make_freihand):
    root = make_freihand(count=3, size=48)
    table = load_freihand(root, "train", keypoints="ground_truth")
    joints = np.array(json.loads((root / "training_xyz.json").read_text()))
    expected = 400 * joints[..., :2] / joints[..., 2:] + 24
    np.testing.assert_allclose(table.detected_keypoints_px, expected, rtol=1e-4)
    assert np.all(table.detection_confidence == 1)


def test_evaluation_table_has_truth_and_may_lack_detections(make_freihand):
    root = make_freihand(count=4)
    table = load_freihand(root, "test")
    vertices = np.array(json.loads((root / "evaluation_verts.json").read_text()))
    np.testing.assert_allclose(table.vertices, vertices, rtol=1e-6)
    assert np.all(table.detection_confidence == 0)
    (root / "evaluation_xyz.json").unlink()
    (root / "evaluation_verts.json").unlink()
    without = load_freihand(root, "test")
    assert without.joints is None
    assert without.vertices is None


def test_only_the_originals_are_used_of_a_folder_with_their_copies(make_freihand):
    root = make_freihand(count=2)
    for index in range(2, 8):
        Image.new("RGB", (48, 48)).save(root / "training/rgb" / f"{index:08d}.jpg")
    path = root / "openpose_v2/training/detect_all.json"
    path.write_text(json.dumps([part * 4 for part in json.loads(path.read_text())]))
    assert len(load_freihand(root, "train")) == 2


def test_max_frames_keeps_the_first(make_freihand):
    table = load_freihand(make_freihand(count=5), "train", max_frames=2)
    assert table.sample_ids == ("00000000", "00000001")
    assert len(table.joints) == 2


def change_json(path: Path, change) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content)))


def test_missing_files_are_named(make_freihand, tmp_path):
    with pytest.raises(DataError, match=r"nowhere: folder of the dataset is missing"):
        load_freihand(tmp_path / "nowhere", "train")
    root = make_freihand()
    (root / "training/rgb/00000002.jpg").unlink()
    with pytest.raises(DataError, match=r"rgb/00000002: image .* is missing"):
        load_freihand(root, "train")
    (root / "openpose_v2/training/detect_all.json").unlink()
    (root / "training_K.json").unlink()
    with pytest.raises(DataError, match=r"training_K.json: annotation file is missing"):
        load_freihand(root, "train")


def test_missing_detections_are_an_error_for_training_only(make_freihand):
    root = make_freihand()
    (root / "openpose_v2/training/detect_all.json").unlink()
    with pytest.raises(DataError, match=r"detect_all.json: file of detected keypoints is missing"):
        load_freihand(root, "train")
    assert len(load_freihand(root, "train", keypoints="ground_truth")) == 5
    (root / "training_xyz.json").unlink()
    with pytest.raises(DataError, match=r"training_xyz.json: .* 'ground_truth'|ground_truth"):
        load_freihand(root, "train", keypoints="ground_truth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda xyz: xyz[:-1], r"training_xyz.json: must hold one entry per frame \(5\), got 4"),
        (lambda xyz: [*xyz[:2], xyz[2][:20], *xyz[3:]], r"entry 2 must have shape \(21, 3\)"),
        (lambda xyz: [*xyz[:1], "x", *xyz[2:]], r"entry 1 .* got ragged or non-numeric"),
        (lambda xyz: [[[float("nan")] * 3] * 21, *xyz[1:]], r"entry 0 must hold finite numbers"),
        (lambda _: {"xyz": 1}, r"must hold a list of arrays, got a dict"),
        (lambda _: [], r"must hold one entry per frame \(5\), got 0"),
    ],
)
def test_misshapen_annotations_are_named_with_their_entry(make_freihand, change, message):
    root = make_freihand()
    change_json(root / "training_xyz.json", change)
    with pytest.raises(DataError, match=message):
        load_freihand(root, "train")


def test_empty_and_truncated_json_are_refused(make_freihand):
    root = make_freihand()
    path = root / "training_K.json"
    whole = path.read_bytes()
    path.write_text("[]")
    with pytest.raises(DataError, match=r"training_K.json: entry 0 must have .* no entry at all"):
        load_freihand(root, "train")
    path.write_bytes(whole[:-9])
    with pytest.raises(DataError, match=r"training_K.json: must be a complete JSON file"):
        load_freihand(root, "train")


def test_a_detection_must_lie_near_its_own_image(make_freihand):
    """Here of half the others' size."""
    root = make_freihand(size=48)
    Image.new("RGB", (24, 24)).save(root / "training/rgb/00000003.jpg")

    def detect(index, x):
        def change(content):
            content[0][:4] = [[[10, 10]] * 21] * 4
            content[0][index] = [[x, 10]] * 21
            return content

        change_json(root / "openpose_v2/training/detect_all.json", change)

    detect(2, 40)
    assert len(load_freihand(root, "train")) == 5
    detect(3, 40)
    with pytest.raises(DataError, match=r"entry 3, keypoint x of keypoint 0 must lie in -12..36"):
        load_freihand(root, "train")


def test_detections_of_another_length_are_refused(make_freihand):
    root = make_freihand()
    change_json(root / "openpose_v2/training/detect_all.json", lambda c: [p[:3] for p in c])
    with pytest.raises(DataError, match=r"detect_all.json: must hold one entry per image \(5\)"):
        load_freihand(root, "train")
