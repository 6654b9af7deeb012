"""One stage on one worker: its epochs, what it reports, and how it resumes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from s2hand.config import S2HandConfig, StageConfig
from s2hand.data.clips import ClipSampler, FrameSampler
from s2hand.data.dataset import FrameDataset
from s2hand.errors import ConfigurationError
from s2hand.losses.objective import Objective
from s2hand.model import S2Hand
from s2hand.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    require_same,
    save_checkpoint,
)
from s2hand.training.context import TrainingContext
from s2hand.training.determinism import derive_seed, seed_epoch
from s2hand.training.schedule import learning_rate
from s2hand.training.stages import stage_id
from s2hand.training.step import TrainingStep, move_batch
from s2hand.training.workers import Workers

FINAL_NAME = "final.pt"
"""The finished stage: its weights, without the optimiser."""

LATEST_NAME = "latest.pt"
"""The unfinished stage after its latest report."""

Validation = Callable[[S2Hand], Mapping[str, float]]
"""Metrics of a model under training, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRun:
    """Everything that the epochs of one stage need."""

    config: S2HandConfig
    index: int
    """Place of the stage in ``config.stages``."""
    identity: Mapping[str, Any]
    seed: int
    model: S2Hand
    dataset: FrameDataset
    context: TrainingContext
    workers: Workers
    folder: Path
    """Where the stage's checkpoints lie."""
    validate: Validation | None = None
    """Measures the model for each report; the first worker calls it."""

    @property
    def stage(self) -> StageConfig:
        """The stage's settings."""
        return self.config.stages[self.index]

    @property
    def clip_length(self) -> int:
        """Frames of a clip; 1 where frames are sampled singly."""
        return self.config.clips.num_frames if self.stage.samples == "clips" else 1

    def run(self) -> None:
        """Bring the model to the end of the stage, from wherever the folder has it."""
        final = self.folder / FINAL_NAME
        if final.is_file():
            self.model.load_state_dict(self._load(final).model)
            return
        step = self._build_step()
        first_epoch = self._resume(step.optimiser)
        sampler = self._build_sampler()
        for epoch in range(first_epoch, self.stage.epochs):
            metrics = self._train_epoch(epoch, step, sampler.epoch(epoch))
            epochs_done = epoch + 1
            is_last = epochs_done == self.stage.epochs
            if is_last or epochs_done % self.config.runtime.report_every_epochs == 0:
                self._save(LATEST_NAME, epochs_done, step.optimiser.state_dict())
                if self.validate is not None and self.workers.rank == 0:
                    metrics |= self.validate(self.model)
                self.context.report(self._epochs_before() + epoch, metrics)
        self._save(FINAL_NAME, self.stage.epochs, {})
        if self.workers.rank == 0:
            (self.folder / LATEST_NAME).unlink(missing_ok=True)

    def _train_epoch(
        self, epoch: int, step: TrainingStep, batches: list[Int[np.ndarray, "frames"]]
    ) -> dict[str, float]:
        started = time.perf_counter()
        generator = seed_epoch(self.seed, self.index, epoch, self.workers.rank)
        rate = learning_rate(self.stage, epoch)
        for group in step.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        sums = torch.zeros(len(step.objective.weights), device=self.context.device)
        for rows in batches:
            batch = self.dataset.batch(
                self._own_share(rows), clip_length=self.clip_length, generator=generator
            )
            sums += step.run(move_batch(batch, self.context.device))
        step.require_finite()
        terms = dict(zip(step.objective.weights, (sums / len(batches)).tolist(), strict=True))
        num_frames = sum(len(rows) for rows in batches)
        return {
            "loss/total": sum(step.objective.weights[name] * terms[name] for name in terms),
            **{f"loss/{name}": value for name, value in terms.items()},
            "learning_rate": rate,
            "train/images_per_s": num_frames / (time.perf_counter() - started),
        }

    def _own_share(self, rows: Int[np.ndarray, "frames"]) -> Int[np.ndarray, "share"]:
        """Return this worker's part of a global batch, whole clips."""
        clips = rows.reshape(-1, self.clip_length)
        return np.array_split(clips, self.workers.world_size)[self.workers.rank].ravel()

    def _build_step(self) -> TrainingStep:
        settings = self.config.optimiser
        _require_usable_shares(self.config, self.clip_length)
        ids = self.dataset.table.sample_ids
        return TrainingStep(
            model=self.model,
            objective=Objective(
                self.config.losses,
                image_size_px=self.config.model.image_size_px,
                clip_length=self.clip_length,
                rest_joints=self.model.hand_layer.rest_joints,
            ),
            optimiser=torch.optim.Adam(
                self.model.parameters(),
                lr=self.stage.learning_rate,
                betas=(settings.adam_beta1, settings.adam_beta2),
                fused=True,
            ),
            workers=self.workers,
            micro_batch_size=settings.micro_batch_size,
            name_samples=lambda index: [ids[row] for row in index.tolist()],
        )

    def _build_sampler(self) -> FrameSampler | ClipSampler:
        seed = derive_seed(self.seed, "samples", self.index)
        table = self.dataset.table
        if self.stage.samples == "clips":
            return ClipSampler(table.sequences, table.frames, self.config.clips, seed)
        return FrameSampler(len(table), self.config.optimiser.batch_size, seed)

    def _epochs_before(self) -> int:
        return sum(stage.epochs for stage in self.config.stages[: self.index])

    def _load(self, path: Path) -> Checkpoint:
        checkpoint = load_checkpoint(path, device=self.context.device)
        require_same(checkpoint.identity, self.identity, path)
        return checkpoint

    def _resume(self, optimiser: torch.optim.Optimizer) -> int:
        """Load the latest checkpoint, if there is one; return the number of epochs done."""
        path = self.folder / LATEST_NAME
        if not path.is_file():
            return 0
        checkpoint = self._load(path)
        self.model.load_state_dict(checkpoint.model)
        optimiser.load_state_dict(checkpoint.optimiser)
        return checkpoint.epochs_done

    def _save(self, name: str, epochs_done: int, optimiser_state: dict[str, Any]) -> None:
        if self.workers.rank == 0:
            checkpoint = Checkpoint(
                stage_id=stage_id(self.identity),
                identity=dict(self.identity),
                epochs_done=epochs_done,
                model=self.model.state_dict(),
                optimiser=optimiser_state,
            )
            save_checkpoint(checkpoint, self.folder / name)
        self.workers.wait()


def _require_usable_shares(config: S2HandConfig, clip_length: int) -> None:
    """Batch normalisation needs two frames in every forward pass."""
    settings = config.optimiser
    total = config.clips.frames_per_batch if clip_length > 1 else settings.batch_size
    smallest = total // clip_length // settings.world_size * clip_length
    size = settings.micro_batch_size or smallest
    remainder = smallest % size
    if smallest < 2 or remainder == 1 or size == 1:
        raise ConfigurationError(
            f"every forward pass needs at least 2 frames for batch normalisation: a batch of "
            f"{total} frames on {settings.world_size} workers in parts of {size} leaves fewer; "
            "change optimiser.batch_size, world_size or micro_batch_size"
        )
