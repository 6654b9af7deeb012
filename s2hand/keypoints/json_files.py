"""JSON files of detections, opened with errors that say what lies there instead."""

import json
from pathlib import Path
from typing import Any

from s2hand.errors import DataError
from s2hand.files import what_lies_at


def read_json(path: Path) -> Any:
    """Read a whole JSON file.

    Raises:
        DataError: If it is missing, cannot be opened, or is cut short.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: must be a complete JSON file of detections, could not be read: {error}; "
            f"there is {what_lies_at(path)}: detect again"
        ) from error


def require_list(content: Any, where: str) -> list[Any]:
    """Return a list, or say what is there instead.

    Raises:
        DataError: If it is anything else.
    """
    if not isinstance(content, list):
        raise DataError(f"{where} must be a list, got a {type(content).__name__}")
    return content


def require_fields(content: Any, names: tuple[str, ...], where: str) -> dict[str, Any]:
    """Return a dictionary that has fields of these names, whatever else it has.

    Raises:
        DataError: If it is anything else.
    """
    if not isinstance(content, dict):
        raise DataError(f"{where} must be an object of fields, got a {type(content).__name__}")
    missing = [name for name in names if name not in content]
    if missing:
        raise DataError(f"{where} must have a field {missing[0]!r}, got {sorted(content)[:8]}")
    return content
