import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s2hand.data.ho3d import load_ho3d, survey
from s2hand.errors import DataError

OPENPOSE_FROM_HO3D = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]
"""The list found in HO-3D's own tools."""


def meta_path(root: Path, frame: int, folder: str = "train/AB1") -> Path:
    return root / folder / "meta" / f"{frame:04d}.pkl"


def change_meta(path: Path, **changes: object) -> None:
    meta = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(meta | changes, protocol=2))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_both_versions_are_read_in_our_order_and_frame(make_ho3d, suffix):
    root = make_ho3d(suffix=suffix)
    table = load_ho3d(root, "train")
    assert table.sample_ids[:2] == ("AB1/0000", "AB1/0001")
    assert table.image_paths[1] == root / f"train/AB1/rgb/0001.{suffix}"
    assert table.sequences == ("AB1",) * 6
    np.testing.assert_array_equal(table.frames, np.arange(6))
    meta = pickle.loads(meta_path(root, 4).read_bytes())
    expected = meta["handJoints3D"][OPENPOSE_FROM_HO3D] * [1, -1, -1]
    np.testing.assert_allclose(table.joints[4], expected, rtol=1e-6)
    assert table.joints[..., 2].min() > 0


def test_projection_is_that_of_the_official_formula(make_ho3d):
    root = make_ho3d()
    table = load_ho3d(root, "train", keypoints="ground_truth")
    meta = pickle.loads(meta_path(root, 2).read_bytes())
    homogeneous = meta["handJoints3D"] @ (meta["camMat"] @ np.diag([1, -1, -1])).T
    official = (homogeneous[:, :2] / homogeneous[:, 2:])[OPENPOSE_FROM_HO3D]
    np.testing.assert_allclose(table.detected_keypoints_px[2], official, rtol=1e-5)
    extent = [*official.min(axis=0), *official.max(axis=0)]
    np.testing.assert_allclose(table.crop_box_px[2], extent, rtol=1e-5)


def test_wrist_rotation_is_turned_into_our_frame(make_ho3d):
    root = make_ho3d()
    table = load_ho3d(root, "train")
    pose = pickle.loads(meta_path(root, 3).read_bytes())["handPose"]
    expected = np.diag([1.0, -1, -1]) @ Rotation.from_rotvec(pose[:3]).as_matrix()
    found = Rotation.from_rotvec(table.rotations[3, 0]).as_matrix()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(table.rotations[3, 1:].ravel(), pose[3:], rtol=1e-5)


def test_evaluation_truth_and_boxes(make_ho3d):
    root = make_ho3d()
    table = load_ho3d(root, "test")
    xyz = np.array(json.loads((root / "evaluation_xyz.json").read_text()))
    np.testing.assert_allclose(table.joints, xyz[:, OPENPOSE_FROM_HO3D] * [1, -1, -1], rtol=1e-6)
    verts = np.array(json.loads((root / "evaluation_verts.json").read_text()))
    np.testing.assert_allclose(table.vertices, verts * [1, -1, -1], rtol=1e-6)
    boxes = [
        pickle.loads(meta_path(root, frame, "evaluation/SM1").read_bytes())["handBoundingBox"]
        for frame in range(6)
    ]
    np.testing.assert_allclose(table.crop_box_px, boxes, rtol=1e-6)
    assert table.rotations is None
    (root / "evaluation_xyz.json").unlink()
    (root / "openpose/SM1/detect.json").unlink()
    without = load_ho3d(root, "test")
    assert without.joints is None
    assert np.all(without.detection_confidence == 0)


def test_frames_keep_their_true_numbers_and_find_their_detections(make_ho3d):
    root = make_ho3d()
    (root / "train.txt").write_text("AB1/0005\nAB1/0001\n")
    table = load_ho3d(root, "train")
    np.testing.assert_array_equal(table.frames, [5, 1])
    detected = np.array(json.loads((root / "openpose/AB1/detect.json").read_text())[0])
    np.testing.assert_allclose(table.detected_keypoints_px, detected[[5, 1]], rtol=1e-6)


def test_frames_without_annotation_are_left_out(make_ho3d):
    root = make_ho3d()
    change_meta(meta_path(root, 0), handJoints3D=None, handPose=None)
    table = load_ho3d(root, "train", max_frames=3)
    assert table.sample_ids == ("AB1/0001", "AB1/0002", "AB1/0003")
    assert table.notes == {"annotations": "1 frames have none and are left out"}


def test_confidences_above_one_are_told(make_ho3d):
    root = make_ho3d()
    path = root / "openpose/AB1/detect.json"
    keypoints, confidence, names = json.loads(path.read_text())
    confidence[2][5], confidence[3][0] = [1.05], [1.2]
    path.write_text(json.dumps([keypoints, confidence, names]))
    table = load_ho3d(root, "train")
    assert table.notes == {"detections": "2 confidences above 1 count as 1"}
    assert table.detection_confidence.max() == 1


