"""Settings of the data."""

from dataclasses import dataclass, field
from typing import Literal

from s2hand.config.checks import require
from s2hand.keypoints.track_settings import TrackSettings
from s2hand.layouts import Background, DatasetName


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Where frames come from and how they are cropped and augmented."""

    dataset: DatasetName = "freihand"
    """Layout of the training set."""
    root: str = ""
    """Folder of the training set in that layout. Operational, as all roots: what is read there
    enters the identity."""
    extra_datasets: tuple[DatasetName, ...] = ()
    """Layouts of further sets to train on: a mixture, in which every frame counts alike, and every
    sequence of clips. What is held out or measured of the training set is of ``dataset`` alone."""
    extra_roots: tuple[str, ...] = ()
    """Folders of ``extra_datasets``, in their order."""
    evaluation_dataset: Literal["", DatasetName] = ""
    """Layout of the evaluation and validation sets; empty: the training set's."""
    evaluation_root: str = ""
    """Folder of the evaluation set; empty: the training set's."""
    validation_root: str = ""
    """Folder of a set whose evaluation split trainings are validated on; empty: none."""
    keypoints: Literal["detected", "ground_truth"] = "detected"
    """``ground_truth``: projected truth with all confidences 1 (the WSL ablation)."""
    supervision: Literal["2d", "3d"] = "2d"
    """What losses may compare hands with: keypoints in the image alone, as the method, or true
    joints as well, as supervised baselines."""
    backgrounds: tuple[Background, ...] = ("gs",)
    """FreiHAND: which images of a training sample are drawn from, each time anew: the original
    before the green screen (paper), and its three recomposed copies."""
    train_crop: Literal["truth", "detections"] = "truth"
    """What a sequence dataset's training crop is computed from; evaluation uses the given box."""
    tracks: TrackSettings = field(default_factory=TrackSettings)
    """YouTube-3D-Hands and folders: which detected hands are followed into sequences. The
    evaluation follows them with the defaults."""
    assumed_focal: float = 0.0
    """YouTube-3D-Hands and folders: focal length of pictures whose camera is not known, in their
    longer sides. 0: none is stated, and a perspective model is not trained on such pictures."""
    rotation_deg: float = 180.0
    """In-plane rotation of image collections is uniform in plus or minus this angle."""
    picture_jitter: float = 0.0
    """Random enlargement and shift of image collections, in training only: by e to the power of
    plus or minus this, and up to a quarter of this times the side; ours."""
    sequence_rotation_deg: float = 0.0
    """In-plane rotation of sequences, shared by a clip's frames; the released code has none."""
    crop_size_per_reach: float = 4.0
    """Side of a sequence's crop over the hand's reach from its centre (released code: 4)."""
    colour_jitter: float = 0.0
    """Strength of a random gain and offset per colour channel, in training only, shared by a
    clip's frames; the released code has none."""
    crop_jitter: bool = True
    """Random centre and scale of sequence crops, in training only; shared by a clip's frames."""
    max_frames: int = 0
    """Use only the first frames of each training set (0: all)."""
    validation_fraction: float = 0.0
    """Share of the training sequences (or images) that is held out to validate on; searches steer
    by it. Not beside ``validation_root``."""

    def __post_init__(self) -> None:
        require(
            len(self.backgrounds) >= 1 and len(set(self.backgrounds)) == len(self.backgrounds),
            "data.backgrounds must name at least one, each once",
            backgrounds=self.backgrounds,
        )
        require(
            self.assumed_focal == 0 or 0.1 <= self.assumed_focal <= 100,
            "data.assumed_focal must be 0 or lie in 0.1..100 longer sides",
            assumed_focal=self.assumed_focal,
        )
        require(
            0 <= self.rotation_deg <= 180,
            "data.rotation_deg must lie in 0..180",
            rotation_deg=self.rotation_deg,
        )
        require(
            0 <= self.colour_jitter < 1,
            "data.colour_jitter must lie in 0 up to 1",
            colour_jitter=self.colour_jitter,
        )
        require(
            0 <= self.picture_jitter < 1,
            "data.picture_jitter must lie in 0 up to 1",
            picture_jitter=self.picture_jitter,
        )
        require(
            2 <= self.crop_size_per_reach <= 8,
            "data.crop_size_per_reach must lie in 2..8",
            crop_size_per_reach=self.crop_size_per_reach,
        )
        require(
            0 <= self.sequence_rotation_deg <= 180,
            "data.sequence_rotation_deg must lie in 0..180",
            sequence_rotation_deg=self.sequence_rotation_deg,
        )
        require(
            self.max_frames >= 0, "data.max_frames must not be negative", max_frames=self.max_frames
        )
        require(
            len(self.extra_roots) in {0, len(self.extra_datasets)},
            "data.extra_roots must name one folder for each of data.extra_datasets",
            extra_datasets=self.extra_datasets,
            extra_roots=self.extra_roots,
        )
        require(
            0 <= self.validation_fraction < 1,
            "data.validation_fraction must lie in 0 up to 1",
            validation_fraction=self.validation_fraction,
        )
        require(
            not (self.validation_root and self.validation_fraction),
            "data.validation_root and data.validation_fraction must not both be given",
            validation_root=self.validation_root,
            validation_fraction=self.validation_fraction,
        )

    @property
    def training_datasets(self) -> tuple[DatasetName, ...]:
        """Layouts of all sets that are trained on."""
        return (self.dataset, *self.extra_datasets)


EVALUATION_FIELDS = ("evaluation_dataset", "evaluation_root", "validation_root")
"""Fields of ``DataConfig`` that change what is measured, and nothing of what is trained."""
