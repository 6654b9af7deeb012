"""Any folder of images with detections: what is read of it, and what is asked for."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2hand.config import DataConfig, ModelConfig, S2HandConfig
from s2hand.data.build import evaluation_source, load_extra, load_train
from s2hand.data.check import check_set
from s2hand.data.dataset import FrameDataset
from s2hand.data.folder import LOADER, load_folder
from s2hand.data.record import identify_training_data
from s2hand.errors import DataError
from s2hand.keypoints.track_settings import TrackSettings

FOCAL_35MM = 0xA405


def change_json(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def root(make_folder) -> Path:
    return make_folder()


def test_sub_folders_are_videos_and_pictures_stand_alone(root):
    table = load_folder(root, "train")
    assert sorted(set(table.sequences)) == ["clip/0", "clip/1", "one/0", "two/0"]
    clip = [row for row, name in enumerate(table.sequences) if name == "clip/1"]
    assert table.frames[clip].tolist() == [*range(7, 15)]
    assert table.image_paths[clip[0]].name == "frame_0007.jpg"
    assert table.sample_ids[:2] == ("one/0/0", "two/0/0")
    # The clip's second track and the second picture are of left hands.
    sides = dict(zip(table.sequences, table.is_mirrored, strict=True))
    assert sides == {"clip/0": False, "clip/1": True, "one/0": False, "two/0": True}
    assert (table.joints, table.vertices, table.rotations) == (None, None, None)
    assert table.notes == {}
    assert FrameDataset(table, 32).batch(range(len(table))).images.shape == (18, 3, 32, 32)


def test_detections_are_those_of_the_files_left_ones_mirrored(root):
    table = load_folder(root, "train")
    hands = json.loads((root / "keypoints.json").read_text())["hands"]
    for row, mirrored in ((0, False), (1, True)):
        points = np.array(hands[row]["points"]).reshape(21, 3)
        width = 100 if row == 0 else 64
        expected = points[:, :2] * ([-1, 1] if mirrored else [1, 1]) + [
            (width - 1) * mirrored,
            0,
        ]
        np.testing.assert_allclose(table.detected_keypoints_px[row], expected, atol=1e-4)
        np.testing.assert_allclose(
            table.crop_box_px[row], [*expected.min(0), *expected.max(0)], atol=1e-4
        )


def test_the_camera_is_given_or_exif_s_or_as_long_as_the_longer_side(root):
    cameras = {"clip": [[90.0, 0, 40], [0, 91, 30], [0, 0, 1]]}
    (root / "intrinsics.json").write_text(json.dumps(cameras))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned: pixels stay those of the stored image
    exif.get_ifd(0x8769)[FOCAL_35MM] = 43
    with Image.open(root / "two.png") as image:
        image.load()
    image.save(root / "two.png", exif=exif)
    table = load_folder(root, "train")
    longer_side = [[100, 0, 49.5], [0, 100, 29.5], [0, 0, 1]]
    np.testing.assert_array_equal(table.intrinsics_px[0], longer_side)
    focal = 43 / np.hypot(36, 24) * np.hypot(64, 64)
    expected = [[focal, 0, 31.5], [0, focal, 31.5], [0, 0, 1]]
    np.testing.assert_allclose(table.intrinsics_px[1], expected, rtol=1e-6)
    for row, name in enumerate(table.sequences):
        if name.startswith("clip"):
            x = 79 - 40 if table.is_mirrored[row] else 40
            np.testing.assert_array_equal(
                table.intrinsics_px[row], [[90, 0, x], [0, 91, 30], [0, 0, 1]]
            )
    config = S2HandConfig(data=DataConfig(dataset="folder", root=str(root)))
    assert identify_training_data(config).record.intrinsics
    # One matrix is everybody's camera.
    (root / "intrinsics.json").write_text(json.dumps(cameras["clip"]))
    table = load_folder(root, "train")
    assert table.intrinsics_px[0].tolist() == cameras["clip"]
    assert table.has_camera is None


def test_a_perspective_model_takes_no_camera_that_nobody_stated(root):
    def config(projection="perspective", **data):
        return S2HandConfig(
            data=DataConfig(dataset="folder", root=str(root), **data),
            model=ModelConfig(projection=projection),
        )

    # One video's camera is known; its two tracks have 8 frames each.
    camera = [[90.0, 0, 40], [0, 91, 30], [0, 0, 1]]
    (root / "intrinsics.json").write_text(json.dumps({"clip": camera}))
    with pytest.raises(DataError) as caught:
        load_train(config())
    told = str(caught.value)
    assert "no camera is known of 2 of 18 hands, such as one/0/0" in told
    for remedy in ('model.projection = "orthographic"', "data.assumed_focal", "intrinsics.json"):
        assert remedy in told
    orthographic = load_train(config("orthographic"))
    assert orthographic.has_camera.tolist() == [False] * 2 + [True] * 16
    assert orthographic.notes == {}
    stated = load_train(config(assumed_focal=1.5))
    np.testing.assert_array_equal(
        stated.intrinsics_px[0], [[150, 0, 49.5], [0, 150, 29.5], [0, 0, 1]]
    )
    np.testing.assert_array_equal(
        stated.intrinsics_px[1], [[96, 0, 31.5], [0, 96, 31.5], [0, 0, 1]]
    )
    np.testing.assert_array_equal(stated.intrinsics_px[2:], orthographic.intrinsics_px[2:])
    assert stated.notes["cameras"] == (
        "not known of 2 of 18 hands: a focal length of 1.5 longer sides is assumed"
    )
    (root / "intrinsics.json").write_text(json.dumps(camera))
    assert load_train(config()).notes == {}
    beside = DataConfig(extra_datasets=("folder",), extra_roots=(str(root),))
    (root / "intrinsics.json").unlink()
    with pytest.raises(DataError, match="no camera is known of 18 of 18 hands"):
        load_extra(S2HandConfig(data=replace(beside, root="elsewhere")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"clap": np.eye(3).tolist()}, "got 'clap', which is not there"),
        ({"clip": [[1, 2], [3, 4]]}, r"camera of 'clip' must be .* got shape \(2, 2\)"),
        ({"one.jpg": np.zeros((3, 3)).tolist()}, r"one.jpg must be seen by a camera"),
        ("text", "must be 3 times 3 finite numbers"),
    ],
)
def test_cameras_that_cannot_be_are_refused(root, content, message):
    (root / "intrinsics.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        load_folder(root, "train")
    (checked,) = check_set(root, "folder")
    assert [each.kind for each in checked.files if each.damaged] == ["intrinsics.json"]


def test_thresholds_are_those_of_the_training_data(root):
    def sequences(**thresholds):
        data = DataConfig(
            dataset="folder", root=str(root), tracks=TrackSettings(**thresholds), assumed_focal=1.0
        )
        return set(load_train(S2HandConfig(data=data)).sequences)

    confidence = json.loads((root / "keypoints.json").read_text())["hands"][0]["points"][2::3]
    assert sequences() == {"clip/0", "clip/1", "one/0", "two/0"}
    # Tracks of 8 frames each; pictures stand alone, and are measured by confidence only.
    assert sequences(min_frames=8) == sequences()
    assert sequences(min_frames=9) == {"one/0", "two/0"}
    assert "one/0" in sequences(min_confidence=float(np.mean(confidence)) - 0.01)
    with pytest.raises(DataError, match=r"no hand was found surely .* data\.tracks says"):
        sequences(min_confidence=1.0)


def test_images_without_a_hand_are_left_out_and_counted(root):
    def change(content):
        content["hands"] = content["hands"][1:]

    change_json(root / "keypoints.json", change)
    table = load_folder(root, "train")
    assert "one/0" not in table.sequences
    assert table.notes == {
        "images without hands": "1 of 10 are left out: no hand was found in them surely and, in "
        "videos, steadily enough"
    }
    assert load_folder(root, "train", max_frames=3).sample_ids == table.sample_ids[:3]


def test_a_damaged_image_that_is_not_read_is_no_loss(root):
    change_json(root / "keypoints.json", lambda content: content.update(hands=content["hands"][1:]))
    image = root / "one.jpg"
    image.write_bytes(image.read_bytes()[:300])
    (checked,) = check_set(root, "folder")
    assert (checked.is_usable, checked.left_out) == (True, 0)
    assert checked.notes["damaged images"] == "1 are not among those that are read"


def test_what_is_missing_is_asked_for(root, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="no JPEG or PNG image here, nor in a folder in it; docs"):
        load_folder(empty, "train")
    (empty / "holiday.MP4").write_bytes(b"")
    with pytest.raises(DataError, match=r"extract the frames of holiday.MP4 to a folder"):
        load_folder(empty, "train")
    (root / "keypoints/clip.json").unlink()
    with pytest.raises(
        DataError, match=r"clip.json: .*s2hand keypoints detect '\S+ \S+clip' -o '\S+ "
    ):
        load_folder(root, "train")
    shutil.rmtree(root / "clip")
    assert len(load_folder(root, "train")) == 2


def test_frames_must_be_numbered_each_with_its_own(root):
    image = root / "clip/frame_0007.jpg"
    shutil.copy(image, root / "clip/other_7.jpg")
    change_json(root / "keypoints/clip.json", lambda c: c["samples"].append("other_7.jpg"))
    with pytest.raises(
        DataError, match=r"^clip: the frames of a video must have numbers of their own, got"
    ):
        load_folder(root, "train")
    (root / "clip/other_7.jpg").rename(root / "clip/title.jpg")
    change_json(root / "keypoints/clip.json", lambda c: c["samples"].append("title.jpg"))
    with pytest.raises(
        DataError, match=r"^clip: a frame's name must end in its number, .*'title.jpg'"
    ):
        load_folder(root, "train")


def test_nothing_is_measured_on_it(root):
    config = S2HandConfig(data=DataConfig(dataset="folder", root=str(root), assumed_focal=1.0))
    assert len(load_train(config)) == 18
    with pytest.raises(DataError, match="Folder of images has no true hands in metres"):
        evaluation_source(config)
    for split, settings in (("test", {}), ("train", {"keypoints": "ground_truth"})):
        with pytest.raises(DataError, match="has no true hands, it is trained on"):
            load_folder(root, split, **settings)


def test_every_file_that_is_read_is_checked_and_hashed(root):
    (root / "intrinsics.json").write_text(json.dumps({}))
    checks = {check.path for check in LOADER.file_checks(root, "train")}
    assert set(LOADER.files_read(root, "train")) == checks - {root}
    assert list(LOADER.file_checks(root, "test")) == []
    config = S2HandConfig(data=DataConfig(dataset="folder", root=str(root)))
    before = identify_training_data(config)
    assert before.record.origin == "own"
    assert before.record.title == "folder of images of one's own"
    assert before.record.sequences == 1
    change_json(root / "keypoints/clip.json", lambda content: content.update(version="2"))
    assert identify_training_data(config).fingerprint != before.fingerprint


def test_every_fault_is_told(root):
    (checked,) = check_set(root, "folder")
    assert checked.is_usable
    assert checked.notes["cameras"].startswith("not known of 18 of 18 hands: a perspective model")
    image = root / "clip/frame_0008.jpg"
    image.write_bytes(image.read_bytes()[:300])
    (root / "keypoints.json").write_text("{}")
    (root / "keypoints/clip.json").unlink()
    (checked,) = check_set(root, "folder")
    found = {
        each.kind: (each.complete, len(each.missing), len(each.damaged)) for each in checked.files
    }
    assert found == {
        "folder": (1, 0, 0),
        "intrinsics.json": (0, 1, 0),
        "images": (9, 0, 1),
        "detections": (0, 1, 1),
    }
    assert not checked.is_usable
