"""Dataclasses from plain data, the way JSON gives it back: strictly, with the field's name."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from s2hand.errors import ConfigurationError

T = TypeVar("T")

_SCALARS: dict[type, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str: (str,),
}
"""Type of a field → types of its values in plain data."""


def from_plain(cls: type[T], value: object, where: str) -> T:
    """Build a dataclass from what ``dataclasses.asdict`` and JSON made of it.

    Every field must be there, none may be unknown, and nothing is converted but a whole number
    into a float: what was written with other fields means something else.

    Args:
        cls: A dataclass whose fields are dataclasses, literals, tuples of one type, scalars, any
            of these or None, or mappings from texts to any of these, or to anything.
        value: Mappings, sequences and scalars.
        where: What the value is called in errors.

    Raises:
        ConfigurationError: Naming the field, what was expected and what was found.
    """
    if not isinstance(value, Mapping):
        raise _fault(where, "a mapping of fields", value)
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    faults = [f"{where}.{name} is missing" for name in names if name not in value]
    faults += [f"{where}.{name} is not known here" for name in value if name not in names]
    if faults:
        raise ConfigurationError("; ".join(faults))
    return cls(**{name: _build(hints[name], value[name], f"{where}.{name}") for name in names})


def _build(expected: Any, value: object, where: str) -> Any:
    if get_origin(expected) is not UnionType:
        return _build_one(expected, value, where)
    (some,) = (kind for kind in get_args(expected) if kind is not NoneType)
    return None if value is None else _build_one(some, value, where)


def _build_one(expected: Any, value: object, where: str) -> Any:
    if dataclasses.is_dataclass(expected):
        return from_plain(expected, value, where)  # type: ignore[arg-type]
    if get_origin(expected) is Literal:
        if not any(type(value) is type(known) and value == known for known in get_args(expected)):
            raise _fault(where, f"one of {', '.join(map(repr, get_args(expected)))}", value)
        return value
    if get_origin(expected) is tuple and get_args(expected)[1:] == (...,):
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise _fault(where, "a list", value)
        (entry, _) = get_args(expected)
        return tuple(_build(entry, each, f"{where}[{i}]") for i, each in enumerate(value))
    if get_origin(expected) is Mapping:
        return _build_mapping(expected, value, where)
    if expected not in _SCALARS:
        raise TypeError(f"{where}: plain data cannot be turned into {expected!r}")
    is_wrong_bool = isinstance(value, bool) and expected is not bool
    if is_wrong_bool or not isinstance(value, _SCALARS[expected]):
        raise _fault(where, f"a value of type {expected.__name__}", value)
    try:
        return expected(value)
    except OverflowError:  # a whole number beyond what a float can be
        raise _fault(where, f"a value of type {expected.__name__}", value) from None


def _build_mapping(expected: Any, value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _fault(where, "a mapping from texts", value)
    (_, entry) = get_args(expected)
    if entry is Any:
        return value
    return {key: _build(entry, each, f"{where}.{key}") for key, each in value.items()}


def _fault(where: str, expected: str, found: object) -> ConfigurationError:
    return ConfigurationError(f"{where} must be {expected}, got {found!r}")
