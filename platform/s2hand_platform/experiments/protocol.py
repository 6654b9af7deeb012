"""What the platform asks of an experiment, and all that it knows of one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from jaxtyping import UInt8

from s2hand_platform.errors import FailureCause
from s2hand_platform.preparation import PreparationProgress
from s2hand_platform.workspace import Workspace

Scalars = Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricInfo:
    """A metric's unit and which way is better."""

    unit: str
    """``cm``, ``mm``, ``rad``, ``1`` …"""
    direction: Literal["lower", "higher"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ThresholdCurve:
    """The share of points, or of samples, whose error is within each threshold: PCK, say."""

    figure: str
    """Heads the figure in which it is drawn, with other curves of this figure."""
    says: str
    """Tells it from those: whose share it is."""
    area_of: str
    """The metric (without its split) that is the area under it, over the thresholds' range."""
    unit: str
    """Of the thresholds."""
    thresholds: Sequence[float]
    """Rising."""
    shares: Sequence[float]
    """One per threshold, from 0 to 1, never falling."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What a trained model achieved."""

    metrics: dict[str, float]
    """``split/metric`` → value, in the unit of ``Experiment.metrics[metric]``."""
    samples: dict[str, dict[str, Sequence[float]]]
    """split → metric → one value per sample, in the order of ``sample_ids[split]``."""
    sample_ids: dict[str, Sequence[str]]
    evaluator_id: str
    """Names code, alignment, joint order and subset: values with other ids are not comparable."""
    notes: dict[str, str] = field(default_factory=dict)
    """Facts worth keeping with the result (which stage was shared, clips without frames …)."""
    predictions: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    """split → parameter → array whose rows are the samples, in the order of
    ``sample_ids[split]``; kept as float32. Optional."""
    threshold_curves: Mapping[str, Mapping[str, ThresholdCurve]] = field(default_factory=dict)
    """split → name → curve; what areas under curves are the metrics of. Optional."""
    pictures: Mapping[str, Mapping[str, Mapping[str, bytes]]] = field(default_factory=dict)
    """split → sample → what is shown → small picture (WebP). Optional."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageReport:
    """A stage of a training, as the training that used it reports it."""

    name: str
    stage_id: str
    """Names the stage wherever it is shared: trials with equal ids used one training of it."""
    training_s: float
    """Wall-clock seconds that the stage took, over all attempts at it, killed ones included."""
    trained_here: bool
    """False where this trial found the stage trained."""


Code = Mapping[str, str]
"""Module → SHA-256 of what acts in its source. What acts and is no module, as a file of weights
that a training starts from, stands among them under words that are no module's name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRecord:
    """What a configuration is measured on: decides what its numbers may be compared with."""

    title: str
    """One line for a reader: ``HO-3D v3``, ``synthetic (demo)``."""
    dataset: str
    """The dataset's word in recipes and printed tables."""
    version: str
    """The release; empty where there are none, or it is unknown."""
    origin: Literal["official", "synthetic", "own"]
    """``official``: counts and lists are those of the published set."""
    fingerprint: str = ""
    """SHA-256 of what is evaluated on, by which other predictions of it are known; empty where it
    cannot be known."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Plain data: counts, truth, cameras, what generated it."""


class TrialContext(Protocol):
    """What a running trial may ask of its surroundings."""

    @property
    def rank(self) -> int:
        """This worker's number, 0 being the one that reports and writes."""

    @property
    def world_size(self) -> int:
        """Number of workers of this trial."""

    @property
    def device(self) -> str:
        """A torch device string: ``cpu`` or ``cuda:0``."""

    @property
    def checkpoint_dir(self) -> Path:
        """This trial's own folder, named by its id; what lies there is what to resume from."""

    @property
    def stage_dir(self) -> Path:
        """Folder shared by all trials, for stages that several of them have in common."""

    def report(self, epoch: int, metrics: Scalars) -> None:
        """Report progress; may raise ``StopTrial`` when a scheduler ends the trial early.

        Every rank calls it, with the same epoch.
        """

    def log_picture(
        self, name: str, epoch: int, picture: UInt8[np.ndarray, "height width 3"]
    ) -> None:
        """Show an RGB picture of the training; only rank 0 calls it.

        It reaches the tracker with the next report, so it is best drawn before its epoch's. Drawn
        again after a resume, it counts once.

        Raises:
            ValueError: if ``name`` has other characters than letters, digits, ``_`` and ``-``.
        """


Part = TypeVar("Part")
Result = TypeVar("Result")


class MapParts(Protocol):
    """Does work in parts for a command that an experiment adds: its ``typer.Context.obj``."""

    def __call__(
        self,
        work: Callable[[Part], Result],
        parts: Sequence[Part],
        done: Callable[[Result], None],
        *,
        address: str | None,
        without_ray: bool,
    ) -> None:
        """Call ``work`` with each part, as Ray tasks or here, and ``done`` here with each result.

        Results come in any order. An interruption ends the command and says that it can be run
        again to go on: what ``done`` was called with should be kept.

        Args:
            work: picklable; called in many processes, each several times.
            parts: picklable, each the work of seconds.
            done: called in this process.
            address: Ray's, as the option ``--address`` has it.
            without_ray: in this process.
        """


class Experiment(Protocol):
    """A trainable thing: the platform plans, runs, records and judges it, knowing only this."""

    name: str
    """Enters every identity."""
    user_errors: tuple[type[Exception], ...]
    """Errors with which it addresses its user: shown without a traceback."""
    metrics: Mapping[str, MetricInfo]
    """Metric (without its split) → unit and direction."""
    operational_fields: frozenset[str]
    """Dotted config paths that never change a result."""
    evaluation_fields: frozenset[str]
    """Dotted config paths that change what a training is evaluated on, and not the training."""

    def build_config(self, mapping: Mapping[str, Any]) -> Any:
        """Make a config from nested plain data; every fault at once in a ``SpecError``."""

    def dump_config(self, config: Any) -> dict[str, Any]:
        """Dump the whole config as nested plain data (JSON types), keys complete."""

    def describe_data(self, config: Any) -> DataRecord:
        """Describe what the config is evaluated on."""

    def fingerprint_training_data(self, config: Any) -> str | None:
        """SHA-256 of all that the config's training reads, or None where it cannot be known."""

    def fingerprint_evaluation_data(self, config: Any) -> str | None:
        """SHA-256 of all that the config's evaluation reads, or None where it cannot be known."""

    def training_code(self, config: Any, device_type: str) -> Code | None:
        """Name what can change the config's training on ``cpu`` or ``cuda``, beside its data.

        Returns:
            None where a module's source is not to be had.
        """

    def evaluation_code(self, config: Any, device_type: str) -> Code | None:
        """Name the modules that can change the evaluation of a finished training."""

    def world_size(self, config: Any) -> int:
        """Return the number of training workers that the config asks for."""

    def prepare_data(self, configs: Sequence[Any], progress: PreparationProgress) -> None:
        """Make what trials of the configs would each wait for, in the workspace they share.

        Called in the process of the command, before they are run. What cannot be made is left to
        the trial that needs it, which fails and says why.
        """

    def train(self, config: Any, seed: int, context: TrialContext) -> Sequence[StageReport]:
        """Train, resuming from ``context.checkpoint_dir`` when it holds a checkpoint.

        Returns:
            The stages of the training, in their order, those that an earlier attempt trained and
            those that were found included.
        """

    def evaluate(self, config: Any, seed: int, context: TrialContext) -> Evaluation:
        """Evaluate the finished training found in ``context.checkpoint_dir``."""

    def measure_predictions(self, config: Any, path: Path) -> Evaluation:
        """Evaluate predictions in a file, whoever made them, of what the config is evaluated on.

        Returns:
            Metrics of the split ``test``.

        Raises:
            SpecError: if there is no truth to measure them by.
        """

    def cause(self, error: BaseException) -> FailureCause | None:
        """Name the cause of an error of the experiment's own; None for any other error."""

    def baselines(self, config: Any) -> dict[str, Evaluation]:
        """Evaluate what needs no training (label → evaluation), shown beside the rows."""

    usual_data: str
    """What is measured on unless told otherwise."""

    def usual_scale(self, data: Sequence[str]) -> str:
        """Name the scale at which some data is measured unless told otherwise."""

    def dataset_overrides(self, dataset: str, extra_datasets: Sequence[str]) -> Mapping[str, Any]:
        """Say what a row's words ``dataset`` and ``extra_datasets`` mean, as overrides of a config.

        It is trained on all of them, and measured on the first.
        """

    def check_scale_data(self, data: Mapping[str, Any]) -> Sequence[str]:
        """Return what is wrong with a scale's table ``data``, each fault behind its key."""

    def data_overrides(
        self,
        data: Sequence[str],
        datasets: Sequence[str],
        workspace: Workspace,
        scale_data: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """Say where the data lies, as overrides of a config.

        Args:
            data: what ``--data`` names, in the experiment's own words.
            datasets: the words that the recipe asks for: a row's ``dataset``, and what it is
                trained on besides.
            workspace: where synthetic sets are made.
            scale_data: the scale's table ``data``.

        Raises:
            SpecError: if it is not there, with what to do.
        """

    def search_overrides(
        self,
        data: Sequence[str],
        dataset: str,
        workspace: Workspace,
        scale_data: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        """Say what searches are steered by, as overrides of a config; empty: the recipe says it.

        Raises:
            SpecError: if it is not there, with what to do.
        """
