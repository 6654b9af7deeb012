"""FreiHAND: 32 560 photographs of hands, and 3 960 to evaluate on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32, Int64

from s2hand.data.files import (
    detection_notes,
    find_images,
    images_by_stem,
    is_present,
    listable_images,
    project_truth,
    read_folder_detections,
    read_json_array,
    refuse_dangling,
    require_folder,
)
from s2hand.data.loader import FileCheck, Loader, Survey
from s2hand.data.packing import decoded_size_px, first_size_px, stored_sizes_px
from s2hand.data.plausibility import Share, judge, lengths, require_cameras, require_hands
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.hand.fingertips import S2HAND_FINGERTIPS
from s2hand.hand.joints import JointOrder
from s2hand.keypoints.openpose import read_detections
from s2hand.layouts import Background, Split

_FRAME = "FreiHAND's files are in OpenCV's frame, with y down and z forward"
_VERSIONS = get_args(Background)
"""In the order of FreiHAND's numbers: an image's is its sample's, plus so many times the number of
samples."""
_BONE = (9, 10)
"""Joints whose distance ``*_scale.json`` gives."""
_SAME_LENGTH = 0.02
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
    bones: Path | None
    detections: Path | None
    images: tuple[Path, ...]
    copies: tuple[tuple[Path, ...], ...] | None
    """Further images of each sample, before other backgrounds."""
    stored_intrinsics_px: Float32[np.ndarray, "stored 3 3"]
    """Of every image that the set has; ``images`` may be the first of them."""

    def paths(self) -> tuple[Path, ...]:
        optional = (self.joints, self.vertices, self.bones, self.detections)
        copies = (path for paths in self.copies or () for path in paths)
        read = (path for path in optional if path is not None)
        return (self.intrinsics, *read, *self.images, *copies)


def files_read(
    root: Path,
    split: Split,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    backgrounds: Sequence[Background] = ("gs",),
    max_frames: int = 0,
) -> tuple[Path, ...]:
    """Name every file that ``load_freihand`` and decoding its images read.

    Raises:
        DataError: If the intrinsics, which count the images, or an image is missing.
    """
    return _find(root, split, keypoints, max_frames, backgrounds).paths()


def load_freihand(
    root: Path,
    split: Split,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    backgrounds: Sequence[Background] = ("gs",),
    max_frames: int = 0,
) -> FrameTable:
    """Read FreiHAND's annotations in their official layout (``FreiHAND_pub_v2``).

    The training set is the originals in front of the green screen, images 0 to 32 559, as in the
    released code; with ``backgrounds`` the three recomposed copies of each, 32 560 images later for
    every one, can be images of the same sample. Truth is optional: without
    ``*_xyz.json`` there are no ``joints``. ``*_scale.json`` is only compared with them.
    ``vertices`` are read for the evaluation set only.

    Args:
        root: Folder that holds ``training``, ``evaluation`` and the detections.
        split: ``train`` or ``test``.
        keypoints: ``ground_truth`` puts projected truth, confidence 1, in place of detections.
            The test set may lack detections: then they are (0, 0) with confidence 0.
            They belong to images by file name; see :func:`read_detections`.
        backgrounds: Which images of a training sample are drawn from, by FreiHAND's names of them.
            The copies have the original's camera, truth and detections.
        max_frames: Keep only the first frames (0: all).

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others, or what they hold
            cannot be true, by itself or in the set's statistics.
    """
    files = _find(root, split, keypoints, max_frames, backgrounds)
    count = len(files.images)
    sample_ids = _sample_ids(count)
    joints, vertices = _truth(files, sample_ids)
    intrinsics_px = files.stored_intrinsics_px[:count]
    require_cameras(intrinsics_px, sample_ids, str(files.intrinsics))
    sizes_px = stored_sizes_px(files.images)
    notes: dict[str, str] = {}
    if keypoints == "ground_truth" and joints is not None:
        keypoints_px = project_truth(joints, intrinsics_px)
        confidence = np.ones((count, 21), np.float32)
    else:
        keypoints_px, confidence, notes = _detections(files, sizes_px)
    table = FrameTable(
        sample_ids=sample_ids,
        image_paths=files.images,
        intrinsics_px=intrinsics_px,
        sequences=("",) * count,
        frames=np.arange(count),
        detected_keypoints_px=keypoints_px,
        detection_confidence=confidence,
        crop_box_px=np.full((count, 4), np.nan, np.float32),
        joints=joints,
        vertices=vertices,
        copies=files.copies,
        fingertips=S2HAND_FINGERTIPS,
    )
    notes |= judge(
        table,
        sizes_px,
        truth=str(files.joints),
        detections=str(files.detections or ""),
        more=tuple(_bone_shares(files, joints)),
    )
    return replace(table, notes=notes)


def survey(root: Path, split: Split) -> Survey:
    """Look at a split's lists and folders.

    Raises:
        DataError: If the intrinsics or an image is missing.
    """
    files = _find(root, split, "detected", 0)
    in_folder = images_by_stem(root / _FOLDERS[split] / "rgb").values()
    truth = {"joints": files.joints, "vertices": files.vertices}
    return Survey(
        sample_ids=_sample_ids(len(files.images)),
        sequences=(),
        image_files=len(in_folder),
        image_suffixes=tuple(sorted({path.suffix.lower() for path in in_folder})),
        image_size_px=first_size_px(files.images),
        truth=tuple(name for name, path in truth.items() if path is not None),
        detections=files.detections is not None and is_present(files.detections),
    )


def file_checks(root: Path, split: Split) -> Iterator[FileCheck]:
    """Name every file of a split with what reads it.

    Where the cameras, which count the images, cannot be read, those that are there are named.
    """
    folder = root / _FOLDERS[split] / "rgb"
    yield FileCheck(kind="folder", path=folder, read=partial(images_by_stem, folder))
    cameras = root / f"{_FOLDERS[split]}_K.json"
    yield FileCheck(kind=cameras.name, path=cameras, read=partial(read_json_array, cameras, (3, 3)))
    present = listable_images(folder)
    try:
        count = len(read_json_array(cameras, (3, 3)))
        stems: Iterable[str] = _sample_ids(count)
    except DataError:
        count, stems = None, present
    for name, shape in {"xyz": (21, 3), "verts": (778, 3), "scale": ()}.items():
        path = root / f"{_FOLDERS[split]}_{name}.json"
        if split == "test" or name != "verts":
            read = partial(read_json_array, path, shape, count=count)
            yield FileCheck(kind=path.name, path=path, read=read, needed=False)
    images = [present.get(stem, folder / f"{stem}.jpg") for stem in stems]
    for image in images:
        yield FileCheck(kind="images", path=image, read=partial(_require_square, image))
    detections = root / _DETECTIONS[split]
    read_all = partial(read_folder_detections, detections, images, list(present.values()))
    yield FileCheck(kind="detections", path=detections, read=read_all, needed=False)


LOADER = Loader(files_read=files_read, load=load_freihand, survey=survey, file_checks=file_checks)


def _require_square(image: Path) -> None:
    width, height = decoded_size_px(image)
    if width != height:
        raise DataError(f"{image}: an image of a collection must be square, got {width}x{height}")


def _find(
    root: Path,
    split: Split,
    keypoints: Literal["detected", "ground_truth"],
    max_frames: int,
    backgrounds: Sequence[Background] = ("gs",),
) -> _Files:
    """Find the files of a split; the one place that says which are read."""
    require_folder(root)
    name = _FOLDERS[split]
    intrinsics = root / f"{name}_K.json"
    stored_intrinsics_px = read_json_array(intrinsics, (3, 3))
    stored = len(stored_intrinsics_px)
    count = min(max_frames, stored) if max_frames else stored
    joints, vertices = root / f"{name}_xyz.json", root / f"{name}_verts.json"
    bones = root / f"{name}_scale.json"
    has_joints = is_present(joints)
    first, *others = [_VERSIONS.index(background) * stored for background in backgrounds]
    stems = [_image_stem(index + first) for index in range(count)]
    stems += [_image_stem(index + other) for index in range(count) for other in others]
    images = find_images(root / name / "rgb", stems)
    copies = images[count:]
    return _Files(
        intrinsics=intrinsics,
        joints=joints if has_joints else None,
        vertices=vertices if split == "test" and is_present(vertices) else None,
        bones=bones if has_joints and is_present(bones) else None,
        detections=_detections_path(root, split, keypoints, has_joints=has_joints),
        images=images[:count],
        copies=tuple(
            copies[len(others) * index : len(others) * (index + 1)] for index in range(count)
        )
        if others
        else None,
        stored_intrinsics_px=stored_intrinsics_px,
    )


def _sample_ids(count: int) -> tuple[str, ...]:
    """Name the first samples, as their image files are named."""
    return tuple(map(_image_stem, range(count)))


def _image_stem(index: int) -> str:
    return f"{index:08d}"


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


def _truth(
    files: _Files, sample_ids: tuple[str, ...]
) -> tuple[Float32[np.ndarray, "n 21 3"] | None, Float32[np.ndarray, "n 778 3"] | None]:
    def read(path: Path | None, points: int) -> Float32[np.ndarray, "n points 3"] | None:
        if path is None:
            return None
        stored = len(files.stored_intrinsics_px)
        truth = read_json_array(path, (points, 3), count=stored)[: len(sample_ids)]
        order: JointOrder | None = "openpose" if points == 21 else None
        require_hands(truth, sample_ids, str(path), file_frame=_FRAME, file_order=order)
        return truth

    return read(files.joints, 21), read(files.vertices, 778)


def _bone_shares(files: _Files, joints: Float32[np.ndarray, "n 21 3"] | None) -> Iterator[Share]:
    """Compare the true joints with the length of a bone that another file gives of each hand."""
    if joints is None or files.bones is None:
        return
    stored = len(files.stored_intrinsics_px)
    told_m = read_json_array(files.bones, (), count=stored)[: len(joints)]
    lengths_m = lengths(joints[:, _BONE[1]] - joints[:, _BONE[0]])
    yield Share(
        subject="bones agree",
        value=float((np.abs(lengths_m - told_m) <= _SAME_LENGTH * lengths_m).mean()),
        of=f"of the middle fingers' first bones are as long as {files.bones} says",
        where=str(files.joints),
        remedy="the files of a split must come from the same release, in one order",
    )


def _detections(
    files: _Files, sizes_px: Int64[np.ndarray, "n 2"]
) -> tuple[Float32[np.ndarray, "n 21 2"], Float32[np.ndarray, "n 21"], dict[str, str]]:
    """Return the images' keypoints and confidences, and what is to be said of their file."""
    count, path = len(files.images), files.detections
    if path is None:
        return np.zeros((count, 21, 2), np.float32), np.zeros((count, 21), np.float32), {}
    refuse_dangling(path)
    # Copies have the detections of their originals, whose numbers the samples have.
    images = {
        f"{_image_stem(sample)}{image.suffix}": (int(width), int(height))
        for sample, (image, (width, height)) in enumerate(zip(files.images, sizes_px, strict=True))
    }
    # A detector that ran over the whole training folder saw the recomposed copies as well.
    others = [image.name for image in images_by_stem(files.images[0].parent).values()]
    detections = read_detections(path, images, others=others)
    return detections.keypoints_px, detections.confidence, detection_notes([detections])
