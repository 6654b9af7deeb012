"""What is asked of a worker: a planned trial, and how much of it there is to do."""

from dataclasses import dataclass
from typing import Literal

from s2hand_platform.planning.plan import PlannedTrial

Work = Literal["train", "evaluate"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRequest:
    """A planned trial, with the code, data and device that the worker must find as planned."""

    trial: PlannedTrial
    work: Work
    """``train``: train (or go on training) and evaluate. ``evaluate``: the training is finished."""

    @classmethod
    def of(cls, trial: PlannedTrial) -> "TrialRequest":
        """Ask for what the plan says is missing."""
        return cls(trial=trial, work="evaluate" if trial.status == "evaluate" else "train")
