"""Using a trained model: load it, predict a dataset."""

from pathlib import Path

import torch

from s2hand.config import S2HandConfig
from s2hand.data.dataset import FrameDataset
from s2hand.metrics.evaluate import Predictions
from s2hand.model import S2Hand
from s2hand.training.checkpoint import load_checkpoint, require_same
from s2hand.training.stage_run import FINAL_NAME
from s2hand.training.stages import model_identity
from s2hand.training.step import move_batch

_PREDICTED = (
    *("joints", "vertices", "hand_pose", "global_orient", "betas"),
    "projected_keypoints_px",
)


def load_model(checkpoint: Path, config: S2HandConfig) -> S2Hand:
    """Load a trained model, on the CPU and ready to predict.

    Args:
        checkpoint: a finished training's folder, or a checkpoint file of any stage.
        config: the configuration that it was trained with.

    Raises:
        CheckpointError: if there is none, or it holds another model's weights.
    """
    path = checkpoint / FINAL_NAME if checkpoint.is_dir() else checkpoint
    saved = load_checkpoint(path)
    with torch.random.fork_rng(devices=[]):
        model = S2Hand(config, use_pretrained=False)
    require_same(
        {"model": saved.identity["model"], "hand": saved.identity["fingerprints"]["hand"]},
        {"model": model_identity(config.model), "hand": model.hand_fingerprint},
        path,
    )
    model.load_state_dict(saved.model)
    return model.eval()


@torch.inference_mode()
def predict(model: S2Hand, dataset: FrameDataset, *, batch_size: int) -> Predictions:
    """Predict every frame of a dataset, in its order, without augmentation.

    Runs on the model's device; batch normalisation and drop-connect are switched to evaluation.
    """
    device = str(next(model.parameters()).device)
    model.eval()
    parts: dict[str, list[torch.Tensor]] = {}
    for start in range(0, len(dataset), batch_size):
        rows = range(start, min(start + batch_size, len(dataset)))
        batch = move_batch(dataset.batch(rows), device)
        prediction = model(batch.images, batch.intrinsics_px)
        for name in _PREDICTED:
            parts.setdefault(name, []).append(getattr(prediction, name).cpu())
    return Predictions(**{name: torch.cat(values).numpy() for name, values in parts.items()})
