"""That a trial's training is finished, and what it took: noted in its folder, for evaluations."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from s2hand_platform.errors import ExecutionError
from s2hand_platform.experiments.protocol import StageReport

_FILE = "trained.json"


def note_training(checkpoint_dir: Path, stages: Sequence[StageReport]) -> None:
    """Note that the training whose checkpoints lie here is finished."""
    temporary = checkpoint_dir / f".{uuid.uuid4().hex}"
    temporary.write_text(json.dumps([asdict(stage) for stage in stages]))
    temporary.replace(checkpoint_dir / _FILE)


def noted_training(checkpoint_dir: Path) -> list[StageReport]:
    """Return the stages of a finished training.

    Raises:
        ExecutionError: if no finished training lies here.
    """
    path = checkpoint_dir / _FILE
    if not path.is_file():
        raise ExecutionError(
            f"the trial's training is finished, and its checkpoint must lie in {checkpoint_dir} to "
            f"be evaluated again, but there is no {_FILE}; put the folder back, or train the "
            "trial anew in a workspace of its own (--workspace)"
        )
    return [StageReport(**stage) for stage in json.loads(path.read_text())]
