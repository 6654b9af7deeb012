"""The fingerprint, against the files that the loaders are seen to open."""

import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s2hand.config import DataConfig, ModelConfig, RuntimeConfig, S2HandConfig
from s2hand.data import digests
from s2hand.data.build import load_test, load_train
from s2hand.data.dataset import FrameDataset
from s2hand.data.fingerprint import (
    fingerprint_data,
    fingerprint_evaluation_data,
    fingerprint_training_data,
)
from s2hand.errors import DataError
from s2hand.layouts import LAYOUTS

LONG_AGO_S = 1_000_000_000
_opened: list[str] | None = None


def _listen(event: str, arguments: tuple) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str | Path):
        _opened.append(str(arguments[0]))


sys.addaudithook(_listen)  # It cannot be taken away again; it listens while there is a list.


def opened_below(root: Path, work: Callable[[], object]) -> set[str]:
    global _opened  # noqa: PLW0603
    _opened = []
    try:
        work()
        return {path for path in _opened if path.startswith(str(root)) and Path(path).is_file()}
    finally:
        _opened = None


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    digests._remembered.clear()
    yield
    digests._remembered.clear()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Collect the files whose content is read for their hash."""
    files: list[Path] = []
    original = digests.hash_file

    def hash_file(path: Path) -> str:
        files.append(path)
        return original(path)

    monkeypatch.setattr(digests, "hash_file", hash_file)
    return files


def config_of(root: Path, *, cache_dir: Path | None = None, **settings) -> S2HandConfig:
    return S2HandConfig(
        model=ModelConfig(image_size_px=32),
        data=DataConfig(root=str(root), **settings),
        runtime=RuntimeConfig(cache_dir=str(cache_dir) if cache_dir else ""),
    )


def age(root: Path) -> None:
    """Let the files look as if nobody had touched them for years."""
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (LONG_AGO_S, LONG_AGO_S))


def change(path: Path) -> bytes:
    """Append a byte that no reader minds; return what was there before."""
    original = path.read_bytes()
    path.write_bytes(original + b" ")
    return original


@pytest.mark.parametrize(
    "settings",
    [
        {"dataset": "freihand"},
        {"dataset": "freihand", "keypoints": "ground_truth", "max_frames": 2},
        {"dataset": "ho3d"},
        {"dataset": "ho3d", "keypoints": "ground_truth"},
        {"dataset": "ho3d", "train_crop": "detections", "max_frames": 3},
        {"dataset": "youtube3d", "assumed_focal": 1.0},
        {"dataset": "folder", "assumed_focal": 1.0},
    ],
)
@pytest.mark.parametrize(
    ("load", "fingerprint"),
    [(load_train, fingerprint_training_data), (load_test, fingerprint_evaluation_data)],
)
def test_the_files_that_loading_opens_are_fingerprinted(request, settings, load, fingerprint):
    root = request.getfixturevalue(f"make_{settings['dataset']}")()
    if not LAYOUTS[settings["dataset"]].is_measured and load is load_test:
        for measure in (load, fingerprint):
            with pytest.raises(DataError, match="has no true hands in metres to measure on"):
                measure(config_of(root, **settings))
        return
    if settings["dataset"] == "ho3d":
        path = root / "train/AB1/meta/0001.pkl"
        unannotated = pickle.loads(path.read_bytes()) | {"handPose": None}
        path.write_bytes(pickle.dumps(unannotated, protocol=2))
    config = config_of(root, **settings)
    loaded = opened_below(root, lambda: FrameDataset.from_config(load(config), config))
    assert loaded
    assert opened_below(root, lambda: fingerprint(config)) == loaded


def test_the_content_of_each_file_counts_in_its_split_alone(make_ho3d):
    root = make_ho3d()
    age(root)
    config = config_of(root, dataset="ho3d")
    training, evaluation = fingerprint_training_data(config), fingerprint_evaluation_data(config)
    for path in [path for path in root.rglob("*") if path.is_file()]:
        original = change(path)
        is_training = "train" in path.relative_to(root).as_posix() or path.parent.name == "AB1"
        assert (fingerprint_training_data(config) != training) == is_training, path
        assert (fingerprint_evaluation_data(config) == evaluation) == is_training, path
        path.write_bytes(original)
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    shutil.copy(root / "train/AB1/rgb/0000.png", root / "train/AB1/rgb/9999.png")
    assert fingerprint_training_data(config) == training


def test_what_is_validated_on_counts_in_the_whole(make_ho3d, tmp_path):
    root = make_ho3d()
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    plain, validated = (
        config_of(root, dataset="ho3d", validation_root=place) for place in ("", str(copy))
    )
    assert fingerprint_data(validated) != fingerprint_data(plain)
    assert fingerprint_training_data(validated) == fingerprint_training_data(plain)
    before = fingerprint_data(validated)
    known = fingerprint_training_data(validated)
    assert fingerprint_data(validated, training=known) == before
    assert fingerprint_data(validated, training="of another set") != before
    change(copy / "evaluation_xyz.json")
    assert fingerprint_data(validated) != before


def test_names_are_relative_to_the_folder(make_freihand, tmp_path):
    root = make_freihand()
    moved = tmp_path / "elsewhere"
    before = fingerprint_data(config_of(root))
    root.rename(moved)
    assert fingerprint_data(config_of(moved)) == before


def test_folders_on_another_disk_are_followed(make_ho3d, tmp_path):
    root = make_ho3d()
    plain = fingerprint_data(config_of(root, dataset="ho3d"))
    for name in ("train", "evaluation", "openpose"):
        target = tmp_path / "disk" / name
        target.parent.mkdir(exist_ok=True)
        (root / name).rename(target)
        (root / name).symlink_to(target)
    config = config_of(root, dataset="ho3d")
    assert fingerprint_data(config) == plain
    for name in ("openpose/AB1/detect.json", "openpose/SM1/detect.json", "train/AB1/rgb/0003.png"):
        before = fingerprint_data(config)
        change(tmp_path / "disk" / name)
        assert fingerprint_data(config) != before, name


def test_a_linked_image_is_known_by_what_it_leads_to(make_freihand, tmp_path):
    root = make_freihand()
    image = root / "training/rgb/00000001.jpg"
    others = [tmp_path / name for name in ("a.jpg", "b.jpg")]
    shutil.copy(root / "training/rgb/00000002.jpg", others[0])
    image.rename(others[1])
    others[0].write_bytes(others[0].read_bytes().ljust(9000, b" "))
    others[1].write_bytes(others[1].read_bytes().ljust(9000, b" "))
    age(tmp_path)
    image.symlink_to(others[0])
    first = fingerprint_training_data(config_of(root))
    image.unlink()
    image.symlink_to(others[1])
    assert fingerprint_training_data(config_of(root)) != first


@pytest.mark.parametrize(
    "name", ["evaluation_xyz.json", "training/rgb", "training/rgb/00000002.jpg", "training_K.json"]
)
def test_links_that_lead_nowhere_are_named(make_freihand, tmp_path, name):
    root = make_freihand()
    place = root / name
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()
    place.symlink_to(tmp_path / "gone")
    load = load_test if name.startswith("evaluation") else load_train
    for use in (fingerprint_data, load):
        with pytest.raises(DataError, match=rf"{name}: is a symbolic link to .*gone, which does"):
            use(config_of(root))
    place.unlink()
    place.symlink_to(place)
    for use in (fingerprint_data, load):
        with pytest.raises(DataError, match=rf"{name}: is a symbolic link .* cannot be followed"):
            use(config_of(root))


def test_linked_folders_and_files_of_sequences_are_named_too(make_ho3d, tmp_path):
    root = make_ho3d()
    config = config_of(root, dataset="ho3d")
    for name in ("train/AB1/meta/0002.pkl", "openpose/AB1/detect.json", "openpose", "train"):
        kept = tmp_path / "kept"
        (root / name).rename(kept)
        (root / name).symlink_to(tmp_path / "gone")
        for use in (fingerprint_data, load_train):
            with pytest.raises(DataError, match=rf"{name}: is a symbolic link to .*gone, which"):
                use(config)
        (root / name).unlink()
        kept.rename(root / name)
    load_train(config)


def test_images_are_read_once_and_annotations_each_time(make_freihand, hashed):
    root = make_freihand()
    age(root)
    config = config_of(root)
    first = fingerprint_training_data(config)
    assert sum(path.suffix == ".jpg" for path in hashed) == 5
    hashed.clear()
    assert fingerprint_training_data(config) == first
    assert {path.suffix for path in hashed} == {".json"}
    hashed.clear()
    image = root / "training/rgb/00000003.jpg"
    image.write_bytes(image.read_bytes().replace(b"\xff", b"\xfe"))  # as long as before
    assert fingerprint_training_data(config) != first
    assert [path for path in hashed if path.suffix == ".jpg"] == [image]


def test_a_cache_serves_other_processes_and_may_be_damaged(make_freihand, hashed, tmp_path):
    root, cache_dir = make_freihand(), tmp_path / "cache"
    age(root)
    config = config_of(root, cache_dir=cache_dir)
    first = fingerprint_training_data(config)
    digests._remembered.clear()
    hashed.clear()
    assert fingerprint_training_data(config) == first
    assert {path.suffix for path in hashed} == {".json"}
    for content in ("{", "[1]", '{"a": 1}', '{"a": [1, 2, 3, 4]}'):
        next((cache_dir / "digests").iterdir()).write_text(content)
        digests._remembered.clear()
        assert fingerprint_training_data(config) == first
    shutil.rmtree(cache_dir)
    cache_dir.write_text("not a folder")
    digests._remembered.clear()
    assert fingerprint_training_data(config) == first


def test_an_image_of_this_moment_is_not_yet_remembered(make_freihand, hashed):
    config = config_of(make_freihand())
    fingerprint_training_data(config)
    hashed.clear()
    fingerprint_training_data(config)
    assert sum(path.suffix == ".jpg" for path in hashed) == 5


def test_an_interruption_keeps_what_was_read(make_freihand, hashed, tmp_path):
    root, cache_dir = make_freihand(), tmp_path / "cache"
    age(root)
    last = root / "training/rgb/00000004.jpg"
    content = last.read_bytes()
    last.unlink()
    last.mkdir()
    with pytest.raises(DataError, match=r"00000004.jpg: cannot be read .*directory"):
        fingerprint_training_data(config_of(root, cache_dir=cache_dir))
    last.rmdir()
    last.write_bytes(content)
    digests._remembered.clear()
    hashed.clear()
    fingerprint_training_data(config_of(root, cache_dir=cache_dir))
    assert [path for path in hashed if path.suffix == ".jpg"] == [last]
