"""Collects what is wrong with a file, so that all of it can be told at once."""

import sys
from collections.abc import Collection, Mapping
from typing import Any

from s2hand_platform.errors import SpecError, nearest

_KINDS = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


class Faults:
    """The faults of one file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[str] = []

    def add(self, where: str, text: str) -> None:
        """Note a fault at a dotted place in the file, once."""
        fault = f"{self._file}: {where}: {text}" if where else f"{self._file}: {text}"
        if fault not in self._found:
            self._found.append(fault)

    def add_unknown(self, where: str, kind: str, word: str, known: Collection[str]) -> None:
        """Note a word that is not among the known ones."""
        self.add(where, f"unknown {kind} '{word}'; {nearest(word, known)}")

    def raise_if_any(self) -> None:
        """Raise all faults.

        Raises:
            SpecError: if there are any.
        """
        if self._found:
            raise SpecError(self._found)


class Section:
    """A table of the file, read key by key; a key of the wrong type gives a fault and a blank."""

    def __init__(self, content: Mapping[str, Any], where: str, faults: Faults) -> None:
        self.content = content
        self.where = where
        self.faults = faults

    def check_keys(self, known: Collection[str]) -> None:
        """Note every key that is not known here."""
        for key in self.content:
            if key not in known:
                self.faults.add_unknown(self.place(key), "key", key, known)

    def place(self, key: str) -> str:
        """Return the dotted place of a key."""
        return f"{self.where}.{key}" if self.where else key

    def text(self, key: str, default: str | None = None) -> str:
        """Read text; without a default it must be there."""
        return self._typed(key, str, default) or ""

    def integer(self, key: str, minimum: int) -> int:
        """Read a whole number of at least ``minimum``."""
        value = self._typed(key, int, None)
        if isinstance(value, bool) or (value is not None and value < minimum):
            self.faults.add(self.place(key), f"must be at least {minimum}, got {value!r}")
        return minimum if value is None else int(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """Read true or false."""
        value = self.content.get(key, default)
        if not isinstance(value, bool):
            self.faults.add(self.place(key), f"must be true or false, got {value!r}")
        return value is True

    def choice(self, key: str, known: Collection[str], default: str | None = None) -> str:
        """Read one of some words."""
        value = self.text(key, default)
        if value and value not in known:
            self.faults.add_unknown(self.place(key), "value", value, known)
        return value

    def table(self, key: str) -> dict[str, Any]:
        """Read a nested table; empty if it is not there."""
        return dict(self._typed(key, dict, {}) or {})

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of texts; empty if it is not there."""
        values = self._typed(key, list, []) or []
        for value in values:
            if not isinstance(value, str):
                self.faults.add(self.place(key), f"must hold texts only, got {value!r}")
        return tuple(value for value in values if isinstance(value, str))

    def numbers(self, key: str) -> dict[str, float]:
        """Read a table of positive numbers; empty if it is not there."""
        found = {}
        for name, value in self.table(key).items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and 0 < value <= sys.float_info.max:
                found[name] = float(value)
            else:
                self.faults.add(self.place(f"{key}.{name}"), f"must be above 0, got {value!r}")
        return found

    def sections(self, key: str, *, required: bool = False) -> list["Section"]:
        """Read an array of tables."""
        values = self._typed(key, list, [] if not required else None) or []
        if required and key in self.content and not values:
            self.faults.add(self.place(key), "must have at least one entry, got none")
        sections = []
        for index, value in enumerate(values):
            if isinstance(value, dict):
                sections.append(Section(value, f"{self.place(key)}[{index}]", self.faults))
            else:
                self.faults.add(f"{self.place(key)}[{index}]", f"must be a table, got {value!r}")
        return sections

    def _typed(self, key: str, kind: type, default: Any) -> Any:
        if key not in self.content:
            if default is None:
                self.faults.add(self.place(key), "is missing")
            return default
        value = self.content[key]
        if not isinstance(value, kind):
            self.faults.add(self.place(key), f"must be {_KINDS[kind]}, got {value!r}")
            return default
        return value
