"""Builds configurations of S2HAND from nested plain data, all faults at once."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from s2hand.config import PRESETS, S2HandConfig
from s2hand.hand.loader import EMBEDDED, ENVIRONMENT_VARIABLE
from s2hand.networks.imagenet_weights import WEIGHTS_VARIABLE
from s2hand_platform.errors import SpecError, nearest
from s2hand_platform.paths import local_path
from s2hand_platform.settings import Setting

_HAND_MODEL = Setting(
    name="hand model",
    option="--hand or model.hand_model",
    variables=(ENVIRONMENT_VARIABLE,),
    default=EMBEDDED,
)

_IMAGENET_WEIGHTS = Setting(
    name="ImageNet weights",
    option="",
    variables=(WEIGHTS_VARIABLE,),
    otherwise="torch's cache (TORCH_HOME), or else downloaded to it",
)

_CONFIG = TypeAdapter(S2HandConfig)


def build(mapping: Mapping[str, Any]) -> S2HandConfig:
    """Lay ``mapping`` over its ``preset`` (``paper`` unless named) and check the result.

    ``stages`` may be a whole list, or a mapping from a stage's name to the fields to change. A hand
    model that is not named is the one that ``S2HAND_MANO`` names here, or else the embedded hand:
    the configuration says which, so that a worker's own environment cannot change it. Paths become
    absolute.

    Raises:
        SpecError: with every unknown key and every bad value at once.
    """
    changes = dict(mapping)
    preset = changes.pop("preset", "paper")
    if preset not in PRESETS:
        raise SpecError([f"preset: must be one of {', '.join(PRESETS)}, got {preset!r}"])
    faults: list[str] = []
    merged = _merge(dump(PRESETS[preset]), changes, "", faults)
    if faults:
        raise SpecError(faults)
    try:
        config = _CONFIG.validate_json(json.dumps(merged), strict=True)
    except ValidationError as error:
        raise SpecError([_fault_text(fault) for fault in error.errors()]) from error
    if config.model.pretrained == "imagenet":
        _IMAGENET_WEIGHTS.choose()  # only told: the file's content is fixed, wherever it lies
    data = config.data
    return dataclasses.replace(
        config,
        model=dataclasses.replace(
            config.model,
            hand_model=hand_model(config.model.hand_model),
            weights_dir=_absolute(config.model.weights_dir, "model.weights_dir"),
        ),
        data=dataclasses.replace(
            data,
            root=_absolute(data.root, "data.root"),
            extra_roots=tuple(_absolute(root, "data.extra_roots") for root in data.extra_roots),
            evaluation_root=_absolute(data.evaluation_root, "data.evaluation_root"),
            validation_root=_absolute(data.validation_root, "data.validation_root"),
        ),
        runtime=dataclasses.replace(
            config.runtime, cache_dir=_absolute(config.runtime.cache_dir, "runtime.cache_dir")
        ),
    )


def dump(config: S2HandConfig) -> dict[str, Any]:
    """Dump every field as JSON types."""
    dumped: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return dumped


def hand_model(named: str = "") -> str:
    """Return the hand model's file, or that it is the embedded hand; "" is what stands elsewhere.

    Raises:
        SpecError: if it is the address of something that is not a disk.
    """
    chosen = _HAND_MODEL.choose(named)
    return EMBEDDED if chosen.value == EMBEDDED else _absolute(*chosen)


def _absolute(path: str, source: str) -> str:
    """Make a path absolute, as a worker has another working directory; "" stays.

    Links are kept: an error about what they lead to names what the user knows.
    """
    return str(local_path(path, source).absolute()) if path else ""


def _merge(
    known: dict[str, Any], changes: Mapping[str, Any], where: str, faults: list[str]
) -> dict[str, Any]:
    """Lay ``changes`` over ``known``; keys that ``known`` lacks are faults."""
    merged = dict(known)
    for key, value in changes.items():
        path = f"{where}{key}"
        if key not in known:
            faults.append(_unknown_key(path, key, known))
        elif path == "stages" and isinstance(value, Mapping):
            merged[key] = _merge_stages(known[key], value, faults)
        elif isinstance(known[key], dict) and isinstance(value, Mapping):
            merged[key] = _merge(known[key], value, f"{path}.", faults)
        else:
            merged[key] = value
    return merged


def _merge_stages(
    stages: Sequence[dict[str, Any]], changes: Mapping[str, Any], faults: list[str]
) -> list[dict[str, Any]]:
    by_name = {stage["name"]: stage for stage in stages}
    faults.extend(
        _unknown_key(f"stages.{name}", name, by_name) for name in changes if name not in by_name
    )
    return [
        _merge(stage, changes.get(name, {}), f"stages.{name}.", faults)
        for name, stage in by_name.items()
    ]


def _unknown_key(path: str, key: str, known: Mapping[str, Any]) -> str:
    return f"{path}: unknown key '{key}'; {nearest(key, known)}"


def _fault_text(fault: Mapping[str, Any]) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    return f"{path}: {fault['msg']}, got {fault['input']!r}" if path else str(fault["msg"])
