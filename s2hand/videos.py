"""Videos, read and written frame by frame: one frame is in memory at a time.

Reading and writing needs the extra ``video`` (PyAV, which brings FFmpeg's libraries).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Int32, UInt8

from s2hand.errors import ConfigurationError, DataError
from s2hand.files import what_lies_at

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts")
"""What is taken for a video in a folder."""

_FORMATS = "mov,matroska,avi,mpeg,mpegts"
"""No playlists: those name other files, and addresses."""
_TICKS = 90_000
"""A second of written videos, as in MPEG: finer than any rate of frames."""
_QUALITY = "20"
"""x264's constant rate factor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoFrame:
    """A frame as people see it, turned as the file says."""

    index: int
    """Count of the frames that a decoder gives, from 0."""
    time_s: float
    """From the first frame; frames may lie at unequal distances."""
    pixels: UInt8[np.ndarray, "height width 3"]
    """RGB."""
    is_damaged: bool
    """The decoder filled in what it could not read."""


class VideoReader:
    """The frames of a video file, as often as they are asked for.

    What cannot be read is left out and told in ``faults``: never more than that is lost.
    """

    def __init__(self, path: Path) -> None:
        """Look at the file's beginning.

        Raises:
            DataError: If it is missing, no video, or without an index, as when a recording or
                download was broken off.
            ConfigurationError: If PyAV is not installed.
        """
        self.path = path
        self.faults: list[str] = []
        """Of the last reading."""
        with self._opened() as container:
            stream = container.streams.video[0]
            self.num_frames: int = stream.frames
            """As the file says; 0: it does not."""

    def frames(self) -> Iterator[VideoFrame]:
        """Read the file from its beginning, up to its end or to where it is damaged for good."""
        self.faults = []
        start_s = last_s = 0.0
        shape: tuple[int, ...] | None = None
        with self._opened() as container:
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 25)
            for index, frame in enumerate(self._decoded(container, stream)):
                time_s = frame.time if frame.time is not None else last_s + bool(index) / rate
                if shape is None:
                    start_s, shape = time_s, (frame.height, frame.width)
                last_s = time_s
                if (frame.height, frame.width) != shape:
                    self.faults.append(
                        f"frame {index}: has {frame.width}×{frame.height} px, the video began with "
                        f"{shape[1]}×{shape[0]}; left out"
                    )
                    continue
                yield VideoFrame(
                    index=index,
                    time_s=time_s - start_s,
                    pixels=_upright(frame, stream.sample_aspect_ratio),
                    is_damaged=frame.is_corrupt,
                )

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        av = _av()
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise self._no_video(error.strerror) from error
        with file:
            try:
                container = av.open(file, container_options={"format_whitelist": _FORMATS})
            except (av.FFmpegError, OSError) as error:
                raise self._no_video(error.strerror) from error
            with container:
                if not container.streams.video:
                    raise self._no_video("it holds no pictures")
                yield container

    def _no_video(self, why: object) -> DataError:
        return DataError(
            f"{self.path}: must be a complete video, could not be opened: {why}; there is "
            f"{what_lies_at(self.path)}. A recording or download that was broken off often lacks "
            "its index: copy the file again"
        )

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        """Yield what can be decoded of each packet."""
        av = _av()
        packets = container.demux(stream)
        num_packets, broken_off = 0, ""
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                packet, broken_off = None, f" ({error.strerror})"
            num_packets += packet is not None and packet.size > 0
            try:
                # At the end comes what the decoder still holds.
                yield from stream.decode(packet)
            except av.EOFError:
                pass  # The end was among the packets.
            except av.FFmpegError as error:
                self.faults.append(
                    f"packet {num_packets - 1}: cannot be decoded ({error.strerror}), left out"
                )
            if packet is None:
                break
        if broken_off or num_packets < self.num_frames:
            self.faults.append(
                f"the file is cut short or damaged{broken_off}: {num_packets} of "
                f"{self.num_frames or 'an unknown number of'} frames are there"
            )


class VideoWriter:
    """Writes frames of equal size as H.264 in MP4; a missing last row or column is repeated."""

    def __init__(self, file: BinaryIO) -> None:
        """Begin a video.

        Args:
            file: An open file that can seek, such as one of ``whole_file``.

        Raises:
            ConfigurationError: If PyAV is not installed.
        """
        self._av = _av()
        self._container = self._av.open(file, "w", format="mp4")
        self._stream: Any = None
        self._last_tick = -1

    def add(self, pixels: UInt8[np.ndarray, "height width 3"], time_s: float) -> None:
        """Add a frame; times rise, in steps of any size."""
        height, width = pixels.shape[:2]
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._begin(even.shape[1], even.shape[0])
        frame = self._av.VideoFrame.from_ndarray(even, format="rgb24")
        self._last_tick = max(self._last_tick + 1, round(time_s * _TICKS))
        frame.pts, frame.time_base = self._last_tick, Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is left; without it the file is no video."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def _begin(self, width: int, height: int) -> None:
        self._stream = self._container.add_stream("libx264", options={"crf": _QUALITY})
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS)


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ConfigurationError(
            "videos need the package av, which is not installed; run: pip install 's2hand[video]'"
        ) from error
    av.logging.set_level(None)  # FFmpeg's own lines; errors are raised, and told in our words
    return av


def _upright(frame: Any, pixel_aspect: Fraction | None) -> UInt8[np.ndarray, "height width 3"]:
    """Return a frame's colours with square pixels, turned and mirrored as its matrix says."""
    width = round(frame.width * pixel_aspect) if pixel_aspect else frame.width
    pixels = frame.to_ndarray(format="rgb24", width=width, height=frame.height)
    for side in frame.side_data:
        if side.type.name == "DISPLAYMATRIX":
            return turned(pixels, np.frombuffer(side, np.int32).reshape(3, 3))
    return pixels


def turned(
    pixels: UInt8[np.ndarray, "height width 3"], matrix: Int32[np.ndarray, "3 3"]
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Turn a picture by quarters and mirror it as the matrix of a video's track says.

    Convention:
        A stored pixel (x, y) is shown at (a·x + c·y, b·x + d·y), up to a shift; the matrix is
        [[a, b, u], [c, d, v], [x, y, w]] (ISO/IEC 14496-12, track header box).
    """
    (a, b), (c, d) = matrix[:2, :2].tolist()
    if abs(b) > abs(a):
        pixels, to_right, to_bottom = pixels.swapaxes(0, 1), c, b
    else:
        to_right, to_bottom = a, d
    pixels = pixels[:, ::-1] if to_right < 0 else pixels
    return np.ascontiguousarray(pixels[::-1] if to_bottom < 0 else pixels)
