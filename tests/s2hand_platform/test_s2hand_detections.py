"""Detections as Parquet, made in parts that survive a stop, and the files of tracks."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from changed_files import changed_bytes, fuzzed, read_or_refused
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner, Result

from s2hand.errors import DataError
from s2hand.keypoints.detector import mediapipe
from s2hand.keypoints.hands import FoundHand, HandTable, table_of
from s2hand.keypoints.tables import write_table
from s2hand_platform.cli.mapping import map_parts
from s2hand_platform.experiments import command_groups
from s2hand_platform.experiments.s2hand import detecting
from s2hand_platform.experiments.s2hand.detecting import LookAt, detect_all
from s2hand_platform.experiments.s2hand.detections import read_detections, write_detections

SIZES = {f"{number:04d}.png": (64, 48) for number in range(5)}


def hand(seed: int, right: float = 1.0) -> FoundHand:
    random = np.random.default_rng(seed)
    return FoundHand(
        keypoints_px=random.uniform(0, 48, (21, 2)).astype(np.float32),
        confidence=random.uniform(0.01, 1, 21).astype(np.float32),
        right=right,
    )


def a_table() -> HandTable:
    found = {name: [] for name in SIZES} | {
        "0001.png": [hand(1), hand(2, 0.25)],
        "0004.png": [hand(3, 0.0)],
    }
    return table_of(found, detector="test", version="1.2")


def require_equal(one: HandTable, other: HandTable) -> None:
    assert (one.samples, one.detector, one.version) == (other.samples, "test", "1.2")
    for name in ("hands", "keypoints_px", "confidence", "right"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    write_detections(tmp_path / "a" / "x.parquet", "parquet", a_table())
    read = read_detections(tmp_path / "a" / "x.parquet", "parquet", SIZES)
    require_equal(read, a_table())
    assert (read.num_missing, read.num_unknown, read.num_clipped) == (0, 0, 0)


def test_anybody_reads_the_columns(tmp_path: Path) -> None:
    write_detections(tmp_path / "x.parquet", "parquet", a_table(), faults={"0000.png": "broken"})
    frame = pq.read_table(tmp_path / "x.parquet").to_pandas()
    columns = ["sample", "hand", "keypoints_px", "confidence", "right"]
    assert list(frame.columns) == [*columns, "detector", "version", "fault"]
    assert frame["sample"].tolist() == [f"000{number}.png" for number in (0, 1, 1, 2, 3, 4)]
    assert frame["hand"].tolist() == [0, 0, 1, 0, 0, 0]
    expected = hand(2).keypoints_px
    np.testing.assert_array_equal(frame["keypoints_px"][2][:4], [*expected[0], *expected[1]])
    np.testing.assert_array_equal(frame["confidence"][2], hand(2).confidence)
    assert frame["fault"].dropna().tolist() == ["broken"]


def test_pictures_with_a_fault_count_as_without_an_entry(tmp_path: Path) -> None:
    write_detections(tmp_path / "x.parquet", "parquet", a_table(), faults={"0000.png": "broken"})
    fewer = {name: size for name, size in SIZES.items() if name != "0004.png"}
    read = read_detections(tmp_path / "x.parquet", "parquet", fewer | {"new.png": (64, 48)})
    assert (read.num_missing, read.num_unknown) == (2, 1)
    assert not read.confidence[0].any()


@pytest.mark.parametrize("layout", ["hands", "openpose", "wholebody", "detect"])
def test_every_layout_becomes_parquet_and_comes_back(layout: Any, tmp_path: Path) -> None:
    write_table(tmp_path / "source", layout, a_table())
    source = read_detections(tmp_path / "source", layout, SIZES)
    write_detections(tmp_path / "x.parquet", "parquet", source)
    read = read_detections(tmp_path / "x.parquet", "parquet", SIZES)
    write_detections(tmp_path / "back", layout, read)
    if layout == "openpose":
        names = [path.name for path in sorted((tmp_path / "source").iterdir())]
        assert names
        for name in names:
            content = (tmp_path / "back" / name).read_text()
            assert content == (tmp_path / "source" / name).read_text()
    else:
        assert (tmp_path / "back").read_text() == (tmp_path / "source").read_text()


def changed(tmp_path: Path, change: Callable[[pa.Table], pa.Table]) -> Path:
    path = tmp_path / "x.parquet"
    write_detections(path, "parquet", a_table())
    pq.write_table(change(pq.read_table(path)), path)
    return path


def with_column(name: str, values: Sequence[Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda rows: rows.set_column(rows.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda rows: rows.drop(["confidence"]),
            r"must have one column 'confidence', got sample, ha",
        ),
        (with_column("hand", [0, 0, 0, 0, 0, 0]), r"hand 0 of '0001.png' must stand there once"),
        (with_column("hand", ["a"] * 6), r"column 'hand' must be of int32, got string"),
        (with_column("hand", [0, 0, None, 0, 0, 0]), r"column 'hand' must have no empty places"),
        (with_column("right", [0, 2.0, 0, 0, 0, 0]), r"'0001.png', right: must be a number from 0"),
        (
            with_column("confidence", [[-1.0] * 21] * 6),
            r"a confidence must not be negative, got -1",
        ),
        (with_column("keypoints_px", [[np.nan] * 42] * 6), r"'0000.png', points must be 63 finite"),
        (with_column("confidence", [[80.0] * 21] * 6), r"confidences must go from 0 to 1, got"),
        (
            with_column("keypoints_px", [[900.0] * 42] * 6),
            r"0001.png, keypoint x of keypoint 0 mus",
        ),
        (with_column("version", list("abcdef")), r"all rows must be of one version, got 'a', 'b'"),
        (
            with_column("sample", ["a/1.png", *(f"{n}.png" for n in range(5))]),
            r"samples must differ in more than folder, ending and leading zeros, got 'a/1.png' and",
        ),
        (with_column("sample", [f"x{n}.png" for n in range(6)]), r"must have entries of the image"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(
    change: Callable[[pa.Table], pa.Table], told: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=told) as caught:
        read_detections(changed(tmp_path, change), "parquet", SIZES)
    assert str(tmp_path / "x.parquet") in str(caught.value)


def test_names_of_columns_are_texts_and_their_own(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda rows: rows.append_column("hand", rows["hand"]))
    with pytest.raises(DataError, match=r"must have one column 'hand', got sample.*hand.*hand"):
        read_detections(path, "parquet", SIZES)
    write_detections(path, "parquet", a_table())
    # Twice: in the schema that Parquet has and in the one that Arrow adds.
    path.write_bytes(path.read_bytes().replace(b"confidence", b"confiden\x80e"))
    with pytest.raises(DataError, match="must be a Parquet file of detections, could not be read"):
        read_detections(path, "parquet", SIZES)


def test_samples_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_detections(path, "parquet", a_table())
    rows = pq.read_table(path)
    place = rows.column_names.index("sample")
    names = pa.array([b"\x80.png"] * len(rows), pa.binary()).view(pa.string())
    pq.write_table(rows.set_column(place, "sample", names), path)
    with pytest.raises(DataError, match=r"could not be read: .*UTF8"):
        read_detections(path, "parquet", SIZES)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(DataError, match=r"must be a Parquet file of detections.*there is nothing"):
        read_detections(path, "parquet", SIZES)
    path.write_text("<html>")
    with pytest.raises(DataError, match="there is a web page"):
        read_detections(path, "parquet", SIZES)


@fuzzed
@given(data=st.data())
def test_a_changed_file_is_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_detections(path, "parquet", a_table())
    path.write_bytes(changed_bytes(data.draw, path.read_bytes()))
    read_or_refused(lambda: read_detections(path, "parquet", SIZES), tmp_path, named=str(path))


class Counting:
    """Finds one hand a picture, as bright as it, and remembers at how many it looked."""

    name = "counting"
    version = "1"
    looked = 0

    def __init__(self, *folder: Path, **ways: bool) -> None:
        del folder, ways

    def find_hands(self, picture: np.ndarray) -> list[FoundHand]:
        type(self).looked += 1
        return [replace(hand(0), right=float(picture[0, 0, 0]) / 255)]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(mediapipe, "MediaPipeHands", Counting)
    monkeypatch.setattr(detecting, "PART", 2)
    monkeypatch.setattr(Counting, "looked", 0)
    monkeypatch.setattr(Counting, "version", "1")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(SIZES):
        Image.fromarray(np.full((48, 64, 3), 50 * number, np.uint8)).save(folder / name)
    return sorted(folder.iterdir())


def interrupted_after(num_parts: int) -> Callable[..., None]:
    def do_some(work: Any, parts: Sequence[Any], done: Callable[[Any], None], **_: Any) -> None:
        for part in parts[:num_parts]:
            done(work(part))
        raise KeyboardInterrupt

    return do_some


def detected(paths: Sequence[Path], kept: Path, told: list[int] | None = None) -> Any:
    told = [] if told is None else told
    look = LookAt(open=Counting)
    named = {path.name: path for path in paths}
    return detect_all(named, look, kept, map_parts, told.append, address=None, without_ray=True)


def stopped(paths: Sequence[Path], kept: Path, num_parts: int) -> None:
    look, some = (
        LookAt(open=Counting),
        interrupted_after(num_parts),
    )
    named = {path.name: path for path in paths}
    with pytest.raises(KeyboardInterrupt):
        detect_all(named, look, kept, some, print, address=None, without_ray=True)


def test_an_interrupted_detection_goes_on_where_it_was(
    pictures: list[Path], tmp_path: Path
) -> None:
    pictures[1].write_text("broken")
    stopped(pictures, tmp_path / "kept", 2)
    assert Counting.looked == 3
    told: list[int] = []
    table, faults = detected(pictures, tmp_path / "kept", told)
    assert (Counting.looked, told) == (4, [4, 5])
    assert list(faults) == ["0001.png"]
    whole, same_faults = detected(pictures, tmp_path / "other")
    assert faults == same_faults
    assert table.samples == whole.samples == tuple(SIZES)
    for name in ("keypoints_px", "confidence", "right", "num_missing"):
        np.testing.assert_array_equal(getattr(table, name), getattr(whole, name))
    assert table.num_missing == 1
    np.testing.assert_allclose(table.right[2:], np.array([100, 150, 200]) / 255, rtol=1e-6)


def test_what_has_changed_since_is_looked_at_again(pictures: list[Path], tmp_path: Path) -> None:
    stopped(pictures, tmp_path / "kept", 2)
    Image.fromarray(np.full((48, 64, 3), 255, np.uint8)).save(pictures[0])
    os.utime(pictures[0], (0, 0))
    table, _ = detected(pictures, tmp_path / "kept")
    assert Counting.looked == 4 + 2
    assert table.right[0] == 1


def test_another_detector_s_parts_do_not_count(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(pictures, tmp_path / "kept", 2)
    monkeypatch.setattr(Counting, "version", "2")
    table, _ = detected(pictures, tmp_path / "kept")
    assert (Counting.looked, table.version) == (4 + 5, "2")


def test_a_damaged_part_is_done_again(pictures: list[Path], tmp_path: Path) -> None:
    stopped(pictures, tmp_path / "kept", 2)
    part = sorted((tmp_path / "kept").iterdir())[0]
    part.write_bytes(part.read_bytes()[:-10])
    detected(pictures, tmp_path / "kept")
    assert Counting.looked == 4 + 3


def test_pictures_that_a_machine_does_not_see_are_no_damaged_ones(
    pictures: list[Path], tmp_path: Path
) -> None:
    pictures[0].parent.rename(tmp_path / "elsewhere")
    with pytest.raises(
        DataError, match=r"the pictures' folder is not there on .* cluster must see"
    ):
        detected(pictures, tmp_path / "kept")


def keypoints(*arguments: str | Path) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(
        command_groups()["keypoints"], words, env={"COLUMNS": "200"}, obj=map_parts
    )


def test_a_set_s_sequences_become_one_table_that_is_divided_again(
    pictures: list[Path], tmp_path: Path
) -> None:
    train = tmp_path / "train"
    for sequence, count in (("AB1", 5), ("AB2", 3)):
        (train / sequence / "rgb").mkdir(parents=True)
        for number, path in enumerate(pictures[:count]):
            pixels = np.full((48, 64, 3), 10 * number + len(sequence) * count, np.uint8)
            Image.fromarray(pixels).save(train / sequence / "rgb" / path.name)
    names = [f"AB1/rgb/{name}" for name in SIZES] + [f"AB2/rgb/{name}" for name in list(SIZES)[:3]]
    folders = [train / "AB1" / "rgb", train / "AB2" / "rgb"]
    output = tmp_path / "hands.parquet"
    for places in ([train], folders):
        done = keypoints("detect", *places, "-o", output, "--without-ray")
        assert done.exit_code == 0, done.output
        assert "8 hands in 8 of 8 images" in done.stdout
        assert pq.read_table(output)["sample"].to_pylist() == names
    # What training reads is made folder by folder, each with its own hands.
    for folder, count in zip(folders, (5, 3), strict=True):
        back = tmp_path / "back.parquet"
        done = keypoints("convert", output, "--images", folder, "-o", back)
        assert f"{count} hands in {count} of {count} images\n" in done.stdout, done.output
        right = pq.read_table(back)["right"].to_numpy()
        expected = (10 * np.arange(count) + 3 * count) / 255
        np.testing.assert_allclose(right, expected, rtol=1e-6)
    # Frames of another sequence are named alike; its hands are nobody else's.
    other = folders[0].parent.rename(train / "AB3") / "rgb"
    refused = keypoints("convert", output, "--images", other, "-o", tmp_path / "other.parquet")
    assert "is of the folders AB1/rgb, AB2/rgb, none of them is" in str(refused.exception)
    assert not (tmp_path / "other.parquet").exists()
    refused = keypoints("detect", train, "-o", tmp_path / "hands.json")
    assert "must end in .parquet for pictures of several folders" in str(refused.exception)


def test_a_whole_set_goes_on_where_it_was(pictures: list[Path], tmp_path: Path) -> None:
    named = {f"{letter}/{path.name}": path for letter in "ab" for path in pictures}
    look = LookAt(open=Counting)
    kept = tmp_path / "kept"
    with pytest.raises(KeyboardInterrupt):
        detect_all(named, look, kept, interrupted_after(3), print, address=None, without_ray=True)
    told: list[int] = []
    table, _ = detect_all(named, look, kept, map_parts, told.append, address=None, without_ray=True)
    assert (Counting.looked, told) == (10, [6, 8, 10])
    assert table.samples == tuple(named)


def test_the_command_writes_parquet_by_the_name_and_leaves_no_parts(
    pictures: list[Path], tmp_path: Path
) -> None:
    for number in range(8):
        (pictures[0].parent / f"broken {number}.jpg").write_bytes(b"")
    output = tmp_path / "out" / "hands.parquet"
    done = keypoints("detect", pictures[0].parent, "-o", output, "--without-ray")
    assert done.exit_code == 0, done.output
    assert "5 hands in 5 of 13 images; 8 without an entry or unreadable\n" in done.stdout
    assert "and 3 more, all of them in the column fault" in done.stderr
    assert [path.name for path in output.parent.iterdir()] == ["hands.parquet"]
    faults = pq.read_table(output)["fault"].drop_null().to_pylist()
    assert len(faults) == 8
    assert "broken 7.jpg: must be a picture" in faults[-1]
    back = tmp_path / "back.json"
    done = keypoints("convert", output, "--images", pictures[0].parent, "-o", back)
    assert done.exit_code == 0, done.output
    assert "5 hands in 5 of 5 images" in done.stdout
    assert "skipped" in done.stderr
    assert "and 3 more\n" in done.stderr


def test_an_interrupted_command_says_how_to_go_on(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Counting.find_hands

    def interrupted(self: Counting, picture: np.ndarray) -> list[FoundHand]:
        if Counting.looked == 3:
            raise KeyboardInterrupt
        return found(self, picture)

    monkeypatch.setattr(Counting, "find_hands", interrupted)
    output = tmp_path / "hands.parquet"
    done = keypoints("detect", pictures[0].parent, "-o", output, "--without-ray")
    assert done.exit_code == 130
    assert "run the same command again to go on" in done.stderr
    assert not output.exists()
    monkeypatch.setattr(Counting, "find_hands", found)
    done = keypoints("detect", pictures[0].parent, "-o", output, "--without-ray")
    assert done.exit_code == 0, done.output
    assert Counting.looked == 3 + 3  # two of three pictures had been kept


def test_an_address_is_ray_s(pictures: list[Path], tmp_path: Path) -> None:
    output, place = tmp_path / "a.parquet", pictures[0].parent
    done = keypoints("detect", place, "-o", output, "--without-ray", "--address", "auto")
    assert "--without-ray: goes without --address" in str(done.exception)


def a_video(folder: Path, *, unreadable: str = "") -> None:
    """Nine frames of a steady right hand; from the fifth on a left one beside it, jumping once."""
    folder.mkdir()
    found = {}
    shape = np.random.default_rng(0).uniform(10, 30, (21, 2)).astype(np.float32)
    for number in range(9):
        name = f"{number:03d}.png"
        Image.fromarray(np.full((60, 90, 3), 128, np.uint8)).save(folder / name)
        ones = np.ones(21, np.float32)
        hands = [FoundHand(keypoints_px=shape + np.float32(number), confidence=ones, right=0.9)]
        if number > 4:
            place = shape + np.float32([50 - 30 * (number == 7), 20])
            hands.append(FoundHand(keypoints_px=place, confidence=ones, right=0.1))
        found[name] = hands
    table = table_of(found, detector="test", version="1")
    write_detections(folder / "hands.parquet", "parquet", table)
    if unreadable:
        content = (folder / unreadable).read_bytes()
        (folder / unreadable).write_bytes(content[:-30])


def test_tracks_leave_a_table_a_report_and_a_contact_sheet(tmp_path: Path) -> None:
    a_video(tmp_path / "video", unreadable="008.png")
    done = keypoints(
        *("tracks", tmp_path / "video" / "hands.parquet", "--images", tmp_path / "video"),
        *("-o", tmp_path / "out", "--min-frames", "3"),
    )
    assert done.exit_code == 0, done.output
    assert "9 frames: 9 kept, 0 too short, 0 unsure, 0 without a hand; 100% kept" in done.stdout
    assert "13 hands: 12 kept, 1 too short, 0 unsure; 1 jumped" in done.stdout
    assert "2 tracks: 1 right, 1 left, 3 to 9 frames long; 0 hands told the other" in done.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["settings"] == {
        "min_confidence": 0.3,
        "max_step": 0.3,
        "max_gap": 2,
        "min_frames": 3,
    }
    assert report["track_lengths_frames"] == [9, 3]
    assert sum(report["steps"]["hands"]) == 8 + 3
    rows = pq.read_table(tmp_path / "out" / "tracks.parquet").to_pylist()
    assert len(rows) == 13
    assert [row["frame"] for row in rows if row["track"] == 1] == [5, 6, 8]
    assert {row["is_right"] for row in rows if row["track"] == 1} == {False}
    assert [row["fate"] for row in rows if row["track"] is None] == ["too short"]
    sheet = np.asarray(Image.open(tmp_path / "out" / "contact-sheet.jpg"), np.int64)
    assert sheet.shape == (16 + 2 * (16 + 112), 8 * 112, 3)
    drawn = sheet[32 : 32 + 112, : 112 * 7]
    assert (np.ptp(drawn, axis=2) > 60).mean() > 0.02  # bones in the fingers' colours
    unreadable = sheet[32 : 32 + 112, 112 * 7 :]
    assert np.abs(unreadable - 128).max() < 10
    assert sheet[-112:, 112 * 3 :].min() > 245  # a track of three frames has three cells


def test_points_lie_in_the_contact_sheet_where_they_lie_in_the_picture(tmp_path: Path) -> None:
    """A hand of black dots on white: the drawing covers them."""
    from s2hand_platform.experiments.s2hand.track_files import contact_sheet

    points = np.stack(np.meshgrid([20, 30, 40, 50, 60], [15, 27, 39, 51]), -1).reshape(-1, 2)
    points = np.concatenate([points, [[35, 60]]]).astype(np.float32)
    picture = np.full((80, 80, 3), 255, np.uint8)
    picture[points[:, 1].astype(int), points[:, 0].astype(int)] = 0
    Image.fromarray(picture).save(tmp_path / "0.png")
    one = FoundHand(keypoints_px=points, confidence=np.ones(21, np.float32), right=1.0)
    table = table_of({"0.png": [one]}, detector="test", version="")
    from s2hand.keypoints.track_settings import TrackSettings
    from s2hand.keypoints.tracks import track_hands

    tracks = track_hands(table, TrackSettings(min_frames=1))
    cell = contact_sheet(table, tracks, {"0.png": tmp_path / "0.png"})[32:, :112]
    bare = replace(table, confidence=np.full((1, 21), 1e-6, np.float32))
    undrawn = contact_sheet(bare, tracks, {"0.png": tmp_path / "0.png"})[32:, :112]
    dark = undrawn.max(axis=2) < 128
    assert dark.sum() > 21
    assert (cell[dark].max(axis=1) > 200).all()


def test_another_detector_is_named_by_its_module(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_mine.py").write_text(
        "import numpy as np\n"
        "from s2hand.keypoints.hands import FoundHand\n"
        "class Middle:\n"
        "    name, version, certainty = 'middle', '3', 0.5\n"
        "    def find_hands(self, picture):\n"
        "        middle = np.tile(np.float32(picture.shape[1::-1]) / 2, (21, 1))\n"
        "        sure = np.full(21, self.certainty, np.float32)\n"
        "        return [FoundHand(keypoints_px=middle, confidence=sure, right=1.0)]\n"
        "class Percent(Middle):\n"
        "    certainty = 50\n"
        "nothing = dict\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    command = ("detect", pictures[0].parent, "-o", tmp_path / "a.parquet", "--without-ray")
    done = keypoints(*command, "--detector", "of_mine:Middle")
    assert done.exit_code == 0, done.output
    read = read_detections(tmp_path / "a.parquet", "parquet", SIZES)
    assert (read.detector, read.version) == ("middle", "3")
    np.testing.assert_array_equal(read.keypoints_px, np.full((5, 21, 2), [32, 24]))
    done = keypoints(*command, "--detector", "of_mine:Percent")
    told = "middle: hand 0 that it finds in "
    assert isinstance(done.exception, DataError)
    assert str(done.exception).startswith(told)
    assert "from 0 to 1, got 1 to 50" in str(done.exception)
    for place in ("of_mine:gone", "of_mine", "gone:Middle", ":", "of_mine:nothing", "os:sep"):
        done = keypoints(*command, "--detector", place)
        assert (
            f"--detector: must be MODULE:NAME of what opens a hand detector, got '{place}'"
            in str(done.exception)
        )
    done = keypoints(*command, "--detector", "of_mine:Middle", "--crops")
    assert "goes without --crops" in str(done.exception)
