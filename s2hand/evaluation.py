"""Evaluating a model: predict every frame of a dataset, and measure it against the truth."""

from collections.abc import Collection, Mapping

import numpy as np
import torch
from jaxtyping import Float

from s2hand.data.dataset import FrameDataset
from s2hand.data.sample import Batch, FrameTable
from s2hand.hand.fingertips import S2HAND_FINGERTIPS
from s2hand.inference import Predictor
from s2hand.metrics.evaluate import (
    HAND_PARAMETERS,
    KeypointPredictions,
    Predictions,
    SetEvaluation,
    evaluate,
)
from s2hand.metrics.rendering import photometric_error, silhouette_error, true_silhouettes
from s2hand.model import S2Hand
from s2hand.parts import HAND_ALONE, Output
from s2hand.prediction import Prediction
from s2hand.rendering import Rendering

_HAND = (*HAND_PARAMETERS, "hand_pose", "joints", "vertices")
_FIT = ("photometric_error", "silhouette_error")


def evaluate_model(
    predictor: Predictor,
    dataset: FrameDataset,
    *,
    batch_size: int,
    outputs: Collection[Output] = HAND_ALONE,
) -> SetEvaluation:
    """Predict and measure every frame of a dataset.

    Needs the model and the data alone, nothing of the training.

    Args:
        predictor: The model.
        dataset: The frames, whose table holds the truth.
        batch_size: Frames of a forward pass.
        outputs: As in :func:`predict_frames`.

    Raises:
        DataError: If a prediction is not finite.
    """
    predictions = predict_frames(predictor, dataset, batch_size=batch_size, outputs=outputs)
    return evaluate(predictions, dataset.table)


def predict_frames(
    predictor: Predictor,
    dataset: FrameDataset,
    *,
    batch_size: int,
    outputs: Collection[Output] = HAND_ALONE,
) -> Predictions:
    """Predict every frame of a dataset, in its order, without augmentation.

    Args:
        predictor: The model.
        dataset: The frames.
        batch_size: Frames of a forward pass.
        outputs: What is predicted; ``heatmaps``, ``appearance`` and ``rendering`` add the metrics
            that need them.
    """
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(dataset), batch_size):
        batch = dataset.batch(range(start, min(start + batch_size, len(dataset))))
        prediction = predictor.predict(
            batch.images,
            batch.intrinsics_px,
            batch.camera_rotation,
            outputs=outputs,
            batch_size=batch_size,
        )
        columns = _columns(prediction, batch)
        if prediction.rendering is not None:
            faces = predictor.model.hand_layer.faces.cpu().numpy()
            columns |= _fit(prediction.rendering, batch, dataset.table, faces)
        for name, values in columns.items():
            parts.setdefault(name, []).append(values)
    found = {name: np.concatenate(values) for name, values in parts.items()}
    return Predictions(
        **{name: found[name] for name in _HAND},
        fingertips=S2HAND_FINGERTIPS,
        is_placed=_places_hands(predictor.model),
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


@torch.no_grad()
def predictions_from_parameters(
    parameters: Mapping[str, Float[np.ndarray, "n ..."]], model: S2Hand
) -> Predictions:
    """Pose the hands of an evaluation's parameters again, joints and vertices included.

    Args:
        parameters: ``SetEvaluation.parameters``.
        model: The one that predicted them, on the CPU.
    """
    posed = model.hand_layer(**{name: torch.tensor(parameters[name]) for name in HAND_PARAMETERS})
    return Predictions(
        betas=parameters["betas"],
        hand_pose_pca=parameters["hand_pose_pca"],
        global_orient=parameters["global_orient"],
        transl=parameters["transl"],
        scale=parameters["scale"],
        hand_pose=posed.hand_pose.numpy(),
        joints=posed.joints.numpy(),
        vertices=posed.vertices.numpy(),
        is_placed=_places_hands(model),
    )


def _places_hands(model: S2Hand) -> bool:
    return model.config.projection == "perspective"


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
    return {name: values.numpy() for name, values in columns.items()}


def _fit(
    rendering: Rendering, batch: Batch, table: FrameTable, faces: np.ndarray
) -> dict[str, np.ndarray]:
    """Measure how the rendered hand fits the picture, and the true hand where it is known."""
    errors = {
        "photometric_error": photometric_error(batch.images, rendering.image, rendering.silhouette)
    }
    if table.vertices is not None:
        true_vertices = torch.from_numpy(table.vertices[batch.sample_index.numpy()])
        truth = true_silhouettes(
            true_vertices @ batch.camera_rotation,
            batch.intrinsics_px,
            faces,
            batch.images.shape[-1],
        )
        errors["silhouette_error"] = silhouette_error(rendering.silhouette, truth)
    return errors
