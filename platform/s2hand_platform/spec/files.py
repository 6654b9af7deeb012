"""Finds and parses recipe files."""

import math
import tomllib
from collections.abc import Iterator
from datetime import date, time
from pathlib import Path
from typing import Any, Literal, get_args

from s2hand.files import is_file, what_lies_at
from s2hand_platform.errors import SpecError, nearest

Kind = Literal["tables", "searches", "published", "scales"]
"""A sub-folder of a folder of recipes."""

_INSTALLED = Path(__file__).parents[1] / "sweeps"
_IN_CHECKOUT = Path(__file__).parents[3] / "sweeps"


def folders() -> list[Path]:
    """Return the folders of recipes: ``./sweeps``, then the project's own."""
    own = _INSTALLED if _INSTALLED.is_dir() else _IN_CHECKOUT
    return [folder for folder in dict.fromkeys((Path.cwd() / "sweeps", own)) if folder.is_dir()]


def names(kind: Kind) -> list[str]:
    """List the recipes that can be given by name."""
    return sorted({path.stem for folder in folders() for path in (folder / kind).glob("*.toml")})


def find(name_or_path: str | Path, kind: Kind) -> Path:
    """Find a recipe by name in the folders of recipes, or by its path.

    Args:
        name_or_path: ``table4``, or anything that ends in ``.toml``.
        kind: what it is a recipe of.

    Raises:
        SpecError: naming the nearest recipe, if there is none of this name, or saying what lies
            in its place.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        if is_recipe(Path(text)):
            return Path(text)
        raise SpecError([f"{text}: no such file; give a recipe's name or the path of one"])
    for folder in folders():
        path = folder / kind / f"{text}.toml"
        if is_recipe(path):
            return path
    raise SpecError([f"sweeps/{kind} has no recipe '{text}'; {_hint(text, kind)}"])


def _hint(name: str, kind: Kind) -> str:
    """Say where the name is known instead, or which is near, and which recipes there are."""
    known = names(kind)
    elsewhere = next((each for each in get_args(Kind) if name in names(each)), None)
    if elsewhere is None:
        found = nearest(name, known)
    elif elsewhere == "published":
        found = "only what the paper prints of it is known"
    else:
        found = f"sweeps/{elsewhere} has one"
    listed = ", ".join(known) or "none"
    return found if listed in found else f"{found} (recipes here: {listed})"


def is_recipe(path: Path) -> bool:
    """Say whether a file lies there; another recipe of its name must not stand in for it silently.

    Raises:
        SpecError: if something else does.
    """
    if is_file(path):
        return True
    found = what_lies_at(path)
    if found == "nothing":
        return False
    raise SpecError([f"{path}: must be a recipe, there is {found}"])


def find_claims() -> Path:
    """Find the ledger of claims: a folder of recipes has one or none.

    Raises:
        SpecError: if no folder has one.
    """
    for folder in folders():
        path = folder / "claims.toml"
        if is_recipe(path):
            return path
    raise SpecError(["sweeps/claims.toml: no such file; install the package again"])


def read(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        SpecError: with the line, if it is not TOML; with the key, if it holds a date, a time, or a
            number that is not finite.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError([f"{path.name}: expected TOML, but {error}"]) from error
    except OSError as error:
        raise SpecError(
            [f"{path}: cannot be read ({error.strerror}); check its permissions"]
        ) from error
    faults = [
        f"{path.name}: {place}: {fault}"
        for place, value in _values(content, "")
        for fault in _unfit(value)
    ]
    if faults:
        raise SpecError(faults)
    return content


def _unfit(value: Any) -> Iterator[str]:
    """Say of what TOML knows and no setting is what is wrong with it."""
    match value:
        case date() | time():
            yield f"no setting is a date or a time, got {value}; write it as text"
        case float() if not math.isfinite(value):
            yield f"a number must be finite, got {value}"


def _values(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield every value below a node of a file, with its dotted place."""
    match node:
        case dict():
            for key, inner in node.items():
                yield from _values(inner, f"{place}.{key}" if place else key)
        case list():
            for number, inner in enumerate(node):
                yield from _values(inner, f"{place}[{number}]")
        case _:
            yield place, node
