"""The project's own starting weights: a file for each name of ``model.pretrained`` that is ours.

A file holds the weights of some parts of the model, matrices and kernels in half precision, and a
card that tells how they were made. Reading it executes nothing.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from s2hand.config import ModelConfig, S2HandConfig
from s2hand.errors import CheckpointError, ConfigurationError
from s2hand.files import is_file, what_lies_at, whole_file
from s2hand.hand.loader import EMBEDDED
from s2hand.parts import WEIGHTS, WeightsName
from s2hand.plain_data import from_plain
from s2hand.schedule import parts_of_model

_ENTRY = "s2hand-weights"
"""Key of the metadata."""

_FORMAT = "s2hand-weights/1"

_MEANT_BY: dict[str, tuple[str, ...]] = {
    "encoder": ("encoder", "image_size_px"),
    "head": ("rotation_output", "rotation_centre", "frame"),
    "texture_light_head": ("albedo",),
    "keypoint_estimator": ("keypoint_stacks", "keypoint_channels", "image_size_px"),
}
"""Fields of ``ModelConfig`` without which the weights of a part mean something else."""

_HALF_MAX = torch.finfo(torch.float16).max


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """How starting weights were made. The mappings hold JSON's types."""

    name: str
    fits: Mapping[str, Any]
    """Field of ``ModelConfig`` → the value that it must have."""
    hand_fingerprint: str
    """Fingerprint of the hand model that a whole model's shape and posture belong to; empty where
    the weights are no hand's."""
    recipe: Mapping[str, Any]
    """The settings of the training."""
    data: Mapping[str, Any]
    """Record of what it was trained on."""
    validation_data: Mapping[str, Any]
    """Record of what the scores are of."""
    steps: int
    """Optimiser steps."""
    pictures: int
    """Pictures that these steps saw, all epochs together."""
    hours: float
    """Training time, in all parts that it was done in."""
    curve: tuple[Mapping[str, Any], ...]
    """What was reported while it was trained."""
    scores: Mapping[str, float]
    """Validation metrics of the weights as they lie in the file."""
    code: Mapping[str, Any]
    """Versions, device and fingerprint of the code that trained them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StartingWeights:
    """A file of starting weights, as far as a training is identified by it."""

    name: WeightsName
    path: Path
    sha256: str
    """Of the whole file."""
    card: Card

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the model that begin, wholly or partly, with these weights."""
        return tuple(module.partition(".")[0] for module in WEIGHTS[self.name])

    @property
    def origin(self) -> dict[str, str]:
        """What a trained model's file says of the weights that its parts began with."""
        return {"name": self.name, "sha256": self.sha256}

    def load_into(self, model: nn.Module) -> None:
        """Give a model the weights of those parts that it has.

        Raises:
            CheckpointError: If the file's weights are not those of the model in this version.
        """
        weights = read_weights(self.path)
        for name in WEIGHTS[self.name]:
            if not hasattr(model, name.partition(".")[0]):
                continue
            module = model.get_submodule(name)
            found = {
                key.removeprefix(f"{name}."): tensor
                for key, tensor in weights.items()
                if key.startswith(f"{name}.")
            }
            _require_same_shapes(found, module.state_dict(), name, self.path)
            module.load_state_dict(found)


def weights_path(name: WeightsName, folder: str | Path = "") -> Path:
    """Return where starting weights lie: in a folder, or those that come with the project."""
    return Path(folder or Path(__file__).parent / "weights") / f"{name}.safetensors"


def find_starting_weights(config: S2HandConfig, hand_fingerprint: str) -> StartingWeights | None:
    """Find the project's own weights that a configuration starts from; None: it names none.

    Args:
        config: The configuration.
        hand_fingerprint: Fingerprint of the hand model that it uses.

    Raises:
        ConfigurationError: If there are none, or they are of another model than the configuration
            asks for, naming the field.
        CheckpointError: If the file is truncated or of another format.
    """
    name = config.model.pretrained
    if name not in WEIGHTS:
        return None
    found = open_weights(name, config.model.weights_dir)
    _require_fit(found, config, hand_fingerprint)
    return found


def open_weights(name: WeightsName, folder: str | Path = "") -> StartingWeights:
    """Open a file of starting weights, without reading the weights.

    Args:
        name: Which.
        folder: Where it lies; empty: those that come with the project.

    Raises:
        ConfigurationError: If there is none.
        CheckpointError: If it is truncated, of another format, or holds other weights.
    """
    path = weights_path(name, folder)
    if not is_file(path):
        raise ConfigurationError(
            f"model.pretrained='{name}' needs {path}, where there is {what_lies_at(path)}; make it "
            "with `make starting-weights` and name its folder in model.weights_dir, or choose "
            "model.pretrained='none'"
        )
    card = read_card(path)
    if card.name != name:
        raise CheckpointError(
            f"{path}: must hold the weights '{name}', got '{card.name}'; give the file its own name"
        )
    return StartingWeights(name=name, path=path, sha256=_file_sha256(path), card=card)


