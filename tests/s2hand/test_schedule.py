"""What holds in an epoch, and which losses, clips and parts a whole training has."""

from dataclasses import replace

import pytest

from s2hand.config import (
    ClipConfig,
    DataConfig,
    LossConfig,
    LossWeights,
    ModelConfig,
    QuaternionPhase,
    S2HandConfig,
    StageConfig,
)
from s2hand.errors import ConfigurationError
from s2hand.loss_table import TERMS
from s2hand.schedule import (
    Phase,
    clips_of,
    learning_rate,
    losses_of,
    losses_of_model,
    parts_of_model,
    phase_of,
)

CLIPS = ClipConfig(num_frames=2, frame_interval=2, frames_per_batch=8)
SCHEDULE = (
    QuaternionPhase(from_epoch=1, frame_interval=1, num_frames=4, weight=0.2),
    QuaternionPhase(from_epoch=3, frame_interval=2, num_frames=2, weight=0.0),
)


def stage(name, **settings):
    rate = {"learning_rate": 1e-3, "decay_every_epochs": 1, "decay_factor": 0.5}
    return StageConfig(**({"name": name, "epochs": 4} | rate | settings))


FRAMES = stage("frames", branch="3d")
MOTION = stage("motion", samples="clips")


def config_of(*stages, weights, schedule=(), pretrained="none"):
    """A configuration in which the losses that are named, and no others, have a weight."""
    return S2HandConfig(
        model=ModelConfig(encoder="convnet", pretrained=pretrained),
        losses=LossConfig(weights=LossWeights(**(dict.fromkeys(TERMS, 0.0) | weights))),
        data=DataConfig(dataset="ho3d"),
        clips=CLIPS,
        stages=stages,
        quaternion_schedule=schedule,
    )


def test_the_rate_falls_in_steps():
    stage = StageConfig(
        name="s", epochs=90, learning_rate=1e-3, decay_every_epochs=30, decay_factor=0.5
    )
    assert [learning_rate(stage, epoch) for epoch in (0, 29, 30, 60, 89)] == [
        1e-3, 1e-3, 5e-4, 2.5e-4, 2.5e-4,
    ]  # fmt: skip


def test_the_rate_falls_in_a_line_to_zero():
    stage = StageConfig(
        name="s", epochs=4, learning_rate=1e-3, decay_every_epochs=1, decay_factor=0.5,
        decay="to_zero",
    )  # fmt: skip
    places = [0, 0.25, 2, 3.75, 4]
    rates = [learning_rate(stage, place) for place in places]
    assert rates == pytest.approx([1e-3 * (4 - place) / 4 for place in places])


def test_the_quaternion_schedule_changes_clips_and_weight_by_epoch():
    config = config_of(FRAMES, MOTION, weights={"quaternion": 0.05, "ssim": 1.0})
    assert phase_of(config, MOTION, 3) == Phase(
        clips=CLIPS, weights={"ssim": 1.0, "quaternion": 0.05}
    )
    scheduled = replace(config, quaternion_schedule=SCHEDULE)
    phases = [phase_of(scheduled, MOTION, epoch) for epoch in range(5)]
    short, long = CLIPS, replace(CLIPS, num_frames=4, frame_interval=1)
    assert [phase.clips for phase in phases] == [short, long, long, short, short]
    assert [phase.clip_length for phase in phases] == [2, 4, 4, 2, 2]
    assert [phase.weights.get("quaternion") for phase in phases] == [0.05, 0.2, 0.2, None, None]
    assert phase_of(scheduled, FRAMES, 3) == Phase(clips=None, weights={"ssim": 1.0})
    assert phase_of(scheduled, FRAMES, 3).clip_length == 1
    with pytest.raises(ConfigurationError, match="rising from_epoch"):
        replace(config, quaternion_schedule=SCHEDULE[::-1])
    with pytest.raises(ConfigurationError, match=r"multiple of clips\.num_frames"):
        replace(config, quaternion_schedule=(replace(SCHEDULE[0], num_frames=3),))


def test_the_clips_of_a_training_are_those_of_its_epochs_each_once():
    config = config_of(FRAMES, MOTION, weights={"ssim": 1.0}, schedule=SCHEDULE)
    long = replace(CLIPS, num_frames=4, frame_interval=1)
    assert clips_of(config) == (CLIPS, long)
    assert clips_of(replace(config, stages=(replace(MOTION, epochs=1),))) == (CLIPS,)
    assert clips_of(config_of(FRAMES, weights={"ssim": 1.0})) == ()


def test_losses_of_a_stage_are_those_of_any_of_its_epochs():
    weights = {"ssim": 1.0, "quaternion": 0.0, "temporal": 0.1}
    config = config_of(FRAMES, MOTION, weights=weights, schedule=SCHEDULE)
    assert losses_of(config, FRAMES) == {"ssim"}
    assert losses_of(config, MOTION) == {"ssim", "temporal", "quaternion"}
    # The schedule has it from epoch 1 on.
    assert losses_of(config, replace(MOTION, epochs=2)) == {"ssim", "temporal", "quaternion"}
    assert losses_of(config, replace(MOTION, epochs=1)) == {"ssim", "temporal"}
    assert losses_of(config, replace(MOTION, epochs=0)) == set()
    assert losses_of(config, replace(MOTION, without=("ssim",))) == {"temporal", "quaternion"}


def test_a_model_has_the_parts_that_its_losses_train_and_always_the_hand_s():
    appearance = stage("appearance", branch="3d", epochs=0)
    keypoints = stage("keypoints", branch="2d", epochs=1, without=("shape_prior",))
    weights = {"shape_prior": 1.0, "pixel": 1.0, "heatmap_keypoint": 1.0}
    config = config_of(appearance, keypoints, weights=weights)
    assert losses_of_model(config) == {"heatmap_keypoint"}
    assert parts_of_model(config) == ("encoder", "head", "keypoint_estimator")
    started = replace(config, model=replace(config.model, pretrained="s2hand"))
    assert losses_of_model(started) == {"shape_prior", "pixel", "heatmap_keypoint"}
    assert parts_of_model(started) == (
        "encoder", "head", "texture_light_head", "keypoint_estimator",
    )  # fmt: skip
    # Stages with epochs keep their own.
    once = config_of(MOTION, weights={"ssim": 1.0}, schedule=SCHEDULE, pretrained="s2hand")
    once = replace(once, stages=(replace(MOTION, epochs=2),))
    assert losses_of_model(once) == {"ssim", "quaternion"}
    # Of those without, what would act in the first.
    assert losses_of_model(replace(once, stages=(replace(MOTION, epochs=0),))) == {"ssim"}
    assert parts_of_model(config_of(stage("none", epochs=1), weights={})) == ("encoder", "head")
