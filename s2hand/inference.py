"""Using a trained model: load it, predict a dataset."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from s2hand.config import S2HandConfig
from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import Batch, FrameTable
from s2hand.errors import CheckpointError
from s2hand.metrics.evaluate import KeypointPredictions, Predictions
from s2hand.metrics.rendering import photometric_error, silhouette_error, true_silhouettes
from s2hand.model import HAND_ALONE, Output, Prediction, S2Hand
from s2hand.rendering import Rendering
from s2hand.training.checkpoint import load_checkpoint, require_same
from s2hand.training.stage_run import FINAL_NAME
from s2hand.training.step import move_batch

_HAND = ("joints", "vertices", "hand_pose", "global_orient", "betas")
_FIT = ("photometric_error", "silhouette_error")


def load_model(checkpoint: Path, config: S2HandConfig) -> S2Hand:
    """Load a trained model, on the CPU and ready to predict.

    Args:
        checkpoint: a finished training's folder, or a checkpoint file of its last stage.
        config: the configuration that it was trained with.

    Raises:
        CheckpointError: if there is none, or it holds another model's weights.
    """
    path = checkpoint / FINAL_NAME if checkpoint.is_dir() else checkpoint
    saved = load_checkpoint(path)
    with torch.random.fork_rng(devices=[]):
        model = S2Hand(config, use_pretrained=False)
    known = saved.identity["model"]
    require_same(
        {"model": known, "hand": saved.identity["fingerprints"]["hand"]},
        {
            "model": {name: getattr(config.model, name) for name in known},
            "hand": model.hand_fingerprint,
        },
        path,
    )
    missing = model.parts.keys() - {name.split(".")[0] for name in saved.model}
    if missing:
        raise CheckpointError(
            f"{path}: lacks the weights of {', '.join(sorted(missing))}; give the checkpoint of "
            "the training's last stage, or a configuration without the losses that need them"
        )
    model.load_state_dict({name: saved.model[name] for name in model.state_dict()})
    return model.eval()


@torch.inference_mode()
def predict(
    model: S2Hand,
    dataset: FrameDataset,
    *,
    batch_size: int,
    outputs: Collection[Output] = HAND_ALONE,
) -> Predictions:
    """Predict every frame of a dataset, in its order, without augmentation.

    Runs on the model's device; batch normalisation and drop-connect are switched to evaluation.

    Args:
        model: the model.
        dataset: the frames.
        batch_size: frames of a forward pass.
        outputs: what is predicted; ``heatmaps``, ``appearance`` and ``rendering`` add the metrics
            that need them.
    """
    device = str(next(model.parameters()).device)
    model.eval()
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(dataset), batch_size):
        rows = range(start, min(start + batch_size, len(dataset)))
        batch = move_batch(dataset.batch(rows), device)
        prediction = model(
            batch.images, batch.intrinsics_px, batch.camera_rotation, outputs=outputs
        )
        columns = _columns(prediction, batch)
        if prediction.rendering is not None:
            columns |= _fit(model, prediction.rendering, batch, dataset.table)
        for name, values in columns.items():
            parts.setdefault(name, []).append(values)
    found = {name: np.concatenate(values) for name, values in parts.items()}
    return Predictions(
        **{name: found[name] for name in _HAND},
        keypoints=KeypointPredictions(
            image_size_px=dataset.image_size_px,
            intrinsics_px=found["intrinsics_px"],
            camera_rotation=found["camera_rotation"],
            detected=found["detected"],
            projected=found["projected"],
            heatmap=found.get("heatmap"),
        ),
        texture=found.get("texture"),
        fit={name: found[name] for name in _FIT if name in found},
    )


def _columns(prediction: Prediction, batch: Batch) -> dict[str, np.ndarray]:
    hand, heatmap_keypoints_px = prediction.hand, prediction.heatmap_keypoints_px
    assert hand is not None
    columns = {name: getattr(hand, name) for name in _HAND} | {
        "intrinsics_px": batch.intrinsics_px,
        "camera_rotation": batch.camera_rotation,
        "detected": batch.detected_keypoints_px,
        "projected": hand.projected_keypoints_px,
    }
    if prediction.appearance is not None:
        columns["texture"] = prediction.appearance.texture
    if heatmap_keypoints_px is not None:
        columns["heatmap"] = heatmap_keypoints_px[-1]
    return {name: values.cpu().numpy() for name, values in columns.items()}


def _fit(
    model: S2Hand, rendering: Rendering, batch: Batch, table: FrameTable
) -> dict[str, np.ndarray]:
    """Measure how the rendered hand fits the picture, and the true hand where it is known."""
    errors = {
        "photometric_error": photometric_error(batch.images, rendering.image, rendering.silhouette)
    }
    if table.vertices is not None:
        true_vertices = torch.from_numpy(table.vertices[batch.sample_index.cpu().numpy()])
        truth = true_silhouettes(
            true_vertices @ batch.camera_rotation.cpu(),
            batch.intrinsics_px,
            model.hand_layer.faces.cpu().numpy(),
            batch.images.shape[-1],
        )
        errors["silhouette_error"] = silhouette_error(rendering.silhouette.cpu(), truth)
    return errors
