"""Settings of the stages of a training, and of the clips that they sample."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from s2hand.config.checks import require
from s2hand.loss_table import TERMS
from s2hand.parts import BranchName


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipConfig:
    """A clip is ``num_frames`` frames of one sequence, ``frame_interval`` true frames apart."""

    num_frames: int = 3
    frame_interval: int = 3
    frames_per_batch: int = 60
    """Frames in a global batch of clips, whatever the clip's length (20 × 3, 10 × 6)."""

    def __post_init__(self) -> None:
        require(
            self.num_frames >= 2, "clips.num_frames must be at least 2", num_frames=self.num_frames
        )
        require(
            self.frame_interval >= 1,
            "clips.frame_interval must be at least 1",
            frame_interval=self.frame_interval,
        )
        require(
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
        require(
            self.from_epoch >= 0,
            "quaternion_schedule: from_epoch must not be negative",
            from_epoch=self.from_epoch,
        )
        require(
            self.frame_interval >= 1,
            "quaternion_schedule: frame_interval must be at least 1",
            frame_interval=self.frame_interval,
        )
        require(
            self.num_frames >= 2,
            "quaternion_schedule: num_frames must be at least 2",
            num_frames=self.num_frames,
        )
        require(
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
    nothing to train, because no 2D loss has a weight, is left out. ``both``: everything.
    ``appearance``: texture and light alone, on hands that stay as the stages before left them."""
    without: tuple[str, ...] = ()
    """Losses that do not act in this stage although they have a weight; the released code trains
    texture and light in its last stage only."""
    samples: Literal["frames", "clips"] = "frames"
    """``clips`` switches the motion losses on and takes batches of ``clips.frames_per_batch``."""

    def __post_init__(self) -> None:
        where = f"stages.{self.name}"
        unknown = sorted(set(self.without) - set(TERMS))
        require(not unknown, f"{where}.without must name losses", unknown=unknown)
        require(self.name.isidentifier(), "a stage's name must be an identifier", name=self.name)
        require(self.epochs >= 0, f"{where}.epochs must not be negative", epochs=self.epochs)
        require(
            0 < self.learning_rate < math.inf,
            f"{where}.learning_rate must be finite and positive",
            learning_rate=self.learning_rate,
        )
        require(
            0 < self.features_rate <= 1,
            f"{where}.features_rate must lie in (0, 1]",
            features_rate=self.features_rate,
        )
        require(
            self.decay_every_epochs >= 1,
            f"{where}.decay_every_epochs must be at least 1",
            decay_every_epochs=self.decay_every_epochs,
        )
        require(
            0 < self.decay_factor <= 1,
            f"{where}.decay_factor must lie in (0, 1]",
            decay_factor=self.decay_factor,
        )


def staged(
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


PAPER_STAGES = staged(apart_epochs=90, together_epochs=60, step=30, last_step=20, factor=1 / 3)
"""Paper §4.3: each branch 90 epochs, halved every 30; together 60, divided by 3 every 20."""
