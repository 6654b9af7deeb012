"""Every fault of a set is told at once, and everything else is still looked at."""

import json
import pickle
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2hand.data.check import CheckedSplit, check_set
from s2hand.data.dataset import FrameDataset
from s2hand.data.loader import loader_of
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.layouts import LAYOUTS


def by_split(root: Path, dataset: str) -> dict[str, CheckedSplit]:
    return {checked.split: checked for checked in check_set(root, dataset)}


def counts(checked: CheckedSplit) -> dict[str, tuple[int, int, int]]:
    """Complete, missing, damaged by kind."""
    return {
        each.kind: (each.complete, len(each.missing), len(each.damaged)) for each in checked.files
    }


def damage_of(checked: CheckedSplit) -> dict[str, str]:
    return {path.name: why for each in checked.files for path, why in each.damaged.items()}


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture(params=["freihand", "ho3d"])
def whole(request, make_freihand, make_ho3d) -> tuple[str, Path]:
    make = make_freihand if request.param == "freihand" else make_ho3d
    return request.param, make()


def test_every_file_that_is_read_is_checked(whole):
    dataset, root = whole
    loader = loader_of(LAYOUTS[dataset])
    for split in ("train", "test"):
        checked = {check.path for check in loader.file_checks(root, split)}
        assert set(loader.files_read(root, split)) <= checked


def test_a_whole_set_is_usable_and_says_what_it_is(whole):
    dataset, root = whole
    seen = []
    train, test = check_set(root, dataset, progress=lambda *place: seen.append(place))
    assert (train.split, test.split) == ("train", "test")
    assert train.is_usable
    assert test.is_usable
    count = 5 if dataset == "freihand" else 6
    assert counts(train)["images"] == counts(test)["images"] == (count, 0, 0)
    title = LAYOUTS[dataset].title
    assert train.release.startswith(f"no published {title}: {count} frames")
    assert seen[-1] == (seen[-1][1], seen[-1][1])
    # A file that need not be there is told, and is no fault.
    optional = {each.kind for each in test.files if not each.needed}
    assert {"detections", "evaluation_xyz.json", "evaluation_verts.json"} <= optional


def test_all_faults_of_a_collection_are_told(make_freihand):
    root = make_freihand()
    images = root / "evaluation/rgb"
    cut_short(images / "00000001.jpg")
    (images / "00000003.jpg").unlink()
    Image.new("RGB", (48, 32)).save(images / "00000004.jpg")
    truth = json.loads((root / "evaluation_xyz.json").read_text())
    (root / "evaluation_xyz.json").write_text(json.dumps(truth[:-1]))
    cut_short(root / "evaluation_verts.json")
    (root / "openpose/evaluation").mkdir(parents=True)
    (root / "openpose/evaluation/detect.json").write_text("[1]")
    checked = by_split(root, "freihand")["test"]
    assert counts(checked) == {
        "folder": (1, 0, 0),
        "evaluation_K.json": (1, 0, 0),
        "evaluation_xyz.json": (0, 0, 1),
        "evaluation_verts.json": (0, 0, 1),
        "evaluation_scale.json": (0, 1, 0),
        "images": (2, 1, 2),
        "detections": (0, 0, 1),
    }
    damage = damage_of(checked)
    assert "could not be read" in damage["00000001.jpg"]
    assert "must be square, got 48x32" in damage["00000004.jpg"]
    assert "one entry per frame (5), got 4" in damage["evaluation_xyz.json"]
    assert not checked.is_usable
    assert not checked.has_all_needed
    assert by_split(root, "freihand")["train"].is_usable
    plain = json.loads(json.dumps(checked.to_plain()))
    assert plain["files"]["images"]["missing"] == [str(images / "00000003.jpg")]
    assert plain["usable"] is False


def test_images_are_checked_where_nothing_counts_them(make_freihand):
    root = make_freihand()
    (root / "training_K.json").write_text("{}")
    cut_short(root / "training/rgb/00000002.jpg")
    checked = by_split(root, "freihand")["train"]
    assert counts(checked)["images"] == (4, 0, 1)
    assert counts(checked)["training_K.json"] == (0, 0, 1)
    assert counts(checked)["training_xyz.json"] == (1, 0, 0)


def test_all_faults_of_sequences_are_told(make_ho3d):
    root = make_ho3d()
    meta, images = root / "train/AB1/meta", root / "train/AB1/rgb"
    cut_short(meta / "0000.pkl")
    (meta / "0001.pkl").unlink()
    unannotated = pickle.loads((meta / "0002.pkl").read_bytes()) | {"handPose": None}
    (meta / "0002.pkl").write_bytes(pickle.dumps(unannotated))
    (meta / "0003.pkl").write_bytes(pickle.dumps({"camMat": np.eye(3)}))
    Image.new("RGB", (32, 48)).save(images / "0004.png")
    cut_short(images / "0005.png")
    cut_short(root / "openpose/AB1/detect.json")
    checked = by_split(root, "ho3d")["train"]
    assert counts(checked) == {
        "folder": (1, 0, 0),
        "train.txt": (1, 0, 0),
        "folders of images": (1, 0, 0),
        "meta files": (3, 1, 2),
        "images": (4, 0, 2),
        "detections": (0, 0, 1),
    }
    damage = damage_of(checked)
    assert "one size, got 32x48 and 64x48 of 0000.png" in damage["0004.png"]
    assert "field 'handJoints3D'" in damage["0003.pkl"]
    assert by_split(root, "ho3d")["test"].is_usable


