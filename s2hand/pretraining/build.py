"""Trains starting weights by their recipe, measures them, and writes file and card; resumable."""

import dataclasses
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from s2hand import __version__
from s2hand.config import S2HandConfig
from s2hand.data.build import load_train, load_validation
from s2hand.data.dataset import FrameDataset
from s2hand.data.fingerprint import fingerprint_training_data
from s2hand.data.record import DatasetRecord, describe_datasets
from s2hand.errors import DataError
from s2hand.evaluation import evaluate_model
from s2hand.hand.loader import EMBEDDED, load_hand_model
from s2hand.inference import Predictor
from s2hand.model import S2Hand
from s2hand.parts import Output, WeightsName
from s2hand.pretraining.features import KeypointClassifier, keypoint_error_px, pretrain_features
from s2hand.pretraining.recipes import RECIPES, Recipe
from s2hand.source import module_digests, sha256_of
from s2hand.starting_weights import (
    Card,
    StartingWeights,
    fits_of,
    initial_weights,
    open_weights,
    save_weights,
    weights_path,
)
from s2hand.trained_model import MODEL_NAME, load_model
from s2hand.training.acting_code import training_modules
from s2hand.training.context import LocalContext
from s2hand.training.determinism import derive_seed, use_deterministic_algorithms
from s2hand.training.loop import train
from s2hand.training.stages import trained_stages

KEYPOINT_ERROR = "validation/keypoint_px"
"""Score of features: distance of keypoints read off them to the true ones, px of 224."""

Report = Callable[[int, Mapping[str, float]], None]

_MODULES = tuple(
    f"s2hand.pretraining.{name}" for name in ("coordinate_classes", "features", "muon", "recipes")
)
"""What acts in these trainings alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where weights are made."""

    weights_dir: Path
    """Receives the files, and has those that a recipe begins with."""
    work_dir: Path
    """Keeps what an interrupted training goes on from."""
    data_root: Path
    """What is trained on: the benchmark's namespace ``pretraining``."""
    validation_root: Path
    """What weights are measured on: the namespace ``validation``."""
    cache_dir: Path | None = None


def build_weights(
    name: WeightsName,
    places: Places,
    *,
    seed: int = 0,
    device: str = "cpu",
    report: Report | None = None,
    recipe: Recipe | None = None,
) -> StartingWeights:
    """Train starting weights and write them with their card.

    An interrupted call goes on where it stopped; a finished training is not repeated. Another
    recipe, other data or other code is another training, which begins anew.

    Args:
        name: Which weights.
        places: Where everything lies.
        seed: Of the training.
        device: A torch device string.
        report: Told now and then of the steps, or epochs, so far, and of metrics.
        recipe: In place of the project's own.

    Raises:
        DataError: If a set is missing or cannot be read.
        ConfigurationError: If weights that the recipe begins with are missing, or do not fit.
        NonFiniteLossError: If a loss becomes NaN or infinite.
    """
    recipe = recipe or RECIPES[name]
    config = _placed(recipe.config, places)
    identity = _identity(recipe, config, seed, device)
    folder = places.work_dir / name / sha256_of(identity)[:16]
    folder.mkdir(parents=True, exist_ok=True)
    curve = _Curve(path=folder / "curve.jsonl", report=report)
    train_it = _train_whole if recipe.features is None else _train_features
    trained = train_it(recipe, config, seed=seed, folder=folder, device=device, curve=curve)
    records = describe_datasets(config)
    assert records.validation is not None  # _placed names one
    card = Card(
        name=name,
        fits=fits_of(config.model, name),
        hand_fingerprint=identity["hand"] if name == "s2hand" else "",
        recipe={**identity["recipe"], "seed": seed},
        data=_titled(records.training),
        validation_data=_titled(records.validation),
        steps=trained.steps,
        pictures=trained.pictures,
        hours=curve.hours,
        curve=curve.points,
        scores={},
        code={
            "s2hand": __version__,
            "torch": torch.__version__,
            "device": identity["device"],
            "sha256": identity["code"],
        },
    )
    path = weights_path(name, places.weights_dir)
    state = trained.model.state_dict()
    save_weights(state, card, path)
    # Measured as they lie in the file, rounded.
    open_weights(name, places.weights_dir).load_into(trained.model)
    save_weights(state, replace(card, scores=trained.measure()), path)
    return open_weights(name, places.weights_dir)


def _placed(config: S2HandConfig, places: Places) -> S2HandConfig:
    """Fill in a recipe's paths; weights are of the embedded hand, whatever the machine has."""
    validation_root = str(places.validation_root)
    return replace(
        config,
        model=replace(config.model, hand_model=EMBEDDED, weights_dir=str(places.weights_dir)),
        data=replace(
            config.data,
            root=str(places.data_root),
            evaluation_root=validation_root,
            validation_root=validation_root,
        ),
        runtime=replace(config.runtime, cache_dir=str(places.cache_dir or "")),
    )


