"""Pictures of what a model under training makes of some frames."""

import math

import numpy as np
import torch
from jaxtyping import UInt8

from s2hand.data.sample import Batch
from s2hand.model import S2Hand
from s2hand.reconstruction_pictures import reconstruction_grid, turned_about_vertical

_NOVEL_VIEW_RAD = math.pi / 2


@torch.no_grad()
def draw_reconstructions(
    model: S2Hand, batch: Batch
) -> UInt8[np.ndarray, "rows_height columns_width 3"]:
    """Reconstruct a batch without augmentation and lay the results out.

    Leaves the model in evaluation mode, its weights and statistics untouched.

    Args:
        model: one with a texture and light head.
        batch: frames on the model's device.
    """
    model.eval()
    camera = (batch.intrinsics_px, batch.camera_rotation)
    prediction = model(batch.images, *camera, outputs=model.outputs)
    hand, appearance, rendering = prediction.hand, prediction.appearance, prediction.rendering
    assert hand is not None
    assert appearance is not None
    assert rendering is not None
    from_the_side = turned_about_vertical(hand.vertices, _NOVEL_VIEW_RAD)
    heatmap_keypoints_px = prediction.heatmap_keypoints_px
    return reconstruction_grid(
        images=batch.images.cpu(),
        detected_keypoints_px=batch.detected_keypoints_px.cpu(),
        detection_confidence=batch.detection_confidence.cpu(),
        projected_keypoints_px=hand.projected_keypoints_px.cpu(),
        heatmap_keypoints_px=None
        if heatmap_keypoints_px is None
        else heatmap_keypoints_px[-1].cpu(),
        rendered_image=rendering.image.cpu(),
        rendered_silhouette=rendering.silhouette.cpu(),
        novel_view_image=model.render(from_the_side, appearance, *camera).image.cpu(),
    )