def test_training_crop_from_confident_detections_only(make_ho3d):
    root = make_ho3d()
    path = root / "openpose/AB1/detect.json"
    keypoints, confidence, names = json.loads(path.read_text())
    confidence[0][4], keypoints[0][4] = [0.05], [60, 47]
    confidence[1] = [[0.0]] * 19 + [[0.9]] * 2
    path.write_text(json.dumps([keypoints, confidence, names]))
    table = load_ho3d(root, "train", train_crop="detections")
    kept = np.delete(np.array(keypoints[0]), 4, axis=0)
    np.testing.assert_allclose(table.crop_box_px[0], [*kept.min(0), *kept.max(0)], rtol=1e-6)
    np.testing.assert_array_equal(table.crop_box_px[1], [0, 0, 63, 47])


def lists_in_lists():
    """Forty lists, each of which holds the one before twice: a terabyte of entries."""
    nested = []
    for _ in range(40):
        nested = [nested, nested]
    return nested


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"camMat": np.eye(2)}, r"0002.pkl: field 'camMat' must hold .* shape \(3, 3\), got"),
        ({"handPose": np.full(48, np.nan)}, r"field 'handPose' .* with NaN or infinity"),
        ({"handJoints3D": "x"}, r"field 'handJoints3D' must hold finite numbers"),
        ({"camMat": 50 * np.eye(3) + 0j}, r"field 'camMat' must hold finite numbers"),
        ({"camMat": [["50", "0", "0"]] * 3}, r"field 'camMat' must hold finite numbers"),
        ({"handPose": lists_in_lists()}, r"field 'handPose' must hold finite numbers"),
        ({"handJoints3D": lists_in_lists()}, r"field 'handJoints3D' must hold finite numbers"),
    ],
)
def test_wrong_meta_fields_are_named(make_ho3d, changes, message):
    root = make_ho3d()
    change_meta(meta_path(root, 2), **changes)
    with pytest.raises(DataError, match=message):
        load_ho3d(root, "train")


def test_other_keys_of_a_meta_file_may_be_anything(make_ho3d):
    root = make_ho3d()
    path, before = meta_path(root, 2), load_ho3d(root, "train")
    content = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps({**content, 29793: "x", (1, 2): None}))
    np.testing.assert_array_equal(load_ho3d(root, "train").joints, before.joints)


def test_missing_box_or_files_are_named(make_ho3d):
    root = make_ho3d()
    change_meta(meta_path(root, 1, "evaluation/SM1"), handBoundingBox=None)
    with pytest.raises(DataError, match=r"SM1/meta/0001.pkl: field 'handBoundingBox'"):
        load_ho3d(root, "test")
    (root / "train/AB1/rgb/0003.png").unlink()
    with pytest.raises(DataError, match=r"AB1/rgb/0003: image"):
        load_ho3d(root, "train")
    meta_path(root, 4).unlink()
    with pytest.raises(DataError, match=r"0004.pkl: the HO-3D meta file cannot be read"):
        load_ho3d(root, "train")
    (root / "train.txt").unlink()
    with pytest.raises(DataError, match=r"train.txt: list of frames is missing"):
        load_ho3d(root, "train")


@pytest.mark.parametrize(
    "camera",
    [np.zeros((3, 3)), np.diag([60.0, -60, 1]), np.diag([60.0, 60, 0]), np.diag([1e9, 60, 1])],
    ids=["zero", "flipped", "no depth", "huge"],
)
def test_a_matrix_that_is_no_camera_is_named(make_ho3d, camera):
    root = make_ho3d()
    change_meta(meta_path(root, 2), camMat=camera)
    with pytest.raises(
        DataError,
        match=r"/train/\*/meta/\*.pkl: AB1/0002 must be seen by a camera .* \(1 such of 6",
    ):
        load_ho3d(root, "train")


def test_an_image_that_is_there_twice_is_refused(make_ho3d):
    root = make_ho3d()
    image = root / "train/AB1/rgb/0003.png"
    shutil.copy(image, image.with_suffix(".JPG"))
    message = r"AB1/rgb: an image must be there once, got 0003.JPG and 0003.png; keep the one"
    for read in (load_ho3d, survey):
        with pytest.raises(DataError, match=message):
            read(root, "train")


@pytest.mark.parametrize(
    ("split", "folder"),
    [
        ("train", "."),
        ("train", "train"),
        ("train", "openpose"),
        ("train", "train/AB1/meta"),
        ("train", "train/AB1/rgb"),
        ("test", "openpose/SM1"),
    ],
)
def test_a_folder_that_may_not_be_looked_into_is_told(make_ho3d, locked, split, folder):
    root = make_ho3d()
    with locked(root / folder), pytest.raises(DataError, match=f"{root}.*Permission denied"):
        load_ho3d(root, split)
    assert load_ho3d(root, split).notes == {}


