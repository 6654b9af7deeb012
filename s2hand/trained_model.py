"""A trained model as one file: its weights, and everything that is needed to use them.

``model.safetensors`` holds the weights of the trained parts and, as its one entry of metadata, a
JSON text with the configuration, what the training was, and the hand model's fingerprint. Nothing
of the hand model itself lies in it, and reading it executes nothing.
"""

import copy
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from s2hand import __version__
from s2hand.config import OPERATIONAL_FIELDS, S2HandConfig
from s2hand.errors import CheckpointError, ConfigurationError
from s2hand.files import is_file, what_lies_at, whole_file
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.loader import ENVIRONMENT_VARIABLE, load_hand_model
from s2hand.hand.model_data import HandModelData
from s2hand.model import S2Hand
from s2hand.plain_data import from_plain

MODEL_NAME = "model.safetensors"
"""What a training calls the file."""

_ENTRY = "s2hand"
"""Key of the metadata."""

_FORMAT_PREFIX = "s2hand-model/"
_FORMAT = f"{_FORMAT_PREFIX}1"
_RESUME_SUFFIX = ".pt"
_ENVELOPE = {"format", "written_by", "sha256", "record"}

_MEANT_BEFORE: dict[str, object] = {
    "extra_data": [],
    "config.data.extra_datasets": [],
    "config.data.extra_roots": [],
    "config.data.supervision": "2d",
    "config.data.assumed_focal": 1.0,
    "config.data.tracks": {
        "min_confidence": 0.3,
        "max_step": 0.3,
        "max_gap": 2,
        "min_frames": 7,
    },
    "config.losses.weights.joint_3d": 0.0,
    "config.model.projection": "perspective",
}
"""Field of the record that files of earlier versions lack → what it would have held in them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRecord:
    """What lies with a model's weights. The mappings hold JSON's types."""

    config: S2HandConfig
    """The configuration that the model was trained with."""
    identity: Mapping[str, Any]
    """What identifies the training: seed, stages, code."""
    hand_fingerprint: str
    """Fingerprint of the hand model that the weights belong to."""
    data: Mapping[str, Any]
    """Record of the dataset that it was trained on; empty where it is not known."""
    extra_data: tuple[Mapping[str, Any], ...] = ()
    """Records of what it was trained on besides."""
    initial_weights: Mapping[str, Any]
    """Where the first weights of a part came from, by part: ``name`` of the published file and its
    ``sha256``, or the name ``none``. Those of other parts were random."""


def save_model(model: S2Hand, record: ModelRecord, path: Path) -> None:
    """Write a trained model; a reader sees the old file or the whole new one, never a part.

    The configuration's operational fields (``OPERATIONAL_FIELDS``: paths of this machine) are
    written with their defaults, so that equal trainings give equal files wherever they ran.

    Args:
        model: The model; its weights may lie on any device.
        record: What lies with the weights.
        path: The file, ``model.safetensors`` by convention; its folder is made.

    Raises:
        ValueError: If the record is another hand model's, or holds what JSON cannot.
        OSError: If the file cannot be written.
    """
    if record.hand_fingerprint != model.hand_fingerprint:
        raise ValueError(
            f"the record's hand_fingerprint must be the model's, {model.hand_fingerprint}, "
            f"got {record.hand_fingerprint}"
        )
    weights = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    plain = _plain(dataclasses.replace(record, config=_without_operational(record.config)))
    envelope = {"format": _FORMAT, "written_by": __version__, "record": plain}
    envelope["sha256"] = _digest(envelope, weights)
    content = safetensors.torch.save(weights, {_ENTRY: json.dumps(envelope, allow_nan=False)})
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(content)


def read_model_record(path: Path) -> ModelRecord:
    """Read what lies with a model's weights, without the weights.

    Raises:
        CheckpointError: If the file is missing, truncated, of another format, or its record is
            not one of this version.
    """
    envelope, _ = _read(path, with_weights=False)
    return _record(envelope, path)


def load_model(path: Path, *, hand_model: str | Path | None = None, device: str = "cpu") -> S2Hand:
    """Open a trained model, ready to predict.

    Args:
        path: The file that :func:`save_model` wrote.
        hand_model: A MANO_RIGHT.pkl, for a model that was trained with one. None: the embedded
            hand or the file that ``S2HAND_MANO`` names, whichever the model was trained with.
        device: A torch device string.

    Raises:
        CheckpointError: If the file is missing, truncated, damaged or of another format, or the
            hand model is not the one that the model was trained with.
        HandModelError: If the hand model's file cannot be used.
    """
    envelope, weights = _read(path, with_weights=True)
    if envelope["sha256"] != _digest(envelope, weights):
        raise CheckpointError(
            f"{path}: damaged, its content has not the checksum that was written with it; "
            "copy the file again, or train the model again"
        )
    record = _record(envelope, path)
    hand = _find_hand(record.hand_fingerprint, hand_model, path)
    with torch.random.fork_rng(devices=[]):
        model = S2Hand(record.config, hand=hand, use_pretrained=False)
    _require_same_layout(weights, model.state_dict(), path)
    model.load_state_dict(weights)
    # The layout that the weights were trained in, so that predictions round as they did.
    model.to(device, memory_format=model.memory_format)  # type: ignore[call-overload]
    return model.eval()


def _without_operational(config: S2HandConfig) -> S2HandConfig:
    """Return the configuration with the defaults of its operational fields."""
    defaults = S2HandConfig()
    for field in sorted(OPERATIONAL_FIELDS):
        config = _replaced(config, field.split("."), reduce(getattr, field.split("."), defaults))
    return config


def _replaced(node: Any, names: list[str], value: Any) -> Any:
    """Return the dataclass ``node`` with another value at a path of names."""
    first, *rest = names
    inner = _replaced(getattr(node, first), rest, value) if rest else value
    return dataclasses.replace(node, **{first: inner})


def _plain(record: ModelRecord) -> dict[str, Any]:
    """Return the record as JSON gives it back."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(record), allow_nan=False))
    except TypeError as error:
        raise ValueError(f"a model's record must hold JSON's types alone: {error}") from error
    return plain


