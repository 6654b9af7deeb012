"""Experiments: the protocol, the adapters that offer it, and how the one to run is found by name.

An experiment is named ``MODULE:CLASS``. Its module may hold ``COMMANDS``: name → ``MODULE:NAME``
of a typer application, or of a function that is one command, that it adds to the command line; and
``EVALUATORS``: ``MODULE:NAME`` of a function that says in words what an evaluator's id means; and
``BASELINES``: label of a baseline → what it is, in words. Help is shown from these modules, so they
import nothing slow.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from s2hand_platform.errors import SpecError
from s2hand_platform.settings import Setting

if TYPE_CHECKING:
    from s2hand_platform.experiments.protocol import Experiment

_EXPERIMENT = Setting(
    name="experiment",
    option="",
    variables=("S2HAND_EXPERIMENT",),
    default="s2hand_platform.experiments.s2hand:S2HandExperiment",
)
"""``MODULE:CLASS`` of another experiment, to run tables of one's own with this program."""


def default_experiment() -> "Experiment":
    """Make the experiment that the command line runs.

    Raises:
        SpecError: if ``S2HAND_EXPERIMENT`` names none.
    """
    return cast("Experiment", _found(_chosen())())


def command_groups() -> dict[str, Any]:
    """Return what the experiment adds to the command line, by name: groups and single commands.

    Raises:
        SpecError: if ``S2HAND_EXPERIMENT`` names no module, or one of its ``COMMANDS`` is none.
    """
    module, _, _ = _chosen().partition(":")
    places: Mapping[str, str] = _found(f"{module}:COMMANDS", {})
    return {name: _found(place) for name, place in places.items()}


def describe_evaluator(evaluator_id: str) -> tuple[str, ...]:
    """Say in words by which rules an evaluator measures, as the experiment that is run knows them.

    Where it says nothing, the words of the id themselves stand.

    Raises:
        SpecError: if ``S2HAND_EXPERIMENT`` names no module, or its ``EVALUATORS`` is none.
    """
    module, _, _ = _chosen().partition(":")
    place = _found(f"{module}:EVALUATORS", "")
    describe: Callable[[str], Sequence[str]] = _found(place) if place else str.split
    return tuple(describe(evaluator_id))


def describe_baseline(label: str) -> tuple[str, ...]:
    """Say in words what a baseline predicts, as the experiment that is run knows it, or nothing.

    Raises:
        SpecError: if ``S2HAND_EXPERIMENT`` names no module.
    """
    module, _, _ = _chosen().partition(":")
    words: Mapping[str, str] = _found(f"{module}:BASELINES", {})
    return (words[label],) if label in words else ()


def _chosen() -> str:
    return _EXPERIMENT.choose().value


def _found(place: str, *default: Any) -> Any:
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name, *default)
    except (ImportError, AttributeError, ValueError) as error:
        if module == _EXPERIMENT.default.partition(":")[0]:
            raise
        chosen = _EXPERIMENT.choose()
        raise SpecError(
            [f"{chosen.source}: must be MODULE:CLASS of an experiment, got {chosen.value!r}"]
        ) from error
