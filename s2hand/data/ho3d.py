"""HO-3D: sequences of a hand that holds an object, versions 2 (PNG) and 3 (JPEG)."""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32

from s2hand.data.files import (
    SPLITS,
    check_split,
    find_images,
    number_in,
    project_truth,
    read_json_array,
    require_folder,
)
from s2hand.data.packing import stored_size_px
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.geometry.rotations import (
    axis_angle_to_quaternion,
    quaternion_multiply,
    quaternion_to_axis_angle,
)
from s2hand.hand.joints import joint_permutation
from s2hand.hand.pickles import load_restricted
from s2hand.keypoints.openpose import Detections, read_detections

_FOLDERS = dict(zip(SPLITS, ("train", "evaluation"), strict=True))
_OPENGL_TO_OPENCV = np.array([1, -1, -1], np.float32)
_HALF_TURN_ABOUT_X = (0.0, 1.0, 0.0, 0.0)
"""The same change of frame as a quaternion."""
_FROM_HO3D = joint_permutation("mano_tips", "openpose")
_CONFIDENT = 0.1
"""Detections below this do not enter a crop's extent; the paper's threshold for images (§3.2.3)."""
_FEWEST_CONFIDENT = 3

_TRAIN_FIELDS: dict[str, tuple[int, ...]] = {
    "camMat": (3, 3),
    "handJoints3D": (21, 3),
    "handPose": (48,),
}
_TEST_FIELDS: dict[str, tuple[int, ...]] = {"camMat": (3, 3), "handBoundingBox": (4,)}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    sequence: str
    stem: str

    @property
    def sample_id(self) -> str:
        return f"{self.sequence}/{self.stem}"


def load_ho3d(
    root: Path,
    split: str,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    train_crop: Literal["truth", "detections"] = "truth",
    max_frames: int = 0,
) -> FrameTable:
    """Read HO-3D's annotations in their official layout.

    Joints and rotations are brought from HO-3D's order and OpenGL frame to ours. Training frames
    without annotation (``None`` in their meta file) are left out and counted in the log. The
    evaluation set has its boxes from ``handBoundingBox`` and its truth, where the files exist,
    from ``evaluation_xyz.json`` and ``evaluation_verts.json``.

    Args:
        root: Folder that holds ``train``, ``evaluation``, ``train.txt``, ``evaluation.txt`` and
            ``openpose``.
        split: ``train`` or ``test``.
        keypoints: ``ground_truth`` puts projected truth, confidence 1, in place of detections.
            The test set may lack detections: then they are (0, 0) with confidence 0.
        train_crop: Whether a training crop's extent is that of projected truth, or of the
            keypoints with a confidence of at least 0.1 (fewer than three: the whole image).
        max_frames: Keep only the first annotated frames of the list (0: all).

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others.
    """
    check_split(split)
    require_folder(root)
    folder = root / _FOLDERS[split]
    listed = _read_list(root / f"{_FOLDERS[split]}.txt")
    frames, meta = _read_meta(folder, listed, split, max_frames)
    images = _find_images(folder, frames)
    joints, vertices = _truth(root, split, meta, listed, len(frames))
    rotations = _opencv_rotations(_column(meta, "handPose")) if split == "train" else None
    intrinsics_px = _column(meta, "camMat")
    image_size_px = stored_size_px(images[0])
    if keypoints == "ground_truth" and joints is not None:
        detected_px = project_truth(joints, intrinsics_px)
        confidence = np.ones((len(frames), 21), np.float32)
    else:
        detected_px, confidence = _detections(root / "openpose", frames, image_size_px, split)
    if split == "test":
        boxes = _column(meta, "handBoundingBox")
    elif train_crop == "truth" and joints is not None:
        boxes = _extents(project_truth(joints, intrinsics_px))
    else:
        boxes = _detected_extents(detected_px, confidence, image_size_px)
    return FrameTable(
        sample_ids=tuple(frame.sample_id for frame in frames),
        image_paths=images,
        intrinsics_px=intrinsics_px,
        sequences=tuple(frame.sequence for frame in frames),
        frames=np.array([number_in(frame.stem, frame.sample_id) for frame in frames], np.int64),
        detected_keypoints_px=detected_px,
        detection_confidence=confidence,
        crop_box_px=boxes,
        joints=joints,
        vertices=vertices,
        rotations=rotations,
    )


def _read_list(path: Path) -> list[_Frame]:
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: list of frames is missing or unreadable ({error}); "
            "docs/datasets.md shows the layout"
        ) from error
    frames = []
    for number, line in enumerate(lines, start=1):
        sequence, _, stem = line.partition("/")
        if not sequence or not stem.isdecimal():
            raise DataError(f"{path}: line {number} must be SEQUENCE/FRAME, got {line!r}")
        frames.append(_Frame(sequence=sequence, stem=stem))
    if not frames:
        raise DataError(f"{path}: must list at least one frame, got none")
    commonest, times = Counter(frames).most_common(1)[0]
    if times > 1:
        raise DataError(
            f"{path}: every frame must be listed once, {commonest.sample_id} occurs {times} times"
        )
    return frames


