"""``s2hand data frames``: pictures of a video, named by number, as far as it can be read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from s2hand.errors import DataError
from s2hand.files import whole_file
from s2hand.videos import VideoReader, VideoWriter
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import command_groups

pytest.importorskip("av", reason="needs the extra video")


def call(*arguments: object) -> Result:
    words = ["frames", *(str(argument) for argument in arguments)]
    return CliRunner().invoke(command_groups()["data"], words, env={"COLUMNS": "200"})


def video(path: Path, num_frames: int) -> Path:
    with whole_file(path) as file:
        writer = VideoWriter(file)
        for number in range(num_frames):
            writer.add(np.full((32, 48, 3), 20 * number, np.uint8), number / 25)
        writer.close()
    return path


def test_every_video_gets_a_folder_of_numbered_pictures(tmp_path: Path) -> None:
    videos = [video(tmp_path / "erstes ü.mp4", 5), video(tmp_path / "b.mp4", 3)]
    done = call(*videos, "-o", tmp_path / "out", "--every", 2)
    assert done.exit_code == 0, done.output
    assert f"wrote 3 frames to {tmp_path / 'out' / 'erstes ü'}" in done.stdout
    names = sorted(path.relative_to(tmp_path / "out") for path in tmp_path.rglob("*.jpg"))
    assert [str(name) for name in names] == [
        *("b/000000.jpg", "b/000002.jpg"),
        *("erstes ü/000000.jpg", "erstes ü/000002.jpg", "erstes ü/000004.jpg"),
    ]
    with Image.open(tmp_path / "out" / "erstes ü" / "000004.jpg") as image:
        np.testing.assert_allclose(np.asarray(image).mean(), 80, atol=3)
        assert image.size == (48, 32)


def test_places_that_hold_something_are_refused_before(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 2)
    assert call(path, "-o", tmp_path / "out").exit_code == 0
    done = call(path, "-o", tmp_path / "out")
    assert isinstance(done.exception, SpecError)
    assert "must be an empty folder or not exist" in str(done.exception)
    done = call(path, path, "-o", tmp_path / "other")
    assert isinstance(done.exception, SpecError)
    assert "must have different names" in str(done.exception)
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = video(tmp_path / "a.mp4", 4)
    every = VideoReader.frames

    def cut_short(self: VideoReader):
        for frame in every(self):
            if frame.index < 2:
                yield frame
        self.faults.append("the file is cut short")

    monkeypatch.setattr(VideoReader, "frames", cut_short)
    done = call(path, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "wrote 2 frames" in done.stdout
    assert "a.mp4: the file is cut short" in done.stderr
    assert len(list((tmp_path / "out" / "a").iterdir())) == 2
    monkeypatch.setattr(VideoReader, "frames", lambda _self: iter(()))
    done = call(path, "-o", tmp_path / "none")
    assert isinstance(done.exception, DataError)
    assert "must have frames that can be read" in str(done.exception)
