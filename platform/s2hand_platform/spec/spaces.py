"""Reads the space of a search, and checks its points."""

from collections.abc import Iterable, Mapping
from typing import Any

from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec.expansion import expand_point, grid_points
from s2hand_platform.spec.faults import Faults, Section
from s2hand_platform.spec.overrides import flatten
from s2hand_platform.spec.schema import Choices, Domain, LogUniform, SweepSpec, Uniform


def read_space(root: Section) -> dict[str, Domain]:
    """Read the values to search, by their dotted configuration paths."""
    space: dict[str, Domain] = {}
    entries = root.table("space")
    if not entries:
        root.faults.add("space", "must name at least one field to search, got none")
    for path, entry in _entries(entries):
        domain = _domain(entry)
        if domain is None:
            root.faults.add(
                f"space.{path}",
                "must be a list of values, or { log_uniform = [low, high] } with 0 < low < high, "
                f"or {{ uniform = [low, high] }}, got {entry!r}",
            )
        else:
            space[path] = domain
    return space


def read_paper(root: Section, space: Mapping[str, Domain]) -> dict[str, dict[str, Any]]:
    """Read the points that the paper chose, by what to call them; each names the whole space."""
    points = {}
    for label, entry in root.table("paper").items():
        point = flatten(entry) if isinstance(entry, dict) else {}
        if set(point) != set(space):
            fault = f"must give a value to each of {', '.join(space)}, got {entry!r}"
            root.faults.add(f"paper.{label}", fault)
        points[label] = point
    return points


def read_num_trials(root: Section, search: str, space: Mapping[str, Domain]) -> int:
    """Read how many trials to draw; a grid has the size of its space."""
    if search != "grid":
        return root.integer("num_trials", 1)
    if "num_trials" in root.content:
        root.faults.add("num_trials", "a grid has the size of its space; remove this key")
    count = 1
    for path, domain in space.items():
        if isinstance(domain, Choices):
            count *= len(domain.values)
        else:
            root.faults.add(f"space.{path}", "a grid needs a list of values")
    return count


def check_points(spec: SweepSpec, experiment: Experiment, faults: Faults) -> None:
    """Build the configuration of every point of a grid, or of both ends of a space."""
    grid = all(isinstance(domain, Choices) for domain in spec.space.values())
    points = grid_points(spec) if grid else (_end(spec, 0), _end(spec, -1))
    found: dict[str, None] = {}
    for point in points:
        try:
            expand_point(spec, point, experiment)
        except SpecError as error:
            found.update(dict.fromkeys(error.faults))
    for fault in found:
        faults.add("", fault)


def _entries(entries: Mapping[str, Any], where: str = "") -> Iterable[tuple[str, Any]]:
    for key, entry in entries.items():
        path = f"{where}{key}"
        if isinstance(entry, dict) and not {"log_uniform", "uniform"} & set(entry):
            yield from _entries(entry, f"{path}.")
        else:
            yield path, entry


def _domain(entry: Any) -> Domain | None:
    match entry:
        case [_, *_]:
            return Choices(values=tuple(entry))
        case {"log_uniform": [int() | float() as low, int() | float() as high]} if 0 < low < high:
            return LogUniform(low=float(low), high=float(high))
        case {"uniform": [int() | float() as low, int() | float() as high]} if low < high:
            return Uniform(low=float(low), high=float(high))
        case _:
            return None


def _end(spec: SweepSpec, index: int) -> dict[str, Any]:
    ends = {}
    for path, domain in spec.space.items():
        values = domain.values if isinstance(domain, Choices) else (domain.low, domain.high)
        ends[path] = values[index]
    return ends
