"""What lies in a store is read by other programs, and for years."""

from collections.abc import Callable, Iterator

import pyarrow as pa

from s2hand_platform.store.schema import (
    ATTEMPTS,
    BASELINES,
    CODE,
    DETAILS,
    IMPORTED,
    PATCHES,
    PICTURES,
    PLANS,
    REQUIRED,
    TRACKED,
    TRIAL_COLUMNS,
)


def described(name: str, schema: pa.Schema) -> Iterator[str]:
    version = (schema.metadata or {})[b"s2hand_store_version"].decode()
    yield f"{name}, version {version}"
    for field in schema:
        notes = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
        words = [field.name, str(field.type), *(f"{key}: {text}" for key, text in notes.items())]
        if schema is ATTEMPTS and field.name in REQUIRED:
            words.append("required")
        yield "  " + "; ".join(words)


def test_columns_units_and_meanings_change_by_decision_only(
    golden: Callable[[str, str], None],
) -> None:
    schemas = {
        "attempts": ATTEMPTS, "baselines": BASELINES, "imported": IMPORTED, "plans": PLANS,
        "code": CODE, "pictures": PICTURES, "patches": PATCHES, "tracked": TRACKED,
    }  # fmt: skip
    lines = [line for name, schema in schemas.items() for line in described(name, schema)]
    golden("store/columns.txt", "\n".join(lines) + "\n")


def test_what_is_nested_is_read_only_when_asked_for() -> None:
    nested = [field.name for field in ATTEMPTS if pa.types.is_list(field.type)]
    assert list(DETAILS) == nested
    assert [*TRIAL_COLUMNS, *nested] == ATTEMPTS.names
