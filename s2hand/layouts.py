"""What a dataset's layout is: all that differs between FreiHAND's, HO-3D's and others, as data.

A layout's name says how files lie in a folder, not what they show: whether a folder holds the
published set, a synthetic one or somebody's own is its record's to say (``s2hand.data.record``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from s2hand.hand.fingertips import HO3D_FINGERTIPS, S2HAND_FINGERTIPS, Fingertips

DatasetName = Literal["freihand", "ho3d", "youtube3d", "folder"]
Background = Literal["gs", "hom", "sample", "auto"]
"""What is behind the hand in an image of FreiHAND's training set: the green screen as it was, or
another background, put there by harmonisation or by colouring, sampled or automatic."""
Split = Literal["train", "test"]
Kind = Literal["collection", "sequences"]
"""``collection``: single images, used whole. ``sequences``: frames in time, cropped to the hand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedSplit:
    """By what the split of a published set is recognised."""

    frames: int
    """Entries of the list, or of the annotation files."""
    image_files: int | None
    """Image files of a collection's folder; images of the listed frames of sequences; None: not
    known."""
    sequences: int | None = 0
    """Number of sequences; None: not known."""
    sequence_names: frozenset[str] | None = None
    """Their names; None: not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedVersion:
    """One release of a dataset."""

    name: str
    image_suffix: str
    image_size_px: tuple[int, int] | None
    """None: images differ."""
    splits: Mapping[Split, PublishedSplit]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where a dataset's files lie, what they mean, and what reads them."""

    name: DatasetName
    title: str
    kind: Kind
    loader: str
    """Module whose ``LOADER`` reads the files; imported when it is needed."""
    loader_settings: tuple[str, ...]
    """Fields of ``DataConfig`` that say what is read of a training split."""
    own_settings: tuple[str, ...]
    """Fields of ``DataConfig`` that take effect in trainings on this layout only."""
    modules: tuple[str, ...]
    """Modules of ``s2hand`` whose code makes the table of frames out of the files."""
    fingertips: Fingertips
    """Vertices at which the fingertips of the true joints lie."""
    versions: tuple[PublishedVersion, ...]
    handedness: Literal["right", "both"] = "right"
    """``both``: left hands are mirrored when they are loaded."""
    is_measured: bool = True
    """Whether its evaluation split has true hands in metres, so that models can be evaluated on
    it; others are trained on."""


_READING = (
    "s2hand.layouts",
    "s2hand.hand.fingertips",
    "s2hand.hand.joints",
    "s2hand.geometry.cameras",
    "s2hand.keypoints.openpose",
    "s2hand.keypoints.rules",
    "s2hand.data.build",
    "s2hand.data.files",
    "s2hand.data.loader",
    "s2hand.data.packing",
    "s2hand.data.plausibility",
    "s2hand.data.sample",
)
"""What all loaders use."""

_TRACKING = (
    "s2hand.geometry.mirroring",
    "s2hand.keypoints.hands",
    "s2hand.keypoints.json_files",
    "s2hand.keypoints.tables",
    "s2hand.keypoints.track_settings",
    "s2hand.keypoints.tracks",
    "s2hand.photos",
    "s2hand.data.extents",
    "s2hand.data.left_hands",
    "s2hand.data.tracks",
)
"""What loaders of hands that were found in videos use."""

_TRACKED = ("tracks", "assumed_focal")
"""What is read of them."""

_FREIHAND = Layout(
    name="freihand",
    title="FreiHAND",
    kind="collection",
    loader="s2hand.data.freihand",
    loader_settings=("keypoints", "backgrounds", "max_frames"),
    own_settings=("backgrounds", "rotation_deg", "picture_jitter"),
    modules=("s2hand.data.freihand", *_READING),
    fingertips=S2HAND_FINGERTIPS,
    versions=(
        PublishedVersion(
            name="v2",
            image_suffix=".jpg",
            image_size_px=(224, 224),
            splits={
                "train": PublishedSplit(frames=32_560, image_files=130_240),
                "test": PublishedSplit(frames=3_960, image_files=3_960),
            },
        ),
    ),
)

_HO3D = Layout(
    name="ho3d",
    title="HO-3D",
    kind="sequences",
    loader="s2hand.data.ho3d",
    loader_settings=("keypoints", "train_crop", "max_frames"),
    own_settings=("train_crop", "crop_size_per_reach", "crop_jitter", "sequence_rotation_deg"),
    modules=(
        "s2hand.data.ho3d",
        "s2hand.data.extents",
        "s2hand.data.postures",
        "s2hand.geometry.rotations",
        "s2hand.hand.pickles",
        *_READING,
    ),
    fingertips=HO3D_FINGERTIPS,
    versions=(
        PublishedVersion(
            name="v2",
            image_suffix=".png",
            image_size_px=(640, 480),
            splits={
                "train": PublishedSplit(frames=66_034, image_files=66_034, sequences=55),
                "test": PublishedSplit(
                    frames=11_524,
                    image_files=11_524,
                    sequences=13,
                    sequence_names=frozenset(
                        [f"{name}{number}" for name in ("AP", "MPM") for number in range(10, 15)]
                        + ["SB11", "SB13", "SM1"]
                    ),
                ),
            },
        ),
        PublishedVersion(
            name="v3",
            image_suffix=".jpg",
            image_size_px=(640, 480),
            splits={
                "train": PublishedSplit(frames=83_325, image_files=83_325, sequences=None),
                "test": PublishedSplit(frames=20_137, image_files=20_137, sequences=None),
            },
        ),
    ),
)

_YOUTUBE3D = Layout(
    name="youtube3d",
    title="YouTube-3D-Hands",
    kind="sequences",
    loader="s2hand.data.youtube3d",
    loader_settings=("keypoints", *_TRACKED, "max_frames"),
    own_settings=(*_TRACKED, "crop_size_per_reach", "crop_jitter", "sequence_rotation_deg"),
    modules=("s2hand.data.youtube3d", "s2hand.data.youtube3d_files", *_TRACKING, *_READING),
    fingertips=S2HAND_FINGERTIPS,
    versions=(
        PublishedVersion(
            name="2020",
            image_suffix=".png",
            image_size_px=None,
            splits={
                "train": PublishedSplit(frames=47_125, image_files=None, sequences=None),
                "test": PublishedSplit(frames=1_525, image_files=None, sequences=None),
            },
        ),
    ),
    handedness="both",
    is_measured=False,
)

_FOLDER = Layout(
    name="folder",
    title="Folder of images",
    kind="sequences",
    loader="s2hand.data.folder",
    loader_settings=("keypoints", *_TRACKED, "max_frames"),
    own_settings=(*_TRACKED, "crop_size_per_reach", "crop_jitter", "sequence_rotation_deg"),
    modules=("s2hand.data.folder", *_TRACKING, *_READING),
    fingertips=S2HAND_FINGERTIPS,
    versions=(),
    handedness="both",
    is_measured=False,
)

LAYOUTS: Mapping[DatasetName, Layout] = MappingProxyType(
    {layout.name: layout for layout in (_FREIHAND, _HO3D, _YOUTUBE3D, _FOLDER)}
)
"""Every layout by its name in ``data.dataset``."""
