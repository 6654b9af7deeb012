"""Scores of a model on YouTube-3D-Hands' annotated vertices, for ``s2hand evaluate``."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2hand.annotated_evaluation import EVALUATOR_ID, AnnotatedEvaluation, evaluate_annotated
from s2hand.data.build import dataset_folder
from s2hand.data.youtube3d_files import AnnotatedSplit
from s2hand.files import whole_file
from s2hand.inference import Predictor
from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.s2hand.official import ONCE, open_model
from s2hand_platform.paths import local_path

DESCRIPTIONS = {
    "projected_mpvpe_px": "mean distance of projected vertices from the annotated ones",
    "mpvpe_px": "mean distance of vertices, three dimensions, depth about the mesh's mean",
    "mae_px": "mean absolute difference of the vertices' coordinates, likewise",
    "pa_mpvpe_px": "mean distance of vertices after Procrustes' alignment",
}
"""What each metric is; all are pixels of the annotated picture, and lower is better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredInPixels:
    """What a model scores on a split's annotated hands."""

    what: str
    folder: Path
    split: AnnotatedSplit
    evaluation: AnnotatedEvaluation

    def to_plain(self) -> dict[str, Any]:
        """Dump scores, with what they mean, to JSON's types."""
        found = self.evaluation
        return {
            "predictions": self.what,
            "dataset": "youtube3d",
            "folder": str(self.folder),
            "split": self.split,
            "hands": len(found.sample_ids),
            "n": 1,
            "evaluator": EVALUATOR_ID,
            "metrics": {
                name: {
                    "value": found.metrics[name],
                    "unit": "px",
                    "better": "lower",
                    "description": description,
                }
                for name, description in DESCRIPTIONS.items()
            },
            "notes": found.notes,
        }

    def lines(self) -> Iterator[str]:
        """Say the same to people."""
        yield f"{self.what} on {self.folder} (youtube3d)"
        yield f"{len(self.evaluation.sample_ids):,} annotated hands of the split '{self.split}'"
        yield from (f"note: {each}: {text}" for each, text in self.evaluation.notes.items())
        for name, description in DESCRIPTIONS.items():
            yield f"{name:<30} {self.evaluation.metrics[name]:>9.4f} px {description}"
        yield f"evaluator: {EVALUATOR_ID}"
        yield ONCE

    def write_files(self, folder: Path) -> list[Path]:
        """Write ``scores.json``, and ``samples.json`` with every hand's errors, into a folder.

        Raises:
            SpecError: If one cannot be written.
        """
        found = self.evaluation
        samples = {name: values.tolist() for name, values in found.samples.items()}
        contents = {
            "scores.json": self.to_plain(),
            "samples.json": {"samples": found.sample_ids, **samples},
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in contents.items():
                with whole_file(folder / name) as file:
                    file.write(json.dumps(content, indent=1, allow_nan=False).encode())
        except OSError as error:
            raise SpecError([f"--output: {folder} cannot be written ({error.strerror})"]) from error
        return [folder / name for name in contents]


def score_annotated(
    checkpoint: str, place: str, split: AnnotatedSplit, *, hand: str, device: str
) -> ScoredInPixels:
    """Predict the annotated hands of a split, and measure them in pixels.

    Args:
        checkpoint: A model's file, or the name of the one that comes with the project.
        place: The set's folder.
        split: Which list.
        hand: The user's MANO file, for a model trained with one; empty: see ``load_model``.
        device: A torch device string.

    Raises:
        S2HandError: If the model, the hand or the set cannot be used.
    """
    folder = dataset_folder(local_path(place, "--data"), "youtube3d")
    model, _ = open_model(checkpoint, hand, device)
    found = evaluate_annotated(Predictor(model), folder, split)
    return ScoredInPixels(what=checkpoint, folder=folder, split=split, evaluation=found)
