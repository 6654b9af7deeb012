"""Settings outside their range are refused, by the name that recipes and commands use."""

import math

import pytest

from s2hand.config import (
    PRESETS,
    ClipConfig,
    DataConfig,
    LossConfig,
    LossWeights,
    ModelConfig,
    OptimiserConfig,
    QuaternionPhase,
    S2HandConfig,
    StageConfig,
)
from s2hand.errors import ConfigurationError


def stage(**changes):
    fields = {"name": "a", "epochs": 1, "learning_rate": 1.0, "decay_every_epochs": 1}
    return StageConfig(**(fields | {"decay_factor": 0.5} | changes))


def phase(**changes):
    fields = {"from_epoch": 0, "frame_interval": 1, "num_frames": 2, "weight": 1.0}
    return QuaternionPhase(**(fields | changes))


@pytest.mark.parametrize(
    ("section", "make", "field", "allowed", "refused"),
    [
        ("model", ModelConfig, "image_size_px", [32], [31]),
        ("model", ModelConfig, "feature_dropout", [0.0, 0.9], [-0.1, 1.0, math.nan]),
        ("model", ModelConfig, "keypoint_stacks", [1], [0]),
        ("model", ModelConfig, "keypoint_channels", [8, 64], [0, 12]),
        ("losses.weights", LossWeights, "quaternion", [0.0, 2.5], [-1.0, math.inf, math.nan]),
        ("losses", LossConfig, "keypoint_knee_px", [0.1], [0.0]),
        ("losses", LossConfig, "photometric_min_confidence", [0.0], [-0.1, 1.0]),
        ("data", DataConfig, "rotation_deg", [0.0, 180.0], [-1.0, 181.0]),
        ("data", DataConfig, "sequence_rotation_deg", [0.0, 180.0], [-1.0, 181.0]),
        ("data", DataConfig, "colour_jitter", [0.0], [-0.1, 1.0]),
        ("data", DataConfig, "crop_size_per_reach", [2.0, 8.0], [1.9, 8.1]),
        ("data", DataConfig, "validation_fraction", [0.0], [-0.1, 1.0]),
        ("clips", ClipConfig, "num_frames", [2], [1]),
        ("clips", ClipConfig, "frame_interval", [1], [0]),
        ("clips", ClipConfig, "frames_per_batch", [3], [0, 61]),
        ("quaternion_schedule", phase, "from_epoch", [0], [-1]),
        ("quaternion_schedule", phase, "num_frames", [2], [1]),
        ("quaternion_schedule", phase, "weight", [0.0], [-1.0, math.nan]),
        ("stages", stage, "epochs", [1], [0]),
        ("stages", stage, "learning_rate", [1e-9], [0.0, -1.0]),
        ("stages", stage, "decay_every_epochs", [1], [0]),
        ("stages", stage, "decay_factor", [1.0], [0.0, 1.1]),
        ("stages", stage, "without", [("ssim",)], [("sim",)]),
        ("optimiser", OptimiserConfig, "world_size", [1, 2], [0]),
        ("optimiser", OptimiserConfig, "batch_size", [1], [0]),
        ("optimiser", OptimiserConfig, "micro_batch_size", [0], [-1]),
        ("optimiser", OptimiserConfig, "weight_decay", [0.0, 0.3], [-0.1, math.inf, math.nan]),
        ("optimiser", OptimiserConfig, "adam_beta1", [0.0, 0.99], [-0.1, 1.0, math.nan]),
        ("optimiser", OptimiserConfig, "adam_beta2", [0.0, 0.99], [-0.1, 1.0, math.nan]),
    ],
)
def test_ranges(section, make, field, allowed, refused):
    for value in allowed:
        assert getattr(make(**{field: value}), field) == value
    for value in refused:
        with pytest.raises(ConfigurationError, match=rf"{section}.*\b{field} must.*got "):
            make(**{field: value})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stages": ()}, "at least one stage"),
        ({"stages": (stage(), stage())}, "names of stages must differ"),
        ({"stages": (stage(samples="clips"),)}, "needs a dataset of sequences"),
        ({"losses": LossConfig(weights=LossWeights(smooth=1.0))}, "motion loss needs a stage"),
        ({"quaternion_schedule": (phase(),)}, "quaternion_schedule needs a stage"),
        (
            {
                "data": DataConfig(dataset="ho3d"),
                "stages": (stage(samples="clips"),),
                "quaternion_schedule": (phase(from_epoch=2), phase(from_epoch=2)),
            },
            "rising from_epoch",
        ),
    ],
)
def test_settings_that_contradict_each_other(fields, message):
    with pytest.raises(ConfigurationError, match=message):
        S2HandConfig(**fields)


def test_the_schedules_are_the_paper_s_and_the_released_code_s():
    epochs = {name: [each.epochs for each in preset.stages] for name, preset in PRESETS.items()}
    assert epochs["paper"] == [90, 90, 60]
    assert epochs["released-freihand"] == [180]
    assert epochs["released-ho3d"] == [120, 120, 60]
