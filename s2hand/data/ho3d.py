"""HO-3D: sequences of a hand that holds an object, versions 2 (PNG) and 3 (JPEG)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32

from s2hand.data.extents import detected_extents
from s2hand.data.files import (
    SPLITS,
    detection_notes,
    find_images,
    images_by_stem,
    is_present,
    listable_images,
    number_in,
    project_truth,
    read_folder_detections,
    read_json_array,
    refuse_dangling,
    require_folder,
)
from s2hand.data.loader import FileCheck, Loader, Survey
from s2hand.data.packing import decoded_size_px, first_size_px, stored_size_px
from s2hand.data.plausibility import Share, judge, lengths, require_cameras, require_hands
from s2hand.data.postures import posture_share
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.geometry.rotations import (
    axis_angle_to_quaternion,
    quaternion_multiply,
    quaternion_to_axis_angle,
)
from s2hand.hand.fingertips import HO3D_FINGERTIPS
from s2hand.hand.joints import joint_permutation
from s2hand.hand.pickles import load_restricted, numbers_of
from s2hand.keypoints.openpose import read_detections
from s2hand.layouts import Split

_FOLDERS: dict[Split, str] = dict(zip(SPLITS, ("train", "evaluation"), strict=True))
_OPENGL_TO_OPENCV = np.array([1, -1, -1], np.float32)
_HALF_TURN_ABOUT_X = (0.0, 1.0, 0.0, 0.0)
"""The same change of frame as a quaternion."""
_FRAME = "HO-3D's files are in OpenGL's frame, with y up and z back"
_FROM_HO3D = joint_permutation("mano_tips", "openpose")
_SAME_WRIST_M = 0.01

_TRAIN_FIELDS: dict[str, tuple[int, ...]] = {
    "camMat": (3, 3),
    "handJoints3D": (21, 3),
    "handPose": (48,),
}
_TEST_TRUTH = {"joints": "evaluation_xyz.json", "vertices": "evaluation_verts.json"}
_TEST_FIELDS: dict[str, tuple[int, ...]] = {"camMat": (3, 3), "handBoundingBox": (4,)}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    sequence: str
    stem: str

    @property
    def sample_id(self) -> str:
        return f"{self.sequence}/{self.stem}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Files:
    """What a split is read from, and what had to be read to know that."""

    list_path: Path
    listed: list[_Frame]
    read_meta: tuple[Path, ...]
    """Of all frames up to the last one that is kept, those without annotation included."""
    frames: list[_Frame]
    """The annotated frames that are kept."""
    meta: list[dict[str, np.ndarray]]
    """Their fields."""
    images: tuple[Path, ...]
    joints: Path | None
    vertices: Path | None
    detections: dict[str, Path]
    """By sequence; empty where they are not wanted."""

    def paths(self) -> tuple[Path, ...]:
        truth = tuple(path for path in (self.joints, self.vertices) if path is not None)
        return (self.list_path, *self.read_meta, *truth, *self.detections.values(), *self.images)


def files_read(
    root: Path,
    split: Split,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    train_crop: Literal["truth", "detections"] = "truth",
    max_frames: int = 0,
) -> tuple[Path, ...]:
    """Name every file that ``load_ho3d`` and decoding its images read.

    What a crop is computed from does not change that.

    Raises:
        DataError: If the list, a meta file or an image is missing or truncated.
    """
    return _find(root, split, keypoints, max_frames).paths()


def load_ho3d(
    root: Path,
    split: Split,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    train_crop: Literal["truth", "detections"] = "truth",
    max_frames: int = 0,
) -> FrameTable:
    """Read HO-3D's annotations in their official layout.

    Joints and rotations are brought from HO-3D's order and OpenGL frame to ours. Training frames
    without annotation (``None`` in their meta file) are left out and counted in the notes. The
    evaluation set has its boxes from ``handBoundingBox`` and its truth, where the files exist,
    from ``evaluation_xyz.json`` and ``evaluation_verts.json``. The images of a sequence have one
    size; sequences may differ.

    Args:
        root: Folder that holds ``train``, ``evaluation``, ``train.txt``, ``evaluation.txt`` and
            ``openpose``.
        split: ``train`` or ``test``.
        keypoints: ``ground_truth`` puts projected truth, confidence 1, in place of detections.
            The test set may lack detections: then they are (0, 0) with confidence 0.
            They belong to images by file name; see :func:`read_detections`.
        train_crop: Whether a training crop's extent is that of projected truth, or of the
            keypoints with a confidence of at least 0.1 (fewer than three: the whole image).
        max_frames: Keep only the first annotated frames of the list (0: all).

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others, or what they hold
            cannot be true, by itself or in the set's statistics.
    """
    files = _find(root, split, keypoints, max_frames)
    frames, meta = files.frames, files.meta
    meta_files = f"{root / _FOLDERS[split]}/*/meta/*.pkl"
    joints, vertices = _truth(files, split, meta_files)
    rotations = _opencv_rotations(_column(meta, "handPose")) if split == "train" else None
    sample_ids = tuple(frame.sample_id for frame in frames)
    intrinsics_px = _column(meta, "camMat")
    require_cameras(intrinsics_px, sample_ids, meta_files)
    sizes_px = _sizes_px(files)
    stored_px = np.array([sizes_px[frame.sequence] for frame in frames], np.int64)
    notes: dict[str, str] = {}
    if without := len(files.read_meta) - len(frames):
        notes["annotations"] = f"{without:,} frames have none and are left out"
    detection_files = f"{root}/openpose/*/detect.json" if files.detections else ""
    if keypoints == "ground_truth" and joints is not None:
        detected_px = project_truth(joints, intrinsics_px)
        confidence = np.ones((len(frames), 21), np.float32)
    else:
        detected_px, confidence, about_detections = _detections(files, sizes_px)
        notes |= about_detections
    if split == "test":
        boxes = _boxes(files)
    elif train_crop == "truth" and joints is not None:
        boxes = _extents(project_truth(joints, intrinsics_px))
    else:
        boxes = detected_extents(detected_px, confidence, stored_px.astype(np.float32))
    table = FrameTable(
        sample_ids=sample_ids,
        image_paths=files.images,
        intrinsics_px=intrinsics_px,
        sequences=tuple(frame.sequence for frame in frames),
        frames=np.array([number_in(frame.stem, frame.sample_id) for frame in frames], np.int64),
        detected_keypoints_px=detected_px,
        detection_confidence=confidence,
        crop_box_px=boxes,
        joints=joints,
        vertices=vertices,
        rotations=rotations,
        fingertips=HO3D_FINGERTIPS,
    )
    notes |= judge(
        table,
        stored_px,
        truth=meta_files if split == "train" else str(files.joints),
        detections=detection_files,
        boxes=meta_files,
        more=tuple(_own_shares(files, table, meta_files)),
    )
    return replace(table, notes=notes)


def survey(root: Path, split: Split) -> Survey:
    """Look at a split's list and folders; meta files are not read.

    Raises:
        DataError: If the list or a folder of images is missing, or no listed frame has an image.
    """
    require_folder(root)
    folder = root / _FOLDERS[split]
    stems: dict[str, list[str]] = {}
    listed = _read_list(root / f"{_FOLDERS[split]}.txt")
    for frame in listed:
        stems.setdefault(frame.sequence, []).append(frame.stem)
    images = [
        found[stem]
        for sequence, names in stems.items()
        for found in [images_by_stem(folder / sequence / "rgb")]
        for stem in names
        if stem in found
    ]
    if not images:
        raise DataError(f"{folder}: none of the listed frames has an image; complete the download")
    if split == "train":
        truth: tuple[str, ...] = ("joints", "rotations")
    else:
        paths = {name: root / file for name, file in _TEST_TRUTH.items()}
        truth = tuple(name for name, path in paths.items() if is_present(path))
    return Survey(
        sample_ids=tuple(frame.sample_id for frame in listed),
        sequences=tuple(sorted(stems)),
        image_files=len(images),
        image_suffixes=tuple(sorted({path.suffix.lower() for path in images})),
        image_size_px=first_size_px(images),
        truth=truth,
        detections=all(is_present(_detections_path(root, sequence)) for sequence in stems),
    )


def file_checks(root: Path, split: Split) -> Iterator[FileCheck]:
    """Name every file of a split with what reads it; no others, where the list cannot be read."""
    list_path, folder = root / f"{_FOLDERS[split]}.txt", root / _FOLDERS[split]
    yield FileCheck(kind="folder", path=folder, read=partial(require_folder, folder))
    yield FileCheck(kind=list_path.name, path=list_path, read=partial(_read_list, list_path))
    try:
        listed = _read_list(list_path)
    except DataError:
        return
    if split == "test":
        for name, points in {"joints": 21, "vertices": 778}.items():
            path = root / _TEST_TRUTH[name]
            read = partial(read_json_array, path, (points, 3), count=len(listed))
            yield FileCheck(kind=path.name, path=path, read=read, needed=False)
    sequences: dict[str, list[_Frame]] = {}
    for frame in listed:
        sequences.setdefault(frame.sequence, []).append(frame)
    for frames in sequences.values():
        yield from _sequence_checks(root, split, frames)


def _sequence_checks(root: Path, split: Split, frames: list[_Frame]) -> Iterator[FileCheck]:
    folder, sequence = root / _FOLDERS[split], frames[0].sequence
    rgb = folder / sequence / "rgb"
    yield FileCheck(kind="folders of images", path=rgb, read=partial(images_by_stem, rgb))
    present = listable_images(rgb)
    images = [present.get(frame.stem, rgb / f"{frame.stem}.png") for frame in frames]
    for frame, image in zip(frames, images, strict=True):
        meta = _meta_path(folder, frame)
        yield FileCheck(kind="meta files", path=meta, read=partial(_read_fields, meta, split))
        read = partial(_require_size, image, images[0])
        yield FileCheck(kind="images", path=image, read=read)
    detections = _detections_path(root, sequence)
    read_all = partial(read_folder_detections, detections, images, list(present.values()))
    yield FileCheck(kind="detections", path=detections, read=read_all, needed=False)


LOADER = Loader(files_read=files_read, load=load_ho3d, survey=survey, file_checks=file_checks)


def _require_size(image: Path, first: Path) -> None:
    """Decode an image, which must be as large as the first one of its sequence."""
    size_px = decoded_size_px(image)
    try:
        first_px = stored_size_px(first)
    except DataError:  # it has a check of its own
        return
    if size_px != first_px:
        raise DataError(
            f"{image}: the images of a sequence must have one size, got "
            f"{'x'.join(map(str, size_px))} and {'x'.join(map(str, first_px))} of {first.name}"
        )


def _find(
    root: Path, split: Split, keypoints: Literal["detected", "ground_truth"], max_frames: int
) -> _Files:
    """Find the files of a split; the one place that says which are read."""
    require_folder(root)
    folder, list_path = root / _FOLDERS[split], root / f"{_FOLDERS[split]}.txt"
    listed = _read_list(list_path)
    read_meta, frames, meta = _read_meta(folder, listed, split, max_frames)
    truth: dict[str, Path] = {}
    detections: dict[str, Path] = {}
    if split == "test":
        paths = {name: root / file for name, file in _TEST_TRUTH.items()}
        truth = {name: path for name, path in paths.items() if is_present(path)}
    if keypoints == "detected" or (split == "test" and "joints" not in truth):
        sequences = dict.fromkeys(frame.sequence for frame in frames)
        detections = {name: _detections_path(root, name) for name in sequences}
        if split == "test":
            detections = {name: path for name, path in detections.items() if is_present(path)}
    return _Files(
        list_path=list_path,
        listed=listed,
        read_meta=read_meta,
        frames=frames,
        meta=meta,
        images=_find_images(folder, frames),
        joints=truth.get("joints"),
        vertices=truth.get("vertices"),
        detections=detections,
    )


def _detections_path(root: Path, sequence: str) -> Path:
    return root / "openpose" / sequence / "detect.json"


def _read_list(path: Path) -> list[_Frame]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        refuse_dangling(path)
        raise DataError(
            f"{path}: list of frames is missing or unreadable ({error}); "
            "docs/datasets.md shows the layout"
        ) from error
    frames = []
    for number, line in enumerate(lines, start=1):
        sequence, _, stem = line.partition("/")
        if not sequence or not sequence.isprintable() or not stem.isdecimal():
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
    folder: Path, listed: list[_Frame], split: Split, max_frames: int
) -> tuple[tuple[Path, ...], list[_Frame], list[dict[str, np.ndarray]]]:
    """Return the meta files that were read, the annotated frames, and their fields."""
    limit = max_frames or len(listed)
    read: list[Path] = []
    frames: list[_Frame] = []
    columns: list[dict[str, np.ndarray]] = []
    for frame in listed:
        if len(frames) == limit:
            break
        path = _meta_path(folder, frame)
        fields = _read_fields(path, split)
        read.append(path)
        if fields is not None:
            frames.append(frame)
            columns.append(fields)
    if not frames:
        raise DataError(f"{folder}: none of the {len(listed)} listed frames has an annotation")
    return tuple(read), frames, columns


def _meta_path(folder: Path, frame: _Frame) -> Path:
    return folder / frame.sequence / "meta" / f"{frame.stem}.pkl"


def _read_fields(path: Path, split: Split) -> dict[str, np.ndarray] | None:
    """Read what is needed of a meta file; None: a training frame without annotation."""
    wanted = _TRAIN_FIELDS if split == "train" else _TEST_FIELDS
    content = _load_meta(path)
    if split == "train" and any(content.get(name, 0) is None for name in wanted):
        return None
    fields = {name: _field(path, content, name, wanted[name]) for name in wanted}
    return fields if split == "train" else fields | {"wrist": _wrist(path, content)}


def _load_meta(path: Path) -> dict[Any, Any]:
    try:
        content = load_restricted(path, what="HO-3D meta file")
    except DataError:
        refuse_dangling(path)
        raise
    if not isinstance(content, dict):
        raise DataError(f"{path}: must hold a dictionary, got a {type(content).__name__}")
    return content


def _field(
    path: Path, content: dict[Any, Any], name: str, shape: tuple[int, ...]
) -> Float32[np.ndarray, "..."]:
    if content.get(name) is None:
        raise DataError(f"{path}: field '{name}' of shape {shape} is missing; download it again")
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            values = numbers_of(content[name]).astype(np.float32)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0, np.float32)
    if values.shape != shape or not np.isfinite(values).all():
        raise DataError(
            f"{path}: field '{name}' must hold finite numbers of shape {shape}, "
            f"got shape {values.shape}" + ("" if values.shape != shape else " with NaN or infinity")
        )
    return values


def _wrist(path: Path, content: dict[Any, Any]) -> Float32[np.ndarray, "3"]:
    """Return the wrist that an evaluation frame's file tells; NaN where it tells none."""
    told = content.get("handJoints3D")
    if told is None:
        return np.full(3, np.nan, np.float32)
    shape = (21, 3) if isinstance(told, np.ndarray) and told.ndim == 2 else (3,)
    return _field(path, content, "handJoints3D", shape).reshape(-1, 3)[0]


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
    files: _Files, split: Split, meta_files: str
) -> tuple[Float32[np.ndarray, "n 21 3"] | None, Float32[np.ndarray, "n 778 3"] | None]:
    ids = [frame.sample_id for frame in files.frames]
    joints = vertices = None
    if split == "train":
        joints = _opencv_joints(_column(files.meta, "handJoints3D"))
    elif files.joints is not None:
        joints = _opencv_joints(_read_truth(files, files.joints, 21))
    if joints is not None:
        where = meta_files if split == "train" else str(files.joints)
        require_hands(joints, ids, where, file_frame=_FRAME, file_order="mano_tips")
    if files.vertices is not None:
        vertices = _read_truth(files, files.vertices, 778) * _OPENGL_TO_OPENCV
        require_hands(vertices, ids, str(files.vertices), file_frame=_FRAME)
    return joints, vertices


