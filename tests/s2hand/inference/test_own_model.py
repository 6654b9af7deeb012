"""The project's own model opens by itself, and is the one that its card was measured on."""

import pytest
import torch

import s2hand
from s2hand.hand.embedded import embedded_hand
from s2hand.starting_weights import open_weights, read_weights


def test_without_a_path_the_project_s_own_model_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2HAND_MANO", "nowhere.pkl")  # it is of the embedded hand all the same
    before = torch.random.get_rng_state()
    model = s2hand.load().model
    assert torch.equal(torch.random.get_rng_state(), before)
    found = open_weights("s2hand")
    assert not model.training
    assert model.hand_fingerprint == embedded_hand().fingerprint == found.card.hand_fingerprint
    assert {field: getattr(model.config, field) for field in found.card.fits} == found.card.fits
    assert model.outputs == {"hand", "appearance", "rendering", "heatmaps"}
    state, written = model.state_dict(), read_weights(found.path)
    assert state.keys() == written.keys()
    assert all(torch.equal(state[name], values) for name, values in written.items())


def test_another_hand_is_refused_for_it() -> None:
    with pytest.raises(ValueError, match=r"hand_model must be left out .* got MANO_RIGHT\.pkl"):
        s2hand.load(hand_model="MANO_RIGHT.pkl")
