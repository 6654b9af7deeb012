"""Self-supervised 3D hand reconstruction: S2HAND and S2HAND(V) as a PyTorch library."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import s2hand.inference

__version__ = "0.1.0"


def load(
    path: str | Path | None = None, *, hand_model: str | Path | None = None, device: str = "cpu"
) -> "s2hand.inference.Predictor":
    """Open a trained model.

    Args:
        path: The ``model.safetensors`` of a finished training. None: the project's own model,
            which comes with it (docs/model-card.md).
        hand_model: Your MANO_RIGHT.pkl, for a model that was trained with it. None: the embedded
            hand, or the file that ``S2HAND_MANO`` names, whichever the model was trained with.
        device: A torch device string.

    Raises:
        ValueError: If a hand model is given for the project's own model.
        CheckpointError: If the file is missing, damaged or of another format, or the hand model
            is not the one that the model was trained with.
        HandModelError: If the hand model's file cannot be used.
    """
    # Here, so that importing the package alone stays quick: these bring torch.
    from s2hand.inference import Predictor
    from s2hand.own_model import load_own_model
    from s2hand.trained_model import load_model

    if path is not None:
        return Predictor(load_model(Path(path), hand_model=hand_model, device=device))
    if hand_model is not None:
        raise ValueError(
            f"hand_model must be left out for the project's own model, which is of the embedded "
            f"hand, got {hand_model}; give the path of the model that was trained with it"
        )
    return Predictor(load_own_model(device=device))