def _identity(recipe: Recipe, config: S2HandConfig, seed: int, device: str) -> dict[str, Any]:
    """Collect what a training follows from, as plain data."""
    device_type = torch.device(device).type
    hand = load_hand_model(config.model.hand_model).fingerprint
    return {
        "recipe": json.loads(json.dumps(dataclasses.asdict(recipe))),
        "seed": seed,
        "device": device_type,
        "data": fingerprint_training_data(config),
        "hand": hand,
        "initial": initial_weights(config, hand),
        "code": sha256_of(module_digests({*training_modules(config, device_type), *_MODULES})),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trained:
    """A training that has come to its end."""

    model: S2Hand
    steps: int
    pictures: int
    measure: Callable[[], dict[str, float]]
    """Measures the model, with the weights that it has then, on validation frames."""


def _train_features(
    recipe: Recipe, config: S2HandConfig, *, seed: int, folder: Path, device: str, curve: "_Curve"
) -> _Trained:
    """Train an encoder and a trunk on keypoints."""
    assert recipe.features is not None
    use_deterministic_algorithms()
    torch.manual_seed(derive_seed(seed, "weights"))
    model = S2Hand(config)
    classifier = KeypointClassifier(model.encoder, model.head.trunk)
    held_out = _held_out(config)

    def measure() -> dict[str, float]:
        classifier.eval()
        return {KEYPOINT_ERROR: keypoint_error_px(classifier, held_out, device=device)}

    def report(steps: int, metrics: Mapping[str, float]) -> None:
        curve.add(steps, {**metrics, **measure()})
        classifier.train()

    pretrain_features(
        classifier,
        FrameDataset.from_config(load_train(config), config),
        recipe.features,
        seed=seed,
        state_path=folder / "latest.pt",
        device=device,
        report=report,
    )
    steps = recipe.features.steps
    return _Trained(
        model=model, steps=steps, pictures=steps * recipe.features.batch_size, measure=measure
    )


def _train_whole(
    recipe: Recipe, config: S2HandConfig, *, seed: int, folder: Path, device: str, curve: "_Curve"
) -> _Trained:
    """Train a whole model by the stages of its configuration."""
    held_out = _held_out(config)

    def measure(model: S2Hand, outputs: Collection[Output]) -> dict[str, float]:
        size = config.runtime.evaluation_batch_size
        found = evaluate_model(Predictor(model), held_out, batch_size=size, outputs=outputs)
        return {f"validation/{name}": value for name, value in found.metrics.items()}

    context = LocalContext(
        checkpoint_dir=folder, stage_dir=folder / "stages", device=device, on_report=curve.add
    )
    train(
        config,
        seed=seed,
        context=context,
        validate=lambda model: measure(model, model.outputs & {"hand", "heatmaps"}),
    )
    frames = len(load_train(config))
    steps = pictures = 0
    for stage in (config.stages[index] for index in trained_stages(config)):
        is_clips = stage.samples == "clips"
        size = config.clips.frames_per_batch if is_clips else config.optimiser.batch_size
        steps += stage.epochs * (frames // size)
        pictures += stage.epochs * (frames // size) * size
    model = load_model(folder / MODEL_NAME, hand_model=EMBEDDED, device=device)
    return _Trained(
        model=model,
        steps=steps,
        pictures=pictures,
        measure=lambda: measure(model, model.outputs),
    )


def _held_out(config: S2HandConfig) -> FrameDataset:
    table = load_validation(config)
    assert table is not None  # _placed names a set
    return FrameDataset.from_config(table, config)


def _titled(record: DatasetRecord) -> dict[str, Any]:
    return {"title": record.title, **record.to_plain()}


@dataclass(kw_only=True, slots=True)
class _Curve:
    """What a training reports, kept on the disk for the attempts that come after."""

    path: Path
    report: Report | None
    points: tuple[dict[str, Any], ...] = field(init=False)
    """What was reported last of each place; ``hours`` counts all attempts up to their last
    report."""
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        try:
            found = [json.loads(line) for line in lines]
            self.points = tuple({point["place"]: point for point in found}.values())
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{self.path}: must hold a JSON object with a place in every line ({error}); "
                "delete its last line"
            ) from error
        self._started = time.monotonic() - 3600 * self.hours

    @property
    def hours(self) -> float:
        """Time up to the last report."""
        return self.points[-1]["hours"] if self.points else 0.0

    def add(self, place: int, metrics: Mapping[str, float]) -> None:
        """Keep what was measured at a place, a number of steps or of an epoch, and pass it on."""
        hours = (time.monotonic() - self._started) / 3600
        point = {"place": place, "hours": hours, **metrics}
        before = (each for each in self.points if each["place"] < place)
        self.points = (*before, point)
        with self.path.open("a") as file:
            file.write(f"{json.dumps(point)}\n")
        if self.report is not None:
            self.report(place, metrics)
