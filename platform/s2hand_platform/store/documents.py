"""What an attempt tells as JSON in a column, or an error that names the attempt."""

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from s2hand_platform.errors import StoreError
from s2hand_platform.experiments.protocol import StageReport
from s2hand_platform.store.records import Environment

T = TypeVar("T")

_NOTES = TypeAdapter(dict[str, str])
_CONFIG = TypeAdapter(dict[str, Any])
_ENVIRONMENT = TypeAdapter(Environment)
_STAGES = TypeAdapter(tuple[StageReport, ...])


def notes_of(trial_id: str, attempt: int, text: str) -> dict[str, str]:
    """Read an attempt's ``notes_json``.

    Raises:
        StoreError: if it is no JSON object of texts.
    """
    return _read(_NOTES, text, "notes", "object of texts", trial_id, attempt)


def stages_of(trial_id: str, attempt: int, text: str) -> tuple[StageReport, ...]:
    """Read an attempt's ``stages_json``.

    Raises:
        StoreError: if it is no JSON list of stages.
    """
    return _read(_STAGES, text, "stages", "list of stages", trial_id, attempt)


def config_of(trial_id: str, attempt: int, text: str) -> dict[str, Any]:
    """Read an attempt's ``config_json``.

    Raises:
        StoreError: if it is no JSON object.
    """
    return _read(_CONFIG, text, "settings", "object", trial_id, attempt)


def environment_of(trial_id: str, attempt: int, text: str) -> Environment:
    """Read an attempt's ``environment_json``.

    Raises:
        StoreError: if it is no JSON object of an environment's fields.
    """
    what, expected = "fields of the environment", "object of an environment's fields"
    return _read(_ENVIRONMENT, text, what, expected, trial_id, attempt)


def _read(
    kind: TypeAdapter[T], text: Any, what: str, expected: str, trial_id: str, attempt: int
) -> T:
    try:
        return kind.validate_json(text, strict=True)
    except ValidationError as error:
        raise StoreError(
            f"the result store: the {what} of attempt {attempt} of trial {trial_id} are no JSON "
            f"{expected}, so that its file is none that was written here; move it out of "
            "attempts/ and run again"
        ) from error
