"""A tiny experiment that takes its time and counts its trainings, and a sink that ignores all."""

import time
from collections.abc import Sequence
from typing import Any

from ray_experiments import Followed
from tiny_experiment import TinyConfig, TinyExperiment

from s2hand_platform.experiments.protocol import StageReport, TrialContext


class SlowTiny(TinyExperiment):
    """Long enough for another command to come in between."""

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        with (context.checkpoint_dir / "trainings").open("a") as file:
            file.write("trained\n")
        return super().train(config, seed, Followed(context, lambda _epoch: time.sleep(0.1)))


class Sink:
    """Hears nothing."""

    def begin(self, plan: Any) -> None: ...

    def started(self, trial: Any, attempt: int) -> None: ...

    def reported(self, trial: Any, attempt: int, epoch: int, metrics: Any) -> None: ...

    def ended(self, trial: Any, outcome: Any, *, tried_again: bool = False) -> None: ...

    def close(self) -> None: ...
