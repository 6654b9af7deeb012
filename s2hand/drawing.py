"""Pictures of what a model makes of some frames."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from s2hand.data.sample import Batch
from s2hand.model import S2Hand
from s2hand.prediction import Appearance
from s2hand.reconstruction_pictures import (
    reconstruction_cells,
    reconstruction_grid,
    turned_about_vertical,
)
from s2hand.rendering import Lighting

_NOVEL_VIEW_RAD = math.pi / 2

_TITLES = {
    "input": "input",
    "keypoints": "projected",
    "overlay": "overlay",
    "render": "rendered",
    "side": "novel view",
}

_GREY = 0.8
"""Albedo of a hand whose model has no texture."""


@torch.no_grad()
def draw_reconstructions(
    model: S2Hand, batch: Batch
) -> UInt8[np.ndarray, "rows_height columns_width 3"]:
    """Reconstruct a batch without augmentation and lay the results out.

    Leaves the model in evaluation mode, its weights and statistics untouched.

    Args:
        model: a model; the hands of one without a texture and light head are grey.
        batch: frames on the model's device.
    """
    return reconstruction_grid(**_reconstructed(model, batch))


@torch.no_grad()
def draw_frames(model: S2Hand, batch: Batch) -> dict[str, UInt8[np.ndarray, "rows side side 3"]]:
    """Reconstruct a batch as :func:`draw_reconstructions` does, and draw each frame by itself.

    Returns:
        ``input``, ``keypoints`` (the projected joints), ``overlay``, ``render`` and ``side`` (the
        same hand turned by 90°), each with a picture per frame.
    """
    cells = reconstruction_cells(**_reconstructed(model, batch))
    return {kind: cells[title] for kind, title in _TITLES.items()}


def _reconstructed(model: S2Hand, batch: Batch) -> dict[str, Any]:
    model.eval()
    prediction = model(
        batch.images, batch.intrinsics_px, batch.camera_rotation, outputs=model.outputs
    )
    hand, heatmap_keypoints_px = prediction.hand, prediction.heatmap_keypoints_px
    assert hand is not None
    appearance = prediction.appearance or plaster(hand.vertices)
    own_camera = (hand.camera_px, batch.camera_rotation)
    rendering = prediction.rendering or model.render(hand.vertices, appearance, *own_camera)
    from_the_side = turned_about_vertical(hand.vertices, _NOVEL_VIEW_RAD)
    return {
        "images": batch.images.cpu(),
        "detected_keypoints_px": batch.detected_keypoints_px.cpu(),
        "detection_confidence": batch.detection_confidence.cpu(),
        "projected_keypoints_px": hand.projected_keypoints_px.cpu(),
        "heatmap_keypoints_px": (
            None if heatmap_keypoints_px is None else heatmap_keypoints_px[-1].cpu()
        ),
        "rendered_image": rendering.image.cpu(),
        "rendered_silhouette": rendering.silhouette.cpu(),
        "novel_view_image": model.render(from_the_side, appearance, *own_camera).image.cpu(),
    }


def plaster(vertices: Float[Tensor, "batch 778 3"]) -> Appearance:
    """Return the look of plaster under a lamp beside the camera."""
    batch, one = len(vertices), vertices.new_ones(len(vertices), 1)
    lamp = Lighting(
        ambient_intensity=0.4 * one,
        directional_intensity=0.8 * one,
        ambient_colour=one.expand(batch, 3),
        directional_colour=one.expand(batch, 3),
        direction=vertices.new_tensor([0.4, 0.4, 0.8]).expand(batch, 3),
    )
    return Appearance(texture=torch.full_like(vertices, math.atanh(_GREY)), lighting=lamp)
