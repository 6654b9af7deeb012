"""What a training asks of its surroundings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from s2hand.files import whole_file


@runtime_checkable  # the tests check annotations as the code runs
class TrainingContext(Protocol):
    """Where a training runs, where it writes and whom it tells."""

    @property
    def rank(self) -> int:
        """This worker's number; worker 0 writes the checkpoints."""

    @property
    def world_size(self) -> int:
        """Number of workers, which ``torch.distributed`` connects when there are several."""

    @property
    def device(self) -> str:
        """A torch device string: ``cpu`` or ``cuda:0``."""

    @property
    def checkpoint_dir(self) -> Path:
        """Folder of this training; a checkpoint that lies there is resumed."""

    @property
    def stage_dir(self) -> Path:
        """Folder of stages that several trainings share."""

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take note of an epoch's metrics; may raise to end the training there."""

    def log_picture(
        self, name: str, epoch: int, picture: UInt8[np.ndarray, "height width 3"]
    ) -> None:
        """Keep a picture of how far the training is; worker 0 calls it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalContext:
    """One worker in this process; for scripts and notebooks."""

    checkpoint_dir: Path
    stage_dir: Path
    device: str = "cpu"
    rank: int = 0
    world_size: int = 1
    on_report: Callable[[int, Mapping[str, float]], None] | None = None

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Pass the metrics to ``on_report``."""
        if self.on_report is not None:
            self.on_report(epoch, metrics)

    def log_picture(
        self, name: str, epoch: int, picture: UInt8[np.ndarray, "height width 3"]
    ) -> None:
        """Write ``pictures/<name>_<epoch>.png`` into the checkpoint folder."""
        folder = self.checkpoint_dir / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / f"{name}_{epoch:04d}.png") as file:
            Image.fromarray(picture).save(file, format="PNG")
