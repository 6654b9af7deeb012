"""Predicting the hands of a video frame by frame, for ``s2hand predict``."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from s2hand.errors import DataError
from s2hand.files import whole_file
from s2hand.keypoints.hands import FoundHand, table_of
from s2hand.keypoints.track_settings import TrackSettings
from s2hand.keypoints.tracks import track_hands
from s2hand.picture_drawing import draw_on_picture
from s2hand.reconstruction import reconstruct_views
from s2hand.videos import VideoFrame, VideoReader, VideoWriter
from s2hand_platform.experiments.s2hand.finding import HandFinder, Place
from s2hand_platform.experiments.s2hand.hand_files import (
    PICTURE_SCHEMA,
    Camera,
    SeenHand,
    camera_of,
    hand_row,
    open_table,
    write_json,
    write_mesh,
)
from s2hand_platform.experiments.s2hand.prediction import (
    Looked,
    Outcome,
    Setup,
    batches,
    counted,
    look,
)

VIDEO_SCHEMA = pa.schema(
    [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("time_s", pa.float64(), nullable=False),
        pa.field("track", pa.int64(), nullable=False),
        *PICTURE_SCHEMA,
    ]
)
_FORMAT = "s2hand-video/1"
_EVERY_HAND = TrackSettings(min_confidence=0.0, min_frames=1)
"""Every hand that was found is part of a track, if of a short one."""

Step = Callable[[int, int | None], object]
"""Is told of further frames that are done, and of how many in all, if the file says it."""


def predict_video(setup: Setup, path: Path, *, with_meshes: bool, step: Step) -> Outcome:
    """Predict the hands of a video: overlay, tracks, a line and rows for every frame.

    With a detector the video is read twice: the side of a hand is that of most of its track's
    frames, which are known at the end. Each frame is predicted by itself, many in a batch.

    Args:
        setup: What looks at it.
        path: The video.
        with_meshes: Also write the mesh of every hand in every frame.
        step: Is told of frames that were searched or predicted.

    Raises:
        DataError: If it is no video, or no frame of it can be read.
        ConfigurationError: If PyAV is not installed.
        OSError: If the results cannot be written.
    """
    reader = VideoReader(path)
    num_readings = 1 if setup.finder.detector is None else 2
    total = num_readings * reader.num_frames or None
    tracks = _find_tracks(reader, setup.finder, lambda: step(1, total))
    folder = setup.folder / path.name
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        results = _Results(stack, folder, setup, with_meshes=with_meshes)
        for batch in batches(reader.frames(), lambda frame: frame.pixels[..., 0].size):
            results.add(batch, tracks)
            step(len(batch), total)
        if results.camera is None:
            told = "; ".join(reader.faults) or "it holds none"
            raise DataError(f"{path}: a video must have frames that can be read: {told}")
    faults = [*reader.faults, *tracks.faults, *results.faults]
    content = {
        "format": _FORMAT,
        "video": path.name,
        "frames": results.num_frames,
        "last_frame_s": results.last_s,
        "found_by": setup.finder.found_by,
        "detector": setup.finder.detector_name,
        "depth": results.camera.depth,
        "camera": results.camera.to_plain(),
        "tracks": tracks.plain,
        "faults": faults,
    }
    write_json(folder / "video.json", content)
    told = (
        f"{counted(results.num_hands, 'hand')} in {counted(results.num_frames, 'frame')}, "
        f"{counted(len(tracks.plain), 'track')}; {results.camera.told}"
    )
    return Outcome(name=path.name, num_hands=results.num_hands, told=told, faults=faults)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tracks:
    """Where the hands of a video are: followed through it, or the same place in every frame."""

    plain: list[dict[str, Any]]
    """What is told of each track."""
    by_frame: Mapping[int, Mapping[int, Place]] = field(default_factory=dict)
    everywhere: Mapping[int, Place] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def in_frame(self, index: int) -> Mapping[int, Place]:
        return self.by_frame.get(index, self.everywhere)


def _find_tracks(reader: VideoReader, finder: HandFinder, step: Callable[[], object]) -> _Tracks:
    if finder.detector is None:
        place = finder.same_place
        return _Tracks(plain=[{"track": 0, "mirrored": place.is_left}], everywhere={0: place})
    found: dict[str, Sequence[FoundHand]] = {}
    faults = []
    for frame in reader.frames():
        try:
            hands = finder.detect(frame.pixels)
        except (ValueError, RuntimeError) as error:
            faults.append(f"frame {frame.index}: the detector failed: {error}")
            hands = ()
        found[str(frame.index)] = hands
        step()
    table = table_of(found, detector=finder.detector.name, version=finder.detector.version)
    tracks = track_hands(table, _EVERY_HAND)
    by_frame: dict[int, dict[int, Place]] = {}
    plain = []
    for track in range(len(tracks)):
        rows = tracks.rows_of(track)
        frames = tracks.frames[rows].tolist()
        for row, frame_index in zip(rows.tolist(), frames, strict=True):
            hand = found[table.samples[row]][table.hands[row]]
            place = finder.place_of(hand, is_left=not tracks.is_right[track])
            by_frame.setdefault(frame_index, {})[track] = place
        plain.append(
            {
                "track": track,
                "mirrored": place.is_left,
                "side_agreement": float(tracks.side_agreement[track]),
                "frames": len(frames),
                "first_frame": frames[0],
                "last_frame": frames[-1],
            }
        )
    return _Tracks(plain=plain, by_frame=by_frame, faults=faults)


class _Results:
    """The files of a video's hands while they are written, and counts of what is in them."""

    def __init__(self, stack: ExitStack, folder: Path, setup: Setup, *, with_meshes: bool) -> None:
        self.camera: Camera | None = None
        self.faults: list[str] = []
        self.num_frames = self.num_hands = 0
        self.last_s = 0.0
        self._setup, self._name = setup, folder.name
        self._meshes = folder / "meshes" if with_meshes else None
        if self._meshes is not None:
            self._meshes.mkdir(exist_ok=True)
        self._add_rows = stack.enter_context(open_table(folder / "hands.parquet", VIDEO_SCHEMA))
        self._lines = stack.enter_context(whole_file(folder / "frames.jsonl"))
        self._overlay = VideoWriter(stack.enter_context(whole_file(folder / "overlay.mp4")))
        stack.callback(self._overlay.close)

    def add(self, frames: list[VideoFrame], tracks: _Tracks) -> None:
        """Predict some frames and write what comes out."""
        self.camera = self.camera or camera_of(frames[0].pixels, None, self._setup.camera_px)
        looked = [
            look(self._setup, frame.pixels, self.camera, tracks.in_frame(frame.index))
            for frame in frames
        ]
        views = [view for each in looked for view in each.views.values()]
        hands = iter(reconstruct_views(self._setup.predictor, views))
        rows = []
        for frame, each in zip(frames, looked, strict=True):
            seen = each.seen(hands)
            self._write(frame, each, seen)
            rows += [
                {"frame": frame.index, "time_s": frame.time_s, "track": track}
                | hand_row(self._name, number, one, self.camera, self._setup.finder)
                for number, (track, one) in enumerate(seen.items())
            ]
        self._add_rows(rows)

    def _write(self, frame: VideoFrame, looked: Looked, seen: Mapping[int, SeenHand]) -> None:
        drawn = draw_on_picture(frame.pixels, [each.hand for each in seen.values()])
        self._overlay.add(drawn, frame.time_s)
        line = {
            "frame": frame.index,
            "time_s": frame.time_s,
            "damaged": frame.is_damaged,
            "hands": [{"track": track, **each.to_plain()} for track, each in seen.items()],
            "faults": looked.faults,
        }
        self._lines.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        if self._meshes is not None:
            for track, each in seen.items():
                name = f"track_{track}_frame_{frame.index:06d}.ply"
                write_mesh(self._meshes / name, each.hand)
        self.faults += [f"frame {frame.index}: {fault}" for fault in looked.faults]
        self.num_frames += 1
        self.num_hands += len(seen)
        self.last_s = frame.time_s
