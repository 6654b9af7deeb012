"""FreiHAND: 32 560 photographs of hands, and 3 960 to evaluate on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from s2hand.data.files import (
    clipping_notes,
    find_images,
    images_by_stem,
    is_present,
    project_truth,
    read_json_array,
    refuse_dangling,
    require_folder,
)
from s2hand.data.loader import Loader, Survey
from s2hand.data.packing import stored_size_px, stored_sizes_px
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.hand.fingertips import S2HAND_FINGERTIPS
from s2hand.keypoints.openpose import read_detections
from s2hand.layouts import Split

_FOLDERS: dict[Split, str] = {"train": "training", "test": "evaluation"}
_DETECTIONS: dict[Split, Path] = {
    "train": Path("openpose_v2/training/detect_all.json"),
    "test": Path("openpose/evaluation/detect.json"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Files:
    """What a split is read from; None where an optional file is not there or not wanted."""

    intrinsics: Path
    joints: Path | None
    vertices: Path | None
    detections: Path | None
    images: tuple[Path, ...]
    stored_intrinsics_px: Float32[np.ndarray, "stored 3 3"]
    """Of every image that the set has; ``images`` may be the first of them."""

    def paths(self) -> tuple[Path, ...]:
        optional = (self.joints, self.vertices, self.detections)
        return (self.intrinsics, *(path for path in optional if path is not None), *self.images)


def files_read(
    root: Path,
    split: Split,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    max_frames: int = 0,
) -> tuple[Path, ...]:
    """Name every file that ``load_freihand`` and decoding its images read.

    Raises:
        DataError: If the intrinsics, which count the images, or an image is missing.
    """
    return _find(root, split, keypoints, max_frames).paths()


def load_freihand(
    root: Path,
    split: Split,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    max_frames: int = 0,
) -> FrameTable:
    """Read FreiHAND's annotations in their official layout (``FreiHAND_pub_v2``).

    The training set is the originals in front of the green screen, images 0 to 32 559; the three
    recomposed copies of each are not used, as in the released code. Truth is optional: without
    ``*_xyz.json`` there are no ``joints``. ``vertices`` are read for the evaluation set only.

    Args:
        root: Folder that holds ``training``, ``evaluation`` and the detections.
        split: ``train`` or ``test``.
        keypoints: ``ground_truth`` puts projected truth, confidence 1, in place of detections.
            The test set may lack detections: then they are (0, 0) with confidence 0.
        max_frames: Keep only the first frames (0: all).

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others.
    """
    files = _find(root, split, keypoints, max_frames)
    stored, count = len(files.stored_intrinsics_px), len(files.images)

    def truth(path: Path | None, points: int) -> Float32[np.ndarray, "n points 3"] | None:
        return None if path is None else read_json_array(path, (points, 3), count=stored)[:count]

    joints, vertices = truth(files.joints, 21), truth(files.vertices, 778)
    intrinsics_px = files.stored_intrinsics_px[:count]
    notes: dict[str, str] = {}
    if keypoints == "ground_truth" and joints is not None:
        keypoints_px = project_truth(joints, intrinsics_px)
        confidence = np.ones((count, 21), np.float32)
    else:
        keypoints_px, confidence, notes = _detections(files)
    return FrameTable(
        sample_ids=tuple(f"{index:08d}" for index in range(count)),
        image_paths=files.images,
        intrinsics_px=intrinsics_px,
        sequences=("",) * count,
        frames=np.arange(count),
        detected_keypoints_px=keypoints_px,
        detection_confidence=confidence,
        crop_box_px=np.full((count, 4), np.nan, np.float32),
        joints=joints,
        vertices=vertices,
        fingertips=S2HAND_FINGERTIPS,
        notes=notes,
    )


def survey(root: Path, split: Split) -> Survey:
    """Look at a split's lists and folders.

    Raises:
        DataError: If the intrinsics or an image is missing.
    """
    files = _find(root, split, "detected", 0)
    in_folder = images_by_stem(root / _FOLDERS[split] / "rgb").values()
    truth = {"joints": files.joints, "vertices": files.vertices}
    return Survey(
        frames=len(files.images),
        sequences=(),
        image_files=len(in_folder),
        image_suffixes=tuple(sorted({path.suffix.lower() for path in in_folder})),
        image_size_px=stored_size_px(files.images[0]),
        truth=tuple(name for name, path in truth.items() if path is not None),
        detections=files.detections is not None and is_present(files.detections),
    )


LOADER = Loader(files_read=files_read, load=load_freihand, survey=survey)


def _find(
    root: Path, split: Split, keypoints: Literal["detected", "ground_truth"], max_frames: int
) -> _Files:
    """Find the files of a split; the one place that says which are read."""
    require_folder(root)
    name = _FOLDERS[split]
    intrinsics = root / f"{name}_K.json"
    stored_intrinsics_px = read_json_array(intrinsics, (3, 3))
    stored = len(stored_intrinsics_px)
    count = min(max_frames, stored) if max_frames else stored
    joints, vertices = root / f"{name}_xyz.json", root / f"{name}_verts.json"
    has_joints = is_present(joints)
    return _Files(
        intrinsics=intrinsics,
        joints=joints if has_joints else None,
        vertices=vertices if split == "test" and is_present(vertices) else None,
        detections=_detections_path(root, split, keypoints, has_joints=has_joints),
        images=find_images(root / name / "rgb", [f"{index:08d}" for index in range(count)]),
        stored_intrinsics_px=stored_intrinsics_px,
    )


def _detections_path(
    root: Path, split: Split, keypoints: Literal["detected", "ground_truth"], *, has_joints: bool
) -> Path | None:
    path = root / _DETECTIONS[split]
    if keypoints == "ground_truth" and has_joints:
        return None
    if keypoints == "ground_truth" and split == "train":
        raise DataError(
            f"{root / 'training_xyz.json'}: annotation file is missing, and "
            "data.keypoints='ground_truth' needs it; use 'detected' or complete the download"
        )
    return path if split == "train" or is_present(path) else None


def _detections(
    files: _Files,
) -> tuple[Float32[np.ndarray, "n 21 2"], Float32[np.ndarray, "n 21"], dict[str, str]]:
    """Return the images' keypoints and confidences, and what is to be said of their file."""
    count, path = len(files.images), files.detections
    if path is None:
        return np.zeros((count, 21, 2), np.float32), np.zeros((count, 21), np.float32), {}
    refuse_dangling(path)
    detections = read_detections(path, stored_sizes_px(files.images))
    stored = len(files.stored_intrinsics_px)
    # A detector that ran over the whole training folder saw the recomposed copies as well.
    if len(detections) not in {stored, len(images_by_stem(files.images[0].parent))}:
        raise DataError(
            f"{path}: must hold one entry per image ({stored}), got {len(detections)}; detect again"
        )
    notes = clipping_notes(detections.num_clipped)
    return detections.keypoints_px[:count], detections.confidence[:count], notes
