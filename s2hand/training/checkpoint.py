"""A stage's checkpoints: written whole, read without executing anything, refused when foreign."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from s2hand.errors import CheckpointError
from s2hand.files import is_file, what_lies_at, whole_file

FORMAT = "s2hand-checkpoint-2"

_KINDS = {
    "format": str, "stage_id": str, "identity": dict, "epochs_done": int, "training_s": float,
    "model": dict, "optimiser": dict,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A stage after some of its epochs."""

    stage_id: str
    identity: dict[str, Any]
    """What the stage's id was computed from, kept so that differences can be named."""
    epochs_done: int
    training_s: float
    """Time that these epochs took, in all attempts."""
    model: dict[str, torch.Tensor]
    """Weights and statistics of the parts that the stage trains."""
    optimiser: dict[str, Any]
    """Empty once the stage is finished: the next stage starts its optimiser afresh."""


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; a reader sees the old file or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT} | {
        name: getattr(checkpoint, name) for name in Checkpoint.__slots__
    }
    with whole_file(path) as file:
        torch.save(content, file)


def load_checkpoint(path: Path, *, device: str = "cpu") -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: if the file is missing, truncated, or not a checkpoint of this package.
    """
    if not is_file(path):
        raise CheckpointError(
            f"{path}: no checkpoint there, but {what_lies_at(path)}; train first, or give another "
            "folder"
        )
    content = read_torch_file(path, device, what="checkpoint")
    if not _is_checkpoint(content):
        raise CheckpointError(
            f"{path}: expected a checkpoint of format {FORMAT}, got another file; "
            "give the checkpoint of a training of this version"
        )
    return Checkpoint(**{name: content[name] for name in Checkpoint.__slots__})


def read_torch_file(path: Path, device: str, *, what: str) -> Any:
    """Read what ``torch.save`` wrote, executing nothing.

    Raises:
        CheckpointError: if it is no whole file of that kind; ``what`` says what it should be.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # its unpickler fails with whatever bytes make it do
        # Not torch's words: they advise to load files of others without its restrictions.
        raise CheckpointError(
            f"{path}: not a whole {what} ({type(error).__name__}), there is {what_lies_at(path)}; "
            "delete it to train that part again"
        ) from error


def holds(content: Any, format_name: str, kinds: Mapping[str, type]) -> bool:
    """Tell whether a file's content has a format's fields, each of its kind."""
    return (
        isinstance(content, dict)
        and content.get("format") == format_name
        and content.keys() == kinds.keys()
        and all(isinstance(content[name], kind) for name, kind in kinds.items())
    )


def _is_checkpoint(content: Any) -> bool:
    """Tell whether a file holds a checkpoint's fields, each of its kind."""
    return (
        holds(content, FORMAT, _KINDS)
        and all(isinstance(key, str) for each in ("identity", "model") for key in content[each])
        and all(isinstance(each, torch.Tensor) for each in content["model"].values())
    )


def require_same(saved: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """Refuse a checkpoint whose identity, or part of it, is not the one that is wanted.

    Raises:
        CheckpointError: naming the fields that differ.
    """
    in_file, here = _flatten(saved), _flatten(wanted)
    differing = [
        f"{name}: {in_file.get(name)!r} in the file, {here.get(name)!r} here"
        for name in sorted(in_file.keys() | here.keys())
        if in_file.get(name) != here.get(name)
    ]
    if differing:
        raise CheckpointError(
            f"{path}: belongs to another configuration ({'; '.join(differing[:8])}); use an empty "
            "folder, or the configuration it was trained with"
        )


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