def test_a_list_that_is_missing_is_told_and_one_image_twice(make_ho3d):
    root = make_ho3d()
    (root / "train.txt").unlink()
    Image.new("RGB", (64, 48)).save(root / "evaluation/SM1/rgb/0001.jpg")
    checked = by_split(root, "ho3d")
    assert counts(checked["train"]) == {"folder": (1, 0, 0), "train.txt": (0, 1, 0)}
    assert "got 0001.jpg and 0001.png" in damage_of(checked["test"])["rgb"]
    assert counts(checked["test"])["images"] == (6, 0, 0)


def test_files_that_are_whole_and_do_not_fit_are_told(make_freihand):
    root = make_freihand()
    truth = np.array(json.loads((root / "training_xyz.json").read_text())) * 1000
    (root / "training_xyz.json").write_text(json.dumps(truth.tolist()))
    checked = by_split(root, "freihand")["train"]
    assert "these look like millimetres" in checked.faults[0]
    assert not checked.is_usable
    assert not damage_of(checked)


def test_training_frames_without_detections_are_judged_by_their_truth(make_ho3d):
    root = make_ho3d()
    (root / "openpose/AB1/detect.json").unlink()
    checked = by_split(root, "ho3d")["train"]
    assert checked.is_usable
    assert checked.faults == ()
    assert counts(checked)["detections"] == (0, 1, 0)


def test_few_damaged_images_are_left_out_as_a_training_does(make_freihand):
    root = make_freihand(count=200)
    images = root / "training/rgb"
    for name in ("00000003.jpg", "00000150.jpg"):  # one in a hundred
        cut_short(images / name)
    checked = by_split(root, "freihand")["train"]
    assert counts(checked)["images"] == (198, 0, 2)
    assert (checked.is_usable, checked.left_out, checked.faults) == (True, 2, ())
    frames = FrameDataset(training_table(root), 48)
    assert len(frames.table) == 198  # what it says is what happens
    cut_short(images / "00000007.jpg")
    checked = by_split(root, "freihand")["train"]
    assert not checked.is_usable
    assert "3 of the 200 images" in checked.faults[0]
    assert "up to 1% may be left out" in checked.faults[0]
    with pytest.raises(DataError, match="3 of the 200 images"):
        FrameDataset(training_table(root), 48)


def training_table(root: Path) -> FrameTable:
    return loader_of(LAYOUTS["freihand"]).load(root, "train")


def test_an_image_of_another_shape_is_not_left_out(make_freihand):
    root = make_freihand(count=200)
    Image.new("RGB", (16, 12)).save(root / "training/rgb/00000005.jpg")
    assert not by_split(root, "freihand")["train"].is_usable


def test_a_folder_without_the_set_is_refused_and_one_split_is_enough(make_ho3d, tmp_path):
    root = make_ho3d()
    with pytest.raises(DataError, match=r"no FreiHAND here, .* nor .*evaluation/rgb; give"):
        check_set(root, "freihand")
    (root / "train").rename(tmp_path / "elsewhere")
    assert [checked.split for checked in check_set(root, "ho3d")] == ["test"]


def test_changed_files_of_a_generated_set_are_told(make_freihand):
    root = make_freihand()
    paths = [path for path in root.rglob("*") if path.is_file()]
    names = {path: f"freihand/{path.relative_to(root)}" for path in paths}
    digests = {name: sha256(path.read_bytes()).hexdigest() for path, name in names.items()}
    manifest = {
        "parameters": {"generator_version": 3},
        "files": digests,
        "sizes": {name: path.stat().st_size for path, name in names.items()},
    }
    (root.parent / "manifest.json").write_text(json.dumps(manifest))
    assert all(checked.is_usable for checked in check_set(root, "freihand"))
    image = root / "evaluation/rgb/00000002.jpg"
    Image.new("RGB", (48, 48)).save(image)
    (root / "training/rgb/00000000.jpg").unlink()
    checked = by_split(root, "freihand")
    assert len(checked["test"].faults) == 1
    assert checked["test"].faults[0].startswith("freihand/evaluation/rgb/00000002.jpg has ")
    cut_short(image)  # what is damaged is counted once as well
    assert by_split(root, "freihand")["test"].faults[0].startswith(f"{image}: ")
    assert not checked["test"].is_usable
    assert checked["train"].faults == ()  # what is missing is counted once
    assert counts(checked["train"])["images"] == (4, 1, 0)
