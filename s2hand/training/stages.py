"""Stages: what identifies one, and how several trainings share one."""

import dataclasses
import fcntl
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s2hand.config import MOTION_LOSSES, ModelConfig, S2HandConfig
from s2hand.training.workers import Workers

_TRAINING_SOURCES = (
    *("config.py", "model.py", "types.py"),
    *("hand", "geometry", "networks", "losses", "keypoints", "data", "training"),
)
"""Parts of the package whose code can change a training."""

_FIELDS_OF_LOSSES = {
    "keypoint_2d": ("keypoint_2d", "keypoint_knee_px"),
    "bone_length_prior": ("bone_length_prior",),
    "joint_angle_prior": ("joint_angle_prior",),
    "smooth": ("smooth_threshold_rad",),
}
"""Fields of ``LossConfig`` that take effect only while the term has a weight."""

_FIELDS_OF_DATASETS = {
    "freihand": ("rotation_deg",),
    "ho3d": ("train_crop", "crop_size_per_reach", "crop_jitter", "sequence_rotation_deg"),
}
"""Fields of ``DataConfig`` that take effect for one dataset only."""

_LOCK_POLL_S = 0.5


def stage_identity(
    config: S2HandConfig,
    index: int,
    *,
    seed: int,
    device_type: str,
    fingerprints: Mapping[str, str],
    previous_id: str,
) -> dict[str, Any]:
    """Collect everything that determines a stage's outcome, as plain data.

    Only what takes effect enters: two trainings that differ in a motion loss alone share the
    stages that sample frames.

    Args:
        config: the whole configuration.
        index: the stage's place in ``config.stages``.
        seed: the training's seed.
        device_type: ``cpu`` or ``cuda``, which round differently.
        fingerprints: SHA-256 of the data, the hand model and the code.
        previous_id: id of the stage before; empty for the first.
    """
    uses_clips = config.stages[index].samples == "clips"
    dump = dataclasses.asdict(config)
    return {
        "stage": _without(dump["stages"][index], ["name"]),
        "model": model_identity(config.model),
        "losses": _effective_losses(dump["losses"], uses_clips=uses_clips),
        "data": _effective_data(dump["data"]),
        "clips": dump["clips"] if uses_clips else {},
        "optimiser": _without(dump["optimiser"], ["batch_size"] if uses_clips else []),
        "seed": seed,
        "device": device_type,
        "fingerprints": dict(fingerprints),
        "previous": previous_id,
    }


def model_identity(model: ModelConfig) -> dict[str, Any]:
    """Dump the model's settings, but for the path of the hand model."""
    return _without(dataclasses.asdict(model), ["hand_model"])


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
            if "synthetic" not in source.parts:
                digest.update(source.relative_to(package).as_posix().encode())
                digest.update(source.read_bytes())
    return digest.hexdigest()


@contextmanager
def exclusive(folder: Path, workers: Workers) -> Iterator[None]:
    """Hold a folder alone, among all trainings of all processes.

    Waits while another training holds it. The lock goes with the process that holds it, however
    that ends. The workers of one training hold it together; they ask again and again instead of
    blocking, so that no worker waits in a collective for longer than a moment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        while not workers.first_says(workers.rank == 0 and _try_lock(file.fileno())):
            time.sleep(_LOCK_POLL_S)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _effective_losses(losses: dict[str, Any], *, uses_clips: bool) -> dict[str, Any]:
    weights = {
        name: weight
        for name, weight in losses["weights"].items()
        if weight > 0 and (uses_clips or name not in MOTION_LOSSES)
    }
    unused = [
        field
        for name, fields in _FIELDS_OF_LOSSES.items()
        if name not in weights
        for field in fields
    ]
    return _without(losses, unused) | {"weights": weights}


def _effective_data(data: dict[str, Any]) -> dict[str, Any]:
    foreign = [
        field
        for dataset, fields in _FIELDS_OF_DATASETS.items()
        if dataset != data["dataset"]
        for field in fields
    ]
    return _without(data, ["root", *foreign])


def _without(mapping: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in names}
