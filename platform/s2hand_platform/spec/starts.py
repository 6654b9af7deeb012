"""Reads what rows start from: a recipe's word for it, and what a scale makes of each word."""

from typing import cast, get_args

from s2hand_platform.spec.faults import Section
from s2hand_platform.spec.overrides import flatten
from s2hand_platform.spec.schema import RowSpec, Start, StartSpec

_STARTS = tuple(each for each in get_args(Start) if each)
_START_KEYS = ("base", "notes", "unadapted")
_ROW_KEYS = ("id", "label", "overrides")


def read_start(root: Section) -> Start:
    """Read what a recipe's rows start from."""
    return cast("Start", root.choice("starts_from", _STARTS, ""))


def read_starts(root: Section) -> dict[str, StartSpec]:
    """Read what a scale makes of each start; what it does not name means nothing to it."""
    tables = Section(root.table("starts"), "starts", root.faults)
    tables.check_keys(_STARTS)
    starts = {}
    for name in tables.content:
        section = Section(tables.table(name), tables.place(name), root.faults)
        section.check_keys(_START_KEYS)
        starts[name] = StartSpec(
            base=section.table("base"),
            notes=section.texts("notes"),
            unadapted=_read_unadapted(section) if "unadapted" in section.content else None,
        )
    return starts


def _read_unadapted(start: Section) -> RowSpec:
    section = Section(start.table("unadapted"), start.place("unadapted"), start.faults)
    section.check_keys(_ROW_KEYS)
    return RowSpec(
        id=section.text("id"),
        label=section.text("label"),
        overrides=flatten(section.table("overrides")),
        comparable=False,
    )
