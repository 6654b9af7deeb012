"""The configuration: one tree of frozen dataclasses, and the presets of paper and released code.

Every place where the paper and the released code differ is one field here, named in
``docs/method.md``. Values are checked in ``__post_init__``; nothing changes them afterwards.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from s2hand.errors import ConfigurationError
from s2hand.keypoints.track_settings import TrackSettings
from s2hand.layouts import LAYOUTS, Background, DatasetName
from s2hand.loss_table import TERMS, LossWeights
from s2hand.parts import WEIGHTS, BranchName

EncoderName = Literal["efficientnet-b0", "efficientnet-b3", "efficientnet-lite0", "convnet"]
PresetName = Literal["paper", "released-freihand", "released-ho3d", "cpu"]
HandFrame = Literal["turned_camera", "dataset_camera"]
Projection = Literal["perspective", "orthographic"]


def _require(condition: bool, rule: str, **found: object) -> None:  # noqa: FBT001
    if not condition:
        values = ", ".join(f"{name}={value!r}" for name, value in found.items())
        raise ConfigurationError(f"{rule}, got {values}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The network and the hand layer."""

    encoder: EncoderName = "efficientnet-b0"
    """Image encoder; ``efficientnet-lite0`` is b0 made cheaper, ``convnet`` a plain convolutional
    network for CPUs and small images."""
    pretrained: Literal["imagenet", "hands", "s2hand", "none"] = "imagenet"
    """Initial weights. ``imagenet``: the published ones of an EfficientNet. ``hands`` and
    ``s2hand``: the project's own for ``convnet``, of the encoder and the geometry head's trunk, or
    of a whole model. Other parts begin at random, all of them with ``none``. Weights that are not
    to be had, or do not fit the configuration, are an error, never left out."""
    weights_dir: str = ""
    """Folder of the project's own weights; empty: those that come with it. Operational: their
    content enters the identity."""
    image_size_px: int = 224
    """Side of the square input."""
    use_mean_shape: bool = False
    """Replace ``betas`` by zeros, as the released code does by default."""
    rotation_output: Literal["axis_angle", "quaternion"] = "axis_angle"
    """What the head regresses for the global rotation: the paper's R, or a quaternion, which has
    no seam at half a turn and learns faster."""
    rotation_centre: Literal["wrist", "origin_flipped"] = "wrist"
    """``wrist``: smplx's global rotation. ``origin_flipped``: about the model's origin after
    Rx(pi), as the released code."""
    frame: HandFrame = "turned_camera"
    """In which camera the network sees and measures the hand; predictions are in the dataset's in
    either case. ``turned_camera``: a sequence's crop is the picture of a camera turned to the
    crop's centre, and depths are those of one reference focal length, so that an image shows all
    that the network has to tell. ``dataset_camera``: crops are parts of the dataset camera's
    picture and positions are measured in it, as in the released code; for crops the image alone
    cannot tell them."""
    projection: Projection = "perspective"
    """How the hand gets into the image, in losses, renderings and metrics. ``perspective``: by the
    image's camera, which must be known. ``orthographic``: by scaling alone, as in a picture from
    far away, by what the head's depth means in the reference camera (weak perspective, the models
    marked * in the paper's Table 8); no camera is read, and where the hand is remains unknown."""
    albedo: Literal["vertex", "face"] = "vertex"
    """What the texture head colours: the 778 vertices (paper) or the 1538 faces (released)."""
    keypoint_stacks: int = 2
    """Hourglasses of the 2D keypoint estimator, one after the other."""
    keypoint_channels: int = 256
    """Features of the 2D keypoint estimator."""
    hand_model: str = ""
    """Path of a MANO_RIGHT.pkl, or ``embedded``; empty means the file that ``S2HAND_MANO`` names,
    or else the embedded hand. Operational: its content enters the identity."""

    def __post_init__(self) -> None:
        _require(
            self.image_size_px >= 32,
            "model.image_size_px must be at least 32",
            image_size_px=self.image_size_px,
        )
        is_our_encoder = self.encoder == "convnet"
        _require(
            not is_our_encoder or self.pretrained != "imagenet",
            "model.pretrained must be one of "
            f"{', '.join(map(repr, WEIGHTS))} or 'none' for the encoder 'convnet': ImageNet's "
            "weights are an EfficientNet's",
            pretrained=self.pretrained,
        )
        _require(
            is_our_encoder or self.pretrained not in WEIGHTS,
            f"model.pretrained must be 'imagenet' or 'none' for the encoder '{self.encoder}': the "
            "project's own weights are of the encoder 'convnet'",
            pretrained=self.pretrained,
        )
        _require(
            self.projection == "perspective" or self.frame == "turned_camera",
            "model.projection='orthographic' needs model.frame='turned_camera': without a camera "
            "a hand has no position in the dataset's",
            frame=self.frame,
        )
        _require(
            self.keypoint_stacks >= 1,
            "model.keypoint_stacks must be at least 1",
            keypoint_stacks=self.keypoint_stacks,
        )
        _require(
            self.keypoint_channels >= 8 and self.keypoint_channels % 8 == 0,
            "model.keypoint_channels must be a positive multiple of 8",
            keypoint_channels=self.keypoint_channels,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """Which formula each loss uses, and the weights."""

    weights: LossWeights = field(default_factory=LossWeights)
    keypoint_2d: Literal["paper", "released"] = "paper"
    """``paper``: mean of confidence-weighted distances. ``released``: weights (con·w)² with the
    wrist ×2 and tips ×1.5, divided by their sum over the batch."""
    photometric: Literal["paper", "two_layers", "released"] = "paper"
    """How ``pixel`` and ``texture_prior`` are averaged. ``paper``: per picture inside the rendered
    silhouette, times the summed confidence. ``two_layers``, ours: as ``paper``, but that ``pixel``
    is summed over whole pictures, with a background of one colour behind the hand, so that it does
    not pay to leave pixels uncovered. ``released``: over whole pictures, the hand on white
    against the masked input on black, weighted with the squared mean confidence."""
    photometric_min_confidence: float = 0.0
    """Pictures with a keypoint that does not exceed this count nothing in ``released`` averages
    (0: all count; the released code has 0.1 for FreiHAND and no limit for HO-3D)."""
    heatmap_keypoint: Literal["paper", "released"] = "paper"
    """``paper``: as E_loc. ``released``: plain distances, weighted with squared confidences."""
    shape_prior: Literal["norm", "squared"] = "norm"
    """``norm``: the Euclidean length of ``betas``, as the paper prints it. ``squared``: the mean
    of the ten squares, as the released code; weaker near the mean shape, stronger far from it."""
    bone_length_prior: Literal["squared", "absolute"] = "squared"
    joint_angle_prior: Literal["anatomical", "axis_angle"] = "anatomical"
    """``anatomical``: twist, spread and bend in each joint's frame. ``axis_angle``: MANO's raw
    components, as the released code."""
    keypoint_knee_px: float = 5.0
    """Where the smooth-L1 turns from quadratic to linear, in 224-equivalent pixels."""
    smooth_threshold_rad: float = 0.1
    """Rotation between neighbouring frames below which ``smooth`` is zero."""

    def __post_init__(self) -> None:
        _require(
            0 < self.keypoint_knee_px < math.inf,
            "losses.keypoint_knee_px must be finite and positive",
            keypoint_knee_px=self.keypoint_knee_px,
        )
        _require(
            0 <= self.smooth_threshold_rad < math.inf,
            "losses.smooth_threshold_rad must be finite and not negative",
            smooth_threshold_rad=self.smooth_threshold_rad,
        )
        _require(
            0 <= self.photometric_min_confidence < 1,
            "losses.photometric_min_confidence must lie in 0 up to 1",
            photometric_min_confidence=self.photometric_min_confidence,
        )


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
        _require(
            len(self.backgrounds) >= 1 and len(set(self.backgrounds)) == len(self.backgrounds),
            "data.backgrounds must name at least one, each once",
            backgrounds=self.backgrounds,
        )
        _require(
            self.assumed_focal == 0 or 0.1 <= self.assumed_focal <= 100,
            "data.assumed_focal must be 0 or lie in 0.1..100 longer sides",
            assumed_focal=self.assumed_focal,
        )
        _require(
            0 <= self.rotation_deg <= 180,
            "data.rotation_deg must lie in 0..180",
            rotation_deg=self.rotation_deg,
        )
        _require(
            0 <= self.colour_jitter < 1,
            "data.colour_jitter must lie in 0 up to 1",
            colour_jitter=self.colour_jitter,
        )
        _require(
            0 <= self.picture_jitter < 1,
            "data.picture_jitter must lie in 0 up to 1",
            picture_jitter=self.picture_jitter,
        )
        _require(
            2 <= self.crop_size_per_reach <= 8,
            "data.crop_size_per_reach must lie in 2..8",
            crop_size_per_reach=self.crop_size_per_reach,
        )
        _require(
            0 <= self.sequence_rotation_deg <= 180,
            "data.sequence_rotation_deg must lie in 0..180",
            sequence_rotation_deg=self.sequence_rotation_deg,
        )
        _require(
            self.max_frames >= 0, "data.max_frames must not be negative", max_frames=self.max_frames
        )
        _require(
            len(self.extra_roots) in {0, len(self.extra_datasets)},
            "data.extra_roots must name one folder for each of data.extra_datasets",
            extra_datasets=self.extra_datasets,
            extra_roots=self.extra_roots,
        )
        _require(
            0 <= self.validation_fraction < 1,
            "data.validation_fraction must lie in 0 up to 1",
            validation_fraction=self.validation_fraction,
        )
        _require(
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


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipConfig:
    """A clip is ``num_frames`` frames of one sequence, ``frame_interval`` true frames apart."""

    num_frames: int = 3
    frame_interval: int = 3
    frames_per_batch: int = 60
    """Frames in a global batch of clips, whatever the clip's length (20 × 3, 10 × 6)."""

    def __post_init__(self) -> None:
        _require(
            self.num_frames >= 2, "clips.num_frames must be at least 2", num_frames=self.num_frames
        )
        _require(
            self.frame_interval >= 1,
            "clips.frame_interval must be at least 1",
            frame_interval=self.frame_interval,
        )
        _require(
            self.frames_per_batch >= self.num_frames
            and self.frames_per_batch % self.num_frames == 0,
            "clips.frames_per_batch must be a multiple of clips.num_frames",
            frames_per_batch=self.frames_per_batch,
            num_frames=self.num_frames,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class QuaternionPhase:
    """From one epoch of a stage of clips on: other clips, another weight of the quaternion loss."""

    from_epoch: int
    """Epoch within the stage, from 0."""
    frame_interval: int
    num_frames: int
    weight: float

    def __post_init__(self) -> None:
        _require(
            self.from_epoch >= 0,
            "quaternion_schedule: from_epoch must not be negative",
            from_epoch=self.from_epoch,
        )
        _require(
            self.frame_interval >= 1,
            "quaternion_schedule: frame_interval must be at least 1",
            frame_interval=self.frame_interval,
        )
        _require(
            self.num_frames >= 2,
            "quaternion_schedule: num_frames must be at least 2",
            num_frames=self.num_frames,
        )
        _require(
            math.isfinite(self.weight) and self.weight >= 0,
            "quaternion_schedule: weight must be finite and not negative",
            weight=self.weight,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    """One part of a training: what is trained on which samples, how long, at which rate."""

    name: str
    epochs: int
    """0 leaves the stage out."""
    learning_rate: float
    decay_every_epochs: int
    decay_factor: float
    decay: Literal["steps", "to_zero"] = "steps"
    """``steps``: the paper's, by the two fields above. ``to_zero``: in a line over the stage's
    optimiser steps to zero, which leaves a training of few epochs at a better place."""
    features_rate: float = 1.0
    """Learning rate of the encoder and the geometry head's trunk, over ``learning_rate``; below 1,
    features that were learnt before are not undone while the rest of the head is new. Ours."""
    branch: BranchName = "both"
    """``3d``: all but the 2D branch. ``2d``: the keypoint estimator alone; a stage that has
    nothing to train, because no 2D loss has a weight, is left out. ``both``: everything."""
    without: tuple[str, ...] = ()
    """Losses that do not act in this stage although they have a weight; the released code trains
    texture and light in its last stage only."""
    samples: Literal["frames", "clips"] = "frames"
    """``clips`` switches the motion losses on and takes batches of ``clips.frames_per_batch``."""

    def __post_init__(self) -> None:
        where = f"stages.{self.name}"
        unknown = sorted(set(self.without) - set(TERMS))
        _require(not unknown, f"{where}.without must name losses", unknown=unknown)
        _require(self.name.isidentifier(), "a stage's name must be an identifier", name=self.name)
        _require(self.epochs >= 0, f"{where}.epochs must not be negative", epochs=self.epochs)
        _require(
            0 < self.learning_rate < math.inf,
            f"{where}.learning_rate must be finite and positive",
            learning_rate=self.learning_rate,
        )
        _require(
            0 < self.features_rate <= 1,
            f"{where}.features_rate must lie in (0, 1]",
            features_rate=self.features_rate,
        )
        _require(
            self.decay_every_epochs >= 1,
            f"{where}.decay_every_epochs must be at least 1",
            decay_every_epochs=self.decay_every_epochs,
        )
        _require(
            0 < self.decay_factor <= 1,
            f"{where}.decay_factor must lie in (0, 1]",
            decay_factor=self.decay_factor,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimiserConfig:
    """Adam or AdamW, and how the global batch is split."""

    batch_size: int = 64
    """Frames in a global batch of stages that sample frames."""
    micro_batch_size: int = 0
    """Frames per backward pass and worker (0: the worker's whole share)."""
    world_size: int = 1
    """Training workers; the global batch is divided among them."""
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    weight_decay: float = 0.0
    """AdamW's decoupled decay of matrices and kernels; 0 is Adam, as the paper's."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the convolutional parts; geometry is always float32."""
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"
    """Layout of images and convolutions."""
    compile: bool = False
    """Compile the convolutional parts with ``torch.compile``; takes minutes at the start, and
    gives other roundings."""

    def __post_init__(self) -> None:
        _require(
            self.world_size >= 1,
            "optimiser.world_size must be at least 1",
            world_size=self.world_size,
        )
        _require(
            self.batch_size >= 1 and self.batch_size % self.world_size == 0,
            "optimiser.batch_size must be a multiple of optimiser.world_size",
            batch_size=self.batch_size,
            world_size=self.world_size,
        )
        _require(
            self.micro_batch_size >= 0,
            "optimiser.micro_batch_size must not be negative",
            micro_batch_size=self.micro_batch_size,
        )
        for name in ("adam_beta1", "adam_beta2"):
            beta = getattr(self, name)
            _require(0 <= beta < 1, f"optimiser.{name} must lie in [0, 1)", **{name: beta})
        _require(
            math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            "optimiser.weight_decay must be finite and not negative",
            weight_decay=self.weight_decay,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeConfig:
    """Operational settings: they change how fast a training runs, never what comes out."""

    cache_dir: str = ""
    """Where packed crops are kept (empty: in memory only)."""
    evaluation_batch_size: int = 256
    keep_predictions: bool = True
    """Keep the parameters of the hands that are predicted for evaluated frames, about half a
    kilobyte each; metrics of hands can be computed from them again."""
    report_every_epochs: int = 1
    """Epochs between reports and checkpoints; the last epoch of a stage always reports."""
    picture_every_epochs: int = 10
    """Epochs between pictures of reconstructions, in stages that train the texture (0: none); a
    picture comes with a report, and with the last one of a stage."""


def _staged(
    *,
    apart_epochs: int,
    together_epochs: int,
    step: int,
    last_step: int,
    factor: float,
    first_without: tuple[str, ...] = (),
) -> tuple[StageConfig, ...]:
    """Both branches apart, then together."""
    first = StageConfig(
        name="image",
        epochs=apart_epochs,
        learning_rate=1e-3,
        decay_every_epochs=step,
        decay_factor=0.5,
        branch="3d",
    )
    return (
        replace(first, without=first_without),
        replace(first, name="keypoints", branch="2d"),
        StageConfig(
            name="finetune",
            epochs=together_epochs,
            learning_rate=2.5e-4,
            decay_every_epochs=last_step,
            decay_factor=factor,
        ),
    )


_PICTURE_LOSSES = tuple(name for name, term in TERMS.items() if "appearance" in term.outputs)
"""Losses that train texture and light."""

PAPER_STAGES = _staged(apart_epochs=90, together_epochs=60, step=30, last_step=20, factor=1 / 3)
"""Paper §4.3: each branch 90 epochs, halved every 30; together 60, divided by 3 every 20."""


@dataclass(frozen=True, kw_only=True, slots=True)
class S2HandConfig:
    """Everything that determines a training, but for the seed."""

    model: ModelConfig = field(default_factory=ModelConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    data: DataConfig = field(default_factory=DataConfig)
    clips: ClipConfig = field(default_factory=ClipConfig)
    quaternion_schedule: tuple[QuaternionPhase, ...] = ()
    """Phases of the stages of clips, by epoch; before the first one, ``clips`` and the quaternion
    loss's own weight hold."""
    stages: tuple[StageConfig, ...] = PAPER_STAGES
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        _require(len(names) >= 1, "stages must hold at least one stage", stages=names)
        _require(len(set(names)) == len(names), "the names of stages must differ", stages=names)
        _require_supervision(self.losses.weights, self.data.supervision)
        samples_clips = any(stage.samples == "clips" for stage in self.stages)
        without_clips = [
            name for name in self.data.training_datasets if LAYOUTS[name].kind != "sequences"
        ]
        _require(
            not samples_clips or not without_clips,
            "a stage that samples clips needs a dataset of sequences, "
            f"{', '.join(name for name, layout in LAYOUTS.items() if layout.kind == 'sequences')}",
            dataset=", ".join(without_clips),
        )
        weights = {
            name: getattr(self.losses.weights, name)
            for name, term in TERMS.items()
            if term.over_clips
        }
        _require(
            samples_clips or not any(weights.values()),
            "a motion loss needs a stage with samples='clips'",
            **{name: value for name, value in weights.items() if value},
        )
        _require(
            samples_clips or not self.quaternion_schedule,
            "quaternion_schedule needs a stage with samples='clips'",
            quaternion_schedule=self.quaternion_schedule,
        )
        starts = [phase.from_epoch for phase in self.quaternion_schedule]
        _require(
            starts == sorted(set(starts)),
            "the phases of quaternion_schedule must have rising from_epoch",
            from_epochs=starts,
        )
        for phase in self.quaternion_schedule:
            self.clips_of(phase)

    def clips_of(self, phase: QuaternionPhase) -> ClipConfig:
        """Return the clips of a phase; a batch keeps its number of frames."""
        return replace(self.clips, frame_interval=phase.frame_interval, num_frames=phase.num_frames)


def _require_supervision(weights: LossWeights, supervision: str) -> None:
    """True joints are read where a loss needs them, and where nothing else was said."""
    supervised = {
        f"losses.weights.{name}": getattr(weights, name)
        for name, term in TERMS.items()
        if term.supervised
    }
    acts = any(supervised.values())
    _require(
        supervision == "3d" or not acts,
        "data.supervision must be '3d' for a loss that compares with true joints",
        **{"data.supervision": supervision, **supervised},
    )
    _require(
        supervision == "2d" or acts,
        "data.supervision='3d' needs a weight for a loss that compares with true joints",
        **supervised,
    )


OPERATIONAL_FIELDS = frozenset(
    {
        *("data.root", "data.extra_roots", "data.evaluation_root", "data.validation_root"),
        *("model.hand_model", "model.weights_dir", "runtime"),
    }
)
"""Dotted paths that stay out of a trial's identity. Paths do; the files' content does not."""

_RELEASED_MODEL = ModelConfig(
    encoder="efficientnet-b3",
    pretrained="none",
    use_mean_shape=True,
    rotation_centre="origin_flipped",
    frame="dataset_camera",
    albedo="face",
)

_RELEASED_LOSSES = LossConfig(
    weights=LossWeights(bone_length_prior=0.1, shape_prior=0.0, ssim=0.0),
    keypoint_2d="released",
    photometric="released",
    heatmap_keypoint="released",
    shape_prior="squared",
    bone_length_prior="absolute",
    joint_angle_prior="axis_angle",
)

PRESETS: dict[PresetName, S2HandConfig] = {
    "paper": S2HandConfig(),
    "released-freihand": S2HandConfig(
        model=_RELEASED_MODEL,
        losses=replace(
            _RELEASED_LOSSES,
            weights=replace(
                _RELEASED_LOSSES.weights, shape_prior=1e-2, mesh_laplacian=0.1, mean_colour=1e-3
            ),
            photometric_min_confidence=0.1,
        ),
        stages=(
            StageConfig(
                name="together",
                epochs=180,
                learning_rate=1e-3,
                decay_every_epochs=30,
                decay_factor=0.5,
            ),
        ),
        optimiser=OptimiserConfig(batch_size=32),
    ),
    "released-ho3d": S2HandConfig(
        model=_RELEASED_MODEL,
        losses=_RELEASED_LOSSES,
        data=DataConfig(dataset="ho3d"),
        stages=_staged(
            apart_epochs=120,
            together_epochs=60,
            step=30,
            last_step=20,
            factor=0.5,
            first_without=_PICTURE_LOSSES,
        ),
    ),
    "cpu": S2HandConfig(
        model=ModelConfig(
            encoder="convnet",
            pretrained="none",
            image_size_px=96,
            keypoint_stacks=1,
            keypoint_channels=64,
        ),
        losses=LossConfig(shape_prior="squared"),
        stages=_staged(
            apart_epochs=30,
            together_epochs=15,
            step=10,
            last_step=5,
            factor=1 / 3,
            first_without=_PICTURE_LOSSES,
        ),
    ),
}
"""``paper`` follows the text. ``released-freihand`` and ``released-ho3d`` follow what the authors'
code ships for these datasets: ``FreiHAND/SSL-e2e`` and the three stages ``HO3D/SSL-*``. ``cpu``
is what experiments on a CPU use: the paper's losses, but for the square in ``shape_prior``, with
small networks and images, and the released code's way of training texture and light last."""
