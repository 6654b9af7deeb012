"""Settings outside their range are refused, by the name that recipes and commands use."""

import math
from dataclasses import replace

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
from s2hand.schedule import learning_rate, losses_of


def stage(**changes):
    fields = {"name": "a", "epochs": 1, "learning_rate": 1.0, "decay_every_epochs": 1}
    return StageConfig(**(fields | {"decay_factor": 0.5} | changes))


def phase(**changes):
    fields = {"from_epoch": 0, "frame_interval": 1, "num_frames": 2, "weight": 1.0}
    return QuaternionPhase(**(fields | changes))


NO_NUMBERS = (math.inf, math.nan)


@pytest.mark.parametrize(
    ("section", "make", "field", "allowed", "refused"),
    [
        ("model", ModelConfig, "image_size_px", [32], [31]),
        ("model", ModelConfig, "keypoint_stacks", [1], [0]),
        ("model", ModelConfig, "keypoint_channels", [8, 64], [0, 12]),
        ("losses.weights", LossWeights, "quaternion", [0.0, 2.5], [-1.0, math.inf, math.nan]),
        ("losses", LossConfig, "keypoint_knee_px", [0.1], [0.0, *NO_NUMBERS]),
        ("losses", LossConfig, "smooth_threshold_rad", [0.0], [-0.1, *NO_NUMBERS]),
        ("losses", LossConfig, "photometric_min_confidence", [0.0], [-0.1, 1.0, *NO_NUMBERS]),
        ("data", DataConfig, "rotation_deg", [0.0, 180.0], [-1.0, 181.0, *NO_NUMBERS]),
        ("data", DataConfig, "picture_jitter", [0.0, 0.5], [-0.1, 1.0, *NO_NUMBERS]),
        ("data", DataConfig, "sequence_rotation_deg", [0.0, 180.0], [-1.0, 181.0]),
        ("data", DataConfig, "colour_jitter", [0.0], [-0.1, 1.0]),
        ("data", DataConfig, "crop_size_per_reach", [2.0, 8.0], [1.9, 8.1, *NO_NUMBERS]),
        ("data", DataConfig, "validation_fraction", [0.0], [-0.1, 1.0]),
        ("clips", ClipConfig, "num_frames", [2], [1]),
        ("clips", ClipConfig, "frame_interval", [1], [0]),
        ("clips", ClipConfig, "frames_per_batch", [3], [0, 61]),
        ("quaternion_schedule", phase, "from_epoch", [0], [-1]),
        ("quaternion_schedule", phase, "num_frames", [2], [1]),
        ("quaternion_schedule", phase, "weight", [0.0], [-1.0, math.nan]),
        ("stages", stage, "epochs", [0, 1], [-1]),
        ("stages", stage, "learning_rate", [1e-9], [0.0, -1.0, *NO_NUMBERS]),
        ("stages", stage, "decay_every_epochs", [1], [0]),
        ("stages", stage, "decay_factor", [1.0], [0.0, 1.1, *NO_NUMBERS]),
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
            {"losses": LossConfig(weights=LossWeights(joint_3d=1.0))},
            r"data.supervision must be '3d'.*got data.supervision='2d', losses.weights.joint_3d=1",
        ),
        (
            {"data": DataConfig(supervision="3d")},
            r"supervision='3d' needs a weight.*losses.weights.joint_3d=0",
        ),
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


def acting(config):
    """Name the losses of each stage."""
    return {stage.name: losses_of(config, stage) for stage in config.stages}


def test_the_paper_s_schedule():
    config = PRESETS["paper"]
    assert [each.epochs for each in config.stages] == [90, 90, 60]
    assert config.losses.shape_prior == "norm"
    assert PRESETS["cpu"].losses.shape_prior == "squared"


GEOMETRY = {"keypoint_2d", "bone_direction", "bone_length_prior", "joint_angle_prior"}
PICTURE = {"pixel", "texture_prior"}
BRANCH_2D = {"heatmap_keypoint", "keypoint_consistency"}


def test_the_released_training_on_freihand_is_one_stage():
    """Configuration ``FreiHAND/SSL-e2e``."""
    config = PRESETS["released-freihand"]
    (stage,) = config.stages
    assert acting(config)[stage.name] == (
        GEOMETRY | PICTURE | BRANCH_2D | {"mesh_laplacian", "mean_colour", "shape_prior"}
    )
    rates = [learning_rate(stage, epoch) for epoch in (0, 29, 30, 60, 90, 120, 150, 179)]
    assert rates == [1e-3 * 0.5**halvings for halvings in (0, 0, 1, 2, 3, 4, 5, 5)]
    assert (stage.epochs, config.optimiser.batch_size) == (180, 32)
    weights = config.losses.weights
    assert (weights.mesh_laplacian, weights.mean_colour, weights.shape_prior) == (0.1, 1e-3, 1e-2)
    assert config.losses.photometric_min_confidence == 0.1
    assert config.data.dataset == "freihand"


def test_the_released_training_on_ho3d_has_three_stages():
    """Configurations ``HO3D/SSL-shape``, ``SSL-kp`` and ``SSL-finetune``."""
    config = PRESETS["released-ho3d"]
    assert acting(config) == {
        "image": GEOMETRY,
        "keypoints": {"heatmap_keypoint"},
        "finetune": GEOMETRY | PICTURE | BRANCH_2D,
    }
    assert [each.epochs for each in config.stages] == [120, 120, 60]
    last = config.stages[-1]
    rates = [learning_rate(last, epoch) for epoch in (0, 19, 20, 40, 59)]
    assert rates == [2.5e-4, 2.5e-4, 1.25e-4, 6.25e-5, 6.25e-5]
    assert config.optimiser.batch_size == 64
    assert config.losses.photometric_min_confidence == 0
    assert config.data.dataset == "ho3d"


def test_the_released_presets_share_network_and_formulas():
    one, other = PRESETS["released-freihand"], PRESETS["released-ho3d"]
    assert one.model == other.model
    assert replace(one.losses, weights=other.losses.weights, photometric_min_confidence=0.0) == (
        other.losses
    )
    for config in (one, other):
        weights = config.losses.weights
        assert (weights.bone_length_prior, weights.ssim) == (0.1, 0.0)
