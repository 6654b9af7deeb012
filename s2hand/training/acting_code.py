"""Which modules of this package can change a result: declared here, and checked by tests.

A core acts in every training; the rest acts where a part is trained, a loss has a weight
(:mod:`s2hand.loss_table` names its modules), a dataset is read or a device draws. What only draws
pictures for people, words errors, or is in the identity anyway acts nowhere and stands in no list.
"""

from collections.abc import Collection

from s2hand.config import S2HandConfig
from s2hand.layouts import LAYOUTS, DatasetName
from s2hand.loss_table import modules_of_losses, outputs_of_losses, parts_of_losses
from s2hand.schedule import losses_of, losses_of_model
from s2hand.training.stages import trained_stages

_MODEL = (
    *(
        "config",
        "keypoints.track_settings",
        "parts",
        "prediction",
        "schedule",
        "model",
        "starting_weights",
    ),
    *("hand.layer", "hand.skinning", "hand.loader", "hand.model_data", "hand.embedded"),
    *("hand.pickles", "hand.fingertips", "hand.joints", "geometry.rotations", "geometry.cameras"),
    *("rendering", "rendering.topology", "networks.encoder", "networks.geometry_head"),
)
"""What every model is built of."""

_DATA = (
    *("data.build", "data.dataset", "data.augmentation", "data.packing", "data.sample"),
    *("data.resampling", "data.transfer"),
)
"""From tables of frames to batches; what reads the tables is the layout's to declare."""

_TRAINING = (
    *("data.clips", "data.mixture", "training.loop", "training.stage_run", "training.stages"),
    *("training.step", "training.determinism", "training.workers", "training.sharing"),
    *("training.checkpoint", "training.feeding"),
)

_EVALUATION = (
    *("trained_model", "plain_data", "inference", "evaluation"),
    *("metrics.evaluate", "metrics.baselines", "metrics.alignment", "metrics.appearance"),
    *(
        "metrics.curves",
        "metrics.errors",
        "metrics.evaluator",
        "metrics.f_score",
        "metrics.keypoints_2d",
        "metrics.pck",
    ),
    *("metrics.rendering", "metrics.smoothness"),
    *("rendering.rasterise", "rendering.threads", "compiled"),
)
"""From a model's file, or no model, to numbers; true silhouettes are drawn on the CPU."""

_OF_PARTS = {
    "encoder": ("networks.encoder",),
    "head": ("networks.geometry_head",),
    "texture_light_head": ("networks.texture_light_head", "rendering.lighting"),
    "keypoint_estimator": ("networks.keypoint_estimator",),
}

_RENDERING = ("rendering.render", "rendering.lighting", "geometry.mesh")
_OF_DEVICES = {
    "cpu": (
        *("compiled", "rendering.cpu", "rendering.rasterise", "rendering.outlines"),
        "rendering.threads",
    ),
    "cuda": ("rendering.cuda", "rendering.cuda_device", "rendering.cuda_kernels"),
}


def stage_modules(config: S2HandConfig, index: int, device_type: str) -> frozenset[str]:
    """Name the modules that can change the weights that a stage ends with.

    Args:
        config: the whole configuration.
        index: the stage's place in ``config.stages``.
        device_type: ``cpu`` or ``cuda``.
    """
    losses = losses_of(config, config.stages[index])
    shared = (_MODEL, _DATA, _TRAINING, _computing(losses, device_type))
    reading = _reading(*config.data.training_datasets)
    return _named(*shared) | reading | modules_of_losses(losses)


def training_modules(config: S2HandConfig, device_type: str) -> frozenset[str]:
    """Name the modules that can change a training: the model's, and those of all its stages."""
    stages = trained_stages(config)
    return _named(_MODEL).union(*(stage_modules(config, i, device_type) for i in stages))


def evaluation_modules(config: S2HandConfig, device_type: str) -> frozenset[str]:
    """Name the modules that can change what is measured of a finished training."""
    losses = losses_of_model(config)
    data = config.data
    reading = _reading(*data.training_datasets, data.evaluation_dataset or data.dataset)
    return _named(_MODEL, _DATA, _EVALUATION, _computing(losses, device_type)) | reading


def _reading(*datasets: DatasetName) -> frozenset[str]:
    """Name what reads sets, each in its layout."""
    return frozenset(module for name in datasets for module in LAYOUTS[name].modules)


def _computing(losses: Collection[str], device_type: str) -> tuple[str, ...]:
    """Name what computes the outputs that losses need, beside the hand."""
    modules = tuple(module for part in parts_of_losses(losses) for module in _OF_PARTS[part])
    if "rendering" in outputs_of_losses(losses):
        modules += (*_RENDERING, *_OF_DEVICES[device_type])
    return modules


def _named(*groups: Collection[str]) -> frozenset[str]:
    return frozenset(f"s2hand.{module}" for group in groups for module in group)
