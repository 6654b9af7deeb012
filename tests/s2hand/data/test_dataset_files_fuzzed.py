"""Datasets of which one file was damaged, cut, made up, or written with something else in it."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from changed_files import changed_bytes, changed_json, changed_pickle, fuzzed, read_or_refused
from hypothesis import given
from hypothesis import strategies as st

from s2hand.data.folder import load_folder
from s2hand.data.freihand import load_freihand
from s2hand.data.ho3d import load_ho3d
from s2hand.data.sample import FrameTable
from s2hand.data.youtube3d import load_youtube3d
from s2hand.errors import DataError
from s2hand.hand.pickles import load_restricted
from s2hand.keypoints.openpose import Detections, read_detections

META = Path("train/AB1/meta/0001.pkl")


def changed_file(draw: st.DrawFn, path: Path) -> bytes:
    content = path.read_bytes()
    match path.suffix:
        case ".json":
            return changed_json(draw, content)
        case ".pkl":
            return changed_pickle(draw, pickle.loads(content))
        case _:
            return changed_bytes(draw, content)


def load_changed(
    path: Path, data: st.DataObject, root: Path, load: Callable[[], Any], named: str = ""
) -> Any:
    content = path.read_bytes()
    path.write_bytes(changed_file(data.draw, path))
    try:
        return read_or_refused(load, root, errors=DataError, named=named)
    finally:
        path.write_bytes(content)


@pytest.fixture
def ho3d(make_ho3d: Callable[..., Path]) -> Path:
    return make_ho3d(count=2)


@pytest.fixture
def freihand(make_freihand: Callable[..., Path]) -> Path:
    return make_freihand(count=2)


@pytest.fixture
def youtube3d(make_youtube3d: Callable[..., Path]) -> Path:
    root = make_youtube3d(count=7)
    path = root / "youtube_train.json"
    content = json.loads(path.read_text())
    for hand in content["annotations"]:
        hand["vertices"] = []  # training does not read them
    path.write_text(json.dumps(content))
    return root


@fuzzed
@given(st.data())
def test_a_meta_file_is_read_or_refused(ho3d: Path, data: st.DataObject) -> None:
    load_changed(
        ho3d / META, data, ho3d, lambda: load_restricted(ho3d / META, what="meta"), META.name
    )


@fuzzed
@given(st.data())
def test_detections_are_read_or_refused(ho3d: Path, data: st.DataObject) -> None:
    path = ho3d / "openpose/AB1/detect.json"
    images = {f"{frame:04d}.png": (64, 48) for frame in range(2)}
    found = load_changed(path, data, ho3d, lambda: read_detections(path, images), path.name)
    assert found is None or isinstance(found, Detections)


@pytest.mark.parametrize("name", ["train.txt", META, "openpose/AB1/detect.json"], ids=str)
@fuzzed
@given(st.data())
def test_ho3d_s_training_set_is_read_or_refused(ho3d: Path, name: str, data: st.DataObject) -> None:
    table = load_changed(ho3d / name, data, ho3d, lambda: load_ho3d(ho3d, "train"))
    assert table is None or isinstance(table, FrameTable)


@pytest.mark.parametrize("name", ["evaluation_xyz.json", "evaluation/SM1/meta/0001.pkl"])
@fuzzed
@given(st.data())
def test_ho3d_s_evaluation_set_is_read_or_refused(
    ho3d: Path, name: str, data: st.DataObject
) -> None:
    table = load_changed(ho3d / name, data, ho3d, lambda: load_ho3d(ho3d, "test"))
    assert table is None or isinstance(table, FrameTable)


@pytest.mark.parametrize(
    "name", ["training_K.json", "training_xyz.json", "openpose_v2/training/detect_all.json"]
)
@fuzzed
@given(st.data())
def test_freihand_is_read_or_refused(freihand: Path, name: str, data: st.DataObject) -> None:
    table = load_changed(
        freihand / name, data, freihand, lambda: load_freihand(freihand, "train"), str(freihand)
    )
    assert table is None or isinstance(table, FrameTable)


@pytest.mark.parametrize("name", ["youtube_train.json"])
@fuzzed
@given(st.data())
def test_youtube3d_is_read_or_refused(youtube3d: Path, name: str, data: st.DataObject) -> None:
    table = load_changed(
        youtube3d / name, data, youtube3d, lambda: load_youtube3d(youtube3d, "train")
    )
    assert table is None or isinstance(table, FrameTable)


@pytest.mark.parametrize("name", ["intrinsics.json"])
@fuzzed
@given(st.data())
def test_a_folder_of_images_is_read_or_refused(
    make_folder: Callable[..., Path], name: str, data: st.DataObject
) -> None:
    root = make_folder(count=7)
    camera = [[90.0, 0, 40], [0, 91, 30], [0, 0, 1]]
    (root / "intrinsics.json").write_text(json.dumps({"clip": camera, "one.jpg": camera}))
    table = load_changed(root / name, data, root, lambda: load_folder(root, "train"))
    assert table is None or isinstance(table, FrameTable)