@pytest.mark.parametrize("order", [[2, 3, 0, 1], [2, 1, 0, 3], [0, 3, 2, 1], [0, 1, 0, 3]])
def test_a_reversed_or_empty_box_is_refused(make_ho3d, order):
    root = make_ho3d()
    path = meta_path(root, 1, "evaluation/SM1")
    box = np.array(pickle.loads(path.read_bytes())["handBoundingBox"])
    change_meta(path, handBoundingBox=box[order])
    with pytest.raises(
        DataError, match=r"SM1/meta/0001.pkl: field 'handBoundingBox' must be x0, y0"
    ):
        load_ho3d(root, "test")


def test_truncated_and_foreign_pickles_are_refused(make_ho3d):
    root = make_ho3d()
    path = meta_path(root, 0)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"0000.pkl: the HO-3D meta file must be a complete pickle"):
        load_ho3d(root, "train")
    path.write_bytes(pickle.dumps([1, 2], protocol=2))
    with pytest.raises(DataError, match=r"0000.pkl: must hold a dictionary, got a list"):
        load_ho3d(root, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AB1/0000\nAB1-0001\n", r"train.txt: line 2 must be SEQUENCE/FRAME, got 'AB1-0001'"),
        ("AB1/0000\nAB1/0000\n", r"AB1/0000 occurs 2 times"),
        ("\n", r"must list at least one frame"),
    ],
)
def test_bad_lists_are_refused(make_ho3d, text, message):
    root = make_ho3d()
    (root / "train.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        load_ho3d(root, "train")


def test_detections_are_matched_by_file_name(make_ho3d):
    root = make_ho3d()
    before = load_ho3d(root, "train")
    path = root / "openpose/AB1/detect.json"
    content = json.loads(path.read_text())
    order = [4, 1, 5, 0, 2]  # of a folder that was not sorted, frame 3 left out
    path.write_text(json.dumps([[part[row] for row in order] for part in content]))
    after = load_ho3d(root, "train")
    np.testing.assert_array_equal(
        after.detected_keypoints_px[order], before.detected_keypoints_px[order]
    )
    assert not after.detected_keypoints_px[3].any()
    assert not after.detection_confidence[3].any()
    assert before.notes == {}
    assert after.notes == {"detections": "1 of 6 images have no entry and count as not found"}


def test_entries_of_other_images_are_counted_if_something_was_found_there(make_ho3d):
    root = make_ho3d()
    (root / "train.txt").write_text("AB1/0005\nAB1/0001\n")  # 0, 2, 3 and 4 have images
    path = root / "openpose/AB1/detect.json"
    keypoints, confidence, names = json.loads(path.read_text())
    keypoints += [keypoints[0], [[0, 0]] * 21]
    confidence += [confidence[0], [[0]] * 21]
    path.write_text(json.dumps([keypoints, confidence, [*names, ["0100.png"], ["0101.png"]]]))
    assert load_ho3d(root, "train").notes == {
        "detections": "1 entries are of images that the set does not have and are left out"
    }


def test_truth_of_another_length_than_the_list_is_refused(make_ho3d):
    root = make_ho3d()
    (root / "evaluation.txt").write_text("SM1/0000\nSM1/0001\n")
    with pytest.raises(
        DataError, match=r"evaluation_xyz.json: must hold one entry per frame \(2\)"
    ):
        load_ho3d(root, "test")


def test_the_wrist_that_a_frame_tells_is_compared_with_the_truth(make_ho3d):
    root = make_ho3d()
    for frame in (1, 2):
        path = meta_path(root, frame, "evaluation/SM1")
        wrist = pickle.loads(path.read_bytes())["handJoints3D"]
        change_meta(path, handJoints3D=wrist + np.array([0.012, 0, 0]))
    notes = load_ho3d(root, "test").notes
    assert list(notes) == ["wrists agree"]
    assert notes["wrists agree"].startswith("only 67% of the wrists lie within 1 cm of those in")
    for frame in (0, 1, 2):
        change_meta(meta_path(root, frame, "evaluation/SM1"), handJoints3D=None)
    assert load_ho3d(root, "test").notes == {}
    for frame in (3, 4):
        change_meta(meta_path(root, frame, "evaluation/SM1"), handJoints3D=np.zeros((21, 3)))
    with pytest.raises(DataError, match=r"evaluation_xyz.json: only 33% of the wrists .*order of"):
        load_ho3d(root, "test")
    change_meta(meta_path(root, 5, "evaluation/SM1"), handJoints3D=np.zeros(4))
    with pytest.raises(DataError, match=r"0005.pkl: field 'handJoints3D' must hold .* \(3,\)"):
        load_ho3d(root, "test")
