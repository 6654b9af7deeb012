"""What a run works with, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from s2hand_platform.devices import DeviceType, choose_device_type
from s2hand_platform.errors import SpecError
from s2hand_platform.execution.settings import RunSettings
from s2hand_platform.experiments import default_experiment
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec.loader import load_scale, load_sweep, load_table
from s2hand_platform.spec.schema import ScaleSpec, SweepSpec, TableSpec
from s2hand_platform.store.results import ResultStore
from s2hand_platform.tables.kept import joined, label_of
from s2hand_platform.workspace import Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a run works with: the experiment, the data, the size, the folder."""

    experiment: Experiment
    workspace: Workspace
    data: tuple[str, ...]
    """What ``--data`` names, sorted."""
    scale: ScaleSpec
    device_type: DeviceType
    """Where trials are to run; part of their identity."""

    @classmethod
    def choose(
        cls,
        *,
        data: str | Sequence[str] | None = None,
        scale: str | None = None,
        workspace: str | Path | None = None,
        experiment: Experiment | None = None,
        device: Literal["auto", "cpu", "cuda"] = "auto",
    ) -> "Place":
        """Fill in what was not asked for.

        Args:
            data: a dataset's name, a folder, or several words of which some are ``NAME=FOLDER``;
                None is what the experiment usually takes.
            scale: a name in ``sweeps/scales``; None is the experiment's usual one for the data.
            workspace: None is ``S2HAND_WORKSPACE``, or else ``./workspace``.
            experiment: None is the one that the command line runs.
            device: what trials train on; ``auto`` is CUDA where this machine has it.
        """
        experiment = experiment or default_experiment()
        given = (data,) if isinstance(data, str) else data
        words = tuple(sorted(set(given or ()))) or (experiment.usual_data,)
        return cls(
            experiment=experiment,
            workspace=Workspace.resolve(workspace),
            data=words,
            scale=load_scale(scale or experiment.usual_scale(words), experiment),
            device_type=choose_device_type(device),
        )

    @property
    def store(self) -> ResultStore:
        """The result store of the workspace."""
        return ResultStore(self.workspace.store_dir)

    @property
    def label(self) -> str:
        """What is measured on and at which scale, in the words of the command."""
        return label_of(joined(self.data), self.scale.name)

    def table(self, name_or_path: str | Path) -> TableSpec:
        """Read a table's recipe, with scale and data laid over its base."""
        spec = load_table(name_or_path, self.experiment).at(self.scale)
        placed = spec.over_rows(lambda row: self._data(spec.dataset_of(row), *row.extra_datasets))
        return replace(placed, label=self.label)

    def sweep(self, name_or_path: str | Path) -> SweepSpec:
        """Read a search's recipe, with scale and data laid over its base."""
        spec = load_sweep(name_or_path, self.experiment).at(self.scale)
        steering = self.experiment.search_overrides(
            self.data, spec.dataset, self.workspace, self.scale.data
        )
        return replace(spec.over({**self._data(spec.dataset), **steering}), label=self.label)

    def seeds(self, count: int | None) -> range:
        """Return the first ``count`` seeds, or as many as the scale takes.

        Raises:
            SpecError: if none is asked for.
        """
        if count is not None and count < 1:
            raise SpecError([f"seeds: must be at least 1, got {count}"])
        return range(count if count is not None else self.scale.seeds)

    def _data(self, *datasets: str) -> Mapping[str, Any]:
        return self.experiment.data_overrides(self.data, datasets, self.workspace, self.scale.data)


@dataclass(frozen=True, kw_only=True, slots=True)
class HowToRun:
    """Where trials run, and who is told."""

    settings: RunSettings = field(default_factory=RunSettings)
    without_ray: bool = False
    """One trial after the other in this process."""
    tracking_uri: str | None = None
    """None: as the environment says, or else the MLflow database in the workspace."""
    console: Console = field(default_factory=lambda: Console(stderr=True))
