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
    keypoints, confidence, _ = json.loads(path.read_text())
    names = [[f"{index:08d}.jpg"] for index in range(8)]
    path.write_text(json.dumps([keypoints * 4, confidence * 4, names]))
    table = load_freihand(root, "train")
    assert len(table) == 2
    assert table.notes == {}


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

    def halve(content):
        content[0][3] = [[x / 2, y / 2] for x, y in content[0][3]]
        return content

    change_json(root / "openpose_v2/training/detect_all.json", halve)

    def detect(index, x):
        def change(content):
            content[0][index][0] = [x, 10]
            return content

        change_json(root / "openpose_v2/training/detect_all.json", change)

    detect(2, 40)
    assert len(load_freihand(root, "train")) == 5
    detect(3, 40)
    with pytest.raises(DataError, match=r"entry 3, keypoint x of keypoint 0 must lie in -12..36"):
        load_freihand(root, "train")


def test_detections_are_matched_by_file_name(make_freihand):
    root = make_freihand()
    before = load_freihand(root, "train")
    path = root / "openpose_v2/training/detect_all.json"
    order = [3, 0, 4, 2, 1]  # as os.listdir gives them
    change_json(path, lambda content: [[part[row] for row in order] for part in content])
    after = load_freihand(root, "train")
    np.testing.assert_array_equal(after.detected_keypoints_px, before.detected_keypoints_px)
    assert before.notes == after.notes == {}
    change_json(path, lambda content: [part[:4] for part in content])  # lacks order[4], image 1
    without = load_freihand(root, "train")
    kept = [0, 2, 3, 4]
    np.testing.assert_array_equal(
        without.detected_keypoints_px[kept], before.detected_keypoints_px[kept]
    )
    assert not without.detected_keypoints_px[1].any()
    assert not without.detection_confidence[1].any()
    assert without.notes["detections"] == "1 of 5 images have no entry and count as not found"


def test_bones_that_another_file_tells_are_compared(make_freihand):
    root = make_freihand()
    xyz = np.array(json.loads((root / "evaluation_xyz.json").read_text()))
    bones = np.linalg.norm(xyz[:, 9] - xyz[:, 10], axis=1)
    path = root / "evaluation_scale.json"
    path.write_text(json.dumps(bones.tolist()))
    assert load_freihand(root, "test").notes == {}
    path.write_text(json.dumps([*bones[:3], *1.05 * bones[3:]]))
    assert load_freihand(root, "test").notes == {
        "bones agree": f"only 60% of the middle fingers' first bones are as long as {path} says"
    }
    path.write_text(json.dumps((1.05 * bones).tolist()))
    with pytest.raises(DataError, match=r"evaluation_xyz.json: only 0% of the middle fingers'"):
        load_freihand(root, "test")


def with_recomposed_copies(root: Path, count: int) -> None:
    for index in range(count, 4 * count):
        Image.new("RGB", (48, 48)).save(root / "training/rgb" / f"{index:08d}.jpg")


def test_recomposed_copies_are_images_of_their_original_s_sample(make_freihand):
    root = make_freihand(count=5)
    with_recomposed_copies(root, 5)
    originals = load_freihand(root, "train")
    table = load_freihand(root, "train", backgrounds=("gs", "sample", "auto"))
    assert table.sample_ids == originals.sample_ids
    assert table.image_paths == originals.image_paths
    assert originals.copies is None
    folder = root / "training/rgb"
    assert table.copies[3] == (folder / "00000013.jpg", folder / "00000018.jpg")
    np.testing.assert_array_equal(table.detected_keypoints_px, originals.detected_keypoints_px)
    np.testing.assert_array_equal(table.joints, originals.joints)
    alone = load_freihand(root, "train", backgrounds=("hom",), max_frames=2)
    assert alone.image_paths == (folder / "00000005.jpg", folder / "00000006.jpg")
    assert alone.sample_ids == ("00000000", "00000001")
    assert alone.copies is None


def test_copies_that_are_asked_for_and_missing_are_named(make_freihand):
    root = make_freihand(count=5)
    with_recomposed_copies(root, 5)
    (root / "training/rgb/00000012.jpg").unlink()
    with pytest.raises(DataError, match=r"rgb/00000012: image .* is missing"):
        load_freihand(root, "train", backgrounds=("gs", "sample"))
    assert len(load_freihand(root, "train", backgrounds=("gs", "hom"))) == 5
