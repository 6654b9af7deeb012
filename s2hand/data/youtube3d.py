"""YouTube-3D-Hands: hands in frames of videos, which everyone downloads anew.

Training reads nothing of the truth but the side of each hand. The annotated vertices are pixels of
pictures whose camera nobody knows: a check compares detections with them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from s2hand.data.files import (
    images_by_stem,
    is_present,
    listable_images,
    refuse_dangling,
    require_folder,
)
from s2hand.data.loader import FileCheck, Loader, Survey
from s2hand.data.packing import decoded_size_px, first_size_px, stored_size_px, stored_sizes_px
from s2hand.data.plausibility import judge
from s2hand.data.sample import FrameTable
from s2hand.data.tracks import DetectedHands, camera_note, read_hands, tracked_table
from s2hand.data.youtube3d_files import (
    AnnotatedHand,
    AnnotatedImage,
    list_name,
    read_annotations,
)
from s2hand.data.youtube3d_shifts import AnnotatedTips, annotated_tips, comparison_notes
from s2hand.errors import DataError
from s2hand.keypoints.hands import UNKNOWN_SIDE, FoundHand, HandTable, table_of
from s2hand.keypoints.tables import read_table
from s2hand.keypoints.track_settings import TrackSettings
from s2hand.layouts import Split

_SIDES: Mapping[bool, str] = {False: "right", True: "left"}
_SAME_SHAPE = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class _Video:
    """What of a video's annotated frames is there."""

    name: str
    hands: tuple[AnnotatedHand, ...]
    """In frames whose image is there."""
    images: Mapping[AnnotatedImage, Path]
    sizes_px: Mapping[AnnotatedImage, tuple[int, int]]
    """Width and height of each image as it is stored."""
    detections: Path
    found: HandTable


@dataclass(frozen=True, kw_only=True, slots=True)
class _Counts:
    """What a split's list names."""

    videos: int
    images: int
    hands: int


def files_read(
    root: Path,
    split: Split,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    tracks: TrackSettings | None = None,
    assumed_focal: float = 0.0,
    max_frames: int = 0,
) -> tuple[Path, ...]:
    """Name every file that ``load_youtube3d`` and decoding its images read.

    ``tracks`` and ``assumed_focal`` do not change that.

    Raises:
        DataError: If the list or a file of detections is missing or truncated.
    """
    _, videos = _find(root, split, keypoints, max_frames)
    images = (image for video in videos for image in video.images.values())
    return (root / list_name(split), *(video.detections for video in videos), *images)


def load_youtube3d(
    root: Path,
    split: Split,
    *,
    keypoints: Literal["detected", "ground_truth"] = "detected",
    tracks: TrackSettings | None = None,
    assumed_focal: float = 0.0,
    max_frames: int = 0,
) -> FrameTable:
    """Read the annotated hands of which a detector found one of their side.

    Of an image with so many annotated hands of a side the surest detections of that side are
    taken, as many as there are hands: which is whose, training need not know. Hands are followed by
    their detections alone, one side at a time; each track is a sequence, its frame numbers are
    those of the images' names, and left hands are mirrored. Boxes are those of the detections.
    No camera is known: it has an assumed focal length. There is no truth in the table.

    Videos and images that are missing, as some always are, are left out and counted in the notes,
    like hands that were not found.

    Args:
        root: Folder that holds ``youtube_train.json``, ``youtube`` with the frames, and
            ``keypoints`` with a file of detections for each video.
        split: ``train`` or ``test``.
        keypoints: ``ground_truth`` is refused: the set has no joints.
        tracks: Thresholds by which hands are followed; else the defaults.
        assumed_focal: Focal length of the pictures, in their longer sides; 0: 1.
        max_frames: Keep only the first frames (0: all).

    Raises:
        DataError: If a file is missing, truncated, or does not fit the others, nothing of the
            set's videos is there, or what is there cannot be hands.
    """
    counts, videos = _find(root, split, keypoints, max_frames)
    table = tracked_table(
        [hands for video in videos for hands in _found_hands(video)],
        tracks,
        assumed_focal=assumed_focal,
    )
    if max_frames:
        table = table.select(np.arange(min(max_frames, len(table))))
    notes = judge(
        table,
        stored_sizes_px(table.image_paths),
        truth="",
        detections=f"{root}/keypoints/*.json",
        boxes=f"{root}/keypoints/*.json",
    )
    whole = {} if max_frames else _notes(counts, videos, len(table))
    notes |= camera_note(table, assumed_focal)
    return replace(table, notes=notes | whole)


