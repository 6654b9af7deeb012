"""Experiments: the protocol, and the adapters that offer it."""

import importlib
import os
from collections.abc import Mapping
from typing import Any, Protocol, cast

from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.workspace import Workspace

ENVIRONMENT_VARIABLE = "S2HAND_EXPERIMENT"
"""``MODULE:CLASS`` of another experiment, to run tables of one's own with this program."""
DEFAULT = "s2hand_platform.experiments.s2hand:S2HandExperiment"


class RunnableExperiment(Experiment, Protocol):
    """An experiment that also knows where a command line's ``--data`` lies."""

    def data_overrides(
        self, data: str, dataset: str, workspace: Workspace, scale: str
    ) -> Mapping[str, Any]:
        """Say where the data lies, as overrides of a config.

        Args:
            data: ``synthetic``, a dataset's name, or a folder.
            dataset: the layout that the recipe asks for.
            workspace: where synthetic sets are made.
            scale: the synthetic set's size.

        Raises:
            SpecError: if it is not there, with what to do.
        """


def user_errors() -> tuple[type[Exception], ...]:
    """Return the errors with which the experiment addresses its user: shown without traceback."""
    return getattr(default_experiment(), "user_errors", ())


def default_experiment() -> RunnableExperiment:
    """Make the experiment that the command line runs.

    Raises:
        SpecError: if ``S2HAND_EXPERIMENT`` names none.
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT
    module, _, name = chosen.partition(":")
    try:
        made = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError, ValueError) as error:
        if chosen == DEFAULT:
            raise
        raise SpecError(
            [f"{ENVIRONMENT_VARIABLE}: must be MODULE:CLASS of an experiment, got {chosen!r}"]
        ) from error
    return cast("RunnableExperiment", made)
