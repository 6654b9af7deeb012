"""Official scores of a trained model, or of anybody's predictions, and files for the servers."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, Final

import numpy as np

from s2hand.config import PRESETS, S2HandConfig
from s2hand.data.build import Source, dataset_folder
from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import FrameTable
from s2hand.evaluation import predict_frames
from s2hand.files import whole_file
from s2hand.hand.loader import EMBEDDED
from s2hand.inference import Predictor
from s2hand.layouts import LAYOUTS
from s2hand.metrics.curves import curves_of
from s2hand.metrics.descriptions import METRICS
from s2hand.metrics.evaluate import Predictions, SetEvaluation, evaluate
from s2hand.model import S2Hand
from s2hand.parts import HAND_ALONE
from s2hand.starting_weights import open_weights
from s2hand.submission import read_submission, write_submission
from s2hand.trained_model import load_model, read_model_record
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.s2hand.evaluators import describe_evaluator
from s2hand_platform.paths import local_path
from s2hand_platform.preparation import PreparationProgress
from s2hand_platform.workspace import Workspace

BUNDLED: Final = "s2hand"
"""Name of the whole model that comes with the project."""
SUBMISSION_NAME = "pred.zip"
ONCE = (
    "scores of one set of predictions (n = 1): no interval and no verdict; differences between "
    "trainings need seeds"
)

_PLACELESS = {
    "places": "an orthographic model reads no camera: its hands have no place, and errors without "
    "an alignment are left out; so a server's are of no use"
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """What was predicted of a dataset's evaluation set, and its scores."""

    what: str
    """Whose predictions: a model's file, a name, or a file of predictions."""
    source: Source
    table: FrameTable
    predictions: Predictions
    evaluation: SetEvaluation | None
    """None where the set has no truth."""

    def write_submission(self, path: Path) -> None:
        """Write the predictions for the dataset's server.

        Raises:
            SpecError: If the file cannot be written.
            DataError: If a sample of the server's list was left out, or is not finite.
        """
        try:
            write_submission(
                path,
                self.source.layout.name,
                joints=self.predictions.joints,
                vertices=self.predictions.vertices,
                predicted_ids=self.table.sample_ids,
                asked_ids=self.source.survey().sample_ids,
            )
        except OSError as error:
            raise SpecError([f"{path}: cannot be written ({error.strerror})"]) from error

    def to_plain(self) -> dict[str, Any]:
        """Dump scores, with what they mean, to JSON's types."""
        found = self.evaluation
        return {
            "predictions": self.what,
            "dataset": self.source.layout.name,
            "folder": str(self.source.folder),
            "frames": len(self.table),
            "n": 1,
            "evaluator": found and found.evaluator_id,
            "evaluator_in_words": list(describe_evaluator(found.evaluator_id)) if found else [],
            "metrics": {
                name: {
                    "value": value if isfinite(value) else None,
                    "unit": METRICS[name].unit,
                    **_sense(name),
                }
                for name, value in _in_order(found.metrics if found else {})
            },
            "notes": {**self.table.notes, **({} if self.predictions.is_placed else _PLACELESS)},
        }

    def lines(self) -> Iterator[str]:
        """Say the same to people."""
        plain = self.to_plain()
        yield f"{plain['predictions']} on {plain['folder']} ({plain['dataset']})"
        yield f"{plain['frames']:,} frames of the evaluation set"
        for subject, text in plain["notes"].items():
            yield f"note: {subject}: {text}"
        if self.evaluation is None:
            yield "the set has no truth: there are no scores"
            return
        for name, metric in plain["metrics"].items():
            unit = "" if metric["unit"] == "1" else f" {metric['unit']}"
            value = "infinite" if metric["value"] is None else f"{metric['value']:.4f}"
            yield f"{name:<30} {value:>9}{unit:<10} {metric['description']}"
        yield f"evaluator: {plain['evaluator']}"
        yield from (f"  {sentence}" for sentence in plain["evaluator_in_words"])
        yield ONCE

    def write_files(self, folder: Path) -> list[Path]:
        """Write ``scores.json``, and ``curves.json`` where there is truth, into a folder.

        Raises:
            SpecError: If one cannot be written.
        """
        contents: dict[str, Any] = {"scores.json": self.to_plain()}
        if self.evaluation is not None:
            curves = curves_of(self.predictions, self.table)
            contents["curves.json"] = {name: curve.to_plain() for name, curve in curves.items()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in contents.items():
                with whole_file(folder / name) as file:
                    file.write(json.dumps(content, indent=1).encode())
        except OSError as error:
            raise SpecError([f"--output: {folder} cannot be written ({error.strerror})"]) from error
        return [folder / name for name in contents]


def evaluation_set(data: str) -> Source:
    """Find the evaluation set that ``LAYOUT=PATH`` names.

    Raises:
        SpecError: If the text is another, or its path is no path on a disk.
        DataError: If the path is empty.
    """
    name, _, path = data.partition("=")
    measured = [each for each in LAYOUTS.values() if each.is_measured]
    layout = next((each for each in measured if each.name == name), None)
    if layout is None or not path:
        wanted = " or ".join(f"{each.name}=PATH" for each in measured)
        raise SpecError([f"--data: must be {wanted}, got {data!r}"])
    folder = dataset_folder(local_path(path, "--data"), layout.name)
    return Source(layout=layout, folder=folder, split="test", settings={})


def score_model(
    checkpoint: str,
    source: Source,
    *,
    workspace: Workspace,
    hand: str,
    device: str,
    progress: PreparationProgress,
) -> Scored:
    """Predict an evaluation set with a trained model, and measure it where there is truth.

    Args:
        checkpoint: A model's file, or the name of the one that comes with the project.
        source: The set.
        workspace: Where packed images are kept for the next time.
        hand: The user's MANO file, for a model trained with one; empty: see ``load_model``.
        device: A torch device string.
        progress: Is told of images that are packed now.

    Raises:
        S2HandError: If the model, the hand or the set cannot be used.
    """
    model, config = open_model(checkpoint, hand, device)
    runtime = replace(config.runtime, cache_dir=str(workspace.cache_dir.resolve()))
    table = source.load()
    frames = FrameDataset.from_config(table, replace(config, runtime=runtime), progress=progress)
    predictions = predict_frames(
        Predictor(model),
        frames,
        batch_size=runtime.evaluation_batch_size,
        outputs=model.outputs if _has_truth(table) else HAND_ALONE,
    )
    return _scored(checkpoint, source, frames.table, predictions)


def score_file(path: Path, source: Source) -> Scored:
    """Measure the predictions in a ``pred.json``, or an archive that holds one.

    Raises:
        SpecError: If the set has no truth to measure them by.
        DataError: If the file is not one for this set, or the set cannot be used.
    """
    table = source.load()
    if not _has_truth(table):
        raise SpecError([f"--data: {source.folder} has no truth to score {path} by"])
    asked = source.survey().sample_ids
    hands = read_submission(path, source.layout.name, asked)
    row_of = {sample: row for row, sample in enumerate(asked)}
    rows = np.array([row_of[sample] for sample in table.sample_ids])
    predictions = Predictions(
        joints=hands.joints[rows], vertices=hands.vertices[rows], fingertips=None
    )
    return _scored(str(path), source, table, predictions)


def _scored(what: str, source: Source, table: FrameTable, predictions: Predictions) -> Scored:
    evaluation = evaluate(predictions, table) if _has_truth(table) else None
    return Scored(
        what=what, source=source, table=table, predictions=predictions, evaluation=evaluation
    )


def _has_truth(table: FrameTable) -> bool:
    return table.joints is not None or table.vertices is not None


def open_model(checkpoint: str, hand: str, device: str) -> tuple[S2Hand, S2HandConfig]:
    """Open a model, with the configuration that says what its pictures were like."""
    if checkpoint != BUNDLED:
        path = local_path(checkpoint, "CHECKPOINT")
        model = load_model(path, hand_model=hand or None, device=device)
        return model, read_model_record(path).config
    base = PRESETS["cpu"]
    fits = open_weights(BUNDLED).card.fits
    config = replace(
        base, model=replace(base.model, pretrained=BUNDLED, hand_model=EMBEDDED, **fits)
    )
    return S2Hand(config).to(device).eval(), config


def _in_order(metrics: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    return ((name, metrics[name]) for name in METRICS if name in metrics)


def _sense(name: str) -> dict[str, str]:
    metric = METRICS[name]
    return {"better": metric.direction, "description": metric.description}
