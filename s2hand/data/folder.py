"""Any folder of images, or of videos' frames, in which a detector looked for hands.

There is no truth: it can be trained on, and nothing is measured on it.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32

from s2hand.data.files import (
    finite_numbers,
    images_by_stem,
    is_present,
    listable_images,
    read_json,
    refuse_dangling,
    require_folder,
)
from s2hand.data.loader import FileCheck, Loader, Survey
from s2hand.data.packing import decoded_size_px, first_size_px, stored_size_px, stored_sizes_px
from s2hand.data.plausibility import judge, require_cameras
from s2hand.data.sample import FrameTable
from s2hand.data.tracks import DetectedHands, camera_note, read_hands, tracked_table
from s2hand.errors import DataError
from s2hand.keypoints.track_settings import TrackSettings
from s2hand.layouts import Split
from s2hand.photos import assumed_intrinsics_px, exif_focal_px

_KEYPOINTS = "keypoints"
_INTRINSICS = "intrinsics.json"
_VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Images:
    """The images that lie in one folder."""

    folder: Path
    is_video: bool
    """Whether they are frames of a video; else each is a picture of its own."""
    images: Mapping[str, Path]
    """By name without ending."""
    detections: Path


def files_read(
    root: Path,
    split: Split,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    tracks: TrackSettings | None = None,
    assumed_focal: float = 0.0,
    max_frames: int = 0,
) -> tuple[Path, ...]:
    """Name every file that ``load_folder`` and decoding its images read.

    ``tracks``, ``assumed_focal`` and ``max_frames`` do not change that.

    Raises:
        DataError: If the folder holds no images.
    """
    found = _find(root, split, keypoints)
    images = (image for each in found for image in each.images.values())
    intrinsics = (root / _INTRINSICS,) if is_present(root / _INTRINSICS) else ()
    return (*intrinsics, *(each.detections for each in found), *images)


def load_folder(
    root: Path,
    split: Split,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    tracks: TrackSettings | None = None,
    assumed_focal: float = 0.0,
    max_frames: int = 0,
) -> FrameTable:
    """Read the hands that were detected in a folder's images, right and left ones.

    Images in sub-folders are frames of a video each, numbered by the end of their names: hands are
    followed through them, and each track is a sequence. Images in the folder itself are pictures
    of their own. Left hands are mirrored, boxes are those of the detections.

    A camera is that of ``intrinsics.json``, or has EXIF's focal length, or else an assumed one. A
    video has that of its first frame.

    Args:
        root: Folder that holds images, or sub-folders of frames; ``keypoints.json`` with the
            detections of the former, ``keypoints/VIDEO.json`` with those of a sub-folder; and
            ``intrinsics.json``, a camera matrix for all, or one for each sub-folder or picture by
            its name.
        split: ``train``.
        keypoints: ``ground_truth`` is refused.
        tracks: Thresholds by which hands are followed; else the defaults.
        assumed_focal: Focal length of pictures without a camera, in their longer sides; 0: 1.
        max_frames: Keep only the first frames (0: all).

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others, or what is there
            cannot be hands.
    """
    found = _find(root, split, keypoints)
    cameras = _read_cameras(root, found)
    table = tracked_table(
        [_detected(each, cameras) for each in found], tracks, assumed_focal=assumed_focal
    )
    if max_frames:
        table = table.select(np.arange(min(max_frames, len(table))))
    where = f"{root}/{_KEYPOINTS}.json, {root}/{_KEYPOINTS}/*.json"
    sizes_px = stored_sizes_px(table.image_paths)
    notes = judge(table, sizes_px, truth="", detections=where, boxes=where)
    notes |= camera_note(table, assumed_focal)
    images = sum(len(each.images) for each in found)
    without = images - len(set(table.image_paths))
    if without and not max_frames:
        notes["images without hands"] = (
            f"{without:,} of {images:,} are left out: no hand was found in them surely and, in "
            "videos, steadily enough"
        )
    return replace(table, notes=notes)


def survey(root: Path, split: Split) -> Survey:
    """Look at the folders; detections are not read.

    Raises:
        DataError: If there are no images.
    """
    found = _find(root, split, "detected")
    images = [image for each in found for image in each.images.values()]
    return Survey(
        sample_ids=tuple(image.relative_to(root).as_posix() for image in images),
        sequences=tuple(sorted(each.folder.name for each in found if each.is_video)),
        image_files=len(images),
        image_suffixes=tuple(sorted({image.suffix.lower() for image in images})),
        image_size_px=first_size_px(images),
        truth=(),
        detections=all(is_present(each.detections) for each in found),
        intrinsics=is_present(root / _INTRINSICS),
    )


def file_checks(root: Path, split: Split) -> Iterator[FileCheck]:
    """Name every file with what reads it; there is a training split only."""
    if split == "test":
        return
    yield FileCheck(kind="folder", path=root, read=partial(_find, root, split, "detected"))
    cameras = root / _INTRINSICS
    read_cameras = partial(_read_cameras, root, _listed(root))
    yield FileCheck(kind=_INTRINSICS, path=cameras, read=read_cameras, needed=False)
    for each in _listed(root):
        for image in each.images.values():
            yield FileCheck(kind="images", path=image, read=partial(decoded_size_px, image))
        read_all = partial(_read_detections, each)
        yield FileCheck(kind="detections", path=each.detections, read=read_all)


LOADER = Loader(files_read=files_read, load=load_folder, survey=survey, file_checks=file_checks)


def _find(
    root: Path, split: Split, keypoints: Literal["detected", "ground_truth"]
) -> list[_Images]:
    """Find the images and their detections; the one place that says which are read."""
    require_folder(root)
    if split == "test" or keypoints == "ground_truth":
        raise DataError(
            f"{root}: a folder of images has no true hands, it is trained on by detected "
            "keypoints; evaluate on freihand or ho3d"
        )
    found = _listed(root)
    if not found:
        videos = [path.name for path in root.iterdir() if path.suffix.lower() in _VIDEOS]
        remedy = (
            f"extract the frames of {videos[0]} to a folder, for example with ffmpeg"
            if videos
            else "docs/datasets.md shows the layout"
        )
        raise DataError(f"{root}: no JPEG or PNG image here, nor in a folder in it; {remedy}")
    return found


def _listed(root: Path) -> list[_Images]:
    """Return the folders with images, the root's own first, then by name."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and path.name != _KEYPOINTS)
    places = [(root, False), *((folder, True) for folder in folders if folder.name[0] != ".")]
    return [
        _Images(
            folder=folder,
            is_video=is_video,
            images=images,
            detections=root / _KEYPOINTS / f"{folder.name}.json"
            if is_video
            else root / f"{_KEYPOINTS}.json",
        )
        for folder, is_video in places
        for images in [images_by_stem(folder)]
        if images
    ]


