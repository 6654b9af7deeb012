"""Videos read as they are shown: turned, at their times, and as far as they can be read."""

import io
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2hand.errors import ConfigurationError, DataError
from s2hand.files import whole_file
from s2hand.videos import VideoReader, VideoWriter, turned

av = pytest.importorskip("av", reason="needs the extra video")

SHAPE = (48, 64)


def picture(number: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Smooth, so that it survives coding; the third channel tells the number."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.stack([rows * 3, columns * 2, np.full(shape, number * 4)], axis=-1).astype(np.uint8)


def written(path: Path, times_s: list[float], shape: tuple[int, int] = SHAPE) -> Path:
    with whole_file(path) as file:
        writer = VideoWriter(file)
        for number, time_s in enumerate(times_s):
            writer.add(picture(number, shape), time_s)
        writer.close()
    return path


def encoded(path: Path, *, options: dict | None = None, noisy: bool = False, prepare=None) -> Path:
    """Write 60 frames by PyAV itself; noisy ones spread over many packets' bytes."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = SHAPE[1], SHAPE[0], "yuv420p"
        if prepare is not None:
            prepare(stream)
        for number in range(60):
            pixels = picture(number)
            if noisy:
                pixels[20:] = random.integers(0, 255, pixels[20:].shape)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("shape", [SHAPE, (47, 65)])
def test_frames_come_back_at_their_unequal_times(tmp_path: Path, shape: tuple[int, int]) -> None:
    times_s = [0.0, 0.04, 0.05, 0.3, 0.333, 1.0]
    reader = VideoReader(written(tmp_path / "mit Umlaut ü.mp4", times_s, shape))
    assert reader.num_frames == 6
    for _ in range(2):  # as often as one likes
        frames = list(reader.frames())
        assert [frame.index for frame in frames] == list(range(6))
        np.testing.assert_allclose([frame.time_s for frame in frames], times_s, atol=1e-4)
        for frame in frames:
            expected = picture(frame.index, shape).astype(int)
            found = frame.pixels[: shape[0], : shape[1]].astype(int)
            assert np.abs(found - expected).mean() < 4
            assert frame.pixels.shape == (48, shape[1] + shape[1] % 2, 3)
            assert not frame.is_damaged
        assert reader.faults == []


def test_equal_times_are_moved_apart(tmp_path: Path) -> None:
    frames = list(VideoReader(written(tmp_path / "a.mp4", [0.0, 0.0, 0.0])).frames())
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert frames[2].time_s < 0.001


def matrix_of(shown: np.ndarray) -> np.ndarray:
    """Return the file's matrix from where the x axis and the y axis of a picture are shown."""
    matrix = np.zeros((3, 3), np.int32)
    matrix[:2, :2] = shown * 65536
    return matrix


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_convention_a_turn_is_that_of_the_file_s_matrix(quarters: int, mirrored: bool) -> None:
    cosine, sine = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarters]
    # Counter-clockwise as seen, y down: x goes to (cos, −sin), y to (sin, cos).
    shown = np.array([[cosine, -sine], [sine, cosine]])
    expected = np.rot90(picture(0), quarters)
    if mirrored:
        shown, expected = shown * [-1, 1], expected[:, ::-1]
    np.testing.assert_array_equal(turned(picture(0), matrix_of(shown)), expected)


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (-90, 3)])
def test_a_phone_s_video_is_turned_upright(tmp_path: Path, degrees: int, quarters: int) -> None:
    path = encoded(tmp_path / "a.mp4", prepare=lambda stream: stream.set_display_rotation(degrees))
    frame = next(VideoReader(path).frames())
    expected = np.rot90(picture(0), quarters).astype(int)
    assert frame.pixels.shape == expected.shape
    assert np.abs(frame.pixels - expected).mean() < 4


def test_pixels_become_square(tmp_path: Path) -> None:
    def prepare(stream: "av.VideoStream") -> None:
        stream.codec_context.sample_aspect_ratio = 2

    frame = next(VideoReader(encoded(tmp_path / "a.mp4", prepare=prepare)).frames())
    assert frame.pixels.shape == (48, 128, 3)


def test_what_cannot_be_decoded_is_left_out_and_told(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp4", noisy=True)
    content = bytearray(path.read_bytes())
    begin = content.find(b"mdat") + len(content) // 3
    for place in range(begin, begin + 3000):
        content[place] = (content[place] * 7 + 13) % 256
    path.write_bytes(content)
    reader = VideoReader(path)
    frames = list(reader.frames())
    assert 40 < len(frames) < 60
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert frames[-1].time_s == pytest.approx(59 / 30, abs=0.001)
    assert len(frames) + len(reader.faults) == 60
    assert all("cannot be decoded" in fault for fault in reader.faults)


def test_of_a_file_that_is_cut_short_the_beginning_is_read(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp4", options={"movflags": "faststart"}, noisy=True)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    reader = VideoReader(path)
    frames = list(reader.frames())
    assert 20 < len(frames) < 40
    assert "cut short or damaged" in reader.faults[-1]
    assert "of 60 frames are there" in reader.faults[-1]


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    whole = encoded(tmp_path / "whole.mp4").read_bytes()
    playlist = f"#EXTM3U\n#EXTINF:1,\n{(tmp_path / 'whole.mp4').as_uri()}\n"
    for name, content, told in (
        ("cut.mp4", whole[: len(whole) // 2], "broken off often lacks its index"),
        ("empty.mp4", b"", "there is an empty file"),
        ("page.mov", b"<html>", "there is a web page"),
        ("list.mp4", playlist.encode(), "could not be opened"),
        ("none.mp4", None, "there is nothing"),
    ):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match=told) as caught:
            VideoReader(path)
        assert str(path) in str(caught.value)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match="it holds no pictures"):
        VideoReader(path)


def test_a_frame_of_another_size_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for packet in jpegs(stream, [(48, 64), (32, 32), (48, 64)]):
            container.mux(packet)
    reader = VideoReader(path)
    assert [frame.index for frame in reader.frames()] == [0, 2]
    assert reader.faults == ["frame 1: has 32×32 px, the video began with 64×48; left out"]


def jpegs(stream: "av.VideoStream", shapes: list[tuple[int, int]]) -> Iterator["av.Packet"]:
    for number, shape in enumerate(shapes):
        buffer = io.BytesIO()
        Image.fromarray(picture(number, shape)).save(buffer, format="JPEG")
        packet = av.Packet(buffer.getvalue())
        packet.stream, packet.time_base = stream, Fraction(1, 25)
        packet.pts = packet.dts = number
        packet.is_keyframe = True
        yield packet


def test_a_reading_may_be_broken_off(tmp_path: Path) -> None:
    frames = VideoReader(encoded(tmp_path / "b.mp4")).frames()
    assert [next(frames).index, next(frames).index] == [0, 1]
    frames.close()


def test_without_pyav_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigurationError, match=r"pip install 's2hand\[video\]'"):
        VideoReader(tmp_path / "a.mp4")
