"""``s2hand predict`` on videos: tracks, a row for every frame, and what cannot be read left out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trimesh
import typer
from typer.testing import CliRunner, Result

from s2hand.files import whole_file
from s2hand.keypoints.hands import FoundHand
from s2hand.reconstruction import PictureHand
from s2hand.videos import VideoReader, VideoWriter
from s2hand_platform.experiments import command_groups
from s2hand_platform.experiments.s2hand import finding, hand_files, prediction, video_prediction

pytest.importorskip("av", reason="needs the extra video")

HEIGHT, WIDTH = 48, 64
STEP_S = 1 / 24


def call(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(command_groups()["predict"])
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class FoundByColour:
    """Finds a hand where red is bright, and one to its right where green is.

    The first hand's side is told wrongly where blue is bright.
    """

    name, version = "colour", "1"

    def __init__(self, _folder: Path) -> None:
        pass

    def find_hands(self, picture: np.ndarray) -> list[FoundHand]:
        red, green, blue = (picture[0, 0] > 127).tolist()
        return [
            FoundHand(
                keypoints_px=np.linspace([left, 8], [left + 20, 30], 21).astype(np.float32),
                confidence=np.full(21, 0.9, np.float32),
                right=right,
            )
            for is_there, left, right in ((green, 40, 1.0), (red, 4, 0.8 if blue else 0.1))
            if is_there
        ]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(finding, "MediaPipeHands", FoundByColour)
    place = tmp_path / "workspace"
    (place / "detector").mkdir(parents=True)
    return place


def video(path: Path, colours: list[str]) -> Path:
    """Write a video of one colour a frame; its name says which channels are bright."""
    with whole_file(path) as file:
        writer = VideoWriter(file)
        for number, name in enumerate(colours):
            pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            pixels[..., ["rgb".index(letter) for letter in name]] = 230
            writer.add(pixels, number * STEP_S)
        writer.close()
    return path


def test_a_video_gives_tracks_rows_and_an_overlay(workspace: Path, tmp_path: Path) -> None:
    colours = ["r", "rb", "r", "rg", "", "", "rg", "g"]
    path = video(tmp_path / "Händy clip.mp4", colours)
    done = call(path, "-o", tmp_path / "out", "--workspace", workspace, "--meshes")
    assert done.exit_code == 0, done.output
    assert "8 hands in 8 frames, 2 tracks; focal length 64 px, the longer side" in done.output
    folder = tmp_path / "out" / path.name
    content = json.loads((folder / "video.json").read_text())
    assert content["detector"] == "colour 1"
    assert content["faults"] == []
    expected = {"track": 0, "mirrored": True, "frames": 5, "first_frame": 0, "last_frame": 6}
    assert content["tracks"][0] == expected | {"side_agreement": 0.8}
    assert content["tracks"][1]["mirrored"] is False
    table = pq.read_table(folder / "hands.parquet").to_pylist()
    rows = [(row["frame"], row["track"], row["mirrored"]) for row in table]
    # The side is the track's, also where the detector says another.
    assert sorted(rows) == [
        *((0, 0, True), (1, 0, True), (2, 0, True), (3, 0, True), (3, 1, False)),
        *((6, 0, True), (6, 1, False), (7, 1, False)),
    ]
    assert all(row["time_s"] == pytest.approx(row["frame"] * STEP_S, abs=1e-4) for row in table)
    assert all(row["found_by"] == "detector" for row in table)
    lines = [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(8))
    assert [len(line["hands"]) for line in lines] == [1, 1, 1, 2, 0, 0, 2, 1]
    (hand,) = lines[7]["hands"]
    (row,) = (row for row in table if row["frame"] == 7)
    np.testing.assert_allclose(row["joints"], np.ravel(hand["joints"]), rtol=1e-5)
    # 22 px is the larger extent; half as much again is looked at.
    assert row["box_px"] == pytest.approx([33.5, 2.5, 66.5, 35.5])
    mesh = trimesh.load(folder / "meshes" / "track_1_frame_000007.ply", process=False)
    np.testing.assert_allclose(np.ravel(mesh.vertices), row["vertices"], atol=1e-6)
    assert len(list((folder / "meshes").iterdir())) == 8
    overlay = list(VideoReader(folder / "overlay.mp4").frames())
    assert len(overlay) == 8
    assert [frame.time_s for frame in overlay] == pytest.approx(
        [number * STEP_S for number in range(8)], abs=1e-4
    )
    # The hand is drawn where there is one.
    assert overlay[4].pixels.max() < 30
    assert overlay[7].pixels.std(axis=(0, 1)).max() > 10


def test_batches_change_nothing(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = video(tmp_path / "a.mp4", ["r", "rg", "", "g", "rg"])
    tables = []
    for name, pixels in (("a", 64_000_000), ("b", 2 * HEIGHT * WIDTH), ("c", 1)):
        monkeypatch.setattr(prediction, "_BATCH_PIXELS", pixels)
        call(path, "-o", tmp_path / name, "--workspace", workspace)
        tables.append(pq.read_table(tmp_path / name / "a.mp4" / "hands.parquet").to_pylist())
    for table in tables[1:]:
        for row, expected in zip(table, tables[0], strict=True):
            assert (row["frame"], row["track"]) == (expected["frame"], expected["track"])
            np.testing.assert_allclose(row["vertices"], expected["vertices"], atol=1e-5)


def test_rows_come_back_from_a_table_of_many_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    schema = pa.schema([pa.field("number", pa.int64())])
    with hand_files.open_table(path, schema) as add:
        for number in range(600):
            add([{"number": number}] if number % 3 else [])
    expected = [number for number in range(600) if number % 3]
    assert pq.read_table(path)["number"].to_pylist() == expected
    assert pq.ParquetFile(path).num_row_groups == 2  # 256 rows, then the rest
    with hand_files.open_table(path, schema):
        pass
    assert pq.read_table(path).num_rows == 0


def test_one_frame_s_failure_does_not_stop_the_rest(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_hands(self: FoundByColour, picture: np.ndarray) -> list[FoundHand]:
        hands = FoundByColour.find_hands(self, picture)
        is_odd = picture[0, 0, 2] > 127
        shift = np.float32(1000 if is_odd else 0)  # outside of the picture
        return [
            FoundHand(
                keypoints_px=hand.keypoints_px + shift,
                confidence=hand.confidence,
                right=hand.right,
            )
            for hand in hands
        ]

    odd = type("Odd", (FoundByColour,), {"find_hands": find_hands})
    monkeypatch.setattr(finding, "MediaPipeHands", odd)
    path = video(tmp_path / "a.mp4", ["r", "r", "rb", "r"])
    done = call(path, "-o", tmp_path / "out", "--workspace", workspace)
    assert done.exit_code == 1
    assert "a.mp4: 3 hands in 4 frames" in done.output
    assert "a.mp4: left out: frame 2: a box must lie in the picture" in done.output
    folder = tmp_path / "out" / "a.mp4"
    lines = [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]
    assert [len(line["hands"]) for line in lines] == [1, 1, 0, 1]
    assert [len(line["faults"]) for line in lines] == [0, 0, 1, 0]
    assert len(json.loads((folder / "video.json").read_text())["faults"]) == 1
    assert len(list(VideoReader(folder / "overlay.mp4").frames())) == 4


def test_a_frame_in_which_detector_or_model_fail_is_told(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, reconstruct = FoundByColour.find_hands, prediction.reconstruct_views

    def find_hands(self: FoundByColour, picture: np.ndarray) -> list[FoundHand]:
        if picture[0, 0, 2] > 127:
            raise RuntimeError("no interpreter")
        return find(self, picture)

    def without_numbers(*arguments: object) -> list[PictureHand]:
        hands = reconstruct(*arguments)
        return [replace(hands[0], vertices=hands[0].vertices * np.nan), *hands[1:]]

    monkeypatch.setattr(FoundByColour, "find_hands", find_hands)
    monkeypatch.setattr(video_prediction, "reconstruct_views", without_numbers)
    path = video(tmp_path / "a.mp4", ["r", "rb", "r", "g"])
    done = call(path, "-o", tmp_path / "out", "--workspace", workspace)
    assert done.exit_code == 1
    content = json.loads((tmp_path / "out" / "a.mp4" / "video.json").read_text())
    assert content["faults"] == [
        "frame 1: the detector failed: no interpreter",
        "frame 0: the model's numbers are not finite",
    ]
    table = pq.read_table(tmp_path / "out" / "a.mp4" / "hands.parquet").to_pylist()
    assert [row["frame"] for row in table] == [2, 3]


def test_of_a_damaged_video_what_can_be_read_is_kept(workspace: Path, tmp_path: Path) -> None:
    """And the other videos and pictures of its folder."""
    place = tmp_path / "in"
    place.mkdir()
    whole = video(place / "b.mp4", ["r"] * 3).read_bytes()
    (place / "a.mp4").write_bytes(whole[: len(whole) // 2])
    done = call(place, "-o", tmp_path / "out", "--workspace", workspace)
    assert done.exit_code == 1
    assert "a.mp4: left out: " in done.output
    assert "often lacks its index" in done.output
    assert "3 hands in 1 of 2 videos" in done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"b.mp4", "summary.json"}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [each["hands"] for each in summary["videos"]] == [0, 3]
    assert len(summary["videos"][0]["faults"]) == 1


def test_without_a_detector_the_box_is_the_hand_of_every_frame(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", ["r", "g", "b"])
    camera = ("--intrinsics", "90,90,30,20")
    done = call(path, "-o", tmp_path / "out", "--box", "4,4,40,40", "--left", *camera)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "out" / "a.mp4"
    table = pq.read_table(folder / "hands.parquet").to_pylist()
    assert [(row["frame"], row["track"], row["mirrored"]) for row in table] == [
        (number, 0, True) for number in range(3)
    ]
    assert {(row["found_by"], row["camera"], row["depth"]) for row in table} == {
        ("box", "given", "metric")
    }
    assert table[0]["box_px"] == [4, 4, 40, 40]
    content = json.loads((folder / "video.json").read_text())
    assert content["tracks"] == [{"track": 0, "mirrored": True}]
    assert content["last_frame_s"] == pytest.approx(2 * STEP_S, abs=1e-4)


def test_a_video_without_a_readable_frame_leaves_no_half_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = video(tmp_path / "a.mp4", ["r", "g"])
    monkeypatch.setattr(VideoReader, "frames", lambda _self: iter(()))
    done = call(path, "-o", tmp_path / "out", "--no-detector")
    assert done.exit_code == 1
    assert "a video must have frames that can be read: it holds none" in done.output
    assert list((tmp_path / "out" / "a.mp4").iterdir()) == []
