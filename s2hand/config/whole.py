"""The whole configuration, and what its parts ask of one another."""

from dataclasses import dataclass, field, replace

from s2hand.config.checks import require
from s2hand.config.data import DataConfig
from s2hand.config.losses import LossConfig
from s2hand.config.model import ModelConfig
from s2hand.config.running import OptimiserConfig, RuntimeConfig
from s2hand.config.stages import PAPER_STAGES, ClipConfig, QuaternionPhase, StageConfig
from s2hand.layouts import LAYOUTS
from s2hand.loss_table import TERMS, LossWeights


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
        require(len(names) >= 1, "stages must hold at least one stage", stages=names)
        require(len(set(names)) == len(names), "the names of stages must differ", stages=names)
        _require_supervision(self.losses.weights, self.data.supervision)
        samples_clips = any(stage.samples == "clips" for stage in self.stages)
        without_clips = [
            name for name in self.data.training_datasets if LAYOUTS[name].kind != "sequences"
        ]
        require(
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
        require(
            samples_clips or not any(weights.values()),
            "a motion loss needs a stage with samples='clips'",
            **{name: value for name, value in weights.items() if value},
        )
        require(
            samples_clips or not self.quaternion_schedule,
            "quaternion_schedule needs a stage with samples='clips'",
            quaternion_schedule=self.quaternion_schedule,
        )
        starts = [phase.from_epoch for phase in self.quaternion_schedule]
        require(
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
    require(
        supervision == "3d" or not acts,
        "data.supervision must be '3d' for a loss that compares with true joints",
        **{"data.supervision": supervision, **supervised},
    )
    require(
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