def _read_truth(files: _Files, path: Path, points: int) -> Float32[np.ndarray, "n points 3"]:
    return read_json_array(path, (points, 3), count=len(files.listed))[: len(files.frames)]


def _own_shares(files: _Files, table: FrameTable, meta_files: str) -> Iterator[Share]:
    """Compare what these files tell twice: training poses, and the wrists of evaluation frames."""
    joints = table.joints
    if joints is None:
        return
    if table.rotations is not None:
        yield posture_share(joints, table.rotations, table.sequences, meta_files)
        return
    wrists = _column(files.meta, "wrist") * _OPENGL_TO_OPENCV
    is_known = ~np.isnan(wrists).any(axis=1)
    if is_known.any():
        distances_m = lengths(wrists - joints[:, 0])[is_known]
        yield Share(
            subject="wrists agree",
            value=float((distances_m < _SAME_WRIST_M).mean()),
            of=f"of the wrists lie within {100 * _SAME_WRIST_M:g} cm of those in {meta_files}",
            where=str(files.joints),
            remedy="the truth must be in the order of evaluation.txt, of the same release",
        )


def _opencv_joints(joints: Float32[np.ndarray, "n 21 3"]) -> Float32[np.ndarray, "n 21 3"]:
    return joints[:, _FROM_HO3D] * _OPENGL_TO_OPENCV


