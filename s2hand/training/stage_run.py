"""One stage on one worker: its epochs, what it reports, and how it resumes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from s2hand.config import S2HandConfig, StageConfig
from s2hand.data.clips import ClipSampler, FrameSampler
from s2hand.data.mixture import FrameMixture
from s2hand.drawing import draw_reconstructions
from s2hand.errors import ConfigurationError
from s2hand.losses.formula import RestHand
from s2hand.losses.objective import Objective
from s2hand.model import S2Hand
from s2hand.schedule import Phase, learning_rate, phase_of
from s2hand.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    require_same,
    save_checkpoint,
)
from s2hand.training.context import TrainingContext
from s2hand.training.determinism import derive_seed, seed_epoch
from s2hand.training.feeding import made_ahead
from s2hand.training.reports import StageReports
from s2hand.training.stages import stage_id, stage_parts, stream_of
from s2hand.training.step import TrainingStep, build_optimiser, set_learning_rate
from s2hand.training.workers import Workers

FINAL_NAME = "final.pt"
"""The finished stage: its weights, without the optimiser."""

LATEST_NAME = "latest.pt"
"""The unfinished stage after its latest report."""

NUM_PICTURED_FRAMES = 6
"""Training frames, evenly spread, that the pictures of a training's progress show."""

Validation = Callable[[S2Hand], Mapping[str, float]]
"""Metrics of a model under training, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRun:
    """Everything that the epochs of one stage need."""

    config: S2HandConfig
    index: int
    """Place of the stage in ``config.stages``."""
    epochs_before: int
    """Epochs of the stages before it."""
    identity: Mapping[str, Any]
    seed: int
    model: S2Hand
    dataset: FrameMixture
    context: TrainingContext
    workers: Workers
    reports: StageReports
    validate: Validation | None = None
    """Measures the model for each report; the first worker calls it."""

    @property
    def stage(self) -> StageConfig:
        """The stage's settings."""
        return self.config.stages[self.index]

    @property
    def id(self) -> str:
        """The stage's id."""
        return stage_id(self.identity)

    @property
    def folder(self) -> Path:
        """Where the stage's checkpoints lie."""
        return self.context.stage_dir / self.id

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The parts of the model that the stage trains."""
        names = stage_parts(self.config, self.index)
        return {name: part for name, part in self.model.parts.items() if name in names}

    def run(self) -> None:
        """Bring the model to the end of the stage, from wherever the folder has it."""
        final = self.folder / FINAL_NAME
        if final.is_file():
            checkpoint = self._load(final)
            self._note(checkpoint.training_s, trained_here=False)
        else:
            self._train()
        if self.workers.rank == 0:
            (self.folder / LATEST_NAME).unlink(missing_ok=True)

    def _train(self) -> None:
        step = self._build_step()
        first_epoch, seconds_before = self._resume(step.optimiser)
        started = time.perf_counter() - seconds_before
        phase = sampler = None
        for epoch in range(first_epoch, self.stage.epochs):
            new_phase = phase_of(self.config, self.stage, epoch)
            if sampler is None or new_phase != phase:
                phase, sampler = new_phase, self._build_sampler(new_phase)
                step.objective = self._build_objective(new_phase)
            batches = sampler.epoch(epoch)
            metrics = self._train_epoch(epoch, step, batches, new_phase.clip_length)
            epochs_done = epoch + 1
            is_last = epochs_done == self.stage.epochs
            if is_last or epochs_done % self.config.runtime.report_every_epochs == 0:
                training_s = time.perf_counter() - started
                self._save(LATEST_NAME, epochs_done, training_s, step.optimiser.state_dict())
                self._note(training_s, trained_here=True)
                if self.validate is not None and self.workers.rank == 0:
                    metrics |= self.validate(self.model)
                self._log_picture(epoch, is_last_epoch=is_last)
                self.context.report(self.epochs_before + epoch, metrics)
        training_s = time.perf_counter() - started
        self._save(FINAL_NAME, self.stage.epochs, training_s, {})
        # Whoever trained the last epoch may have been stopped before it could finish the stage.
        self._note(training_s, trained_here=first_epoch < self.stage.epochs)

    def _note(self, training_s: float, *, trained_here: bool) -> None:
        self.reports.note(self.stage.name, self.id, training_s, trained_here=trained_here)

    def _train_epoch(
        self,
        epoch: int,
        step: TrainingStep,
        batches: list[Int[np.ndarray, "frames"]],
        clip_length: int,
    ) -> dict[str, float]:
        started = time.perf_counter()
        generator = seed_epoch(self.seed, stream_of(self.identity), epoch, self.workers.rank)
        self.model.eval()
        for name, part in self.model.parts.items():
            is_trained = name in self.parts
            part.train(is_trained).requires_grad_(is_trained)
        weights = step.objective.weights
        sums = torch.zeros(len(weights), device=self.context.device)
        made = made_ahead(
            partial(self.dataset.batch, clip_length=clip_length, generator=generator),
            [self._own_share(rows, clip_length) for rows in batches],
            self.context.device,
        )
        for place, batch in enumerate(made):
            set_learning_rate(
                step.optimiser, learning_rate(self.stage, epoch + place / len(batches))
            )
            sums += step.run(batch)
        step.require_finite()
        terms = dict(zip(weights, (sums / len(batches)).tolist(), strict=True))
        num_frames = sum(len(rows) for rows in batches)
        return {
            "loss/total": sum(weights[name] * terms[name] for name in terms),
            **{f"loss/{name}": value for name, value in terms.items()},
            "learning_rate": learning_rate(self.stage, epoch),
            "train/images_per_s": num_frames / (time.perf_counter() - started),
        }

    def _own_share(
        self, rows: Int[np.ndarray, "frames"], clip_length: int
    ) -> Int[np.ndarray, "share"]:
        """Return this worker's part of a global batch, whole clips."""
        clips = rows.reshape(-1, clip_length)
        return np.array_split(clips, self.workers.world_size)[self.workers.rank].ravel()

    def _build_step(self) -> TrainingStep:
        settings = self.config.optimiser
        ids = self.dataset.sample_ids
        return TrainingStep(
            model=self.model,
            objective=self._build_objective(phase_of(self.config, self.stage, 0)),
            optimiser=build_optimiser(self.parts, self.stage, settings),
            workers=self.workers,
            micro_batch_size=settings.micro_batch_size,
            name_samples=lambda index: [ids[row] for row in index.tolist()],
        )

    def _build_objective(self, phase: Phase) -> Objective:
        _require_usable_shares(self.config, phase.clip_length)
        layer = self.model.hand_layer
        return Objective(
            self.config.losses,
            phase.weights,
            RestHand(joints=layer.rest_joints, vertices=layer.rest_vertices, faces=layer.faces),
        )

    def _build_sampler(self, phase: Phase) -> FrameSampler | ClipSampler:
        seed = derive_seed(self.seed, "samples", stream_of(self.identity))
        dataset = self.dataset
        if phase.clips is not None:
            return ClipSampler(dataset.sequences, dataset.frames, phase.clips, seed)
        return FrameSampler(len(dataset), self.config.optimiser.batch_size, seed)

    def _log_picture(self, epoch: int, *, is_last_epoch: bool) -> None:
        """Show what the model makes of the first frames, at the chosen interval."""
        every = self.config.runtime.picture_every_epochs
        is_due = every > 0 and (is_last_epoch or (epoch + 1) % every == 0)
        if self.workers.rank > 0 or not is_due or "texture_light_head" not in self.parts:
            return
        rows = np.linspace(0, len(self.dataset) - 1, NUM_PICTURED_FRAMES).astype(np.int64)
        picture = draw_reconstructions(self.model, self.dataset.batch(rows))
        self.context.log_picture("reconstructions", self.epochs_before + epoch, picture)

    def _load(self, path: Path) -> Checkpoint:
        """Read a checkpoint of this stage, and give the model its weights."""
        checkpoint = load_checkpoint(path, device=self.context.device)
        require_same(checkpoint.identity, self.identity, path)
        self.model.load_state_dict(checkpoint.model, strict=False)
        return checkpoint

    def _resume(self, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
        """Load the latest checkpoint, if there is one; return the epochs done, and their time."""
        path = self.folder / LATEST_NAME
        if not path.is_file():
            return 0, 0.0
        checkpoint = self._load(path)
        optimiser.load_state_dict(checkpoint.optimiser)
        return checkpoint.epochs_done, checkpoint.training_s

    def _save(
        self, name: str, epochs_done: int, training_s: float, optimiser_state: dict[str, Any]
    ) -> None:
        if self.workers.rank == 0:
            checkpoint = Checkpoint(
                stage_id=self.id,
                identity=dict(self.identity),
                epochs_done=epochs_done,
                training_s=training_s,
                model=self._state(),
                optimiser=optimiser_state,
            )
            save_checkpoint(checkpoint, self.folder / name)
        self.workers.wait()

    def _state(self) -> dict[str, torch.Tensor]:
        """Return the weights and statistics of the parts that the stage trains."""
        state, trained = self.model.state_dict(), self.parts
        return {name: value for name, value in state.items() if name.split(".")[0] in trained}


def _require_usable_shares(config: S2HandConfig, clip_length: int) -> None:
    """Batch normalisation needs two frames in every forward pass."""
    settings = config.optimiser
    total = config.clips.frames_per_batch if clip_length > 1 else settings.batch_size
    smallest = total // clip_length // settings.world_size * clip_length
    size = settings.micro_batch_size or smallest
    if smallest < 2 or size == 1 or smallest % size == 1:
        raise ConfigurationError(
            f"every forward pass needs at least 2 frames for batch normalisation: a batch of "
            f"{total} frames on {settings.world_size} workers in parts of {size} leaves fewer; "
            "change optimiser.batch_size, world_size or micro_batch_size"
        )
