"""A hand model of random numbers: nothing about it is a hand but the layout."""

import numpy as np
import pytest

from s2hand.hand.joints import PARENTS
from s2hand.hand.model_data import HandModelData


@pytest.fixture(scope="session")
def random_hand() -> HandModelData:
    """Random geometry of a hand's size in MANO's layout, seeded."""
    rng = np.random.default_rng(7)
    points = rng.normal(size=(778, 3)) * 0.03 + [-0.05, 0.0, 0.0]
    points[:778:12, 0] += 0.14
    regressor = rng.random((16, 778)) * (rng.random((16, 778)) < 0.03)
    regressor[0] = 0
    regressor[0, :778:12] = 1.0
    weights = rng.random((778, 16)) ** 8
    components = np.linalg.qr(rng.normal(size=(45, 45)))[0] * np.geomspace(1.3, 0.05, 45)[:, None]
    parents = np.array(PARENTS)
    parents[0] = 0
    return HandModelData(
        v_template=points,
        faces=np.stack([rng.permutation(778)[:3] for _ in range(1538)]),
        J_regressor=regressor / regressor.sum(axis=1, keepdims=True),
        shapedirs=rng.normal(size=(778, 3, 10)) * 2e-3,
        posedirs=rng.normal(size=(778, 3, 135)) * 1e-3,
        weights=weights / weights.sum(axis=1, keepdims=True),
        hands_components=components,
        hands_mean=rng.normal(size=45) * 0.3,
        hands_coeffs=rng.normal(size=(1554, 45)),
        kintree_table=np.stack([parents, np.arange(16)]),
        source="random",
    )
