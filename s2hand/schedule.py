"""What holds in an epoch: its learning rate, its clips, its weights; and so, what acts at all."""

from dataclasses import dataclass, replace

from s2hand.config import ClipConfig, S2HandConfig, StageConfig
from s2hand.loss_table import active_weights, parts_of_losses
from s2hand.parts import PARTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    """What some epochs of a stage have in common."""

    clips: ClipConfig | None
    """None where frames are sampled singly."""
    weights: dict[str, float]
    """The terms that act, by name."""

    @property
    def clip_length(self) -> int:
        """Frames of a clip; 1 where frames are sampled singly."""
        return self.clips.num_frames if self.clips else 1


def learning_rate(stage: StageConfig, epochs: int | float) -> float:
    """Return the stage's learning rate after so many epochs, whole or not.

    References:
        Paper §4.3 for ``decay="steps"``; the steps are fields of the stage.
    """
    if stage.decay == "to_zero":
        return stage.learning_rate * (1 - epochs / stage.epochs)
    return stage.learning_rate * stage.decay_factor ** (epochs // stage.decay_every_epochs)


def phase_of(config: S2HandConfig, stage: StageConfig, epoch: int) -> Phase:
    """Return what holds in an epoch (from 0) of a stage; ``quaternion_schedule`` can change it."""
    weights, clips = config.losses.weights, config.clips
    uses_clips = stage.samples == "clips"
    begun = [each for each in config.quaternion_schedule if each.from_epoch <= epoch]
    if uses_clips and begun:
        clips, weights = config.clips_of(begun[-1]), replace(weights, quaternion=begun[-1].weight)
    return Phase(
        clips=clips if uses_clips else None,
        weights=active_weights(
            weights, branch=stage.branch, over_clips=uses_clips, without=stage.without
        ),
    )


def clips_of(config: S2HandConfig) -> tuple[ClipConfig, ...]:
    """List every kind of clip that a training samples."""
    phases = (
        phase_of(config, stage, epoch) for stage in config.stages for epoch in range(stage.epochs)
    )
    return tuple(dict.fromkeys(phase.clips for phase in phases if phase.clips is not None))


def losses_of(config: S2HandConfig, stage: StageConfig) -> frozenset[str]:
    """Name every loss that acts in some epoch of a stage."""
    starts = [0, *(each.from_epoch for each in config.quaternion_schedule)]
    return frozenset(
        name
        for epoch in starts
        if epoch < stage.epochs
        for name in phase_of(config, stage, epoch).weights
    )


def losses_of_model(config: S2HandConfig) -> frozenset[str]:
    """Name every loss whose parts the model has: those that act in some epoch of some stage.

    Of a model that starts whole also those of stages without epochs, so that it can be measured
    as it is.
    """
    stages = config.stages
    if config.model.pretrained == "s2hand":
        stages = tuple(replace(stage, epochs=max(1, stage.epochs)) for stage in stages)
    return frozenset[str]().union(*(losses_of(config, stage) for stage in stages))


def parts_of_model(config: S2HandConfig) -> tuple[str, ...]:
    """Name the parts that the model has: encoder, head, and those that some loss needs."""
    needed = {"encoder", "head", *parts_of_losses(losses_of_model(config))}
    return tuple(part for part in PARTS if part in needed)
