"""S2HAND and S2HAND(V) as an experiment: train, evaluate, and what the data is."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import s2hand.training.loop
from s2hand.checkpoint import MODEL_NAME, load_model
from s2hand.config import OPERATIONAL_FIELDS, DataConfig, RuntimeConfig, S2HandConfig
from s2hand.data.build import load_datasets, load_validation
from s2hand.data.clips import sequences_with_clips
from s2hand.data.dataset import FrameDataset
from s2hand.data.fingerprint import fingerprint_data
from s2hand.data.sample import FrameTable
from s2hand.errors import (
    CheckpointError,
    ConfigurationError,
    DataError,
    HandModelError,
    NonFiniteLossError,
    S2HandError,
)
from s2hand.evaluation import evaluate_model
from s2hand.hand.loader import load_hand_model
from s2hand.inference import Predictor
from s2hand.layouts import LAYOUTS
from s2hand.metrics.baselines import mean_pose_predictions
from s2hand.metrics.evaluate import METRICS, SetEvaluation, evaluate
from s2hand.model import S2Hand
from s2hand.parts import HAND_ALONE, Output
from s2hand.training.schedule import clips_of
from s2hand_platform.errors import FailureCause
from s2hand_platform.experiments.protocol import (
    Evaluation,
    MetricInfo,
    StageReport,
    TrialContext,
)
from s2hand_platform.experiments.s2hand import configuration, datasets
from s2hand_platform.workspace import Workspace


class S2HandExperiment:
    """S2HAND(V) on FreiHAND and HO-3D, real or synthetic."""

    name = "s2hand"
    metrics: Mapping[str, MetricInfo] = {
        key: MetricInfo(unit=metric.unit, direction=metric.direction)
        for key, metric in METRICS.items()
    }
    operational_fields = OPERATIONAL_FIELDS
    code_packages = ("s2hand",)
    user_errors = (S2HandError,)

    def build_config(self, mapping: Mapping[str, Any]) -> S2HandConfig:
        """Lay ``mapping`` over its ``preset``; see ``configuration.build``."""
        return configuration.build(mapping)

    def dump_config(self, config: S2HandConfig) -> dict[str, Any]:
        """Dump every field as JSON types."""
        return configuration.dump(config)

    def fingerprint_data(self, config: S2HandConfig) -> str | None:
        """Hash the dataset's content and the hand model that the config names."""
        hand = load_hand_model(config.model.hand_model or None).fingerprint
        dataset = _fingerprint_data(config.data, config.runtime.cache_dir)
        return hashlib.sha256(f"{dataset}:{hand}".encode()).hexdigest()

    def world_size(self, config: S2HandConfig) -> int:
        """Return the number of training workers."""
        return config.optimiser.world_size

    def dataset_overrides(self, dataset: str) -> dict[str, Any]:
        """Name the dataset in a config."""
        return {"data.dataset": dataset}

    def check_scale_data(self, data: Mapping[str, Any]) -> list[str]:
        """Check that the scale names a size of the synthetic benchmark."""
        return datasets.scale_data_faults(data)

    def data_overrides(
        self, data: str, dataset: str, workspace: Workspace, scale_data: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Say where the data lies, as overrides of a config; see ``datasets.find_dataset``."""
        root = datasets.find_dataset(data, dataset, workspace, scale_data["size"])
        overrides = {
            "data.root": str(root),
            "runtime.cache_dir": str(workspace.cache_dir.resolve()),
        }
        # ImageNet's weights know photographs; a synthetic row says that it did without.
        return overrides | ({"model.pretrained": "none"} if data == datasets.SYNTHETIC else {})

    def train(
        self, config: S2HandConfig, seed: int, context: TrialContext
    ) -> Sequence[StageReport]:
        """Train, resuming from the context's checkpoint folder."""
        validate = None
        table = load_validation(config)
        if table is not None:
            held_out = _Split(table, config)

            def validate(model: S2Hand) -> dict[str, float]:
                metrics = held_out.evaluate(model, outputs=HAND_ALONE).metrics
                return {f"validation/{name}": value for name, value in metrics.items()}

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
        model = load_model(
            context.checkpoint_dir / MODEL_NAME,
            hand_model=config.model.hand_model or None,
            device=context.device,
        )
        tables = _evaluation_tables(config, with_train="heatmaps" in model.outputs)
        held_out = load_validation(config)
        if held_out is not None:
            tables["validation"] = held_out
        results = {}
        for split, table in tables.items():
            # Of training frames only what a table shows: motion (Table 5), keypoints (Figure 6).
            outputs = model.outputs & {"hand", "heatmaps"} if split == "train" else model.outputs
            results[split] = _Split(table, config).evaluate(model, outputs=outputs)
        notes = _clip_notes(config, tables["train"]) if "train" in tables else {}
        return _join(results, notes)

    def cause(self, error: BaseException) -> FailureCause | None:
        """Name the cause of an error of the model's own."""
        return next((cause for kind, cause in _CAUSES.items() if isinstance(error, kind)), None)

    def baselines(self, config: S2HandConfig) -> dict[str, Evaluation]:
        """Evaluate the constant predictor of the hand model's mean pose."""
        hand = load_hand_model(config.model.hand_model or None)
        results = {
            split: evaluate(mean_pose_predictions(hand, len(table.sample_ids)), table)
            for split, table in _evaluation_tables(config, with_train=False).items()
        }
        return {"constant mean pose": _join(results)}


_CAUSES: Mapping[type[S2HandError], FailureCause] = {
    NonFiniteLossError: "non_finite",
    DataError: "data",
    HandModelError: "data",
    ConfigurationError: "configuration",
    CheckpointError: "configuration",
}


class _Split:
    """A part of a dataset, with its pictures at hand."""

    def __init__(self, table: FrameTable, config: S2HandConfig) -> None:
        self._frames = FrameDataset.from_config(table, config)
        self._batch_size = config.runtime.evaluation_batch_size

    def evaluate(self, model: S2Hand, *, outputs: Collection[Output]) -> SetEvaluation:
        return evaluate_model(
            Predictor(model), self._frames, batch_size=self._batch_size, outputs=outputs
        )


@lru_cache(maxsize=8)
def _fingerprint_data(data: DataConfig, cache_dir: str) -> str:
    return fingerprint_data(S2HandConfig(data=data, runtime=RuntimeConfig(cache_dir=cache_dir)))


def _evaluation_tables(config: S2HandConfig, *, with_train: bool) -> dict[str, FrameTable]:
    """Test frames, and training frames: always of sequences, for their smoothness."""
    train, test = load_datasets(config)
    is_wanted = with_train or LAYOUTS[config.data.dataset].kind == "sequences"
    return {"test": test, "train": train} if is_wanted else {"test": test}


def _clip_notes(config: S2HandConfig, train: FrameTable) -> dict[str, str]:
    """Say which clips only some of the training sequences were long enough for."""
    every = len(set(train.sequences))
    notes = {}
    for clips in clips_of(config):
        fitting = len(sequences_with_clips(train.sequences, train.frames, clips))
        if fitting < every:
            subject = f"clips of {clips.num_frames} frames, {clips.frame_interval} apart"
            notes[subject] = f"{fitting} of {every} training sequences hold one"
    return notes


def _join(
    results: Mapping[str, SetEvaluation], notes: Mapping[str, str] = MappingProxyType({})
) -> Evaluation:
    ids = {result.evaluator_id for result in results.values()}
    return Evaluation(
        metrics={
            f"{split}/{name}": value
            for split, result in results.items()
            for name, value in result.metrics.items()
        },
        samples={
            split: {name: values.tolist() for name, values in result.samples.items()}
            for split, result in results.items()
        },
        sample_ids={split: result.sample_ids for split, result in results.items()},
        evaluator_id="+".join(sorted(ids)),
        notes=dict(notes),
    )
