"""What following hands through a video leaves: which hand is which, a report, a contact sheet."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from s2hand.errors import DataError
from s2hand.files import whole_file
from s2hand.keypoints.hands import HandTable
from s2hand.keypoints.pictures import read_picture
from s2hand.keypoints.track_report import TrackReport
from s2hand.keypoints.tracks import NO_TRACK, Fate, HandTracks
from s2hand.reconstruction_pictures import draw_skeleton
from s2hand_platform.experiments.s2hand.detections import write_rows

_SCHEMA = pa.schema(
    [
        pa.field("sample", pa.string(), nullable=False),
        pa.field("hand", pa.int32(), nullable=False),
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("track", pa.int32()),
        pa.field("is_right", pa.bool_()),
        pa.field("fate", pa.string(), nullable=False),
        pa.field("step", pa.float32()),
    ]
)
"""``sample`` and ``hand`` as in the detections; no track: dropped, and ``fate`` says why."""

_WORDS = {
    Fate.KEPT: "kept",
    Fate.BRIEF: "too short",
    Fate.UNSURE: "unsure",
    Fate.NO_HAND: "without a hand",
}
_CELLS, _CELL_PX, _TITLE_PX = 8, 112, 16
MAX_ROWS = 40
"""Tracks that a contact sheet shows: the longest."""
_ROOM = 1.5
"""Side of a cell's part of the picture, in sides of the hand's box."""
_BAR = 40
_QUALITY = 85


def track_rows(table: HandTable, tracks: HandTracks) -> pa.Table:
    """Return what became of each row of a table."""
    is_kept = tracks.track != NO_TRACK
    sides = np.append(tracks.is_right, [False])[tracks.track]
    columns = {
        "sample": pa.array(table.samples, pa.string()),
        "hand": pa.array(table.hands, pa.int32()),
        "frame": pa.array(tracks.frames, pa.int64()),
        "track": pa.array(tracks.track, pa.int32(), mask=~is_kept),
        "is_right": pa.array(sides, pa.bool_(), mask=~is_kept),
        "fate": pa.array([_WORDS[Fate(fate)] for fate in tracks.fate.tolist()], pa.string()),
        "step": pa.array(tracks.step, pa.float32(), mask=np.isnan(tracks.step)),
    }
    return pa.table(columns, schema=_SCHEMA)


def write_track_files(
    folder: Path,
    table: HandTable,
    tracks: HandTracks,
    report: TrackReport,
    pictures: Mapping[str, Path],
    settings: Mapping[str, Any],
) -> None:
    """Write ``tracks.parquet``, ``report.json`` and ``contact-sheet.jpg`` into a folder.

    Args:
        folder: It must exist.
        table: The video's hands.
        tracks: What became of them.
        report: Its counts.
        pictures: Sample → the frame's picture.
        settings: By which it was made.
    """
    write_rows(folder / "tracks.parquet", track_rows(table, tracks))
    plain = {"detector": table.detector, "version": table.version, "settings": dict(settings)}
    content = json.dumps(plain | report_to_plain(report), indent=1, allow_nan=False).encode()
    _write(folder / "report.json", content)
    sheet = BytesIO()
    picture = contact_sheet(table, tracks, pictures)
    Image.fromarray(picture).save(sheet, format="JPEG", quality=_QUALITY)
    _write(folder / "contact-sheet.jpg", sheet.getvalue())


def report_to_plain(report: TrackReport) -> dict[str, Any]:
    """Return a report as JSON's types."""
    return {
        "frames": {"all": report.num_frames, **_by_word(report.frames)},
        "hands": {"all": report.num_hands, **_by_word(report.hands)},
        "tracks": {"all": report.num_tracks, "right": report.num_right},
        "track_lengths_frames": report.track_lengths.tolist(),
        "jumps": report.num_jumps,
        "hands_of_the_other_side": report.num_other_side,
        "steps": {
            "edges_extents_per_frame": report.step_edges.tolist(),
            "hands": report.step_counts.tolist(),
        },
    }