def survey(root: Path, split: Split) -> Survey:
    """Look at a split's list and folders; detections are not read.

    Raises:
        DataError: If the list is missing, or no image of it is there.
    """
    hands = list(read_annotations(root / list_name(split), with_vertices=False))
    listed = {hand.image for hand in hands}
    images = present_images(root, listed)
    if not images:
        raise DataError(_nothing_here(root, split))
    videos = {image.video for image in images}
    return Survey(
        sample_ids=tuple(f"{hand.image.video}/{hand.image.frame}#{hand.id}" for hand in hands),
        sequences=tuple(sorted({f"{hand.image.video}/{_SIDES[hand.is_left]}" for hand in hands})),
        image_files=len(images),
        missing_images=len(listed) - len(images),
        image_suffixes=tuple(sorted({path.suffix.lower() for path in images.values()})),
        image_size_px=first_size_px(list(images.values())),
        truth=(),
        detections=all(is_present(_detections_path(root, video)) for video in videos),
        intrinsics=False,
    )


def file_checks(root: Path, split: Split) -> Iterator[FileCheck]:
    """Name every file of a split with what reads it; no others, where the list cannot be read.

    Images may be missing: videos are taken offline.
    """
    list_path = root / list_name(split)

    def read_list() -> None:
        for _ in read_annotations(list_path, with_vertices=True):
            pass

    yield FileCheck(kind=list_path.name, path=list_path, read=read_list)
    try:
        listed = {hand.image for hand in read_annotations(list_path, with_vertices=False)}
    except DataError:
        return
    videos: dict[str, list[AnnotatedImage]] = {}
    for image in listed:
        videos.setdefault(image.video, []).append(image)
    for video, images in sorted(videos.items()):
        folder = _frames_folder(root, video)
        present = listable_images(folder)
        paths = [present.get(image.frame, folder / f"{image.frame}.png") for image in images]
        for path in sorted(paths):
            read = partial(decoded_size_px, path)
            yield FileCheck(kind="images", path=path, read=read, needed=False)
        if any(image.frame in present for image in images):
            detections = _detections_path(root, video)
            read_all = partial(_read_detections, detections, [p for p in paths if p.is_file()])
            yield FileCheck(kind="detections", path=detections, read=read_all)


def compare(root: Path, split: Split) -> dict[str, str]:
    """Compare detections with the annotated vertices, of hands that are alone of their side.

    Raises:
        DataError: As ``load_youtube3d``.
    """
    _, videos = _find(root, split, "detected", 0)
    annotated: dict[str, list[AnnotatedTips]] = {video.name: [] for video in videos}
    sizes_px = {image: size for video in videos for image, size in video.sizes_px.items()}
    for hand in read_annotations(root / list_name(split), with_vertices=True):
        if hand.image in sizes_px:
            annotated[hand.image.video].append(annotated_tips(hand, sizes_px[hand.image]))
    return comparison_notes(
        {video.name: (annotated[video.name], _found_hands(video)) for video in videos}
    ) | _shape_notes(videos)


LOADER = Loader(
    files_read=files_read,
    load=load_youtube3d,
    survey=survey,
    file_checks=file_checks,
    compare=compare,
)


def _find(
    root: Path, split: Split, keypoints: Literal["detected", "ground_truth"], max_frames: int
) -> tuple[_Counts, list[_Video]]:
    """Find the files of a split; the one place that says which are read."""
    require_folder(root)
    path = root / list_name(split)
    if keypoints == "ground_truth":
        raise DataError(
            f"{path}: holds no joints, and data.keypoints='ground_truth' needs them; "
            "use 'detected' with this set"
        )
    hands: dict[str, list[AnnotatedHand]] = {}
    for hand in read_annotations(path, with_vertices=False):
        hands.setdefault(hand.image.video, []).append(hand)
    videos: list[_Video] = []
    for name, of_video in hands.items():
        listed = dict.fromkeys(hand.image for hand in of_video)
        images = present_images(root, listed)
        if images:
            here = tuple(hand for hand in of_video if hand.image in images)
            videos.append(_read_video(root, name, here, images))
        if max_frames and sum(len(video.hands) for video in videos) >= 2 * max_frames:
            break
    if not videos:
        raise DataError(_nothing_here(root, split))
    counts = _Counts(
        videos=len(hands),
        images=len({hand.image for of_video in hands.values() for hand in of_video}),
        hands=sum(map(len, hands.values())),
    )
    return counts, videos


