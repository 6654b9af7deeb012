import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from s2hand.errors import DataError
from s2hand.keypoints.detector import models
from s2hand.keypoints.detector.models import (
    LANDMARKS,
    PALM,
    SHA256,
    fetch_models,
    read_models,
    take_models,
)

CONTENTS = {PALM: b"palms", LANDMARKS: b"points"}
IN_WHEEL = {
    PALM: "mediapipe/modules/palm_detection/palm_detection_full.tflite",
    LANDMARKS: "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
}


@pytest.fixture(autouse=True)
def small_models(monkeypatch):
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
    monkeypatch.setattr(models, "SHA256", digests)


def test_the_models_are_named_by_the_whole_of_their_digests():
    assert SHA256.keys() == {PALM, LANDMARKS}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in SHA256.values())


def make_folder(folder: Path, **changes: bytes) -> Path:
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(changes.get(name.partition("_")[0], content))
    return folder


def make_wheel(path: Path, contents: dict[str, bytes] = CONTENTS) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in contents.items():
            wheel.writestr(IN_WHEEL[name], content)
        wheel.writestr("mediapipe/other.py", "raise SystemExit")
    return path


def test_models_are_taken_from_a_folder_or_a_wheel(tmp_path):
    for number, source in enumerate([make_folder(tmp_path / "a"), make_wheel(tmp_path / "m.whl")]):
        target = tmp_path / "deep" / str(number)
        for _ in range(2):
            take_models(source, target)
        assert {file.name: file.read_bytes() for file in target.iterdir()} == CONTENTS
        assert read_models(target) == CONTENTS


def test_another_file_is_refused_and_nothing_is_written(tmp_path):
    for source in (
        make_folder(tmp_path / "a", hand=b"others"),
        make_wheel(tmp_path / "m.whl", {**CONTENTS, LANDMARKS: b"others"}),
    ):
        with pytest.raises(
            DataError, match=r"hand_landmark_full.tflite must have the SHA-256"
        ) as e:
            take_models(source, tmp_path / "target")
        assert str(source) in str(e.value)
        assert hashlib.sha256(b"others").hexdigest() in str(e.value)
    assert not (tmp_path / "target").exists()


def test_what_is_missing_or_no_wheel_is_named(tmp_path):
    folder = make_folder(tmp_path / "a")
    (folder / LANDMARKS).unlink()
    with pytest.raises(
        DataError,
        match=r"a/hand_landmark_full.tflite: .* nothing; run: s2hand keypoints get-detector$",
    ):
        read_models(folder)
    (tmp_path / "text.whl").write_text("<html>")
    with pytest.raises(DataError, match=r"text.whl: must be the wheel of mediapipe==0.10.21 or a"):
        read_models(tmp_path / "text.whl")
    with pytest.raises(
        DataError, match=r"less.whl: must be the wheel .*, could not be read: .*pal"
    ):
        read_models(make_wheel(tmp_path / "less.whl", {LANDMARKS: b"points"}))


def test_the_wheel_is_fetched_by_this_python_s_pip_and_not_installed(tmp_path, monkeypatch):
    seen = []

    def download(command, *, capture_output, text, check):
        assert (capture_output, text, check) == (True, True, False)  # it is told what pip says
        folder = Path(command[command.index("--dest") + 1])
        seen.extend([command, folder])
        make_wheel(folder / "mediapipe-0.10.21-cp312-cp312-manylinux_2_28_x86_64.whl")
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", download)
    fetch_models(tmp_path / "detector")
    assert read_models(tmp_path / "detector") == CONTENTS
    command, folder = seen
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "mediapipe==0.10.21"} < set(command)
    # A wheel of that name is found whatever runs here.
    assert command[command.index("--python-version") + 1] == "3.12"
    assert "--platform=manylinux_2_28_x86_64" in command
    assert not folder.exists()


def test_what_pip_says_is_told(tmp_path, monkeypatch):
    answers = [SimpleNamespace(returncode=1, stderr="a\nERROR: no index\n\n")]
    answers.append(SimpleNamespace(returncode=0, stderr=""))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answers.pop(0))
    with pytest.raises(DataError, match=r"pip could not .* said: ERROR: no index; get .* --from$"):
        fetch_models(tmp_path / "detector")
    with pytest.raises(
        DataError, match=r"mediapipe==0.10.21: pip could not fetch it and said: nothing; get"
    ):
        fetch_models(tmp_path / "detector")

    def stopped(command, **_):
        make_wheel(Path(command[command.index("--dest") + 1]) / "mediapipe.whl")
        return SimpleNamespace(returncode=1, stderr="ERROR: stopped")

    monkeypatch.setattr(subprocess, "run", stopped)
    with pytest.raises(DataError, match=r"pip could not fetch it and said: ERROR: stopped"):
        fetch_models(tmp_path / "detector")
    assert not (tmp_path / "detector").exists()
