"""The whole S2HAND that comes with the project, ready to predict."""

from pathlib import Path

import torch

from s2hand.config import ModelConfig, S2HandConfig
from s2hand.hand.loader import EMBEDDED
from s2hand.model import S2Hand
from s2hand.starting_weights import find_starting_weights, open_weights


def load_own_model(*, device: str = "cpu", folder: str | Path = "") -> S2Hand:
    """Open the project's own model, of the embedded hand whatever ``S2HAND_MANO`` says.

    Args:
        device: A torch device string.
        folder: Where its weights lie; empty: those that come with the project.

    Raises:
        ConfigurationError: If there are none.
        CheckpointError: If the file is truncated, or its weights are of another version.
    """
    card = open_weights("s2hand", folder).card
    config = S2HandConfig(
        model=ModelConfig(
            pretrained="s2hand", weights_dir=str(folder), hand_model=EMBEDDED, **card.fits
        )
    )
    with torch.random.fork_rng(devices=[]):
        model = S2Hand(config, use_pretrained=False)
    weights = find_starting_weights(config, model.hand_fingerprint)
    assert weights is not None
    weights.load_into(model)
    model.to(device, memory_format=model.memory_format)  # type: ignore[call-overload]
    return model.eval()