def report_lines(report: TrackReport, max_step: float) -> list[str]:
    """Tell a report on a terminal: counts, then a histogram of steps."""
    kept = f"{report.kept_share:.0%}"
    frames, hands = _by_word(report.frames), _by_word(report.hands)
    lengths = report.track_lengths
    span = f", {lengths.min()} to {lengths.max()} frames long" if len(lengths) else ""
    sides = f"{report.num_right:,} right, {report.num_tracks - report.num_right:,} left"
    others = f"{report.num_other_side:,} hands told the other side"
    lines = [
        f"{report.num_frames:,} frames: {_counted(frames)}; {kept} kept",
        f"{report.num_hands:,} hands: {_counted(hands)}; {report.num_jumps:,} jumped",
        f"{report.num_tracks:,} tracks: {sides}{span}; {others}",
        f"steps from frame to frame, in extents of the hand; beyond {max_step:g} they are jumps:",
    ]
    most = max(int(report.step_counts.max()), 1)
    for number, count in enumerate(report.step_counts.tolist()):
        low, high = report.step_edges[number : number + 2]
        is_last = number == len(report.step_counts) - 1
        bar = "#" * -(-count * _BAR // most)
        to = "more" if is_last else f"{high:.3f}"
        lines.append(f"  {low:.3f} to {to:>5} {count:>9,} {bar}".rstrip())
    return lines


def contact_sheet(
    table: HandTable, tracks: HandTracks, pictures: Mapping[str, Path]
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a row a track: its title, then frames spread over it, each cut to the hand.

    A picture that cannot be read is grey.
    """
    lengths = np.bincount(tracks.track[tracks.track != NO_TRACK], minlength=len(tracks))
    longest = np.argsort(-lengths, kind="stable")[:MAX_ROWS]
    shown = f"{len(longest)} of {len(tracks)} tracks, the longest"
    strips = [_title(shown if len(longest) < len(tracks) else f"{len(tracks)} tracks")]
    for track in sorted(longest.tolist()):
        rows = tracks.rows_of(track)
        frames = tracks.frames[rows]
        side = "right" if tracks.is_right[track] else "left"
        title = f"track {track}, {side}, frames {frames[0]} to {frames[-1]}, {len(rows)} of them"
        chosen = rows[np.linspace(0, len(rows) - 1, min(_CELLS, len(rows))).round().astype(int)]
        cells = [_cell(table, int(row), pictures[table.samples[row]]) for row in chosen]
        cells += [np.full((_CELL_PX, _CELL_PX, 3), 255, np.uint8)] * (_CELLS - len(cells))
        strips += [_title(title), np.concatenate(cells, axis=1)]
    return np.concatenate(strips)


def _cell(table: HandTable, row: int, path: Path) -> UInt8[np.ndarray, "side side 3"]:
    points_px, confidence = table.keypoints_px[row], table.confidence[row]
    found = points_px[confidence > 0].astype(np.float64)
    low, high = found.min(axis=0), found.max(axis=0)
    side_px = max(_ROOM * float((high - low).max()), 8.0)
    corner_px = (low + high - side_px) / 2
    try:
        picture = Image.fromarray(read_picture(path))
    except DataError:
        return np.full((_CELL_PX, _CELL_PX, 3), 128, np.uint8)
    # Pillow counts from the corner of the top-left pixel, we from its centre.
    box = tuple(np.concatenate([corner_px, corner_px + side_px]) + 0.5)
    size = (_CELL_PX, _CELL_PX)
    cut = picture.transform(size, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    cell = np.asarray(cut, np.float64) / 255
    scale = _CELL_PX / side_px
    draw_skeleton(cell, (points_px - corner_px) * scale - 0.5, confidence)
    return np.round(cell * 255).astype(np.uint8)


def _title(text: str) -> UInt8[np.ndarray, "height width 3"]:
    strip = Image.new("RGB", (_CELL_PX * _CELLS, _TITLE_PX), "white")
    ImageDraw.Draw(strip).text((4, 2), text, fill="black", font=ImageFont.load_default())
    return np.asarray(strip)


def _by_word(counts: Mapping[Fate, int]) -> dict[str, int]:
    return {_WORDS[fate]: count for fate, count in counts.items()}


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in counts.items())


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)
