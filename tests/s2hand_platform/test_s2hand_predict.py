"""The commands that use a trained model: on pictures of all kinds, and as ONNX."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import trimesh
import typer
from PIL import Image
from typer.testing import CliRunner, Result

import s2hand.onnx_export
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import command_groups

RANDOM = np.random.default_rng(4)
MESHES = {"hand.obj", "hand.ply", "hand.glb"}


def call(name: str, *arguments: object) -> Result:
    app = typer.Typer()
    app.command()(command_groups()[name])
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


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
    assert "wrote 2 of 3 hands" in done.output
    assert "whole picture" not in done.output
    assert {path.name for path in output.iterdir()} == {"b.jpg", "c.png", "hands.parquet"}
    for place in (output / "b.jpg", output / "c.png"):
        assert {path.name for path in place.iterdir()} == MESHES | {
            *("overlay.png", "side.png", "hand.json")
        }
    table = pq.read_table(output / "hands.parquet").to_pylist()
    assert [row["picture"] for row in table] == ["b.jpg", "c.png"]
    assert [(row["camera"], row["depth"]) for row in table] == [
        ("exif", "metric"), ("guessed", "relative"),
    ]  # fmt: skip
    # 80 px is the diagonal of 64×48.
    assert table[0]["intrinsics_px"][0] == pytest.approx(50 / 43.2666 * 80, rel=1e-4)
    assert table[1]["intrinsics_px"] == [64, 0, 31.5, 0, 64, 23.5, 0, 0, 1]
    hand = json.loads((output / "c.png" / "hand.json").read_text())
    assert hand["mirrored"] is True
    assert hand["depth"] == "relative"
    assert hand["box_px"] == [10, 5, 50, 45]
    for name in ("joints", "keypoints_px", "vertices"):
        np.testing.assert_allclose(table[1][name], np.ravel(hand[name]), rtol=1e-5)
    for name, values in hand["parameters"].items():
        np.testing.assert_allclose(table[1][name], np.ravel(values), rtol=1e-5, err_msg=name)
    mesh = trimesh.load(output / "c.png" / "hand.ply", process=False)
    np.testing.assert_allclose(mesh.vertices, hand["vertices"], atol=1e-6)
    with Image.open(output / "c.png" / "overlay.png") as overlay:
        assert overlay.size == (64, 48)


def test_without_a_box_the_picture_is_the_hand(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = call("predict", folder / "b.jpg", "-o", output, "--intrinsics", "90,91,30,20")
    assert done.exit_code == 0, done.output
    assert "no --box: the whole picture is taken for the hand" in done.output
    assert "b.jpg: focal length 90 px as given" in done.output
    hand = json.loads((output / "b.jpg" / "hand.json").read_text())
    assert hand["camera"] == {
        "source": "given", "intrinsics_px": [[90, 0, 30], [0, 91, 20], [0, 0, 1]]
    }  # fmt: skip
    assert hand["depth"] == "metric"
    assert hand["mirrored"] is False
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
