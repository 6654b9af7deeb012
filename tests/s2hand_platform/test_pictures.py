from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2hand_platform.trials.pictures import read_pictures, write_picture

BLACK = np.zeros((4, 6, 3), np.uint8)


def listed(folder: Path, attempt: int = 0) -> list[tuple[str, int]]:
    return [(picture.name, picture.epoch) for picture in read_pictures(folder, attempt)]


def test_pixels_come_back_as_they_were(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    write_picture(tmp_path, 0, "noise", 3, picture)
    (file,) = read_pictures(tmp_path, 0)
    with Image.open(file.path) as read:
        assert read.format == "PNG"
        np.testing.assert_array_equal(np.asarray(read), picture)


def test_pictures_are_listed_by_epoch_and_attempt(tmp_path: Path) -> None:
    assert listed(tmp_path) == []
    for name, epoch in (("b-2", 10), ("b-2", 9), ("a", 10)):
        write_picture(tmp_path, 0, name, epoch, BLACK)
    write_picture(tmp_path, 1, "a", 11, BLACK)
    assert listed(tmp_path) == [("b-2", 9), ("a", 10), ("b-2", 10)]
    assert listed(tmp_path, attempt=1) == [("a", 11)]


def test_a_killed_writer_leaves_the_picture_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_arguments: object) -> None:
        raise KeyboardInterrupt

    write_picture(tmp_path, 0, "a", 1, BLACK)
    monkeypatch.setattr(Path, "replace", kill)
    for epoch in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            write_picture(tmp_path, 0, "a", epoch, BLACK + 255)
    assert listed(tmp_path) == [("a", 1)]
    with Image.open(read_pictures(tmp_path, 0)[0].path) as read:
        assert read.getextrema() == ((0, 0),) * 3


def test_writers_of_the_same_picture_do_not_meet(tmp_path: Path) -> None:
    with ThreadPoolExecutor(max_workers=4) as pool:
        for written in [
            pool.submit(write_picture, tmp_path, 0, "a", 1, BLACK + shade) for shade in range(64)
        ]:
            written.result()
    (folder,) = (tmp_path / "pictures").iterdir()
    assert [path.name for path in folder.iterdir()] == ["a-1.png"]
    with Image.open(folder / "a-1.png") as read:
        low, high = read.getextrema()[0]
        assert low == high


@pytest.mark.parametrize("name", ["", "validation/hand", "../hand", "hand+step", "händ", "a\n"])
def test_a_name_is_letters_digits_and_dashes(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="must consist of letters, digits, '_' and '-', got"):
        write_picture(tmp_path, 0, name, 0, BLACK)
    assert not list(tmp_path.iterdir())
