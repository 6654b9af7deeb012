"""Finds and parses recipe files."""

import tomllib
from pathlib import Path
from typing import Any

from s2hand_platform.errors import SpecError
from s2hand_platform.spec.faults import nearest

_OWN_FOLDER = Path(__file__).parents[3] / "sweeps"


def folders() -> list[Path]:
    """Return the folders of recipes: ``./sweeps``, then the project's own."""
    candidates = [Path.cwd() / "sweeps", _OWN_FOLDER]
    return [folder for folder in dict.fromkeys(candidates) if folder.is_dir()]


def find(name_or_path: str | Path, *, within: str = "") -> Path:
    """Find a recipe by name in the folders of recipes, or by its path.

    Args:
        name_or_path: ``table4``, or anything that ends in ``.toml``.
        within: sub-folder of the folders of recipes.

    Raises:
        SpecError: naming the nearest recipe, if there is none of this name.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        if not Path(text).is_file():
            raise SpecError([f"{text}: no such file; give a recipe's name or the path of one"])
        return Path(text)
    places = [folder / within for folder in folders()]
    for place in places:
        if (place / f"{text}.toml").is_file():
            return place / f"{text}.toml"
    known = sorted({path.stem for place in places for path in place.glob("*.toml")})
    where = f"sweeps/{within}".rstrip("/")
    raise SpecError([f"{where} has no recipe '{text}'; {nearest(text, known)}"])


def read(path: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        SpecError: with the line, if it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError([f"{path.name}: expected TOML, but {error}"]) from error
