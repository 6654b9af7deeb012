"""Hand models' files that were damaged, cut, made up, or written with something else in them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from changed_files import changed_pickle, fuzzed, read_or_refused
from hypothesis import given
from hypothesis import strategies as st

from s2hand.errors import HandModelError
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.export import export_hand_model
from s2hand.hand.loader import load_hand_model
from s2hand.hand.model_data import HandModelData


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "MANO_RIGHT.pkl"


@pytest.fixture
def content(path: Path) -> dict[str, object]:
    """What an exported file holds, as single numbers repeated: small, and of the right shapes."""
    export_hand_model(embedded_hand(), path)
    exported = pickle.loads(path.read_bytes())
    assert load_hand_model(path).fingerprint
    return {
        key: np.broadcast_to(value.ravel()[:1].reshape((1,) * value.ndim), value.shape)
        if isinstance(value, np.ndarray)
        else value
        for key, value in exported.items()
    }


@pytest.mark.filterwarnings("ignore:Please import.*scipy.sparse:DeprecationWarning")
@fuzzed
@given(st.data())
def test_a_hand_model_is_read_or_refused(path: Path, content: dict, data: st.DataObject) -> None:
    path.write_bytes(changed_pickle(data.draw, content))
    hand = read_or_refused(
        lambda: load_hand_model(path), path.parent, errors=HandModelError, named=str(path)
    )
    assert hand is None or isinstance(hand, HandModelData)
