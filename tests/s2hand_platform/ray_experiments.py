"""Variants of the tiny experiment for the tests that need Ray."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ray import cloudpickle
from tiny_experiment import TinyConfig, TinyDataError, TinyExperiment

from s2hand_platform.execution import worker
from s2hand_platform.experiments.protocol import Code, Evaluation, StageReport, TrialContext


@dataclass(frozen=True)
class Followed:
    """A context whose reports are followed by ``after``."""

    context: TrialContext
    after: Callable[[int], None]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self.context.report(epoch, metrics)
        self.after(epoch)


class SlowExperiment(TinyExperiment):
    """An epoch takes a while, so that there is time to end a trial early."""

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        return super().train(config, seed, Followed(context, lambda _epoch: time.sleep(0.3)))


class CrashingExperiment(TinyExperiment):
    """Its process is killed in the second epoch of the first attempt."""

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        def crash(epoch: int) -> None:
            mark = context.checkpoint_dir / "crashed"
            if epoch == 1 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        return super().train(config, seed, Followed(context, crash))


class LargeExperiment(TinyExperiment):
    """Does not fit on its device, however often it is tried."""

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class HopelessExperiment(TinyExperiment):
    """Cannot be trained, however often it is tried: a fault of its own that it knows."""

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        raise TinyDataError("no clip is that short")


class TwiceFailingExperiment(TinyExperiment):
    """Its disk fails in the first attempt, and its process is lost in the second."""

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        def fail(epoch: int) -> None:
            marks = [context.checkpoint_dir / name for name in ("first", "second")]
            if epoch == 1 and not marks[0].exists():
                marks[0].touch()
                raise OSError("no space left")
            if epoch == 2 and not marks[1].exists():
                marks[1].touch()
                os.kill(os.getpid(), signal.SIGKILL)

        return super().train(config, seed, Followed(context, fail))


class OtherwiseEvaluated(TinyExperiment):
    """Trained by the same code as the tiny experiment, and evaluated by other code."""

    def training_code(self, config: TinyConfig, device_type: str) -> Code | None:
        return TinyExperiment().training_code(config, device_type)

    def evaluation_code(self, config: TinyConfig, device_type: str) -> Code | None:
        return {__name__: "0" * 64}

    def evaluate(self, config: TinyConfig, seed: int, context: TrialContext) -> Evaluation:
        evaluation = super().evaluate(config, seed, context)
        doubled = {name: 2 * value for name, value in evaluation.metrics.items()}
        return replace(evaluation, metrics=doubled)


class PairedExperiment(TinyExperiment):
    """Its workers add up their ranks in every epoch, through torch's process group."""

    def train(self, config: TinyConfig, seed: int, context: TrialContext) -> Sequence[StageReport]:
        import torch

        for epoch in range(config.epochs):
            total = torch.tensor([float(context.rank + 1)])
            torch.distributed.all_reduce(total)
            context.report(epoch, {"validation/error": total.item()})
        if context.rank == 0:
            (context.checkpoint_dir / "state.json").write_text('{"epoch": 0, "w": [1, -2, 0]}')
        return ()


def run_with_failing_start(config: Mapping[str, Any], *, lean: bool) -> None:
    """Run a trial whose workers get no place to start at the first attempt."""
    job = cloudpickle.loads(config["trial"]["job"])
    mark = job.folder / "start_failed"
    if not mark.exists():
        mark.touch()
        os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = "1"
        crowded = replace(job, worker=replace(job.worker, cpus=1000.0))
        config = {"trial": {**config["trial"], "job": cloudpickle.dumps(crowded)}}
    worker.run_in_tune(config, lean=lean)


@dataclass(frozen=True)
class Halve:
    """Work for Ray tasks: halves numbers, is killed once at ``fatal``, and refuses odd ones."""

    scratch: Path
    fatal: int = -1

    def __call__(self, number: int) -> tuple[int, float]:
        killed = self.scratch / "killed"
        if number == self.fatal and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number % 2:
            raise TinyDataError(f"{number} is odd")
        return number, number / 2
