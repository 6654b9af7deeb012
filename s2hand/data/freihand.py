"""FreiHAND: 32 560 photographs of hands, and 3 960 to evaluate on."""

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from s2hand.data.files import (
    check_split,
    find_images,
    images_by_stem,
    project_truth,
    read_json_array,
    require_folder,
)
from s2hand.data.packing import stored_size_px
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.keypoints.openpose import read_detections

_FOLDERS = {"train": "training", "test": "evaluation"}
_DETECTIONS = {
    "train": Path("openpose_v2/training/detect_all.json"),
    "test": Path("openpose/evaluation/detect.json"),
}


def load_freihand(
    root: Path,
    split: str,
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
    check_split(split)
    require_folder(root)
    name = _FOLDERS[split]
    intrinsics_px = read_json_array(root / f"{name}_K.json", (3, 3))
    count = len(intrinsics_px)
    joints = _optional(root / f"{name}_xyz.json", (21, 3), count)
    vertices = _optional(root / f"{name}_verts.json", (778, 3), count) if split == "test" else None
    stems = [f"{index:08d}" for index in range(count)]
    images = find_images(root / name / "rgb", stems)
    keypoints_px, confidence = _keypoints(root, split, keypoints, joints, intrinsics_px, images)
    table = FrameTable(
        sample_ids=tuple(stems),
        image_paths=images,
        intrinsics_px=intrinsics_px,
        sequences=("",) * count,
        frames=np.arange(count),
        detected_keypoints_px=keypoints_px,
        detection_confidence=confidence,
        crop_box_px=np.full((count, 4), np.nan, np.float32),
        joints=joints,
        vertices=vertices,
    )
    return table.select(np.arange(min(max_frames, count))) if max_frames else table


def _optional(
    path: Path, shape: tuple[int, int], count: int
) -> Float32[np.ndarray, "n points 3"] | None:
    return read_json_array(path, shape, count=count) if path.exists() else None


def _keypoints(
    root: Path,
    split: str,
    keypoints: Literal["detected", "ground_truth"],
    joints: Float32[np.ndarray, "n 21 3"] | None,
    intrinsics_px: Float32[np.ndarray, "n 3 3"],
    images: tuple[Path, ...],
) -> tuple[Float32[np.ndarray, "n 21 2"], Float32[np.ndarray, "n 21"]]:
    count, path = len(images), root / _DETECTIONS[split]
    if keypoints == "ground_truth" and joints is not None:
        return project_truth(joints, intrinsics_px), np.ones((count, 21), np.float32)
    if split == "test" and not path.exists():
        return np.zeros((count, 21, 2), np.float32), np.zeros((count, 21), np.float32)
    if keypoints == "ground_truth" and split == "train":
        raise DataError(
            f"{root / 'training_xyz.json'}: annotation file is missing, and "
            "data.keypoints='ground_truth' needs it; use 'detected' or complete the download"
        )
    detections = read_detections(path, stored_size_px(images[0]))
    # A detector that ran over the whole training folder saw the recomposed copies as well.
    if len(detections) not in {count, len(images_by_stem(images[0].parent))}:
        raise DataError(
            f"{path}: must hold one entry per image ({count}), got {len(detections)}; detect again"
        )
    return detections.keypoints_px[:count], detections.confidence[:count]