def _read_meta(
    folder: Path, listed: list[_Frame], split: str, max_frames: int
) -> tuple[list[_Frame], list[dict[str, np.ndarray]]]:
    """Return the annotated frames and their fields."""
    wanted = _TRAIN_FIELDS if split == "train" else _TEST_FIELDS
    limit = max_frames or len(listed)
    frames: list[_Frame] = []
    columns: list[dict[str, np.ndarray]] = []
    skipped = 0
    for frame in listed:
        if len(frames) == limit:
            break
        path = folder / frame.sequence / "meta" / f"{frame.stem}.pkl"
        content = load_restricted(path, what="HO-3D meta file")
        if not isinstance(content, dict):
            raise DataError(f"{path}: must hold a dictionary, got a {type(content).__name__}")
        if split == "train" and any(content.get(name, 0) is None for name in wanted):
            skipped += 1
            continue
        frames.append(frame)
        columns.append({name: _field(path, content, name, wanted[name]) for name in wanted})
    if skipped:
        _log.info("%s: left out %d frames without annotation", folder, skipped)
    if not frames:
        raise DataError(f"{folder}: none of the {len(listed)} listed frames has an annotation")
    return frames, columns


def _field(
    path: Path, content: dict[str, Any], name: str, shape: tuple[int, ...]
) -> Float32[np.ndarray, "..."]:
    if content.get(name) is None:
        raise DataError(f"{path}: field '{name}' of shape {shape} is missing; download it again")
    try:
        values = np.asarray(content[name], np.float32)
    except (TypeError, ValueError):
        values = np.empty(0, np.float32)
    if values.shape != shape or not np.isfinite(values).all():
        raise DataError(
            f"{path}: field '{name}' must hold finite numbers of shape {shape}, "
            f"got shape {values.shape}" + ("" if values.shape != shape else " with NaN or infinity")
        )
    return values


def _column(meta: list[dict[str, np.ndarray]], name: str) -> Float32[np.ndarray, "n ..."]:
    return np.stack([fields[name] for fields in meta])


def _find_images(folder: Path, frames: list[_Frame]) -> tuple[Path, ...]:
    stems: dict[str, list[str]] = {}
    for frame in frames:
        stems.setdefault(frame.sequence, []).append(frame.stem)
    found = {
        sequence: dict(zip(names, find_images(folder / sequence / "rgb", names), strict=True))
        for sequence, names in stems.items()
    }
    return tuple(found[frame.sequence][frame.stem] for frame in frames)


def _truth(
    root: Path, split: str, meta: list[dict[str, np.ndarray]], listed: list[_Frame], count: int
) -> tuple[Float32[np.ndarray, "n 21 3"] | None, Float32[np.ndarray, "n 778 3"] | None]:
    if split == "train":
        return _opencv_joints(_column(meta, "handJoints3D")), None
    joints = vertices = None
    xyz, verts = root / "evaluation_xyz.json", root / "evaluation_verts.json"
    if xyz.exists():
        joints = _opencv_joints(read_json_array(xyz, (21, 3), count=len(listed))[:count])
    if verts.exists():
        vertices = read_json_array(verts, (778, 3), count=len(listed))[:count] * _OPENGL_TO_OPENCV
    return joints, vertices


def _opencv_joints(joints: Float32[np.ndarray, "n 21 3"]) -> Float32[np.ndarray, "n 21 3"]:
    return joints[:, _FROM_HO3D] * _OPENGL_TO_OPENCV


def _opencv_rotations(hand_pose: Float32[np.ndarray, "n 48"]) -> Float32[np.ndarray, "n 16 3"]:
    """Turn the wrist's rotation into our frame; the others are relative to their parents."""
    rotations = hand_pose.reshape(-1, 16, 3).copy()
    wrist = axis_angle_to_quaternion(torch.from_numpy(rotations[:, 0]))
    turn = torch.tensor(_HALF_TURN_ABOUT_X).expand_as(wrist)
    rotations[:, 0] = quaternion_to_axis_angle(quaternion_multiply(turn, wrist)).numpy()
    return rotations


def _detections(
    folder: Path, frames: list[_Frame], image_size_px: tuple[int, int], split: str
) -> tuple[Float32[np.ndarray, "n 21 2"], Float32[np.ndarray, "n 21"]]:
    keypoints_px = np.zeros((len(frames), 21, 2), np.float32)
    confidence = np.zeros((len(frames), 21), np.float32)
    files: dict[str, Detections | None] = {}
    for row, frame in enumerate(frames):
        path = folder / frame.sequence / "detect.json"
        if frame.sequence not in files:
            absent = split == "test" and not path.exists()
            files[frame.sequence] = None if absent else read_detections(path, image_size_px)
        detections, index = files[frame.sequence], int(frame.stem)
        if detections is None:
            continue
        if index >= len(detections):
            raise DataError(
                f"{path}: must hold an entry for every frame number of the sequence, got "
                f"{len(detections)} entries and frame {frame.stem}; detect on all frames again"
            )
        keypoints_px[row] = detections.keypoints_px[index]
        confidence[row] = detections.confidence[index]
    return keypoints_px, confidence


def _extents(points_px: Float32[np.ndarray, "n points 2"]) -> Float32[np.ndarray, "n 4"]:
    return np.concatenate([points_px.min(axis=1), points_px.max(axis=1)], axis=1)


def _detected_extents(
    keypoints_px: Float32[np.ndarray, "n 21 2"],
    confidence: Float32[np.ndarray, "n 21"],
    image_size_px: tuple[int, int],
) -> Float32[np.ndarray, "n 4"]:
    found = confidence >= _CONFIDENT
    low = np.where(found[..., None], keypoints_px, np.inf).min(axis=1)
    high = np.where(found[..., None], keypoints_px, -np.inf).max(axis=1)
    whole = np.array([0, 0, image_size_px[0] - 1, image_size_px[1] - 1], np.float32)
    enough = found.sum(axis=1, keepdims=True) >= _FEWEST_CONFIDENT
    return np.where(enough, np.concatenate([low, high], axis=1), whole).astype(np.float32)
