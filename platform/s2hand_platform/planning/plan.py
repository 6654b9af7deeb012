"""What a plan consists of: trials, what each is for, and why it is to be run or reused."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from s2hand_platform.identity import CodeFingerprint, TrainingIdentity
from s2hand_platform.revision import UNKNOWN, Revision

Status = Literal["cached", "evaluate", "stale", "missing", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """What a trial is for: a row of a table, or a point of a search."""

    kind: Literal["row", "point"]
    group: str
    """The name of the table or of the search."""
    name: str
    """The row's id, or the point's values."""
    label: str
    """The row's label, or the search's title."""

    def __str__(self) -> str:
        """Name it for a reader."""
        return f"{self.group}.{self.name}" if self.kind == "row" else f"{self.group} {self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTrial:
    """One training with its evaluation, and why it is to be run or reused."""

    trial_id: str
    identity: TrainingIdentity
    config: Mapping[str, Any]
    """The whole dumped configuration."""
    code: CodeFingerprint | None
    """What can change the training; None where it cannot be known."""
    evaluation: CodeFingerprint | None
    """What can change the evaluation, its data and settings included; None where unknown."""
    members: tuple[Member, ...]
    """Several where rows have equal configurations."""
    status: Status
    """``cached`` is reused, ``evaluate`` is trained already; the others are run from the start."""
    reason: str
    estimated_hours: float | None
    """Wall-clock hours if it shared nothing with others, by earlier seeds; None if never run."""
    revision: Revision = UNKNOWN
    """Of the code, looked up when it is run: told beside the result, no part of what it is."""

    @property
    def key(self) -> tuple[str, str | None]:
        """What tells it from other trials: the training, and how it is evaluated."""
        return self.trial_id, self.evaluation_fingerprint

    @property
    def seed(self) -> int:
        """The trial's seed."""
        return self.identity.seed

    @property
    def evaluation_fingerprint(self) -> str | None:
        """What a result's evaluation must be for the result to count."""
        return self.evaluation.sha256 if self.evaluation else None

    def to_json(self) -> dict[str, Any]:
        """Return plain data for programs."""
        return {
            "trial_id": self.trial_id,
            "seed": self.seed,
            "device_type": self.identity.device_type,
            "config": dict(self.config),
            "config_hash": self.identity.config_hash,
            "data_fingerprint": self.identity.data,
            "code_fingerprint": self.identity.code,
            "evaluation_fingerprint": self.evaluation_fingerprint,
            "members": [
                {"kind": member.kind, "group": member.group, "name": member.name}
                for member in self.members
            ],
            "status": self.status,
            "reason": self.reason,
            "estimated_hours": self.estimated_hours,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRow:
    """A row, and how far it is."""

    table: str
    row: str
    label: str
    trials: Mapping[int, PlannedTrial]
    """Seed → trial."""

    @property
    def cached(self) -> int:
        """How many of them are in the store."""
        return sum(trial.status == "cached" for trial in self.trials.values())

    def to_json(self) -> dict[str, Any]:
        """Return plain data for programs."""
        return {
            "table": self.table,
            "row": self.row,
            "label": self.label,
            "trial_ids": [self.trials[seed].trial_id for seed in sorted(self.trials)],
            "cached": self.cached,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedLook:
    """What runs at most before a look at a table that is run until decided."""

    seeds: int
    level: float
    num_to_run: int
    """Trials that are not in the store yet, those of the looks before included."""
    estimated_hours: float | None
    """Of those, as ``Plan.estimated_hours``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Distinct trials in the order to run them, and the rows that they fill.

    A training whose rows are evaluated differently is a trial for each evaluation.
    """

    trials: tuple[PlannedTrial, ...]
    rows: tuple[PlannedRow, ...] = ()
    """Empty for a search."""
    estimated_hours: float | None = None
    """Wall-clock hours of what is to run, one after the other; a stage that several trials of one
    seed share counts once. None if one was never run."""
    left_out: tuple[str, ...] = ()
    """Of each table that the scale cannot measure whole, which rows and why."""
    looks: tuple[PlannedLook, ...] = ()
    """Where a run until decided judges; it stops after any of them. Empty for other runs."""

    @property
    def to_run(self) -> tuple[PlannedTrial, ...]:
        """The trials that are not in the store."""
        return tuple(trial for trial in self.trials if trial.status != "cached")

    def in_turns(self) -> tuple["Plan", ...]:
        """Divide it so that no part holds a training twice: later evaluations have their turn."""
        turns: list[dict[str, PlannedTrial]] = [{}]
        for trial in self.trials:
            free = next((turn for turn in turns if trial.trial_id not in turn), None)
            if free is None:
                turns.append(free := {})
            free[trial.trial_id] = trial
        return tuple(
            Plan(trials=tuple(turn.values()), rows=() if number else self.rows)
            for number, turn in enumerate(turns)
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for programs."""
        return {
            "trials": [trial.to_json() for trial in self.trials],
            "rows": [row.to_json() for row in self.rows],
            "num_to_run": len(self.to_run),
            "estimated_hours": self.estimated_hours,
            "left_out": list(self.left_out),
            "looks": [asdict(look) for look in self.looks],
        }
