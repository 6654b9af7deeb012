"""What trials would wait for: shown as it is made, and images packed before trials begin."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from s2hand.config import DataConfig, ModelConfig, RuntimeConfig, S2HandConfig
from s2hand.data import packing
from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand_platform.experiments.s2hand import S2HandExperiment, preparing
from s2hand_platform.preparation import preparation_shown

SIDE_PX = 40


@pytest.mark.parametrize("is_terminal", [False, True])
def test_each_work_is_one_line_as_it_begins(is_terminal: bool) -> None:
    text = io.StringIO()
    console = Console(file=text, width=60, force_terminal=is_terminal)
    with preparation_shown(console) as progress:
        assert not text.getvalue().strip("\x1b[?25l")
        for what in ("packing [a] 40 images into a folder of a very long name indeed", "b"):
            for done in (0, 3, 6):
                progress(what, done, 6)
            lines = text.getvalue().splitlines()
            assert sum(what in line for line in lines) == 1
    if not is_terminal:
        assert len(text.getvalue().splitlines()) == 2


def table_of(folder: Path, count: int) -> FrameTable:
    folder.mkdir()
    paths = tuple(folder / f"{index}.png" for index in range(count))
    for path in paths:
        Image.new("RGB", (SIDE_PX, SIDE_PX)).save(path)
    camera = np.array([[90, 0, 19.5], [0, 90, 19.5], [0, 0, 1]], np.float32)
    return FrameTable(
        sample_ids=tuple(path.stem for path in paths),
        image_paths=paths,
        intrinsics_px=np.tile(camera, (count, 1, 1)),
        sequences=("",) * count,
        frames=np.arange(count),
        detected_keypoints_px=np.full((count, 21, 2), 20, np.float32),
        detection_confidence=np.ones((count, 21), np.float32),
        crop_box_px=np.full((count, 4), np.nan, np.float32),
    )


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, FrameTable]:
    """Four sets of 2 to 5 images, which stand for all that a configuration reads."""
    names = ("train", "extra", "test", "validation")
    found = {name: table_of(tmp_path / name, n) for n, name in enumerate(names, start=2)}
    monkeypatch.setattr(preparing, "load_train", lambda _: found["train"])
    monkeypatch.setattr(preparing, "load_extra", lambda _: (found["extra"],))
    monkeypatch.setattr(preparing, "load_test", lambda _: found["test"])
    monkeypatch.setattr(preparing, "load_validation", lambda _: found.get("validation"))
    return found


def config_of(cache: Path, size_px: int = 32) -> S2HandConfig:
    return S2HandConfig(
        model=ModelConfig(image_size_px=size_px), runtime=RuntimeConfig(cache_dir=str(cache))
    )


def prepare(*configs: S2HandConfig) -> list[tuple[str, int, int]]:
    told: list[tuple[str, int, int]] = []
    S2HandExperiment().prepare_data(configs, lambda *call: told.append(call))
    return told


def test_all_that_trials_read_is_packed_once_for_each_setting(
    sets: dict[str, FrameTable], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    config, larger = config_of(cache), config_of(cache, 64)
    opened: list[S2HandConfig] = []
    load = preparing.load_test
    monkeypatch.setattr(preparing, "load_test", lambda each: (opened.append(each), load(each))[1])
    other_seed = replace(config, optimiser=replace(config.optimiser, batch_size=7))
    told = prepare(config, other_seed, larger)
    assert len(opened) == 2
    assert [total for _, done, total in told if done == 0] == [2, 3, 4, 5, 2, 3, 4, 5]
    assert told[0][0].startswith(f"packing 2 images of 32 x 32 px, 0.0 MB, into {cache}")
    monkeypatch.setattr(packing, "_decode", lambda *_: pytest.fail("decoded again"))
    for table in sets.values():
        for each in (config, larger, other_seed):
            FrameDataset.from_config(table, each)
    assert prepare(config, larger) == []


def test_what_cannot_be_packed_is_left_to_its_trial(
    sets: dict[str, FrameTable], tmp_path: Path
) -> None:
    config = config_of(tmp_path / "cache")
    sets["train"].image_paths[1].unlink()
    del sets["validation"]  # there is none
    told = prepare(config)
    assert [total for _, done, total in told if done == 0] == [3, 4]
    with pytest.raises(DataError, match=r"1.png: image is missing"):
        FrameDataset.from_config(sets["train"], config)


@pytest.mark.usefixtures("sets")
def test_without_a_cache_there_is_nothing_to_prepare() -> None:
    assert prepare(S2HandConfig(data=DataConfig(root="somewhere"))) == []
