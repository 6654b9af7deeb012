"""Where a setting comes from: an option, our own variable, the tool's own variable, or a default.

The order is the same for all of them, and is kept here alone.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from s2hand_platform.errors import without_passwords

_LOG = logging.getLogger(__name__)


class Chosen(NamedTuple):
    """What a setting is, and where that stands."""

    value: str
    """Empty where nothing is chosen, and the setting has no default."""
    source: str
    """The option or the variable, or ``default``: what a message about the value must name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """A setting, and where it may stand: the first place that holds something is taken."""

    name: str
    option: str
    """On the command line, or in a recipe."""
    variables: tuple[str, ...]
    """Of the environment: ours, then the tool's own."""
    default: str = ""
    otherwise: str = ""
    """What happens without a value, in words."""

    def choose(self, given: str | Path | None = None) -> Chosen:
        """Take what is given, or else what stands in the environment; ``--verbose`` tells which."""
        places = [(self.option, given), *((name, os.environ.get(name)) for name in self.variables)]
        found = next(((str(value), source) for source, value in places if value), None)
        chosen = Chosen(*(found or (self.default, "default")))
        told = without_passwords(chosen.value) or self.otherwise
        _LOG.info("%s: %s (%s)", self.name, told, chosen.source)
        return chosen

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Hide the variables from a tool that lets them overrule what it is told."""
        hidden = {name: os.environ.pop(name) for name in self.variables if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(hidden)


WORKSPACE = Setting(
    name="workspace",
    option="--workspace",
    variables=("S2HAND_WORKSPACE",),
    default="workspace",
)
CLUSTER = Setting(
    name="Ray",
    option="--address",
    variables=("S2HAND_ADDRESS", "RAY_ADDRESS"),
    otherwise="one of our own on this machine",
)
JOB_SERVER = Setting(
    name="job server",
    option="--address",
    variables=("S2HAND_JOB_SERVER", "RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"),
    default="http://127.0.0.1:8265",
)
RAY_FOLDER = Setting(
    name="Ray's folder",
    option="",
    variables=("RAY_TMPDIR", "TMPDIR"),
    default="/tmp",
)
GIT = Setting(
    name="git's repository",
    option="",
    variables=("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"),
    otherwise="that in which the code lies",
)
REVISION = Setting(
    name="revision of the code",
    option="",
    variables=("S2HAND_REVISION",),
    otherwise="not known without its repository",
)
TRACKING_URI = Setting(
    name="MLflow",
    option="--tracking-uri",
    variables=("S2HAND_TRACKING_URI", "MLFLOW_TRACKING_URI"),
    otherwise="the database in the workspace",
)
