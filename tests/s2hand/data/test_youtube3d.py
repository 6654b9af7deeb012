"""YouTube-3D-Hands, read from files in its layout that the test writes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2hand.config import DataConfig, ModelConfig, S2HandConfig
from s2hand.data.build import evaluation_source, load_train, load_validation
from s2hand.data.check import check_set
from s2hand.data.dataset import FrameDataset
from s2hand.data.loader import loader_of
from s2hand.data.record import describe_datasets, identify_training_data, release
from s2hand.data.youtube3d import LOADER, load_youtube3d
from s2hand.data.youtube3d_files import read_annotations
from s2hand.errors import DataError
from s2hand.layouts import LAYOUTS


def change_json(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def root(make_youtube3d) -> Path:
    return make_youtube3d()


def rows_of(table, name: str) -> list[int]:
    return [row for row, sequence in enumerate(table.sequences) if sequence.startswith(name)]


def test_a_sequence_is_one_hand_s_track(root):
    table = load_youtube3d(root, "train")
    assert sorted(set(table.sequences)) == ["vid B/left/0", "vidA/left/0", "vidA/right/0"]
    assert len(table) == len(set(table.sample_ids)) == 24
    for name in set(table.sequences):
        assert table.frames[rows_of(table, name)].tolist() == list(range(100, 108))
    assert table.sample_ids[0] == "vidA/right/0/100"
    assert table.image_paths[0] == root / "youtube/vidA/video/frames/100.png"
    assert table.is_cropped
    assert table.notes == {}


def test_nothing_of_the_truth_is_read_but_the_side(root):
    """Vertices that are anything at all change nothing of what is trained on."""
    before = load_youtube3d(root, "train")
    assert (before.joints, before.vertices, before.rotations) == (None, None, None)

    def change(content):
        for hand in content["annotations"]:
            hand["vertices"] = "not for training"

    change_json(root / "youtube_train.json", change)
    after = load_youtube3d(root, "train")
    np.testing.assert_array_equal(after.detected_keypoints_px, before.detected_keypoints_px)
    np.testing.assert_array_equal(after.is_mirrored, before.is_mirrored)


def test_left_hands_are_mirrored_with_their_pictures(root):
    table = load_youtube3d(root, "train")
    is_left = ["left" in name for name in table.sequences]
    np.testing.assert_array_equal(table.is_mirrored, is_left)
    hands = json.loads((root / "keypoints/vidA.json").read_text())["hands"]
    for name, mirrored in (("vidA/right", False), ("vidA/left", True)):
        row = rows_of(table, name)[2]
        (hand,) = (
            hand
            for hand in hands
            if hand["sample"] == "102.png" and (hand["right"] < 0.5) == mirrored
        )
        points = np.array(hand["points"]).reshape(21, 3)
        expected = points[:, :2] * ([-1, 1] if mirrored else [1, 1]) + [159 * mirrored, 0]
        np.testing.assert_allclose(table.detected_keypoints_px[row], expected, atol=1e-4)
        np.testing.assert_allclose(
            table.crop_box_px[row], [*expected.min(0), *expected.max(0)], atol=1e-4
        )
    batch = FrameDataset(table, 32).batch(range(len(table)))
    assert batch.images.shape == (24, 3, 32, 32)


def test_the_camera_is_the_one_that_predict_assumes(root):
    table = load_youtube3d(root, "train")
    expected = [[160, 0, 79.5], [0, 160, 44.5], [0, 0, 1]]
    np.testing.assert_array_equal(table.intrinsics_px, np.tile(expected, (24, 1, 1)))


def test_the_surest_detections_of_the_side_are_taken(root):
    def change(content):
        others = []
        for hand in content["hands"]:
            points = np.array(hand["points"]).reshape(21, 3)
            points = points * np.array([1, 1, 0.6]) + np.array([0, 9, 0])
            others.append({**hand, "points": points.ravel().tolist()})
        content["hands"] = [*others, *content["hands"]]

    before = load_youtube3d(root, "train")
    change_json(root / "keypoints/vidA.json", change)
    after = load_youtube3d(root, "train")
    np.testing.assert_array_equal(after.detected_keypoints_px, before.detected_keypoints_px)
    # A second right hand that is annotated gets the second detection.

    def annotate(content):
        rights = [hand for hand in content["annotations"] if not hand["is_left"]]
        content["annotations"] += [dict(hand, id=999 + hand["id"]) for hand in rights]

    change_json(root / "youtube_train.json", annotate)
    assert len(load_youtube3d(root, "train")) == 32


def test_what_is_missing_or_not_found_is_counted(make_youtube3d):
    root = make_youtube3d(count=12)
    (root / "youtube/vidA/video/frames/103.png").unlink()
    shutil.rmtree(root / "youtube/vid B")

    def change(content):
        content["hands"] = [hand for hand in content["hands"] if hand["sample"] != "104.png"]
        content["hands"][0]["points"] = [10.0, 10.0, 0.2] * 21

    change_json(root / "keypoints/vidA.json", change)
    table = load_youtube3d(root, "train")
    assert len(table) == 19
    assert table.notes == {
        "videos": "1 of 2 are missing and left out",
        "images": "13 of 24 are missing and left out",
        "hands": "of 22 annotated hands 3 are left out: not found on their side, surely and "
        "steadily enough",
    }
    assert load_youtube3d(root, "train", max_frames=2).sample_ids == table.sample_ids[:2]


def test_a_set_of_which_nothing_is_there_is_refused(root):
    with pytest.raises(DataError, match=r"youtube_test.json: annotation file is missing"):
        load_youtube3d(root, "test")
    (root / "keypoints/vid B.json").unlink()
    with pytest.raises(
        DataError, match=r"vid B.json: .* missing; make it: s2hand keypoints detect"
    ):
        load_youtube3d(root, "train")
    shutil.rmtree(root / "youtube")
    with pytest.raises(DataError, match=r"none of the frames that youtube_train.json lists"):
        load_youtube3d(root, "train")
    with pytest.raises(DataError, match="holds no joints"):
        load_youtube3d(root, "train", keypoints="ground_truth")


def test_annotations_are_brought_to_the_size_of_the_images(root):
    checked = check_set(root, "youtube3d")[0]
    assert checked.is_usable
    assert checked.notes == {
        "cameras": "not known of 24 of 24 hands: a perspective model needs data.assumed_focal",
        "detections at the annotated hands": "100% of 24 hands' fingertips lie within 0.2 of the "
        "hand's extent of the annotated vertices",
    }
    assert checked.release.startswith("no published YouTube-3D-Hands: 24 frames")


@pytest.mark.parametrize("shift", [-3, 2])
def test_shifted_frames_are_told(make_youtube3d, shift):
    root = make_youtube3d(count=30)
    path = root / "keypoints/vidA.json"

    def change(content):
        for hand in content["hands"]:
            hand["sample"] = f"{int(hand['sample'][:-4]) + shift}.png"
        known = set(content["samples"])
        content["hands"] = [hand for hand in content["hands"] if hand["sample"] in known]

    change_json(path, change)
    notes = LOADER.compare(root, "train")
    told = "3 earlier" if shift == -3 else "2 later"
    assert f"vidA ({told}); extract" in notes["shifted frames"]
    assert "vid B" not in notes["shifted frames"]
    assert "other frames" not in notes


def test_detections_of_other_frames_and_images_of_another_shape_are_told(make_youtube3d):
    root = make_youtube3d(count=10)

    def change(content):
        for hand in content["hands"]:
            points = np.array(hand["points"]).reshape(21, 3)
            hand["points"] = (points + np.array([15.0, 0, 0])).ravel().tolist()

    change_json(root / "keypoints/vid B.json", change)
    for path in (root / "youtube/vidA/video/frames").iterdir():
        Image.new("RGB", (160, 120)).save(path)
    notes = LOADER.compare(root, "train")
    assert "vid B (0%)" in notes["other frames"]
    assert notes["shape of images"].endswith("vidA (160x120, annotated at 320x180)")


def test_every_fault_is_told(root):
    (root / "youtube/vidA/video/frames/101.png").unlink()
    image = root / "youtube/vidA/video/frames/102.png"
    image.write_bytes(image.read_bytes()[:200])
    (root / "keypoints/vidA.json").write_text("{}")
    (root / "keypoints/vid B.json").unlink()
    (checked,) = check_set(root, "youtube3d")
    found = {
        each.kind: (each.complete, len(each.missing), len(each.damaged), each.needed)
        for each in checked.files
    }
    assert found == {
        "youtube_train.json": (1, 0, 0, True),
        "images": (14, 1, 1, False),
        "detections": (0, 1, 1, True),
    }
    assert not checked.is_usable
    (root / "youtube_train.json").write_text('{"images": [], "annotations": [')
    (checked,) = check_set(root, "youtube3d")
    assert [len(each.damaged) for each in checked.files] == [1]


def test_every_file_that_is_read_is_checked_and_hashed(root):
    loader = loader_of(LAYOUTS["youtube3d"])
    checked = {check.path for check in loader.file_checks(root, "train")}
    files = loader.files_read(root, "train")
    assert set(files) == checked
    config = S2HandConfig(data=DataConfig(dataset="youtube3d", root=str(root)))
    before = identify_training_data(config)
    assert (before.record.handedness, before.record.intrinsics) == ("both", False)
    assert before.record.sequences == 3
    change_json(root / "keypoints/vidA.json", lambda content: content.update(version="2"))
    assert identify_training_data(config).fingerprint != before.fingerprint


def test_it_is_trained_on_and_not_measured_on(root, make_ho3d):
    data = DataConfig(dataset="youtube3d", root=str(root))
    config = S2HandConfig(data=data, model=ModelConfig(projection="orthographic"))
    assert len(load_train(config)) == 24
    perspective = replace(config, model=ModelConfig())
    with pytest.raises(DataError, match="no camera is known of 24 of 24 hands, such as vid"):
        load_train(perspective)
    stated = load_train(replace(perspective, data=replace(data, assumed_focal=2.0)))
    np.testing.assert_array_equal(
        stated.intrinsics_px[0], [[320, 0, 79.5], [0, 320, 44.5], [0, 0, 1]]
    )
    with pytest.raises(DataError, match="has no true hands in metres to measure on"):
        evaluation_source(config)
    held_out = replace(config, data=replace(data, validation_fraction=0.5))
    with pytest.raises(DataError, match=r"^data.validation_fraction: YouTube-3D-Hands has no"):
        load_validation(held_out)
    elsewhere = replace(data, evaluation_dataset="ho3d", evaluation_root=str(make_ho3d()))
    records = describe_datasets(replace(config, data=elsewhere))
    assert records.evaluation.name == "ho3d"


def test_the_published_set_is_known_by_its_counts_and_by_what_is_missing(root):
    config = S2HandConfig(data=DataConfig(dataset="youtube3d", root=str(root)))
    from s2hand.data.build import training_source

    source = training_source(config)
    survey = replace(source.survey(), sample_ids=("",) * 47_125)
    assert release(source, survey) == ("2020", "")
    version, why = release(source, replace(survey, missing_images=3))
    assert (version, why) == ("", "3 images of YouTube-3D-Hands 2020 are missing")


def test_the_lists_may_stand_in_either_order_beside_others(root, tmp_path):
    content = json.loads((root / "youtube_train.json").read_text())
    turned = {"info": {"a": [1, {}]}, "annotations": content["annotations"], "licences": []}
    path = tmp_path / "turned.json"
    path.write_text(json.dumps(turned | {"images": content["images"]}, indent=2))
    expected = list(read_annotations(root / "youtube_train.json", with_vertices=True))
    found = list(read_annotations(path, with_vertices=True))
    assert len(found) == 24
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.id, ours.image, ours.is_left) == (theirs.id, theirs.image, theirs.is_left)
        np.testing.assert_array_equal(ours.vertices_px, theirs.vertices_px)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["images"][1].update(name="x/1.png"), "entry 1 of 'images': name must be"),
        (lambda c: c["images"][1].update(name="youtube/../video/frames/1.png"), "name must be"),
        (lambda c: c["images"][2].update(width=0), "width and height must be pixels"),
        (lambda c: c["images"][2].update(id=1000), "1000 occurs twice"),
        (lambda c: c["annotations"][3].update(is_left=2), "is_left must be 0 or 1, got 2"),
        (lambda c: c["annotations"][3].update(image_id=5), "image_id must be the id of an image"),
        (lambda c: c["annotations"][3].update(vertices=[[1, 2, 3]]), r"got shape \(1, 3\)"),
        (lambda c: c["annotations"][3].pop("id"), "a whole number 'id', got None"),
        (lambda c: c["annotations"].clear(), "with at least one hand, got none"),
    ],
)
def test_a_list_that_cannot_be_is_refused_with_its_entry(root, change, message):
    change_json(root / "youtube_train.json", change)
    with pytest.raises(DataError, match=message):
        list(read_annotations(root / "youtube_train.json", with_vertices=True))