def _nothing_here(root: Path, split: Split) -> str:
    return (
        f"{root / 'youtube'}: none of the frames that {list_name(split)} lists is there, as "
        "youtube/VIDEO/video/frames/FRAME.png; docs/datasets.md shows the layout"
    )


def present_images(root: Path, listed: Iterable[AnnotatedImage]) -> dict[AnnotatedImage, Path]:
    """Return the images that are there, of those that are listed."""
    folders: dict[str, dict[str, Path]] = {}
    found = {}
    for image in listed:
        if image.video not in folders:
            folder = _frames_folder(root, image.video)
            folders[image.video] = images_by_stem(folder) if is_present(folder) else {}
        path = folders[image.video].get(image.frame)
        if path is not None:
            refuse_dangling(path)
            found[image] = path
    return found


def _read_video(
    root: Path,
    name: str,
    hands: tuple[AnnotatedHand, ...],
    images: Mapping[AnnotatedImage, Path],
) -> _Video:
    sizes_px = stored_sizes_px(list(images.values()))
    path = _detections_path(root, name)
    stored_px = [(int(width), int(height)) for width, height in sizes_px]
    by_name = {image.name: size for image, size in zip(images.values(), stored_px, strict=True)}
    return _Video(
        name=name,
        hands=hands,
        images=images,
        sizes_px=dict(zip(images, stored_px, strict=True)),
        detections=path,
        found=read_hands(path, by_name, of=_frames_folder(root, name)),
    )


def _frames_folder(root: Path, video: str) -> Path:
    return root / "youtube" / video / "video" / "frames"


def _detections_path(root: Path, video: str) -> Path:
    return root / "keypoints" / f"{video}.json"


def _read_detections(path: Path, images: Sequence[Path]) -> None:
    sizes_px = {}
    for image in images:
        with suppress(DataError):
            sizes_px[image.name] = stored_size_px(image)
    read_table(path, "hands", sizes_px)


def _found_hands(video: _Video) -> list[DetectedHands]:
    """Return what was found of a video's annotated hands, the right ones and the left ones."""
    wanted = Counter((video.images[hand.image].name, hand.is_left) for hand in video.hands)
    found, names = video.found, [path.name for path in video.images.values()]
    surest: dict[tuple[str, bool], list[FoundHand]] = {}
    for row in np.argsort(-found.confidence.mean(axis=1), kind="stable"):
        side = (found.samples[row], bool(found.right[row] < UNKNOWN_SIDE))
        if found.confidence[row].any() and len(surest.get(side, ())) < wanted[side]:
            hand = FoundHand(
                keypoints_px=found.keypoints_px[row],
                confidence=found.confidence[row],
                right=float(not side[1]),
            )
            surest.setdefault(side, []).append(hand)
    sizes_px = {video.images[image].name: size for image, size in video.sizes_px.items()}
    return [
        DetectedHands(
            name=f"{video.name}/{_SIDES[is_left]}",
            is_video=True,
            found=table_of(
                {name: surest.get((name, is_left), []) for name in names},
                detector=found.detector,
                version=found.version,
            ),
            images={path.name: path for path in video.images.values()},
            sizes_px=sizes_px,
            cameras={},
        )
        for is_left in (False, True)
    ]


def _notes(counts: _Counts, videos: Sequence[_Video], rows: int) -> dict[str, str]:
    """Say what of the set is not there or was not found."""
    missing = {
        "videos": counts.videos - len(videos),
        "images": counts.images - sum(len(video.images) for video in videos),
    }
    hands = sum(len(video.hands) for video in videos)
    totals = {"videos": counts.videos, "images": counts.images}
    notes = {
        subject: f"{count:,} of {totals[subject]:,} are missing and left out"
        for subject, count in missing.items()
        if count
    }
    if unfound := hands - rows:
        notes["hands"] = (
            f"of {hands:,} annotated hands {unfound:,} are left out: not found on their side, "
            "surely and steadily enough"
        )
    return notes


def _shape_notes(videos: Sequence[_Video]) -> dict[str, str]:
    """Name videos whose images are not the annotated pictures made larger or smaller."""
    others = [
        f"{video.name} ({stored[0]}x{stored[1]}, annotated at {image.size_px[0]}x"
        f"{image.size_px[1]})"
        for video in videos
        for image, stored in list(video.sizes_px.items())[:1]
        if abs(stored[0] * image.size_px[1] / (stored[1] * image.size_px[0]) - 1) > _SAME_SHAPE
    ]
    if not others:
        return {}
    return {"shape of images": f"not that of the annotated ones: {', '.join(others)}"}