def _digest(envelope: Mapping[str, Any], weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over the weights and everything that lies with them."""
    content = {key: value for key, value in envelope.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(path: Path, *, with_weights: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the metadata of a file of ours, and its weights if they are wanted."""
    if not is_file(path):
        raise CheckpointError(
            f"{path}: must be a trained model, there is {what_lies_at(path)}; give the "
            f"{MODEL_NAME} that a finished training leaves in its folder"
        )
    if path.suffix == _RESUME_SUFFIX:
        raise CheckpointError(
            f"{path}: a checkpoint for resuming a training, not a trained model; give the "
            f"{MODEL_NAME} that the training left when it was finished; trainings of earlier "
            "versions left none: train again"
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            names = file.keys() if with_weights else []
            weights = {name: file.get_tensor(name) for name in names}
        envelope = json.loads(metadata.get(_ENTRY, "null"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({error}); there is {what_lies_at(path)}: give "
            f"a {MODEL_NAME} that was written to its end, or copy it again"
        ) from error
    return _checked_envelope(envelope, path), weights


def _checked_envelope(envelope: Any, path: Path) -> dict[str, Any]:
    found = envelope.get("format") if isinstance(envelope, dict) else None
    if not isinstance(found, str) or not found.startswith(_FORMAT_PREFIX):
        raise CheckpointError(
            f"{path}: a safetensors file of another program, without an entry '{_ENTRY}' of "
            f"format {_FORMAT} in its metadata; give a {MODEL_NAME} of this project"
        )
    if found != _FORMAT:
        raise CheckpointError(
            f"{path}: expected the format {_FORMAT}, got {found}; "
            "open it with the version of s2hand that wrote it, or a newer one"
        )
    if set(envelope) != _ENVELOPE:
        raise CheckpointError(
            f"{path}: its metadata must hold {', '.join(sorted(_ENVELOPE))}, got "
            f"{', '.join(sorted(envelope))}; the file is damaged: copy it again"
        )
    return envelope


def _record(envelope: Mapping[str, Any], path: Path) -> ModelRecord:
    try:
        return from_plain(ModelRecord, _with_later_fields(envelope["record"]), "record")
    except ConfigurationError as error:
        raise CheckpointError(
            f"{path}: its record is not one of this version ({error}); it was written by s2hand "
            f"{envelope['written_by']}, this is {__version__}: open it with that version"
        ) from error


def _with_later_fields(record: Any) -> Any:
    """Return a record with the fields that came after it was written."""
    record = copy.deepcopy(record)
    for field, value in _MEANT_BEFORE.items():
        *path, name = field.split(".")
        node = record
        for step in path:
            node = node.get(step) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.setdefault(name, value)
    return record


def _find_hand(wanted: str, hand_model: str | Path | None, path: Path) -> HandModelData:
    """Return the hand model with a fingerprint, from where the user may have it."""
    embedded = embedded_hand()
    if hand_model is None and embedded.fingerprint == wanted:
        return embedded
    found = load_hand_model(hand_model)
    if found.fingerprint == wanted:
        return found
    if embedded.fingerprint == wanted:
        raise CheckpointError(
            f"{path}: was trained with the embedded hand, got {found.source}; leave hand_model out"
        )
    raise CheckpointError(
        f"{path}: was trained with a MANO_RIGHT.pkl of fingerprint {wanted}, got "
        f"{found.source} of fingerprint {found.fingerprint}; give that file's path as hand_model= "
        f"or in the environment variable {ENVIRONMENT_VARIABLE}"
    )


def _require_same_layout(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path
) -> None:
    here, there = (
        {name: f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in weights.items()}
        for weights in (expected, found)
    )
    faults = [
        f"{name}: {there.get(name, 'nothing')} in the file, {here.get(name, 'nothing')} here"
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]
    if faults:
        raise CheckpointError(
            f"{path}: its weights are not those of its configuration in this version "
            f"({len(faults)} differ: {'; '.join(faults[:4])}); open it with the version of s2hand "
            "that wrote it"
        )
