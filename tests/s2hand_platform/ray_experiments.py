"""Variants of the tiny experiment for the tests that need Ray."""

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8
from tiny_experiment import TinyConfig, TinyExperiment

from s2hand_platform.experiments.protocol import TrialContext


class _Reports:
    """A context whose reports are followed by ``after``."""

    def __init__(self, context: TrialContext, after: Any) -> None:
        self.rank = context.rank
        self.world_size = context.world_size
        self.device = context.device
        self.checkpoint_dir = context.checkpoint_dir
        self.stage_dir = context.stage_dir
        self._context = context
        self._after = after

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self._context.report(epoch, metrics)
        self._after(epoch)

    def log_picture(
        self, name: str, epoch: int, picture: UInt8[np.ndarray, "height width 3"]
    ) -> None:
        self._context.log_picture(name, epoch, picture)


class SlowExperiment(TinyExperiment):
    """An epoch takes a while, so that there is time to end a trial early."""

    code_packages = ("ray_experiments", "tiny_experiment")

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> None:
        super().train(config, seed, _Reports(context, lambda _epoch: time.sleep(0.3)))


class CrashingExperiment(TinyExperiment):
    """Its process is killed in the second epoch of the first attempt."""

    code_packages = ("ray_experiments", "tiny_experiment")

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> None:
        def crash(epoch: int) -> None:
            mark = context.checkpoint_dir / "crashed"
            if epoch == 1 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        super().train(config, seed, _Reports(context, crash))


class HopelessExperiment(TinyExperiment):
    """Cannot be trained, however often it is tried."""

    code_packages = ("ray_experiments", "tiny_experiment")

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> None:
        raise ValueError("no clip is that short")


class PairedExperiment(TinyExperiment):
    """Its workers add up their ranks in every epoch, through torch's process group."""

    code_packages = ("ray_experiments", "tiny_experiment")

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> None:
        import torch

        for epoch in range(config.epochs):
            total = torch.tensor([float(context.rank + 1)])
            torch.distributed.all_reduce(total)
            context.report(epoch, {"validation/error": total.item()})
        if context.rank == 0:
            (context.checkpoint_dir / "state.json").write_text('{"epoch": 0, "w": [1, -2, 0]}')
