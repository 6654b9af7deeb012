"""Finds and parses recipe files."""

import tomllib
from pathlib import Path
from typing import Any, Literal, get_args

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
        SpecError: naming the nearest recipe, if there is none of this name.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        if not Path(text).is_file():
            raise SpecError([f"{text}: no such file; give a recipe's name or the path of one"])
        return Path(text)
    for folder in folders():
        path = folder / kind / f"{text}.toml"
        if path.is_file():
            return path
    elsewhere = [other for other in get_args(Kind) if text in names(other)]
    hint = f"sweeps/{elsewhere[0]} has one" if elsewhere else nearest(text, names(kind))
    raise SpecError([f"sweeps/{kind} has no recipe '{text}'; {hint}"])


def read(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        SpecError: with the line, if it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError([f"{path.name}: expected TOML, but {error}"]) from error