def initial_weights(config: S2HandConfig, hand_fingerprint: str) -> dict[str, dict[str, str]]:
    """Say what identifies the weights that a model's parts begin with; others are random.

    Args:
        config: The configuration.
        hand_fingerprint: Fingerprint of the hand model that it uses.

    Returns:
        Part → name and, of the project's own weights, the file's SHA-256: what is published as
        ImageNet's is checked when it is loaded.

    Raises:
        ConfigurationError: As :func:`find_starting_weights`.
        CheckpointError: As :func:`find_starting_weights`.
    """
    if config.model.pretrained == "imagenet":
        return {"encoder": {"name": "imagenet"}}
    found = find_starting_weights(config, hand_fingerprint)
    if found is None:
        return {}
    return {part: found.origin for part in parts_of_model(config) if part in found.parts}


def fits_of(model: ModelConfig, name: WeightsName) -> dict[str, Any]:
    """Return what configurations must have in common with the one that trained some weights."""
    fields = {field for module in WEIGHTS[name] for field in _MEANT_BY.get(module, ())}
    return {field: getattr(model, field) for field in sorted(fields)}


def save_weights(state: Mapping[str, Tensor], card: Card, path: Path) -> None:
    """Write starting weights; a reader sees the old file or the whole new one, never a part.

    Matrices and kernels are rounded to half precision. Vectors stay as they are: they are few, and
    variances of batch normalisation need not lie in what half precision can hold.

    Args:
        state: A model's ``state_dict``; what does not belong to the weights is left out.
        card: How they were made; its name says of which parts.
        path: The file; its folder is made.

    Raises:
        ValueError: If a part is missing, or a weight is not finite in half precision.
        OSError: If the file cannot be written.
    """
    weights: dict[str, Tensor] = {}
    for name in WEIGHTS[card.name]:  # type: ignore[index]
        part = {key: value for key, value in state.items() if key.startswith(f"{name}.")}
        if not part:
            raise ValueError(f"the weights '{card.name}' must hold '{name}', got none of it")
        weights |= {key: _stored(key, value) for key, value in part.items()}
    plain = {"format": _FORMAT, "card": dataclasses.asdict(card)}
    content = safetensors.torch.save(weights, {_ENTRY: json.dumps(plain, allow_nan=False)})
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(content)


def read_card(path: Path) -> Card:
    """Read how starting weights were made, without the weights.

    Raises:
        CheckpointError: If the file is missing, truncated, or of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        envelope = json.loads(metadata.get(_ENTRY, "null"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    found = envelope.get("format") if isinstance(envelope, dict) else None
    if found != _FORMAT:
        raise CheckpointError(
            f"{path}: expected format {_FORMAT} of starting weights, got {found or 'another'}; "
            "give a file that `make starting-weights` of this version wrote"
        )
    try:
        return from_plain(Card, envelope.get("card"), "card")
    except ConfigurationError as error:
        raise CheckpointError(
            f"{path}: its card is not one of this version ({error}); make the weights again with "
            "`make starting-weights`"
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the weights, in single precision, under the names of the model's ``state_dict``.

    Raises:
        CheckpointError: If the file is missing or truncated.
    """
    try:
        found = safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in found.items()
    }


def _damaged(path: Path, reason: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path}: not a whole safetensors file ({reason}); there is {what_lies_at(path)}: install "
        "the package again, or make the weights again with `make starting-weights`"
    )


def _stored(name: str, tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if tensor.ndim < 2:
        return tensor
    if not bool((tensor.abs() <= _HALF_MAX).all()):
        raise ValueError(f"{name} must lie within ±{_HALF_MAX:.0f} for half precision")
    return tensor.half()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_fit(found: StartingWeights, config: S2HandConfig, hand_fingerprint: str) -> None:
    """Refuse weights of another model, for the parts that the configuration's model has."""
    parts, card = parts_of_model(config), found.card
    fields = [field for part in parts for field in _MEANT_BY[part] if field in card.fits]
    faults = [
        f"model.{field} must be {card.fits[field]!r}, got {getattr(config.model, field)!r}"
        for field in dict.fromkeys(fields)
        if getattr(config.model, field) != card.fits[field]
    ]
    if card.hand_fingerprint not in {"", hand_fingerprint}:
        faults.append(
            f"model.hand_model must be the one of fingerprint {card.hand_fingerprint[:12]}, whose "
            f"shapes and postures they tell, got {config.model.hand_model or EMBEDDED!r} of "
            f"fingerprint {hand_fingerprint[:12]}"
        )
    if faults:
        raise ConfigurationError(
            f"the weights of model.pretrained='{found.name}' ({found.path}) are of another model: "
            f"{'; '.join(faults)}; change that, or choose model.pretrained='none'"
        )


def _require_same_shapes(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], module: str, path: Path
) -> None:
    shapes = [{key: list(value.shape) for key, value in each.items()} for each in (found, expected)]
    if shapes[0] != shapes[1]:
        differing = sorted(
            key for key in {*found, *expected} if shapes[0].get(key) != shapes[1].get(key)
        )
        raise CheckpointError(
            f"{path}: its weights of '{module}' are not those of this version ({len(differing)} "
            f"differ: {', '.join(differing[:4])}); make them again with `make starting-weights`"
        )
