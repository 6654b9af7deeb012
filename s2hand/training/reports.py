"""What a training did for each of its stages, kept beside its result."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from s2hand.errors import CheckpointError
from s2hand.files import whole_file

REPORTS_NAME = "stages.json"
"""The file in a training's folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageReport:
    """A stage of a training."""

    name: str
    """The stage's name in the configuration."""
    stage_id: str
    training_s: float
    """Time that its epochs took, in all attempts of all trainings that worked on it, up to each
    attempt's last checkpoint."""
    trained_here: bool
    """Whether this training, in any of its attempts, trained some of its epochs; else it found
    them done."""


@dataclass(kw_only=True, slots=True)
class StageReports:
    """The reports of one training, on one of its workers; the first one writes them down."""

    folder: Path
    is_writer: bool
    _by_id: dict[str, StageReport] = field(init=False)

    def __post_init__(self) -> None:
        self._by_id = {report.stage_id: report for report in read_stage_reports(self.folder)}

    def note(self, name: str, stage_id: str, training_s: float, *, trained_here: bool) -> None:
        """Note what is known of a stage now; that it was trained here is not forgotten."""
        before = self._by_id.get(stage_id)
        self._by_id[stage_id] = StageReport(
            name=name,
            stage_id=stage_id,
            training_s=training_s,
            trained_here=trained_here or (before is not None and before.trained_here),
        )
        if self.is_writer:
            _write(self._by_id.values(), self.folder)

    def are_there(self, stage_ids: Iterable[str]) -> bool:
        """Tell whether every one of some stages has been noted."""
        return self._by_id.keys() >= set(stage_ids)

    def of(self, stage_ids: Iterable[str]) -> tuple[StageReport, ...]:
        """Return the reports of stages that have been noted, in their order."""
        return tuple(self._by_id[stage_id] for stage_id in stage_ids)


def read_stage_reports(folder: Path) -> tuple[StageReport, ...]:
    """Read what a training, finished or not, has noted in its folder; nothing where it has not.

    Raises:
        CheckpointError: if the file is damaged.
    """
    path = folder / REPORTS_NAME
    if not path.is_file():
        return ()
    try:
        return tuple(StageReport(**report) for report in json.loads(path.read_bytes()))
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: must list the stages of a training, got something else ({error}); delete it: "
            "the stages themselves lie elsewhere"
        ) from error


def _write(reports: Iterable[StageReport], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps([dataclasses.asdict(report) for report in reports], indent=1)
    with whole_file(folder / REPORTS_NAME) as file:
        file.write(content.encode())
