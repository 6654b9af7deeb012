"""The commands that fetch a hand detector, run it, and write detections in other layouts."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from s2hand.errors import DataError
from s2hand.keypoints.detector import mediapipe, models
from s2hand.keypoints.hands import FoundHand
from s2hand.keypoints.openpose import read_detections
from s2hand.keypoints.tables import read_table
from s2hand_platform.cli.mapping import map_parts
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments import command_groups

SIZES = {f"{number:04d}.png": (20, 10) for number in range(3)}


class FoundByBrightness:
    """Finds as many hands as the picture's first value says, right and left by turns."""

    name = "bright"
    version = "1"

    def __init__(self, folder: Path, *, is_crop: bool, has_joint_confidence: bool) -> None:
        self.folder = folder
        self.sure = 0.5 + 0.25 * is_crop + 0.125 * has_joint_confidence

    def find_hands(self, picture: np.ndarray) -> list[FoundHand]:
        return [
            FoundHand(
                keypoints_px=np.full((21, 2), number + 1, np.float32),
                confidence=np.full(21, self.sure, np.float32),
                right=float(number % 2 == 0),
            )
            for number in range(picture[0, 0, 0])
        ]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(mediapipe, "MediaPipeHands", FoundByBrightness)
    folder = tmp_path / "my pictures ü"
    folder.mkdir()
    for number, name in enumerate(SIZES):
        Image.fromarray(np.full((10, 20, 3), number, np.uint8)).save(folder / name)
    return folder


def keypoints(*arguments: str | Path) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(
        command_groups()["keypoints"], words, env={"COLUMNS": "200"}, obj=map_parts
    )


def test_hands_are_found_and_written_with_their_detector(pictures: Path, tmp_path: Path) -> None:
    output = tmp_path / "found" / "hands.json"
    done = keypoints("detect", pictures, "-o", output, "--workspace", tmp_path / "w")
    assert done.exit_code == 0, done.output
    assert "3 hands in 2 of 3 images\n" in done.stdout
    table = read_table(output, "hands", SIZES)
    assert (table.detector, table.version) == ("bright", "1")
    assert table.samples == ("0000.png", "0001.png", "0002.png", "0002.png")
    np.testing.assert_array_equal(table.right, [0.5, 1, 1, 0])
    np.testing.assert_array_equal(table.keypoints_px[:, 0, 0], [0, 1, 1, 2])


def test_training_s_file_is_made_of_one_side(pictures: Path, tmp_path: Path) -> None:
    output = tmp_path / "detect.json"
    for side, expected in (("right", [0, 1, 1]), ("left", [0, 0, 2])):
        done = keypoints("detect", pictures, "-o", output, "--layout", "detect", "--side", side)
        assert done.exit_code == 0, done.output
        found = read_detections(output, SIZES)
        np.testing.assert_array_equal(found.keypoints_px[:, 0, 0], expected)


def test_crops_are_looked_at_harder(pictures: Path, tmp_path: Path) -> None:
    assert keypoints("detect", pictures, "-o", tmp_path / "a", "--crops").exit_code == 0
    assert read_table(tmp_path / "a", "hands", SIZES).confidence.max() == 0.875


def test_joints_have_a_confidence_each_unless_one_is_enough(pictures: Path, tmp_path: Path) -> None:
    for words, expected in (((), 0.625), (("--one-confidence",), 0.5)):
        assert keypoints("detect", pictures, "-o", tmp_path / "a", *words).exit_code == 0
        assert read_table(tmp_path / "a", "hands", SIZES).confidence.max() == expected


def test_a_picture_that_cannot_be_read_is_listed_and_has_no_hand(
    pictures: Path, tmp_path: Path
) -> None:
    for number in range(7):
        (pictures / f"broken {number}.jpg").write_bytes(b"")
    done = keypoints("detect", pictures, "-o", tmp_path / "a")
    assert done.exit_code == 0, done.output
    assert "3 hands in 2 of 10 images; 7 without an entry or unreadable\n" in done.stdout
    assert "broken 4.jpg: must be a picture" in done.stderr
    assert "broken 5.jpg" not in done.stderr
    assert "and 2 more" in done.stderr


def test_detections_are_converted_for_training(pictures: Path, tmp_path: Path) -> None:
    hand = [value for number in range(21) for value in (number / 2, 3, 0.5)]
    hand[2] = 1.5
    folder = tmp_path / "openpose"
    folder.mkdir()
    for name, people in (
        ("2", [{"hand_left_keypoints_2d": [], "hand_right_keypoints_2d": hand}]),
        ("1", []),
        ("9", [{"hand_left_keypoints_2d": hand, "hand_right_keypoints_2d": []}]),
    ):
        (folder / f"{name}_keypoints.json").write_text(json.dumps({"people": people}))
    output = tmp_path / "detect.json"
    done = keypoints("convert", folder, "--from", "openpose", "--images", pictures, "-o", output)
    assert done.exit_code == 0, done.output
    told = "1 hands in 1 of 3 images; 1 without an entry or unreadable; 1 left out, as there is no "
    assert told + "such image; 1 confidences above 1 count as 1\n" in done.stdout
    found = read_detections(output, SIZES)
    np.testing.assert_array_equal(found.keypoints_px[2, :, 0], np.arange(21) / 2)
    assert found.confidence[2, 0] == 1
    assert not found.confidence[:2].any()


def test_places_that_cannot_be_written_are_refused_before(pictures: Path, tmp_path: Path) -> None:
    done = keypoints("detect", pictures, "-o", pictures)
    assert isinstance(done.exception, SpecError)
    assert "--output: must be a file for the layout hands" in str(done.exception)
    done = keypoints("detect", pictures, "-o", pictures, "--layout", "openpose")
    assert "must be a folder that does not exist yet for the layout openp" in str(done.exception)
    done = keypoints("detect", pictures, "-o", pictures / "0000.png" / "a")
    assert isinstance(done.exception, SpecError)
    assert "cannot be written (" in str(done.exception)


def test_the_detector_is_taken_into_the_workspace_or_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Path] = []
    monkeypatch.setattr(models, "fetch_models", fetched.append)
    done = keypoints("get-detector", "--workspace", tmp_path / "w")
    assert done.exit_code == 0, done.output
    assert fetched == [tmp_path / "w" / "detector"]
    done = keypoints("get-detector", "--workspace", tmp_path / "w", "--from", tmp_path)
    assert isinstance(done.exception, DataError)
    assert "palm_detection_full.tflite: model of the hand detector is missing" in str(
        done.exception
    )
