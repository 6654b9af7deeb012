"""A whole training: its stages, each trained once and kept, and the model that they end in."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from s2hand.config import S2HandConfig
from s2hand.data.mixture import FrameMixture
from s2hand.data.record import TrainingData, identify_training_data
from s2hand.errors import ConfigurationError, SourceError
from s2hand.hand.loader import load_hand_model
from s2hand.model import S2Hand
from s2hand.source import module_digests, sha256_of
from s2hand.starting_weights import initial_weights
from s2hand.trained_model import MODEL_NAME, ModelRecord, read_model_record, save_model
from s2hand.training.acting_code import stage_modules
from s2hand.training.checkpoint import require_same
from s2hand.training.context import TrainingContext
from s2hand.training.determinism import derive_seed, use_deterministic_algorithms
from s2hand.training.reports import StageReport, StageReports
from s2hand.training.sharing import first_free
from s2hand.training.stage_run import StageRun, Validation
from s2hand.training.stages import (
    stage_id,
    stage_identity,
    stage_parts,
    trained_stages,
    used_parts,
)
from s2hand.training.workers import Workers


def train(
    config: S2HandConfig,
    *,
    seed: int,
    context: TrainingContext,
    validate: Validation | None = None,
) -> tuple[StageReport, ...]:
    """Train all stages and leave ``model.safetensors`` in ``context.checkpoint_dir``.

    Stages lie in ``context.stage_dir`` under their own id, where every training that has the same
    stage finds them. One trains it; the others meanwhile train a stage that does not need it, or
    wait. What is there already is not trained again, and an unfinished stage goes on after its
    latest report. The model has each part as the last stage that trained it left it: where no
    stage trains them together, its branches are those that were trained apart. The same seed gives
    the same weights bit for bit on one machine with one number of threads, interrupted or not.

    Args:
        config: the whole configuration.
        seed: determines initial weights, order of samples and augmentation.
        context: where to run and write, and whom to tell. ``report`` is called after the
            checkpoint was written; what it raises ends the training, which can be resumed.
        validate: what to measure of the model for every report, beside the losses.

    Returns:
        What was done for each stage, in the order of ``config.stages``.

    Raises:
        ConfigurationError: if the workers do not fit the configuration, or the batch the workers.
        CheckpointError: if the folder holds another configuration's model.
        DataError: if the data cannot be read.
        NonFiniteLossError: if a loss becomes NaN or infinite.
        SourceError: if the package's source is not to be had, which identifies the stages.
    """
    if context.world_size != config.optimiser.world_size:
        raise ConfigurationError(
            f"optimiser.world_size={config.optimiser.world_size} must be the number of workers, "
            f"got {context.world_size}"
        )
    workers = Workers(rank=context.rank, world_size=context.world_size)
    data = identify_training_data(config)
    identities = stage_identities(
        config,
        seed=seed,
        device_type=torch.device(context.device).type,
        data_fingerprint=data.fingerprint,
    )
    initial = initial_weights(config, _hand_fingerprint(config))
    whole_identity = {"stages": identities, "initial": initial}
    ids = [stage_id(identity) for identity in identities.values()]
    reports = StageReports(folder=context.checkpoint_dir, is_writer=workers.rank == 0)
    path = context.checkpoint_dir / MODEL_NAME
    if path.is_file():
        _require_same_training(read_model_record(path).identity, whole_identity, path)
        if reports.are_there(ids):
            return reports.of(ids)
    use_deterministic_algorithms()
    model = _build_model(config, seed, context.device, workers)
    indices = trained_stages(config)
    # A model that is taken as it began needs no pictures.
    dataset = FrameMixture.from_config(config).to(context.device) if indices else None
    pending = (
        []
        if dataset is None
        else [
            StageRun(
                config=config,
                index=index,
                epochs_before=sum(config.stages[before].epochs for before in indices[:place]),
                identity=identity,
                seed=seed,
                model=model,
                dataset=dataset,
                context=context,
                workers=workers,
                reports=reports,
                validate=validate,
            )
            for place, (index, identity) in enumerate(
                zip(indices, identities.values(), strict=True)
            )
        ]
    )
    while pending:
        ready = _ready(pending)
        with first_free([run.folder for run in ready], workers) as place:
            ready[place].run()
        pending = [run for run in pending if run is not ready[place]]
    if workers.rank == 0:
        save_model(model, _record(config, whole_identity, model, data), path)
    workers.wait()
    return reports.of(ids)


def _ready(pending: Sequence[StageRun]) -> list[StageRun]:
    """Return the stages that need nothing of another pending one; the first always does not.

    Nor do they train what a pending one before them computes with, and would find changed.
    """
    ids = {run.id for run in pending}
    used = [set(used_parts(run.config, run.index)) for run in pending]
    return [
        run
        for place, run in enumerate(pending)
        if ids.isdisjoint(run.identity["previous"].values())
        and set(run.parts).isdisjoint(set[str]().union(*used[:place]))
    ]


def _record(
    config: S2HandConfig, identity: Mapping[str, Any], model: S2Hand, data: TrainingData
) -> ModelRecord:
    return ModelRecord(
        config=config,
        identity=identity,
        hand_fingerprint=model.hand_fingerprint,
        data=data.record.to_plain(),
        extra_data=tuple(each.to_plain() for each in data.extra),
        initial_weights=model.initial_weights,
    )


def _require_same_training(saved: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """Refuse a model of other stages or other starting weights; stages' names do not matter."""
    contents = [
        (each["initial"], {stage_id(stage) for stage in each["stages"].values()})
        for each in (saved, wanted)
    ]
    if contents[0] != contents[1]:
        require_same(saved, wanted, path)


def stage_identities(
    config: S2HandConfig, *, seed: int, device_type: str, data_fingerprint: str
) -> dict[str, dict[str, Any]]:
    """Collect what identifies each stage that is trained, by its name, code included.

    Raises:
        SourceError: if a module's source is not to be had.
    """
    fingerprints = {
        "data": data_fingerprint,
        "hand": _hand_fingerprint(config),
    }
    initial = initial_weights(config, fingerprints["hand"])
    identities: dict[str, dict[str, Any]] = {}
    previous: dict[str, dict[str, Any]] = {}
    for index in trained_stages(config):
        identity = stage_identity(
            config,
            index,
            seed=seed,
            device_type=device_type,
            fingerprints={
                **fingerprints,
                "code": _code_fingerprint(stage_modules(config, index, device_type)),
            },
            initial=initial,
            previous=previous,
        )
        identities[config.stages[index].name] = identity
        previous |= dict.fromkeys(stage_parts(config, index), identity)
    return identities


def _hand_fingerprint(config: S2HandConfig) -> str:
    return load_hand_model(config.model.hand_model or None).fingerprint


def _code_fingerprint(modules: Collection[str]) -> str:
    digests = module_digests(modules)
    if digests is None:
        raise SourceError(
            "the source of s2hand must be readable, because it identifies what is trained; got "
            "compiled modules alone: install the package with its source"
        )
    return sha256_of(digests)


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
