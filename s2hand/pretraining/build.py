"""Trains starting weights by their recipe, measures them, and writes file and card; resumable."""

import dataclasses
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from s2hand import __version__
from s2hand.config import S2HandConfig
from s2hand.data.build import load_train, load_validation
from s2hand.data.dataset import FrameDataset
from s2hand.data.fingerprint import fingerprint_training_data
from s2hand.data.record import describe_datasets
from s2hand.errors import DataError
from s2hand.evaluation import evaluate_model
from s2hand.hand.loader import EMBEDDED, load_hand_model
from s2hand.inference import Predictor
from s2hand.model import S2Hand
from s2hand.parts import HAND_ALONE, Output, WeightsName
from s2hand.pretraining.features import TrainedWeights, train_features
from s2hand.pretraining.recipes import RECIPES, Recipe
from s2hand.source import module_digests, sha256_of
from s2hand.starting_weights import (
    Card,
    StartingWeights,
    fits_of,
    initial_weights,
    open_weights,
    read_weights,
    save_weights,
    weights_path,
)
from s2hand.trained_model import MODEL_NAME, load_model
from s2hand.training.acting_code import training_modules
from s2hand.training.context import LocalContext
from s2hand.training.loop import train
from s2hand.training.stages import trained_stages

Report = Callable[[int, Mapping[str, float]], None]

_CURVE_NAME = "curve.jsonl"
_MODULES = ("s2hand.pretraining.features", "s2hand.pretraining.recipes")


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
        report: Told of every epoch's metrics.
        recipe: In place of the project's own.

    Raises:
        DataError: If a set is missing or cannot be read.
        ConfigurationError: If weights that the recipe begins with are missing, or do not fit.
    """
    recipe = recipe or RECIPES[name]
    config = _placed(recipe.config, places)
    identity = _identity(recipe, config, seed, device)
    folder = places.work_dir / name / sha256_of(identity)[:16]
    curve = _Curve(folder / _CURVE_NAME, report)
    if recipe.features is not None:
        trained = train_features(
            config,
            recipe.features,
            seed=seed,
            folder=folder,
            device=device,
            report=curve.add,
        )
    else:
        trained = _train_whole(config, seed=seed, folder=folder, device=device, curve=curve)
    records = describe_datasets(config)
    assert records.validation is not None  # _placed gives it
    card = Card(
        name=name,
        fits=fits_of(config.model, name),
        hand_fingerprint=identity["hand"] if name == "s2hand" else "",
        recipe=identity["recipe"] | {"seed": seed},
        data={"title": records.training.title, **records.training.to_plain()},
        validation_data={"title": records.validation.title, **records.validation.to_plain()},
        steps=trained.steps,
        pictures=trained.pictures,
        hours=trained.seconds / 3600,
        curve=curve.points,
        scores=trained.scores,
        code={
            "s2hand": __version__,
            "torch": torch.__version__,
            "device": identity["device"],
            "sha256": identity["code"],
        },
    )
    path = weights_path(name, places.weights_dir)
    save_weights(trained.state, card, path)
    if name == "s2hand":
        # Of the weights as they lie in the file, rounded.
        card = replace(card, scores=_scores(config, device))
        save_weights(read_weights(path), card, path)
    return open_weights(name, places.weights_dir)


def _placed(config: S2HandConfig, places: Places) -> S2HandConfig:
    """Fill in a recipe's paths; weights are of the embedded hand, whatever the machine has."""
    root = str(places.validation_root)
    return replace(
        config,
        model=replace(config.model, hand_model=EMBEDDED, weights_dir=str(places.weights_dir)),
        data=replace(
            config.data,
            root=str(places.data_root),
            evaluation_root=root,
            validation_root=root,
        ),
        runtime=replace(config.runtime, cache_dir=str(places.cache_dir or "")),
    )


def _train_whole(
    config: S2HandConfig, *, seed: int, folder: Path, device: str, curve: "_Curve"
) -> TrainedWeights:
    """Train a whole model by the stages of its configuration."""
    context = LocalContext(
        checkpoint_dir=folder, stage_dir=folder / "stages", device=device, on_report=curve.add
    )
    held_out = _HeldOut(config)
    stages = train(config, seed=seed, context=context, validate=held_out.validate)
    frames = len(load_train(config))
    steps = pictures = 0
    for stage in (config.stages[index] for index in trained_stages(config)):
        if stage.samples == "clips":
            batch = config.clips.frames_per_batch
        else:
            batch = config.optimiser.batch_size
        steps += stage.epochs * (frames // batch)
        pictures += stage.epochs * (frames // batch) * batch
    return TrainedWeights(
        state=load_model(folder / MODEL_NAME, hand_model=EMBEDDED).state_dict(),
        steps=steps,
        pictures=pictures,
        seconds=sum(stage.training_s for stage in stages),
        scores={},
    )


def _scores(config: S2HandConfig, device: str) -> dict[str, float]:
    """Measure a whole model that begins with the weights that were just written."""
    model = S2Hand(replace(config, model=replace(config.model, pretrained="s2hand")))
    model.to(device, memory_format=model.memory_format)  # type: ignore[call-overload]
    return _HeldOut(config).measure(model.eval(), model.outputs)


class _HeldOut:
    """What models are measured on, read when it is first needed."""

    def __init__(self, config: S2HandConfig) -> None:
        self._config = config
        self._frames: FrameDataset | None = None

    def validate(self, model: S2Hand) -> dict[str, float]:
        return self.measure(model, HAND_ALONE)

    def measure(self, model: S2Hand, outputs: Collection[Output]) -> dict[str, float]:
        if self._frames is None:
            table = load_validation(self._config)
            assert table is not None
            self._frames = FrameDataset.from_config(table, self._config)
        measured = evaluate_model(
            Predictor(model),
            self._frames,
            batch_size=self._config.runtime.evaluation_batch_size,
            outputs=outputs,
        )
        return {f"validation/{name}": value for name, value in measured.metrics.items()}


class _Curve:
    """What a training reported, kept beside its checkpoints for the attempts that come after."""

    def __init__(self, path: Path, report: Report | None) -> None:
        self._path, self._report = path, report

    def add(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(f"{json.dumps({'epoch': epoch, **metrics})}\n")
        if self._report is not None:
            self._report(epoch, metrics)

    @property
    def points(self) -> tuple[Mapping[str, Any], ...]:
        """Every epoch as it was reported last: one that was repeated counts once."""
        if not self._path.is_file():
            return ()
        by_epoch = {}
        for line in self._path.read_text().splitlines():
            try:
                point = json.loads(line)
            except ValueError as error:
                raise DataError(
                    f"{self._path}: must hold a JSON object per line, got {line!r}; delete the line"
                ) from error
            by_epoch[point["epoch"]] = point
        return tuple(by_epoch[epoch] for epoch in sorted(by_epoch))


def _identity(recipe: Recipe, config: S2HandConfig, seed: int, device: str) -> dict[str, Any]:
    """Collect what a training follows from, as plain data."""
    device_type = torch.device(device).type
    modules = {*training_modules(config, device_type), *_MODULES}
    hand = load_hand_model(config.model.hand_model).fingerprint
    return {
        "recipe": json.loads(json.dumps(dataclasses.asdict(recipe))),
        "seed": seed,
        "device": device_type,
        "data": fingerprint_training_data(config),
        "hand": hand,
        "initial": initial_weights(config, hand),
        "code": sha256_of(module_digests(modules)),
    }
