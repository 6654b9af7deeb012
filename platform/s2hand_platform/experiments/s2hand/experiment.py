"""The adapter: S2HAND and S2HAND(V) as an experiment that the platform can run."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import s2hand.training.loop
from s2hand.config import (
    EVALUATION_FIELDS,
    OPERATIONAL_FIELDS,
    DataConfig,
    S2HandConfig,
)
from s2hand.data.build import evaluation_source
from s2hand.data.fingerprint import (
    fingerprint_data,
    fingerprint_evaluation_data,
    fingerprint_training_data,
)
from s2hand.data.record import describe_datasets
from s2hand.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    HandModelError,
    NonFiniteLossError,
    S2HandError,
    SourceError,
)
from s2hand.hand.loader import load_hand_model
from s2hand.metrics.descriptions import METRICS
from s2hand.source import module_digests, sha256_of
from s2hand.starting_weights import find_starting_weights
from s2hand.training.acting_code import evaluation_modules, training_modules
from s2hand_platform.errors import FailureCause
from s2hand_platform.experiments.protocol import (
    Code,
    DataRecord,
    Evaluation,
    MetricInfo,
    StageReport,
    TrialContext,
)
from s2hand_platform.experiments.s2hand import (
    MEAN_POSE,
    configuration,
    datasets,
    evaluation,
    official,
    preparing,
)
from s2hand_platform.experiments.s2hand.datasets import find_dataset, place_of
from s2hand_platform.preparation import PreparationProgress
from s2hand_platform.workspace import Workspace


class S2HandExperiment:
    """S2HAND(V) on FreiHAND and HO-3D, real or synthetic."""

    name = "s2hand"
    metrics: Mapping[str, MetricInfo] = {
        key: MetricInfo(unit=metric.unit, direction=metric.direction)
        for key, metric in METRICS.items()
    }
    operational_fields = OPERATIONAL_FIELDS
    evaluation_fields = frozenset(f"data.{name}" for name in EVALUATION_FIELDS)
    user_errors = (S2HandError,)
    usual_data = datasets.SYNTHETIC

    def __init__(self) -> None:
        self._known_sets: dict[tuple[DataConfig, str], _Sets] = {}

    def build_config(self, mapping: Mapping[str, Any]) -> S2HandConfig:
        """Lay ``mapping`` over its ``preset``; see ``configuration.build``."""
        return configuration.build(mapping)

    def dump_config(self, config: S2HandConfig) -> dict[str, Any]:
        """Dump every field as JSON types."""
        return configuration.dump(config)

    def describe_data(self, config: S2HandConfig) -> DataRecord:
        """Describe the sets that a config is trained and measured on."""
        return self._sets(config).record

    def fingerprint_training_data(self, config: S2HandConfig) -> str | None:
        """Hash what the config's training reads, the hand model included."""
        return sha256_of([self._sets(config).training, _hand_fingerprint(config)])

    def fingerprint_evaluation_data(self, config: S2HandConfig) -> str | None:
        """Hash what the config's evaluation reads, training frames and hand model included."""
        return sha256_of([self._sets(config).everything, _hand_fingerprint(config)])

    def _sets(self, config: S2HandConfig) -> "_Sets":
        """Look at a config's sets, once while this object lives: a plan asks for every row.

        Whoever changes data and plans again in one process makes a new object, as every command
        does; workers of Ray look for themselves.
        """
        key = (config.data, config.runtime.cache_dir)
        if key not in self._known_sets:
            self._known_sets[key] = _Sets(config)
        return self._known_sets[key]

    def __getstate__(self) -> dict[str, Any]:
        """Leave what is known of sets behind: another process looks for itself."""
        return {}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Begin anew."""
        self._known_sets = {}

    def training_code(self, config: S2HandConfig, device_type: str) -> Code | None:
        """Name the modules that can change the config's training, and its starting weights."""
        code = module_digests(training_modules(config, device_type))
        weights = find_starting_weights(config, _hand_fingerprint(config))
        if code is None or weights is None:
            return code
        return {**code, f"starting weights '{weights.name}'": weights.sha256}

    def evaluation_code(self, config: S2HandConfig, device_type: str) -> Code | None:
        """Name the modules that can change the config's evaluation, this package's own included."""
        return module_digests({*evaluation_modules(config, device_type), evaluation.__name__})

    def world_size(self, config: S2HandConfig) -> int:
        """Return the number of training workers."""
        return config.optimiser.world_size

    def usual_scale(self, data: Sequence[str]) -> str:
        """Return the smallest scale for synthetic data, the paper's training for other."""
        return datasets.usual_scale(data)

    def dataset_overrides(self, dataset: str, extra_datasets: Sequence[str]) -> dict[str, Any]:
        """Name the datasets in a config."""
        return {"data.dataset": dataset, "data.extra_datasets": list(extra_datasets)}

    def check_scale_data(self, data: Mapping[str, Any]) -> list[str]:
        """Check that the scale names a size of the synthetic benchmark."""
        return datasets.scale_data_faults(data)

    def data_overrides(
        self,
        data: Sequence[str],
        datasets: Sequence[str],
        workspace: Workspace,
        scale_data: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Say where the data lies, as overrides of a config; see ``datasets.find_dataset``."""
        size = scale_data["size"]
        root, *extra = (
            str(find_dataset(place_of(data, name), name, workspace, size)) for name in datasets
        )
        return {
            "data.root": root,
            "data.extra_roots": extra,
            "runtime.cache_dir": str(workspace.cache_dir.resolve()),
        }

    def search_overrides(
        self,
        data: Sequence[str],
        dataset: str,
        workspace: Workspace,
        scale_data: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Validate searches on synthetic data on its validation set, instead of a held-out part."""
        place = place_of(data, dataset)
        root = datasets.find_validation(place, dataset, workspace, scale_data["size"])
        if root is None:
            return {}
        return {"data.validation_root": str(root), "data.validation_fraction": 0.0}

    def prepare_data(self, configs: Sequence[S2HandConfig], progress: PreparationProgress) -> None:
        """Pack the images that the configs train and are measured on, each set once."""
        preparing.pack_images(configs, progress)

    def train(
        self, config: S2HandConfig, seed: int, context: TrialContext
    ) -> Sequence[StageReport]:
        """Train, resuming from the context's checkpoint folder."""
        validate = evaluation.validation_of(config)
        stages = s2hand.training.loop.train(config, seed=seed, context=context, validate=validate)
        return [
            StageReport(
                name=stage.name,
                stage_id=stage.stage_id,
                training_s=stage.training_s,
                trained_here=stage.trained_here,
            )
            for stage in stages
        ]

    def evaluate(self, config: S2HandConfig, seed: int, context: TrialContext) -> Evaluation:
        """Evaluate the finished model on the test set, and on training sequences (Table 5)."""
        return evaluation.evaluate_training(config, context)

    def measure_predictions(self, config: S2HandConfig, path: Path) -> Evaluation:
        """Score a ``pred.json``, or an archive that holds one; see ``official.score_file``."""
        scored = official.score_file(path, evaluation_source(config))
        return evaluation.join({} if scored.evaluation is None else {"test": scored.evaluation})

    def cause(self, error: BaseException) -> FailureCause | None:
        """Name the cause of an error of the model's own."""
        return next((cause for kind, cause in _CAUSES.items() if isinstance(error, kind)), None)

    def baselines(self, config: S2HandConfig) -> dict[str, Evaluation]:
        """Evaluate the constant predictor of the hand model's mean pose."""
        return {MEAN_POSE: evaluation.evaluate_mean_pose(config)}


_CAUSES: Mapping[type[S2HandError], FailureCause] = {
    NonFiniteLossError: "non_finite",
    DataError: "data",
    HandModelError: "data",
    ConfigurationError: "configuration",
    CheckpointError: "configuration",
    SourceError: "code",
}


class _Sets:
    """What is to be known of a configuration's sets, each looked at when it is asked for.

    A worker that verifies its data asks for no record, and reads no set twice.
    """

    def __init__(self, config: S2HandConfig) -> None:
        self._config = config

    @cached_property
    def training(self) -> str:
        """Fingerprint of what is trained on."""
        return fingerprint_training_data(self._config)

    @cached_property
    def everything(self) -> str:
        """Fingerprint of all sets: frames of training are measured too (Table 5, Figure 6)."""
        return fingerprint_data(self._config, training=self.training)

    @cached_property
    def record(self) -> DataRecord:
        """What the sets are."""
        return _describe(self._config)


def _describe(config: S2HandConfig) -> DataRecord:
    records = describe_datasets(config)
    training, measured = records.training, records.evaluation
    origins = {each.origin for each in (training, *records.extra, measured)}
    if origins == {"official"} and (training.name, training.version) != (
        measured.name,
        measured.version,
    ):
        origins = {"own"}  # published sets, but not the paper's training and test set of one
    return DataRecord(
        title=records.title,
        dataset=measured.name,
        version=measured.version,
        origin=next(each for each in ("own", "synthetic", "official") if each in origins),
        fingerprint=fingerprint_evaluation_data(config),
        details={
            "training": training.to_plain(),
            "extra": [each.to_plain() for each in records.extra],
            "evaluation": measured.to_plain(),
            "validation": records.validation and records.validation.to_plain(),
        },
    )


def _hand_fingerprint(config: S2HandConfig) -> str:
    return load_hand_model(config.model.hand_model or None).fingerprint
