"""What makes two trials the same: configuration, seed, data and code, in one SHA-256."""

import ast
import hashlib
import importlib.util
import json
import math
import sys
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2hand_platform.errors import ExecutionError
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec.overrides import flatten

_FORMAT = "s2hand-identity-1"


def canonical_json(value: Any) -> str:
    """Write plain data so that equal data gives equal text.

    Convention:
        Keys are sorted, tuples are lists, floats are written by ``repr`` (so 1 and 1.0 differ, as
        a configuration that went through its dataclass always has one of them).

    Raises:
        ValueError: for NaN and infinities, which no configuration may hold.
        TypeError: for anything that is not plain data.
    """
    return json.dumps(_plain(value, "value"), sort_keys=True, separators=(",", ":"))


def _plain(value: Any, where: str) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"{where} must be finite to have an identity, got {value!r}")
            return value
        case list() | tuple():
            return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        case Mapping():
            for key in value:
                if not isinstance(key, str):
                    raise TypeError(f"{where} must have text as keys, got {key!r}")
            return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
        case _:
            raise TypeError(f"{where} must be plain data, got {type(value).__name__}")


def without_operational(config: Mapping[str, Any], operational: Collection[str]) -> dict[str, Any]:
    """Return a config dump, as dotted paths, without what never changes a result."""
    return {
        path: value
        for path, value in flatten(config).items()
        if not any(path == field or path.startswith(f"{field}.") for field in operational)
    }


def config_hash(experiment: Experiment, config: Mapping[str, Any]) -> str:
    """Hash a config dump: equal for configs that differ in operational fields only."""
    return _sha256(
        [_FORMAT, experiment.name, without_operational(config, experiment.operational_fields)]
    )


def trial_id(
    experiment: Experiment,
    config: Mapping[str, Any],
    seed: int,
    data_fingerprint: str | None,
    code_fingerprint: str | None,
) -> str:
    """Name a trial by everything that can change its numbers.

    Args:
        experiment: gives its name and its operational fields.
        config: the whole dumped configuration.
        seed: the trial's seed.
        data_fingerprint: hash of the data's content, or None where it cannot be known.
        code_fingerprint: hash of the code, or None where it cannot be known.

    Returns:
        A SHA-256 in hexadecimal. Where a fingerprint is None, one that was never seen before:
        what cannot be fingerprinted is never reused.
    """
    fingerprints = [data_fingerprint, code_fingerprint]
    unique = uuid.uuid4().hex if None in fingerprints else ""
    return _sha256([config_hash(experiment, config), seed, *fingerprints, unique])


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeFingerprint:
    """The source files that can change an experiment's results."""

    sha256: str
    """Over module names and file contents; paths do not enter."""
    files: Mapping[str, tuple[str, str]]
    """Module → (path it was imported from, SHA-256 of its source)."""


def code_fingerprint(experiment: Experiment) -> CodeFingerprint | None:
    """Hash the source of the experiment's module and of all that it imports from its packages.

    The closure follows the import statements in the source, those inside functions too, so that
    it does not depend on what else this process happens to have imported. A module's file is the
    one that this process imported (or would import).

    Returns:
        None where a module's source is not to be had.
    """
    root = type(experiment).__module__
    files: dict[str, tuple[str, str]] = {}
    pending = [root]
    while pending:
        name = pending.pop()
        if name in files:
            continue
        path = _source_path(name)
        if path is None:
            return None
        source = path.read_bytes()
        files[name] = (str(path), hashlib.sha256(source).hexdigest())
        is_package = path.name == "__init__.py"
        pending += _imports(source, name, experiment.code_packages, is_package=is_package)
    contents = {name: digest for name, (_, digest) in files.items()}
    return CodeFingerprint(sha256=_sha256(contents), files=files)


def _imports(
    source: bytes, module: str, packages: Sequence[str], *, is_package: bool
) -> Iterator[str]:
    """Yield the modules of ``packages`` that ``source`` imports, with their parents."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                candidates = [alias.name for alias in names]
            case ast.ImportFrom(module=target, names=names, level=level):
                origin = _resolve(target or "", module, level, is_package=is_package)
                candidates = [origin, *(f"{origin}.{alias.name}" for alias in names)]
            case _:
                continue
        for candidate in candidates:
            if candidate.partition(".")[0] in packages and _source_path(candidate):
                parts = candidate.split(".")
                yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def _resolve(target: str, module: str, level: int, *, is_package: bool) -> str:
    if level == 0:
        return target
    parts = module.split(".")
    kept = parts[: len(parts) - level + int(is_package)]
    return ".".join([*kept, target] if target else kept)


def _source_path(module: str) -> Path | None:
    loaded = sys.modules.get(module)
    path = getattr(loaded, "__file__", None)
    if path is None:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            return None
        path = spec.origin if spec is not None else None
    return Path(path) if path and path.endswith(".py") else None


def check_same_code(expected: CodeFingerprint, here: CodeFingerprint) -> None:
    """Check that this process imports the code that the trial was planned with.

    Raises:
        ExecutionError: naming a module that differs, with the paths on both sides: most often
            an installed copy is imported in place of the uploaded one.
    """
    if expected.sha256 == here.sha256:
        return
    absent = ("(absent)", "")
    for module in sorted(set(expected.files) | set(here.files)):
        planned, found = expected.files.get(module, absent), here.files.get(module, absent)
        if planned[1] != found[1]:
            raise ExecutionError(
                f"the code of '{module}' must be the one that the trial was planned with "
                f"({planned[0]}), but this process imports {found[0]}; uninstall the copy in the "
                "worker's environment, or submit the job from the code that the worker has"
            )
