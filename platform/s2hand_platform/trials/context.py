"""The surroundings of a running trial, as one of its workers has them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from s2hand_platform.experiments.protocol import Scalars
from s2hand_platform.trials.curve import append_point
from s2hand_platform.trials.pictures import write_picture
from s2hand_platform.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """The platform's ``TrialContext``: keeps what is reported on the disk, then passes it on."""

    checkpoint_dir: Path
    stage_dir: Path
    attempt: int
    on_report: Callable[[int, Scalars], None]
    """Called behind each report of this worker; may raise ``StopTrial``."""
    device: str = "cpu"
    rank: int = 0
    world_size: int = 1

    def report(self, epoch: int, metrics: Scalars) -> None:
        """Take note of an epoch's metrics."""
        if self.rank == 0:
            append_point(self.checkpoint_dir, epoch, metrics)
        self.on_report(epoch, metrics)

    def log_picture(
        self, name: str, epoch: int, picture: UInt8[np.ndarray, "height width 3"]
    ) -> None:
        """Write a picture where a tracker finds it."""
        write_picture(self.checkpoint_dir, self.attempt, name, epoch, picture)


def checkpoint_folder(workspace: Workspace, trial_id: str) -> Path:
    """Make and return a trial's folder."""
    folder = workspace.checkpoints_dir / trial_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder
