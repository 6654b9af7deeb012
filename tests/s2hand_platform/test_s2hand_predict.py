"""The commands that use a trained model: on pictures of all kinds, and as ONNX."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import trimesh
import typer
from PIL import Image
from typer.testing import CliRunner, Result

import s2hand.onnx_export
from s2hand.errors import ConfigurationError, DataError
from s2hand.inference import Predictor
from s2hand.keypoints.detector import models
from s2hand.keypoints.hands import FoundHand
from s2hand.reconstruction import HandView, PictureHand
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import command_groups
from s2hand_platform.experiments.s2hand import finding, prediction

RANDOM = np.random.default_rng(4)
FILES = {"overlay.png", "side_0.png", "hands.json", "hand_0.obj", "hand_0.ply", "hand_0.glb"}


def call(name: str, *arguments: object) -> Result:
    app = typer.Typer()
    app.command()(command_groups()[name])
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def no_detector_of_the_checkout_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have fetched its models."""
    monkeypatch.setenv("S2HAND_WORKSPACE", str(tmp_path / "workspace without models"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one that tells its camera, between a damaged one and a text."""
    place = tmp_path / "mit Umlaut ü"
    place.mkdir()
    pixels = RANDOM.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(place / "c.png")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 50
    Image.fromarray(pixels).save(place / "b.jpg", exif=exif)
    (place / "a.png").write_bytes((place / "c.png").read_bytes()[:900])
    (place / "notes.txt").write_text("no picture")
    return place


def test_a_folder_is_predicted_but_for_what_is_damaged(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = call("predict", folder, "-o", output, "--left", "--box", "10,5,50,45")
    assert done.exit_code == 1, done.output
    assert "left out: notes.txt" in done.output
    assert "a.png: left out: " in done.output
    assert "must be a complete picture" in done.output
    assert "hands: one in the given box" in done.output
    assert "2 hands in 2 of 3 pictures" in done.output
    assert "whole picture" not in done.output
    assert {path.name for path in output.iterdir()} == {
        *("b.jpg", "c.png", "hands.parquet", "summary.json")
    }
    for place in (output / "b.jpg", output / "c.png"):
        assert {path.name for path in place.iterdir()} == FILES
    table = pq.read_table(output / "hands.parquet").to_pylist()
    assert [row["picture"] for row in table] == ["b.jpg", "c.png"]
    assert [(row["camera"], row["depth"]) for row in table] == [
        ("exif", "metric"), ("guessed", "relative"),
    ]  # fmt: skip
    # 80 px is the diagonal of 64×48.
    assert table[0]["intrinsics_px"][0] == pytest.approx(50 / 43.2666 * 80, rel=1e-4)
    assert table[1]["intrinsics_px"] == [64, 0, 31.5, 0, 64, 23.5, 0, 0, 1]
    content = json.loads((output / "c.png" / "hands.json").read_text())
    assert (content["found_by"], content["detector"]) == ("box", None)
    assert content["depth"] == "relative"
    (hand,) = content["hands"]
    assert hand["mirrored"] is True
    assert hand["box_px"] == [10, 5, 50, 45]
    for name in ("joints", "keypoints_px", "vertices"):
        np.testing.assert_allclose(table[1][name], np.ravel(hand[name]), rtol=1e-5)
    for name, values in hand["parameters"].items():
        np.testing.assert_allclose(table[1][name], np.ravel(values), rtol=1e-5, err_msg=name)
    mesh = trimesh.load(output / "c.png" / "hand_0.ply", process=False)
    np.testing.assert_allclose(mesh.vertices, hand["vertices"], atol=1e-6)
    with Image.open(output / "c.png" / "overlay.png") as overlay:
        assert overlay.size == (64, 48)


def test_pictures_of_a_folder_are_predicted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "pictures"
    place.mkdir()
    for name, size in (("a", (64, 48)), ("b", (40, 90)), ("d", (120, 80)), ("e", (64, 64))):
        pixels = RANDOM.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{name}.png")
    (place / "c.png").write_bytes((place / "a.png").read_bytes()[:900])
    sizes: list[int] = []
    reconstruct = prediction.reconstruct_views

    def counted(predictor: Predictor, views: list[HandView]) -> list[PictureHand]:
        sizes.append(len(views))
        return reconstruct(predictor, views)

    monkeypatch.setattr(prediction, "reconstruct_views", counted)
    done = call("predict", place, "-o", tmp_path / "all")
    assert "4 hands in 4 of 5 pictures" in done.output
    assert sizes == [4]
    together = pq.read_table(tmp_path / "all" / "hands.parquet").to_pylist()
    assert [row["picture"] for row in together] == ["a.png", "b.png", "d.png", "e.png"]
    for row in together:
        call("predict", place / row["picture"], "-o", tmp_path / "one")
        (alone,) = pq.read_table(tmp_path / "one" / "hands.parquet").to_pylist()
        for name, tolerance in (("vertices", 1e-5), ("joints", 1e-5), ("keypoints_px", 1e-2)):
            np.testing.assert_allclose(row[name], alone[name], atol=tolerance)
        assert row["intrinsics_px"] == alone["intrinsics_px"]


def test_batches_hold_what_memory_is_meant_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "_BATCH_PIXELS", 10)
    monkeypatch.setattr(prediction, "_BATCH_PICTURES", 3)
    sizes = [4, 6, 1, 30, 2, 0, 0, 0]
    assert list(prediction.batches(sizes, int)) == [[4, 6], [1], [30], [2, 0, 0], [0]]
    assert list(prediction.batches([], int)) == []


def test_without_a_box_the_picture_is_the_hand(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = call("predict", folder / "b.jpg", "-o", output, "--intrinsics", "90,91,30,20")
    assert done.exit_code == 0, done.output
    assert "no --box: the whole picture is taken for the hand" in done.output
    assert "b.jpg: 1 hand; focal length 90 px as given" in done.output
    content = json.loads((output / "b.jpg" / "hands.json").read_text())
    assert content["camera"] == {
        "source": "given", "intrinsics_px": [[90, 0, 30], [0, 91, 20], [0, 0, 1]]
    }  # fmt: skip
    assert content["depth"] == "metric"
    assert content["found_by"] == "picture"
    (hand,) = content["hands"]
    assert hand["mirrored"] is False
    assert hand["detection_confidence"] is None
    assert hand["box_px"] == [-0.5, -8.5, 63.5, 55.5]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--box", "1,2,3"], "--box: must be four numbers with commas between them, got '1,2,3'"),
        (["--intrinsics", "a,b,c,d"], "--intrinsics: must be four numbers"),
    ],
)
def test_options_are_checked_first(folder: Path, arguments: list[str], told: str) -> None:
    done = call("predict", folder, "-o", folder / "out", *arguments)
    assert isinstance(done.exception, SpecError)
    assert told in str(done.exception)
    assert not (folder / "out").exists()


def test_results_do_not_go_among_the_pictures(folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = call("predict", folder / "b.jpg", "-o", folder / "." / "")
    assert isinstance(done.exception, SpecError)
    assert "must be another folder than the pictures' own" in str(done.exception)
    assert sorted(folder.iterdir()) == before


def test_what_holds_no_picture_is_told(tmp_path: Path) -> None:
    for place, told in ((tmp_path / "none", "there is nothing"), (tmp_path, "holds no picture")):
        done = call("predict", place, "-o", tmp_path / "out")
        assert isinstance(done.exception, SpecError)
        assert told in str(done.exception)


class FoundByBrightness:
    """Finds as many hands as the picture's first value says, the first left, the others right."""

    name = "bright"
    version = "1"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_hands(self, picture: np.ndarray) -> list[FoundHand]:
        height, width = picture.shape[:2]
        return [
            FoundHand(
                keypoints_px=np.linspace([8, 8], [width - 20 + number, height - 9], 21).astype(
                    np.float32
                ),
                confidence=np.full(21, 0.75, np.float32),
                right=min(1.0, number + 0.25),
            )
            for number in range(picture[0, 0, 0])
        ]


@pytest.fixture
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a detector that finds by brightness."""
    monkeypatch.setattr(finding, "MediaPipeHands", FoundByBrightness)
    workspace = tmp_path / "workspace"
    (workspace / "detector").mkdir(parents=True)
    return workspace


def saved(folder: Path, **brightness: int) -> Path:
    folder.mkdir()
    for name, value in brightness.items():
        Image.fromarray(np.full((48, 64, 3), value, np.uint8)).save(folder / f"{name}.png")
    return folder


def test_all_hands_that_the_detector_finds_are_returned(detector: Path, tmp_path: Path) -> None:
    pictures, output = saved(tmp_path / "in", none=0, one=1, two=2), tmp_path / "out"
    done = call("predict", pictures, "-o", output, "--workspace", detector)
    assert done.exit_code == 0, done.output
    assert "hands: found by the detector bright 1" in done.output
    assert "none.png: no hand found" in done.output
    assert "two.png: 2 hands; " in done.output
    assert "3 hands in 2 of 3 pictures" in done.output
    assert not (output / "none.png").exists()
    assert {path.name for path in (output / "two.png").iterdir()} == FILES | {
        *("side_1.png", "hand_1.obj", "hand_1.ply", "hand_1.glb")
    }
    table = pq.read_table(output / "hands.parquet").to_pylist()
    assert [
        (row["picture"], row["hand"], row["mirrored"], row["found_by"], row["detector"])
        for row in table
    ] == [
        ("one.png", 0, True, "detector", "bright 1"),
        ("two.png", 0, True, "detector", "bright 1"),
        ("two.png", 1, False, "detector", "bright 1"),
    ]
    assert table[0]["detection_confidence"] == 0.75
    # Points from 8 to 44 in x, to 39 in y: 36 px, half as much again is looked at.
    assert table[0]["box_px"] == pytest.approx([-1, -3.5, 53, 50.5])
    assert table[2]["vertices"] != table[1]["vertices"]
    content = json.loads((output / "two.png" / "hands.json").read_text())
    assert [hand["mirrored"] for hand in content["hands"]] == [True, False]
    assert content["detector"] == "bright 1"
    summary = json.loads((output / "summary.json").read_text())
    assert summary["pictures"] == [
        {"name": "none.png", "hands": 0, "faults": []},
        {"name": "one.png", "hands": 1, "faults": []},
        {"name": "two.png", "hands": 2, "faults": []},
    ]


def test_a_side_that_is_given_is_that_of_all(detector: Path, tmp_path: Path) -> None:
    pictures = saved(tmp_path / "in", two=2)
    for option, mirrored in (("--left", [True, True]), ("--right", [False, False])):
        output = tmp_path / option
        assert (
            call("predict", pictures, "-o", output, option, "--workspace", detector).exit_code == 0
        )
        table = pq.read_table(output / "hands.parquet").to_pylist()
        assert [row["mirrored"] for row in table] == mirrored


def test_what_an_earlier_run_wrote_of_more_hands_goes(detector: Path, tmp_path: Path) -> None:
    pictures, output = saved(tmp_path / "in", a=2), tmp_path / "out"
    call("predict", pictures, "-o", output, "--workspace", detector)
    (output / "a.png" / "hand_9.txt").write_text("mine")
    call("predict", pictures, "-o", output, "--workspace", detector, "--no-detector")
    assert {path.name for path in (output / "a.png").iterdir()} == FILES | {"hand_9.txt"}


def test_the_detector_can_be_switched_off(detector: Path, tmp_path: Path) -> None:
    pictures = saved(tmp_path / "in", two=2)
    for options, found_by in ((["--no-detector"], "picture"), (["--box", "1,1,40,40"], "box")):
        output = tmp_path / found_by
        done = call("predict", pictures, "-o", output, "--workspace", detector, *options)
        assert done.exit_code == 0, done.output
        assert ("whole picture is taken" in done.output) is (found_by == "picture")
        table = pq.read_table(output / "hands.parquet").to_pylist()
        assert [row["found_by"] for row in table] == [found_by]


def test_another_detector_is_used_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_where_hands_are(_picture: np.ndarray) -> list[FoundHand]:
        far = np.full((21, 2), np.nan, np.float32)
        return [FoundHand(keypoints_px=far, confidence=np.ones(21, np.float32), right=1.0)]

    good, bad = FoundByBrightness(tmp_path), FoundByBrightness(tmp_path)
    bad.find_hands = none_where_hands_are
    module = SimpleNamespace(good=lambda: good, bad=lambda: bad)
    monkeypatch.setitem(sys.modules, "their_detector", module)
    pictures = saved(tmp_path / "in", two=2)
    done = call("predict", pictures, "-o", tmp_path / "a", "--detector", "their_detector:good")
    assert done.exit_code == 0, done.output
    assert "two.png: 2 hands" in done.output
    done = call("predict", pictures, "-o", tmp_path / "b", "--detector", "their_detector:bad")
    assert done.exit_code == 1
    assert "two.png: left out: hand 0 of the detector bright must have finite" in done.output
    for option in (["--no-detector"], ["--box", "1,1,9,9"]):
        done = call("predict", pictures, "-o", tmp_path / "c", "--detector", "a:b", *option)
        assert isinstance(done.exception, SpecError)
        assert "goes without --no-detector and --box" in str(done.exception)


def test_it_is_said_why_there_is_no_detector(
    detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = saved(tmp_path / "in", two=2)
    done = call("predict", pictures, "-o", tmp_path / "a", "--workspace", tmp_path / "empty")
    assert done.exit_code == 0
    assert "the whole picture is taken for the hand; no hand detector in" in done.output
    assert "s2hand keypoints get-detector" in done.output

    def lacks_a_package(_folder: Path) -> None:
        raise ConfigurationError("the hand detector needs the package ai-edge-litert")

    monkeypatch.setattr(finding, "MediaPipeHands", lacks_a_package)
    done = call("predict", pictures, "-o", tmp_path / "b", "--workspace", detector)
    assert done.exit_code == 0
    assert "is taken for the hand; the hand detector needs the package ai-edge" in done.output


def test_a_damaged_detector_is_not_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "workspace" / "detector"
    folder.mkdir(parents=True)
    for name in models.SHA256:
        (folder / name).write_bytes(b"damaged")
    pictures = saved(tmp_path / "in", two=2)
    done = call("predict", pictures, "-o", tmp_path / "a", "--workspace", folder.parent)
    assert isinstance(done.exception, DataError)
    assert "must have the SHA-256" in str(done.exception)


def test_pictures_of_every_kind_are_predicted(tmp_path: Path) -> None:
    place = tmp_path / "Bilder für uns"
    place.mkdir()
    pixels = RANDOM.integers(0, 255, (48, 64, 3), dtype=np.uint8)
    plain, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(place / "16 bit.png")
    plain.convert("L").save(place / "grey.png")
    plain.convert("CMYK").save(place / "cmyk.jpg")
    plain.convert("P").save(place / "palette.png")
    plain.save(place / "gedreht ß.jpg", exif=exif)
    output = tmp_path / "out"
    done = call("predict", place, "-o", output, "--workspace", tmp_path)
    assert done.exit_code == 0, done.output
    table = pq.read_table(output / "hands.parquet").to_pylist()
    assert len(table) == 5
    assert all(np.isfinite(row["vertices"]).all() for row in table)
    centres = {row["picture"]: row["intrinsics_px"][2::3][:2] for row in table}
    assert centres.pop("gedreht ß.jpg") == [23.5, 31.5]
    assert set(map(tuple, centres.values())) == {(31.5, 23.5)}


@pytest.mark.parametrize("free", [True, False])
def test_an_export_of_mano_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: bool
) -> None:
    path = tmp_path / "hand.onnx"
    monkeypatch.setattr(
        s2hand.onnx_export, "export_onnx", lambda _model, target: target.write_bytes(b"graph")
    )
    monkeypatch.setattr(s2hand.onnx_export, "is_free", lambda _model: free)
    done = call("export", "-o", path)
    assert done.exit_code == 0, done.output
    assert path.read_bytes() == b"graph"
    assert ("this file holds MANO" in done.output) is not free


@pytest.mark.parametrize(("name", "told"), [("x.pt", "ends in .onnx"), ("no/x.onnx", "no folder")])
def test_where_an_export_goes_is_checked_first(tmp_path: Path, name: str, told: str) -> None:
    done = call("export", "-o", tmp_path / name)
    assert isinstance(done.exception, SpecError)
    assert told in str(done.exception)
