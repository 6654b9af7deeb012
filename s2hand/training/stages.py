"""Stages: what identifies one, and how several trainings share one."""

import dataclasses
import fcntl
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from s2hand.config import EVALUATION_FIELDS, ModelConfig, S2HandConfig
from s2hand.errors import ConfigurationError
from s2hand.layouts import LAYOUTS
from s2hand.model import parts_of_losses
from s2hand.training.schedule import losses_of
from s2hand.training.workers import Workers

_TRAINING_SOURCES = (
    *("config.py", "model.py", "types.py"),
    *("hand", "geometry", "rendering", "networks", "losses", "keypoints", "data", "training"),
)
"""Parts of the package whose code can change a training."""

_FIELDS_OF_LOSSES = {
    "keypoint_2d": ("keypoint_2d", "keypoint_knee_px"),
    "pixel": ("photometric", "photometric_min_confidence"),
    "mean_colour": ("photometric_min_confidence",),
    "texture_prior": ("photometric", "photometric_min_confidence"),
    "heatmap_keypoint": ("heatmap_keypoint", "keypoint_knee_px"),
    "keypoint_consistency": ("keypoint_knee_px",),
    "bone_length_prior": ("bone_length_prior",),
    "joint_angle_prior": ("joint_angle_prior",),
    "smooth": ("smooth_threshold_rad",),
}
"""Fields of ``LossConfig`` that take effect, beside the weight, where a term acts."""

_FIELDS_OF_PARTS = {
    "encoder": ("encoder", "pretrained", "image_size_px"),
    "head": (
        *("use_mean_shape", "rotation_output", "rotation_centre", "translation_frame"),
        "feature_dropout",
    ),
    "texture_light_head": ("albedo",),
    "keypoint_estimator": ("keypoint_stacks", "keypoint_channels", "image_size_px"),
}
"""Fields of ``ModelConfig`` that take effect where a part of the model is trained."""

_LOCK_POLL_S = 0.5


def trained_stages(config: S2HandConfig) -> list[int]:
    """Return the places of the stages that have something to train.

    Raises:
        ConfigurationError: if no stage has.
    """
    indices = [i for i, stage in enumerate(config.stages) if losses_of(config, stage)]
    if not indices:
        raise ConfigurationError(
            "no loss has a weight in any stage, so there is nothing to train; give one of "
            "losses.weights a positive value"
        )
    return indices


def stage_parts(config: S2HandConfig, index: int) -> tuple[str, ...]:
    """Name the parts of the model that a stage trains."""
    return parts_of_losses(losses_of(config, config.stages[index]))


def stage_identity(
    config: S2HandConfig,
    index: int,
    *,
    seed: int,
    device_type: str,
    fingerprints: Mapping[str, str],
    previous_ids: Mapping[str, str],
) -> dict[str, Any]:
    """Collect everything that determines a stage's outcome, as plain data.

    Only what takes effect enters: two trainings that differ in a motion loss alone share the
    stages that sample frames, and all share the stage of the 2D branch, whatever their encoders.

    Args:
        config: the whole configuration.
        index: the stage's place in ``config.stages``.
        seed: the training's seed.
        device_type: ``cpu`` or ``cuda``, which round differently.
        fingerprints: SHA-256 of the data, the hand model and the code.
        previous_ids: part of the model → id of the latest stage that trained it.
    """
    stage = config.stages[index]
    uses_clips = stage.samples == "clips"
    parts = stage_parts(config, index)
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
        "previous": {part: previous_ids[part] for part in parts if part in previous_ids},
    }


def model_identity(model: ModelConfig, parts: Sequence[str]) -> dict[str, Any]:
    """Dump the settings that take effect in some parts of the model."""
    return {field: getattr(model, field) for part in parts for field in _FIELDS_OF_PARTS[part]}


def stage_id(identity: Mapping[str, Any]) -> str:
    """Return the full SHA-256 over the canonical JSON of an identity."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def fingerprint_code() -> str:
    """Return the SHA-256 over the source files that can change a training."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for part in _TRAINING_SOURCES:
        path = package / part
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(source.relative_to(package).as_posix().encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()


@contextmanager
def first_free(folders: Sequence[Path], workers: Workers) -> Iterator[int]:
    """Hold one of several folders alone, among all trainings of all processes; return its place.

    Takes the first that no other training holds, and waits while others hold all of them. The
    lock goes with the process that holds it, however that ends. The workers of one training hold
    it together; they ask again and again instead of blocking, so that no worker waits in a
    collective for longer than a moment.
    """
    with ExitStack() as locks:
        descriptors = []
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            descriptors.append(locks.enter_context((folder / "lock").open("a")).fileno())
        while True:
            for place, descriptor in enumerate(descriptors):
                if workers.first_says(workers.rank == 0 and _try_lock(descriptor)):
                    yield place
                    return
            time.sleep(_LOCK_POLL_S)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _effective_losses(losses: dict[str, Any], active: frozenset[str]) -> dict[str, Any]:
    fields = {field for name in active for field in _FIELDS_OF_LOSSES.get(name, ())}
    weights = {name: weight for name, weight in losses["weights"].items() if name in active}
    return {field: losses[field] for field in sorted(fields)} | {"weights": weights}


def _effective_data(data: dict[str, Any]) -> dict[str, Any]:
    every = {field for layout in LAYOUTS.values() for field in layout.own_settings}
    foreign = every.difference(LAYOUTS[data["dataset"]].own_settings)
    return _without(data, ["root", *EVALUATION_FIELDS, *foreign])


def _without(mapping: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in names}
