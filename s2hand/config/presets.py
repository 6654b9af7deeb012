"""Presets: the paper, the authors' released code, and what experiments on a CPU use."""

from dataclasses import replace
from typing import Literal

from s2hand.config.data import DataConfig
from s2hand.config.losses import LossConfig
from s2hand.config.model import ModelConfig
from s2hand.config.running import OptimiserConfig
from s2hand.config.stages import StageConfig, staged
from s2hand.config.whole import S2HandConfig
from s2hand.loss_table import TERMS, LossWeights

PresetName = Literal["paper", "released-freihand", "released-ho3d", "cpu"]


PICTURE_LOSSES = tuple(name for name, term in TERMS.items() if "appearance" in term.outputs)
"""Losses that train texture and light."""


def _with_appearance(stages: tuple[StageConfig, ...]) -> tuple[StageConfig, ...]:
    """Add a stage of texture and light alone after the first, of the 3D branch; without epochs."""
    image, *others = stages
    appearance = replace(image, name="appearance", epochs=0, branch="appearance", without=())
    return (image, appearance, *others)


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
        stages=staged(
            apart_epochs=120,
            together_epochs=60,
            step=30,
            last_step=20,
            factor=0.5,
            first_without=PICTURE_LOSSES,
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
        stages=_with_appearance(
            staged(
                apart_epochs=30,
                together_epochs=15,
                step=10,
                last_step=5,
                factor=1 / 3,
                first_without=PICTURE_LOSSES,
            )
        ),
    ),
}
"""``paper`` follows the text. ``released-freihand`` and ``released-ho3d`` follow what the authors'
code ships for these datasets: ``FreiHAND/SSL-e2e`` and the three stages ``HO3D/SSL-*``. ``cpu``
is what experiments on a CPU use: the paper's losses, but for the square in ``shape_prior``, with
small networks and images, and the released code's way of training texture and light last; a
stage of them alone is there for scales that give it epochs."""
