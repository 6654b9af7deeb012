"""What a server would read of our predictions, by its script's own rules, and what we read."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s2hand.data.build import Source
from s2hand.errors import DataError
from s2hand.layouts import LAYOUTS
from s2hand.submission import read_submission, write_submission


def official_reading(archive: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Read as both evaluation scripts do: an archive with pred.json, two lists, one entry each."""
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == ["pred.json"]
        content = json.load(opened.open("pred.json"))
    assert len(content) == 2, "Expected format mismatch."
    joints, vertices = content
    assert len(joints) == len(vertices) == count, "Expected format mismatch."
    for entry, mesh in zip(joints, vertices, strict=True):
        assert np.array(entry).shape == (21, 3)
        assert np.array(mesh).shape == (778, 3)
    return np.array(joints), np.array(vertices)


@pytest.fixture(params=["freihand", "ho3d"])
def source(request, make_freihand, make_ho3d) -> Source:
    make = make_freihand if request.param == "freihand" else make_ho3d
    folder = make()
    return Source(layout=LAYOUTS[request.param], folder=folder, split="test", settings={})


@pytest.fixture
def written(source, tmp_path) -> Path:
    """The truth as a submission."""
    table = source.load()
    path = tmp_path / "pred.zip"
    write_submission(
        path, source.layout.name, joints=table.joints, vertices=table.vertices,
        predicted_ids=table.sample_ids, asked_ids=source.survey().sample_ids,
    )  # fmt: skip
    return path


def test_the_truth_as_submission_is_what_the_server_s_files_hold(source, written):
    """In their joint order, their frame and metres: those files were written without our code."""
    truth = {
        name: np.array(json.loads((source.folder / f"evaluation_{name}.json").read_text()))
        for name in ("xyz", "verts")
    }
    joints, vertices = official_reading(written, len(truth["xyz"]))
    np.testing.assert_allclose(joints, truth["xyz"], atol=1.1e-6)
    np.testing.assert_allclose(vertices, truth["verts"], atol=1.1e-6)
    if source.layout.name == "ho3d":  # whose pred.py refuses hands that are all in OpenCV's frame
        assert not (joints[..., 2] > 0).all()


def test_what_was_written_is_read_again_zipped_or_not(source, written, tmp_path):
    table = source.load()
    with zipfile.ZipFile(written) as archive:
        plain = Path(archive.extract("pred.json", tmp_path))
    for path in (written, plain):
        read = read_submission(path, source.layout.name, table.sample_ids)
        np.testing.assert_allclose(read.joints, table.joints, atol=1.1e-6)
        np.testing.assert_allclose(read.vertices, table.vertices, atol=1.1e-6)


def test_rows_go_to_the_place_that_the_list_gives_them(source, written, tmp_path):
    """Equal predictions give equal files, whatever order they were made in."""
    table = source.load()
    backwards = table.select(np.arange(len(table))[::-1])
    again = tmp_path / "again.zip"
    write_submission(
        again, source.layout.name, joints=backwards.joints, vertices=backwards.vertices,
        predicted_ids=backwards.sample_ids, asked_ids=source.survey().sample_ids,
    )  # fmt: skip
    assert again.read_bytes() == written.read_bytes()


def test_many_entries_are_written_piece_by_piece_alike(source, written, tmp_path, monkeypatch):
    monkeypatch.setattr("s2hand.submission._ENTRIES_PER_PIECE", 2)
    table = source.load()
    again = tmp_path / "again.zip"
    write_submission(
        again, source.layout.name, joints=table.joints, vertices=table.vertices,
        predicted_ids=table.sample_ids, asked_ids=table.sample_ids,
    )  # fmt: skip
    assert again.read_bytes() == written.read_bytes()


def test_left_out_samples_are_named_and_nothing_is_written(source, tmp_path):
    table = source.load()
    fewer = table.select(np.array([0, 2, 3]))
    path, asked = tmp_path / "pred.zip", source.survey().sample_ids
    with pytest.raises(DataError) as refused:
        write_submission(
            path, source.layout.name, joints=fewer.joints, vertices=fewer.vertices,
            predicted_ids=fewer.sample_ids, asked_ids=asked,
        )  # fmt: skip
    left_out = [asked[1], *asked[4:]]
    expected = f"none was made for {', '.join(left_out)} ({len(left_out)} of {len(asked)})"
    assert str(refused.value).endswith(expected)
    broken = replace(table, joints=table.joints.copy())
    broken.joints[2, 5] = np.nan
    with pytest.raises(DataError, match=rf"NaN or infinity for {asked[2]} \(1 of {len(asked)}\)"):
        write_submission(
            path, source.layout.name, joints=broken.joints, vertices=broken.vertices,
            predicted_ids=broken.sample_ids, asked_ids=asked,
        )  # fmt: skip
    assert not path.exists()
    many = [f"{number:08d}" for number in range(30)]
    with pytest.raises(DataError, match=r"00000014 and 15 more \(25 of 30\)"):
        write_submission(
            path, "freihand", joints=np.zeros((5, 21, 3)), vertices=np.zeros((5, 778, 3)),
            predicted_ids=many[:5], asked_ids=many,
        )  # fmt: skip


ENTRY = np.full((21, 3), 0.5).tolist()
MESH = np.full((778, 3), 0.5).tolist()
IDS = ("A/0001", "A/0002", "B/0001")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"xyz": []}, "must hold a list of two lists, joints and vertices, got a dict"),
        ([[ENTRY] * 3], "got a list of 1"),
        ([[ENTRY] * 3, None], "the vertices must be a list, got a NoneType"),
        ([[ENTRY] * 3, [MESH]], r"the vertices .* end before A/0002, B/0001 \(2 of 3\)"),
        ([[ENTRY] * 4, [MESH] * 3], "joints must have .* 3 frames of the list, got 4"),
        ([[ENTRY, None, ENTRY], [MESH] * 3], r"joints of A/0002 must have shape \(21, 3\)"),
        ([[ENTRY, ENTRY, [[1]]], [MESH] * 3], r"joints of B/0001 .* got \(1, 1\)"),
        ([[ENTRY] * 2 + [[["x"] * 3] * 21], [MESH] * 3], "B/0001 .* non-numeric values"),
        ([[ENTRY] * 3, [MESH, [[1e60] * 3] * 778, MESH]], r"infinity for A/0002 \(1 of 3\)"),
        ([[ENTRY] * 3, [MESH] * 3], "all joints behind it; y and z look flipped: .* OpenGL"),
    ],
)
def test_a_file_that_is_no_submission_says_what_it_lacks(tmp_path, content, message):
    path = tmp_path / "pred.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_submission(path, "ho3d", IDS)


def test_archives_that_hold_none_are_refused(tmp_path):
    path = tmp_path / "pred.zip"
    with pytest.raises(DataError, match=r"must be a complete pred\.json.* there is nothing"):
        read_submission(path, "ho3d", IDS)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("results/pred.json", "[]")
    with pytest.raises(DataError, match=r"at its top, got results/pred\.json; zip the file alone"):
        read_submission(path, "ho3d", IDS)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pred.json", json.dumps([[ENTRY] * 3, [MESH] * 3]))
    damaged = bytearray(whole.getvalue())
    damaged[60:80] = bytes(20)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"pred\.zip: must be a complete pred\.json"):
        read_submission(path, "ho3d", IDS)
    path.write_bytes(whole.getvalue()[:-30])
    with pytest.raises(DataError, match="there is a zip archive"):
        read_submission(path, "ho3d", IDS)
