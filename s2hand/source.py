"""Fingerprints of source: what a module does, whatever it says about it.

Comments, formatting, docstrings and bare strings (the descriptions below fields are such) do not
enter. The syntax tree is written out by rules of our own, because ``ast.dump`` differs between
versions of Python for the same source.

This file needs Python alone, so that everything may import it.
"""

import ast
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from s2hand.errors import SourceError

_WITHOUT_EFFECT = {"ctx", "kind", "type_comment", "type_ignores"}
"""Fields of syntax nodes that follow from the rest (``ctx``) or only describe it."""


def source_digest(source: str | bytes) -> str:
    """Return the SHA-256 over what a source does, equal on all supported versions of Python.

    Raises:
        SyntaxError: if it is not Python.
    """
    return sha256_of(_plain(ast.parse(source)))


def sha256_of(value: Any) -> str:
    """Return the SHA-256 over the canonical JSON of plain data."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def module_digests(names: Iterable[str]) -> dict[str, str] | None:
    """Return :func:`source_digest` of modules, by name.

    A module's file is the one that this process has imported, or would import; nothing is imported
    to find it. Files that have not changed since they were last asked for are not read again.

    Returns:
        None where the source of one of them is not to be had, as of compiled modules.

    Raises:
        SourceError: if there is no such module, or its source is not Python.
    """
    paths = {name: _source_path(name) for name in sorted(set(names))}
    digests = {}
    for name, path in paths.items():
        try:
            status = path.stat() if path is not None else None
            if path is None or status is None:
                return None
            digests[name] = _file_digest(path, status.st_mtime_ns, status.st_size)
        except OSError:
            return None
        except SyntaxError as error:
            raise SourceError(
                f"{path}: the module '{name}' must be Python source, got {error}; correct the file"
            ) from error
    return digests


@lru_cache(maxsize=1024)
def _file_digest(path: Path, _mtime_ns: int, _size: int) -> str:
    return source_digest(path.read_bytes())


def _source_path(module: str) -> Path | None:
    """Find a module's source without importing anything; None where it has none."""
    path = getattr(sys.modules.get(module), "__file__", None)
    if path is None:
        path = _find_spec(module).origin
    return Path(path) if path and path.endswith(".py") else None


def _find_spec(module: str) -> ModuleSpec:
    """Find a module as the import system would; its parents are not executed."""
    top, *rest = module.split(".")
    name, spec = top, importlib.util.find_spec(top)
    for part in rest:
        locations = spec.submodule_search_locations if spec is not None else None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, locations) if locations is not None else None
    if spec is None:
        raise SourceError(
            f"the module '{module}' must exist to be fingerprinted, but none is found; install "
            "the whole package, or correct the name where it is declared"
        )
    return spec


def _plain(node: Any) -> Any:
    """Write a syntax tree as plain data; fields that are empty or None are left out."""
    match node:
        case ast.Constant(value=value):
            return ["Constant", *_plain_constant(value)]
        case ast.JoinedStr(values=values):
            return ["JoinedStr", list(_joined(values))]
        case ast.AST():
            fields = {
                name: _plain(value)
                for name, value in ast.iter_fields(node)
                if name not in _WITHOUT_EFFECT and not _is_empty(value)
            }
            return [type(node).__name__, fields]
        case list():
            return [_plain(item) for item in node if not _is_bare_string(item)]
        case _:  # a name, an operator's number, or a gap in a list (None)
            return [type(node).__name__, str(node)]


def _plain_constant(value: Any) -> list[str]:
    match value:
        case str():
            return ["str", value]
        case bool() | None:
            return [type(value).__name__, str(value)]
        case int():
            return ["int", hex(value)]  # decimal digits are limited
        case _:
            return [type(value).__name__, repr(value)]


def _joined(values: list[ast.expr]) -> Iterator[Any]:
    """Write an f-string's parts; Python 3.11 and 3.12 cut its texts at different places."""
    text = ""
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            text += value.value
            continue
        if text:
            yield text
        text = ""
        yield _plain(value)
    if text:
        yield text


def _is_empty(value: Any) -> bool:
    """Tell what means nothing: an absent field, an empty list, an empty format (``f"{x:}"``)."""
    if isinstance(value, ast.JoinedStr):
        return not value.values
    return value is None or value == []


def _is_bare_string(node: Any) -> bool:
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case _:
            return False