def _read_cameras(root: Path, found: list[_Images]) -> Mapping[str, Float32[np.ndarray, "3 3"]]:
    """Return the cameras that are given, by sub-folder or picture; empty: none is."""
    path = root / _INTRINSICS
    if not is_present(path):
        return {}
    names = {
        name
        for each in found
        for name in (
            [each.folder.name] if each.is_video else (image.name for image in each.images.values())
        )
    }
    content = read_json(path)
    given = content if isinstance(content, dict) else dict.fromkeys(names, content)
    unknown = sorted(set(given) - names)
    if unknown:
        raise DataError(
            f"{path}: must name folders of frames or pictures, got {unknown[0]!r}, which is not "
            "there"
        )
    cameras = {
        name: finite_numbers(value, (3, 3), f"{path}: the camera of {name!r}")
        for name, value in given.items()
    }
    if cameras:
        require_cameras(np.stack(list(cameras.values())), list(cameras), str(path))
    return cameras


def _detected(each: _Images, cameras: Mapping[str, Float32[np.ndarray, "3 3"]]) -> DetectedHands:
    """Return what was found in a video, or in pictures."""
    images = {image.name: image for image in each.images.values()}
    stored_px = stored_sizes_px(list(images.values()))
    sizes_px = {
        name: (int(width), int(height))
        for name, (width, height) in zip(images, stored_px, strict=True)
    }
    first = next(iter(images))
    of_video = _camera_of(each.folder.name, images[first], sizes_px[first], cameras)
    found = {
        name: of_video if each.is_video else _camera_of(name, image, sizes_px[name], cameras)
        for name, image in images.items()
    }
    return DetectedHands(
        name=each.folder.name,
        is_video=each.is_video,
        found=read_hands(each.detections, sizes_px, of=each.folder),
        images=images,
        sizes_px=sizes_px,
        cameras={name: camera for name, camera in found.items() if camera is not None},
    )


def _camera_of(
    name: str,
    image: Path,
    size_px: tuple[int, int],
    given: Mapping[str, Float32[np.ndarray, "3 3"]],
) -> Float32[np.ndarray, "3 3"] | None:
    """Return a picture's camera, as it is given or EXIF tells it; None: it is not known."""
    if name in given:
        return given[name]
    refuse_dangling(image)
    focal_px = None
    with suppress(DataError):  # one that cannot be read is told by whoever decodes it
        focal_px = exif_focal_px(image)
    if focal_px is None:
        return None
    return assumed_intrinsics_px(*size_px, focal_px).astype(np.float32)


def _read_detections(each: _Images) -> None:
    sizes_px = {}
    for image in listable_images(each.folder).values():
        with suppress(DataError):
            sizes_px[image.name] = stored_size_px(image)
    read_hands(each.detections, sizes_px, of=each.folder)
