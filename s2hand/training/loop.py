"""A whole training: its stages one after the other, each trained once and kept."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from s2hand.config import S2HandConfig
from s2hand.data.build import load_train
from s2hand.data.dataset import FrameDataset
from s2hand.data.fingerprint import fingerprint_training_data
from s2hand.errors import ConfigurationError
from s2hand.hand.loader import load_hand_model
from s2hand.model import S2Hand
from s2hand.training.checkpoint import load_checkpoint, require_same
from s2hand.training.context import TrainingContext
from s2hand.training.determinism import derive_seed, use_deterministic_algorithms
from s2hand.training.stage_run import FINAL_NAME, LATEST_NAME, StageRun, Validation
from s2hand.training.stages import (
    fingerprint_code,
    first_free,
    stage_id,
    stage_identity,
    stage_parts,
    trained_stages,
)
from s2hand.training.workers import Workers


def train(
    config: S2HandConfig,
    *,
    seed: int,
    context: TrainingContext,
    validate: Validation | None = None,
) -> None:
    """Train all stages and leave ``final.pt`` in ``context.checkpoint_dir``.

    Stages before the last lie in ``context.stage_dir`` under their own id, where every training
    that has the same stage finds them. One trains it; the others meanwhile train a stage that does
    not need it, or wait. What is there already is not trained again, and an unfinished stage goes
    on after its latest report. The same seed
    gives the same weights bit for bit on one machine with one number of threads, interrupted or
    not.

    Args:
        config: the whole configuration.
        seed: determines initial weights, order of samples and augmentation.
        context: where to run and write, and whom to tell. ``report`` is called after the
            checkpoint was written; what it raises ends the training, which can be resumed.
        validate: what to measure of the model for every report, beside the losses.

    Raises:
        ConfigurationError: if the workers do not fit the configuration, or the batch the workers.
        CheckpointError: if the folder holds another configuration's checkpoint.
        DataError: if the data cannot be read.
        NonFiniteLossError: if a loss becomes NaN or infinite.
    """
    if context.world_size != config.optimiser.world_size:
        raise ConfigurationError(
            f"optimiser.world_size={config.optimiser.world_size} must be the number of workers, "
            f"got {context.world_size}"
        )
    workers = Workers(rank=context.rank, world_size=context.world_size)
    indices = trained_stages(config)
    identities = stage_identities(config, seed=seed, device_type=torch.device(context.device).type)
    folders = [context.stage_dir / stage_id(identity) for identity in identities[:-1]]
    folders.append(context.checkpoint_dir)
    final = context.checkpoint_dir / FINAL_NAME
    if final.is_file():
        require_same(load_checkpoint(final).identity, identities[-1], final)
        return
    use_deterministic_algorithms()
    dataset = FrameDataset.from_config(load_train(config), config)
    model = _build_model(config, seed, context.device, workers)
    runs = [
        StageRun(
            config=config,
            index=index,
            is_last=index == indices[-1],
            epochs_before=sum(config.stages[before].epochs for before in indices[:place]),
            identity=identity,
            seed=seed,
            model=model,
            dataset=dataset,
            context=context,
            workers=workers,
            folder=folder,
            validate=validate,
        )
        for place, (index, identity, folder) in enumerate(
            zip(indices, identities, folders, strict=True)
        )
    ]
    is_in_last_stage = (context.checkpoint_dir / LATEST_NAME).is_file()
    pending = runs[-1:] if is_in_last_stage else runs
    while pending:
        ready = _ready(pending)
        with first_free([run.folder for run in ready], workers) as place:
            ready[place].run()
        pending = [run for run in pending if run is not ready[place]]


def _ready(pending: Sequence[StageRun]) -> list[StageRun]:
    """Return the stages that need nothing of another pending one; the last waits for all."""
    *before_last, last = pending
    ids = {stage_id(run.identity) for run in pending}
    ready = [run for run in before_last if ids.isdisjoint(run.identity["previous"].values())]
    return ready or [last]


def stage_identities(config: S2HandConfig, *, seed: int, device_type: str) -> list[dict[str, Any]]:
    """Collect what identifies each stage that is trained, the data and the code included."""
    fingerprints = {
        "data": fingerprint_training_data(config),
        "hand": load_hand_model(config.model.hand_model or None).fingerprint,
        "code": fingerprint_code(),
    }
    identities: list[dict[str, Any]] = []
    previous_ids: dict[str, str] = {}
    for index in trained_stages(config):
        identity = stage_identity(
            config,
            index,
            seed=seed,
            device_type=device_type,
            fingerprints=fingerprints,
            previous_ids=previous_ids,
        )
        identities.append(identity)
        previous_ids |= dict.fromkeys(stage_parts(config, index), stage_id(identity))
    return identities


def _build_model(config: S2HandConfig, seed: int, device: str, workers: Workers) -> S2Hand:
    """Build the model with the seed's initial weights, the same on every worker."""
    torch.manual_seed(derive_seed(seed, "weights"))
    model = S2Hand(config)
    if workers.world_size > 1 and torch.device(device).type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model.to(device)
    model.to(memory_format=model.memory_format)  # type: ignore[call-overload]  # torch's stub
    workers.copy_from_first(model)
    if config.optimiser.compile:
        for name in model.parts.keys() - {"head"}:
            model.parts[name].compile()
    return model
