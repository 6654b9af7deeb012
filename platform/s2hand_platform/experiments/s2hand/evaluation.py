"""What is measured of a training, and of what needs none."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from s2hand.config import S2HandConfig
from s2hand.data.build import load_extra, load_test, load_train, load_validation
from s2hand.data.clips import sequences_with_clips
from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import FrameTable
from s2hand.evaluation import predict_frames
from s2hand.hand.loader import load_hand_model
from s2hand.inference import Predictor
from s2hand.layouts import LAYOUTS
from s2hand.metrics.baselines import mean_pose_predictions
from s2hand.metrics.curves import CURVES, Curve, curves_of
from s2hand.metrics.evaluate import Predictions, SetEvaluation, evaluate
from s2hand.model import S2Hand
from s2hand.parts import HAND_ALONE, Output
from s2hand.schedule import clips_of
from s2hand.trained_model import MODEL_NAME, load_model
from s2hand_platform.experiments.protocol import Evaluation, ThresholdCurve, TrialContext
from s2hand_platform.experiments.s2hand.pictures import draw

KEPT_SPLITS = ("test", "validation")
"""Splits whose predictions and pictures are kept: of training frames there are too many."""


def evaluate_training(config: S2HandConfig, context: TrialContext) -> Evaluation:
    """Evaluate the model that lies in the context's folder on all its splits."""
    model = load_model(
        context.checkpoint_dir / MODEL_NAME,
        hand_model=config.model.hand_model or None,
        device=context.device,
    )
    tables = _evaluation_tables(config, with_train="heatmaps" in model.outputs)
    held_out = load_validation(config)
    if held_out is not None:
        tables["validation"] = held_out
    results, curves, drawn = {}, {}, {}
    read: dict[str, FrameTable] = {}
    kept = KEPT_SPLITS if config.runtime.keep_predictions else ()
    for split, table in tables.items():
        # Of training frames only what a table shows: motion (Table 5), keypoints (Figure 6).
        outputs = model.outputs & {"hand", "heatmaps"} if split == "train" else model.outputs
        part = _Split(table, config)
        read[split] = part.frames.table
        predictions = part.predict(model, outputs=outputs)
        results[split] = evaluate(predictions, read[split])
        curves[split] = curves_of(predictions, read[split])
        if split in kept:
            drawn[split] = draw(model, part.frames)
    # What else was trained on, for its notes alone.
    train = read.pop("train", None) or _readable(load_train(config), config)
    extra = [_readable(table, config) for table in load_extra(config)]
    notes = _clip_notes(config, (train, *extra))
    for name, table in zip(("train", *config.data.extra_datasets), (train, *extra), strict=True):
        read[name] = table
    for name, table in read.items():
        notes |= {f"{subject} ({name} set)": text for subject, text in table.notes.items()}
    return replace(
        join(results, notes, kept=kept),
        threshold_curves={split: _shown(found) for split, found in curves.items()},
        pictures=drawn,
    )


def evaluate_mean_pose(config: S2HandConfig) -> Evaluation:
    """Evaluate the constant predictor of the hand model's mean pose on the test set."""
    hand = load_hand_model(config.model.hand_model or None)
    return join(
        {
            split: evaluate(mean_pose_predictions(hand, len(table)), table)
            for split, loaded in _evaluation_tables(config, with_train=False).items()
            for table in [_readable(loaded, config)]
        }
    )


def validation_of(config: S2HandConfig) -> Callable[[S2Hand], dict[str, float]] | None:
    """Return what measures a model in training on held-out frames; None where there are none."""
    if not config.data.validation_fraction and not config.data.validation_root:
        return None

    @cache
    def held_out() -> _Split:  # a training that is finished already needs no pictures
        table = load_validation(config)
        assert table is not None
        return _Split(table, config)

    def validate(model: S2Hand) -> dict[str, float]:
        split = held_out()
        found = evaluate(split.predict(model, outputs=HAND_ALONE), split.frames.table)
        return {f"validation/{name}": value for name, value in found.metrics.items()}

    return validate


class _Split:
    """A part of a dataset, with its pictures at hand."""

    def __init__(self, table: FrameTable, config: S2HandConfig) -> None:
        self.frames = FrameDataset.from_config(table, config)
        self._batch_size = config.runtime.evaluation_batch_size

    def predict(self, model: S2Hand, *, outputs: Collection[Output]) -> Predictions:
        return predict_frames(
            Predictor(model), self.frames, batch_size=self._batch_size, outputs=outputs
        )


def _readable(table: FrameTable, config: S2HandConfig) -> FrameTable:
    """Return the frames whose images can be decoded, with a note on the others."""
    return FrameDataset.from_config(table, config).table


def _evaluation_tables(config: S2HandConfig, *, with_train: bool) -> dict[str, FrameTable]:
    """Test frames, and training frames: always of sequences, for their smoothness."""
    tables = {"test": load_test(config)}
    if with_train or LAYOUTS[config.data.dataset].kind == "sequences":
        tables["train"] = load_train(config)
    return tables


def _shown(curves: Mapping[str, Curve]) -> dict[str, ThresholdCurve]:
    return {
        name: ThresholdCurve(
            figure=CURVES[name].figure,
            says=CURVES[name].says,
            area_of=CURVES[name].area_of,
            unit=curve.unit,
            thresholds=curve.thresholds.tolist(),
            shares=curve.shares.tolist(),
        )
        for name, curve in curves.items()
    }


def _clip_notes(config: S2HandConfig, trained_on: Sequence[FrameTable]) -> dict[str, str]:
    """Say which clips only some of the training sequences were long enough for."""
    every = sum(len(set(table.sequences)) for table in trained_on)
    notes = {}
    for clips in clips_of(config):
        fitting = sum(
            len(sequences_with_clips(table.sequences, table.frames, clips)) for table in trained_on
        )
        if fitting < every:
            subject = f"clips of {clips.num_frames} frames, {clips.frame_interval} apart"
            notes[subject] = f"{fitting} of {every} training sequences hold one"
    return notes


def join(
    results: Mapping[str, SetEvaluation],
    notes: Mapping[str, str] = MappingProxyType({}),
    kept: Collection[str] = (),
) -> Evaluation:
    """Join what was measured of splits."""
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
        predictions={
            split: result.parameters for split, result in results.items() if split in kept
        },
        notes=dict(notes),
    )
