"""Reads recipes from TOML; every fault of a file is reported at once, with the nearest valid word."""

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from s2hand_platform.errors import SpecError
from s2hand_platform.experiments.protocol import Experiment
from s2hand_platform.spec.expansion import expand_point, expand_table, grid_points
from s2hand_platform.spec.faults import Reader, nearest
from s2hand_platform.spec.overrides import flatten
from s2hand_platform.spec.published import (
    PublishedCell,
    PublishedColumn,
    PublishedRow,
    PublishedTable,
)
from s2hand_platform.spec.schema import (
    Choices,
    ColumnSpec,
    ContrastSpec,
    Domain,
    LogUniform,
    RowSpec,
    ScaleSpec,
    SweepSpec,
    TableSpec,
    Uniform,
)

FOLDER_VARIABLE = "S2HAND_SWEEPS"
"""Environment variable that names another folder of recipes."""
