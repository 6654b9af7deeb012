"""Stages: which there are, what identifies one, and what its random numbers follow from."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from s2hand.config import EVALUATION_FIELDS, ModelConfig, S2HandConfig
from s2hand.errors import ConfigurationError
from s2hand.layouts import LAYOUTS
from s2hand.loss_table import parts_of_losses, settings_of_losses
from s2hand.parts import BRANCHES
from s2hand.schedule import losses_of
from s2hand.source import sha256_of

_FIELDS_OF_PARTS = {
    "encoder": ("encoder", "image_size_px"),
    "head": ("use_mean_shape", "rotation_output", "rotation_centre", "frame", "projection"),
    "texture_light_head": ("albedo",),
    "keypoint_estimator": ("keypoint_stacks", "keypoint_channels", "image_size_px", "frame"),
}
"""Fields of ``ModelConfig`` that take effect where a part of the model is trained."""


def trained_stages(config: S2HandConfig) -> list[int]:
    """Return the places of the stages that have something to train: epochs, and a loss.

    Raises:
        ConfigurationError: if no stage has, and the model does not start whole: it would be noise.
    """
    indices = [i for i, stage in enumerate(config.stages) if losses_of(config, stage)]
    if not indices and config.model.pretrained != "s2hand":
        raise ConfigurationError(
            "no loss has a weight in any stage that has epochs, so there is nothing to train; give "
            "one of losses.weights a positive value, and epochs to a stage where it acts; only a "
            "model of model.pretrained='s2hand' can be measured as it is"
        )
    return indices


def stage_parts(config: S2HandConfig, index: int) -> tuple[str, ...]:
    """Name the parts of the model that a stage trains."""
    trained = BRANCHES[config.stages[index].branch].parts
    return tuple(part for part in used_parts(config, index) if part in trained)


def used_parts(config: S2HandConfig, index: int) -> tuple[str, ...]:
    """Name the parts of the model that a stage computes with, trained by it or not."""
    return parts_of_losses(losses_of(config, config.stages[index]))


def stage_identity(
    config: S2HandConfig,
    index: int,
    *,
    seed: int,
    device_type: str,
    fingerprints: Mapping[str, str],
    initial: Mapping[str, Mapping[str, str]],
    previous: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Collect everything that determines a stage's outcome, as plain data.

    Only what takes effect enters: two trainings that differ in a motion loss alone share the
    stages that sample frames, and all share the stage of the 2D branch, whatever their encoders.

    Args:
        config: the whole configuration.
        index: the stage's place in ``config.stages``.
        seed: the training's seed.
        device_type: ``cpu`` or ``cuda``, which round differently.
        fingerprints: SHA-256 of the data, the hand model and the stage's code.
        initial: part of the model → what identifies the weights that it begins with.
        previous: part of the model → identity of the latest stage that trained it.
    """
    stage = config.stages[index]
    uses_clips = stage.samples == "clips"
    parts = used_parts(config, index)
    before = {part: previous[part] for part in parts if part in previous}
    dump = dataclasses.asdict(config)
    return {
        "stage": _without(dump["stages"][index], ["name", "without"]),
        "model": model_identity(config.model, parts),
        "losses": _effective_losses(dump["losses"], losses_of(config, stage)),
        "data": _effective_data(dump["data"]),
        "clips": dump["clips"] if uses_clips else {},
        "quaternion_schedule": list(dump["quaternion_schedule"]) if uses_clips else [],
        "optimiser": _without(dump["optimiser"], ["batch_size"] if uses_clips else []),
        "seed": seed,
        "device": device_type,
        "fingerprints": dict(fingerprints),
        "initial": {
            part: dict(initial[part]) for part in parts if part in initial and part not in before
        },
        "previous": {part: stage_id(identity) for part, identity in before.items()},
        "depth": 1 + max((identity["depth"] for identity in before.values()), default=-1),
    }


def stream_of(identity: Mapping[str, Any]) -> str:
    """Name what a stage's random numbers follow from, beside the seed.

    That is a part of its identity: what it trains, what it samples, and after how many stages. Not
    its place, which the identity lacks: a stage is the same wherever it stands. And not the whole
    identity: rows of a table that differ in a loss see the same frames in the same order, turned
    by the same angles, so that they can be compared in pairs of one seed.
    """
    stage = identity["stage"]
    return f"{stage['branch']}:{stage['samples']}:{identity['depth']}"


def model_identity(model: ModelConfig, parts: Sequence[str]) -> dict[str, Any]:
    """Dump the settings that take effect in some parts of the model."""
    return {field: getattr(model, field) for part in parts for field in _FIELDS_OF_PARTS[part]}


def stage_id(identity: Mapping[str, Any]) -> str:
    """Return the full SHA-256 over the canonical JSON of an identity."""
    return sha256_of(identity)


def _effective_losses(losses: dict[str, Any], active: frozenset[str]) -> dict[str, Any]:
    weights = {name: weight for name, weight in losses["weights"].items() if name in active}
    return {name: losses[name] for name in settings_of_losses(active)} | {"weights": weights}


def _effective_data(data: dict[str, Any]) -> dict[str, Any]:
    every = {field for layout in LAYOUTS.values() for field in layout.own_settings}
    trained_on = (LAYOUTS[name] for name in (data["dataset"], *data["extra_datasets"]))
    foreign = every.difference(*(layout.own_settings for layout in trained_on))
    effective = _without(data, ["root", "extra_roots", *EVALUATION_FIELDS, *foreign])
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in effective.items()
    }


def _without(mapping: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in names}
