"""Nested mappings and dotted paths: two ways to write the same overrides."""

from collections.abc import Iterator, Mapping
from typing import Any


def flatten(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Write a nested mapping as dotted path → value; lists stay whole.

    Examples:
        >>> flatten({"losses": {"weights": {"quaternion": 0.05}}})
        {'losses.weights.quaternion': 0.05}
    """
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{path}": leaf for path, leaf in flatten(value).items()})
        else:
            flat[key] = value
    return flat


def spread(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield settings one by one, also those in lists of tables, which may have names."""
    for path, value in settings.items():
        if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value):
                name = item.get("name", number)
                yield from spread({f"{path}.{name}.{key}": each for key, each in item.items()})
        else:
            yield path, value


def lay_over(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` as a nested mapping with ``overrides`` (dotted or nested) on top."""
    result: dict[str, Any] = {}
    for source in (base, overrides):
        for path, value in flatten(source).items():
            _put(result, path.split("."), value)
    return result


def _put(target: dict[str, Any], path: list[str], value: Any) -> None:
    *parents, last = path
    for parent in parents:
        if not isinstance(target.get(parent), dict):
            target[parent] = {}
        target = target[parent]
    target[last] = value
