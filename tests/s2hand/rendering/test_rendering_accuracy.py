"""Coverage of the hand and its gradient, against the area measured on a much finer grid."""

import numpy as np
import pytest
import torch
from torch import Tensor

from s2hand.geometry.cameras import homogeneous_pixels
from s2hand.rendering import MeshTopology, rasterise

HANDS = 24
STEP = 0.01


def _true_area(vertices: Tensor, topology: MeshTopology, K: Tensor, size: int) -> np.ndarray:
    """Area in pixels, by looking at 12² (at 224 px: 6²) places in every pixel."""
    fine = 12 if size == 64 else 6
    finer = K.clone()
    finer[:, :2] *= fine
    finer[:, :2, 2] += (fine - 1) / 2
    raster = rasterise(
        vertices.numpy(), finer.numpy(), topology.faces.numpy(), height=fine * size,
        width=fine * size,
    )  # fmt: skip
    return (raster.face_id >= 0).sum(axis=(1, 2)) / fine**2


@pytest.mark.parametrize("size", [64, 224])
def test_area_and_its_gradient_are_within_a_hundredth_of_the_truth(scenes, size: int) -> None:
    """Pooled over postures and views; a single picture's gradient scatters by a few hundredths.

    The scatter comes from where the ends of steep and flat stretches of the outline lie between
    pixel centres; it falls with the size of the picture.
    """
    vertices, topology = scenes.hands(HANDS)
    K = scenes.camera(size, focal=1.9).repeat(HANDS, 1, 1)
    middle = vertices.mean(1, keepdim=True)
    vertices.requires_grad_()
    points = homogeneous_pixels(vertices, K)
    colours = torch.ones_like(vertices)
    silhouette = scenes.draw(points, points[..., 2], colours, topology, size, size)[1]
    area = silhouette.sum((1, 2))
    (gradient,) = torch.autograd.grad(area.sum(), vertices)
    vertices = vertices.detach()

    ratio = area.detach().numpy() / _true_area(vertices, topology, K, size)
    assert abs(ratio - 1).max() < 0.01
    assert abs(ratio.mean() - 1) < 0.002

    directions = {
        "larger": vertices - middle,
        "nearer": torch.tensor([0.0, 0.0, -0.45], dtype=torch.float64).expand_as(vertices),
    }
    for direction in directions.values():
        ahead = _true_area(vertices + STEP * direction, topology, K, size)
        behind = _true_area(vertices - STEP * direction, topology, K, size)
        truth = (ahead - behind) / (2 * STEP)
        ours = (gradient * direction).sum((1, 2)).numpy()
        assert 0.99 < ours.sum() / truth.sum() < 1.01
        scatter = np.std(ours / truth)
        assert scatter < (0.04 if size == 64 else 0.015)