def _opencv_rotations(hand_pose: Float32[np.ndarray, "n 48"]) -> Float32[np.ndarray, "n 16 3"]:
    """Turn the wrist's rotation into our frame; the others are relative to their parents."""
    rotations = hand_pose.reshape(-1, 16, 3).copy()
    wrist = axis_angle_to_quaternion(torch.from_numpy(rotations[:, 0]))
    turn = torch.tensor(_HALF_TURN_ABOUT_X).expand_as(wrist)
    rotations[:, 0] = quaternion_to_axis_angle(quaternion_multiply(turn, wrist)).numpy()
    return rotations


def _sizes_px(files: _Files) -> dict[str, tuple[int, int]]:
    """Return each sequence's width and height, by its first image that can be read."""
    images: dict[str, list[Path]] = {}
    for frame, path in zip(files.frames, files.images, strict=True):
        images.setdefault(frame.sequence, []).append(path)
    return {sequence: first_size_px(paths) for sequence, paths in images.items()}


def _detections(
    files: _Files, sizes_px: dict[str, tuple[int, int]]
) -> tuple[Float32[np.ndarray, "n 21 2"], Float32[np.ndarray, "n 21"], dict[str, str]]:
    """Return the frames' keypoints and confidences, and what is to be said of their files."""
    keypoints_px = np.zeros((len(files.frames), 21, 2), np.float32)
    confidence = np.zeros((len(files.frames), 21), np.float32)
    rows: dict[str, list[int]] = {}
    for row, frame in enumerate(files.frames):
        rows.setdefault(frame.sequence, []).append(row)
    read = []
    for sequence, path in files.detections.items():
        refuse_dangling(path)
        images = {files.images[row].name: sizes_px[sequence] for row in rows[sequence]}
        folder = files.images[rows[sequence][0]].parent
        others = [image.name for image in images_by_stem(folder).values()]
        detections = read_detections(path, images, others=others)
        keypoints_px[rows[sequence]] = detections.keypoints_px
        confidence[rows[sequence]] = detections.confidence
        read.append(detections)
    return keypoints_px, confidence, detection_notes(read)


def _boxes(files: _Files) -> Float32[np.ndarray, "n 4"]:
    """Return the boxes of an evaluation split, of which every frame is annotated."""
    boxes = _column(files.meta, "handBoundingBox")
    disordered = (boxes[:, :2] >= boxes[:, 2:]).any(axis=1)
    if disordered.any():
        first = int(np.argmax(disordered))
        raise DataError(
            f"{files.read_meta[first]}: field 'handBoundingBox' must be x0, y0, x1, y1 with "
            f"x0 < x1 and y0 < y1 (left, top, right, bottom), got {boxes[first].tolist()} "
            f"({disordered.sum():,} such boxes); bring the corners into that order, or download "
            "the files again"
        )
    return boxes


def _extents(points_px: Float32[np.ndarray, "n points 2"]) -> Float32[np.ndarray, "n 4"]:
    return np.concatenate([points_px.min(axis=1), points_px.max(axis=1)], axis=1)
