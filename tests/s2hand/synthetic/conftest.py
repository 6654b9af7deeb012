"""What a version of the generator draws, kept as numbers."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s2hand.data.manifest import GENERATOR_VERSION

GOLDEN = Path(__file__).parents[2] / "golden" / "synthetic"


def projections(values: np.ndarray) -> list[float]:
    """Project an array on a few random directions: a change of any element moves all of them."""
    flat = np.asarray(values, np.float64).ravel()
    directions = np.random.default_rng(0).normal(size=(3, flat.size))
    return [*(directions @ flat), float(np.linalg.norm(flat))]


@pytest.fixture
def assert_drawn_as_before(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Compare arrays with what this version of the generator drew when they were kept.

    Sets are told apart by their parameters and the version alone: code that draws other numbers
    under the same version would finish a set that was begun with other ones.
    """

    def compare(name: str, *, tolerance: float = 1e-7, **arrays: np.ndarray) -> None:
        path = GOLDEN / f"{name}.json"
        drawn = {key: projections(values) for key, values in arrays.items()}
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"version": GENERATOR_VERSION, **drawn}, indent=1) + "\n")
        kept = json.loads(path.read_text())
        assert kept.pop("version") == GENERATOR_VERSION, "keep new ones: pytest --update-golden"
        assert kept.keys() == drawn.keys()
        for key, values in kept.items():
            allowed = pytest.approx(values, rel=0, abs=tolerance * max(values[-1], 1))
            assert drawn[key] == allowed, f"{key} is drawn otherwise: raise GENERATOR_VERSION"

    return compare
