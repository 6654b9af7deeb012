"""Draws the pictures of `docs/embedded-hand.md`: `python -m tools.embedded_hand.pictures`."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image

from s2hand.hand.embedded import embedded_hand
from s2hand.hand.layer import HandLayer
from s2hand.rendering.pictures import PALM_VIEW, draw_meshes, tile, turn_about_vertical
from tools.embedded_hand.pose_space import grasp_angles, to_axis_angle
from tools.embedded_hand.skeleton import Array, build_skeleton

FOLDER: Final = Path(__file__).parents[2] / "docs" / "images"
SIDE_PX: Final = 320
POSES: Final = ("rest", "mean", "fist", "pinch", "spread", "point")
VIEWS_RAD: Final = (0.35, 2.65, 1.5)
"""Turns about the vertical: palm, back, thumb's side."""


def draw_poses(layer: HandLayer) -> Array:
    """One column per posture, one row per view."""
    data = embedded_hand()
    skeleton = build_skeleton()
    fixed = {"rest": np.zeros((15, 3)), "mean": data.hands_mean.reshape(15, 3)}
    poses = [
        fixed[name] if name in fixed else to_axis_angle(skeleton, grasp_angles(name))
        for name in POSES
    ]
    vertices = _vertices(layer, np.stack(poses), np.zeros((len(poses), 10)))
    return _sheet(vertices, data.faces)


def draw_shapes(layer: HandLayer) -> Array:
    """Each shape direction at −3 (upper row) and +3 (lower row) standard deviations."""
    betas = np.concatenate([-3.0 * np.eye(10), 3.0 * np.eye(10)])
    vertices = _vertices(layer, np.zeros((20, 15, 3)), betas)
    pictures = draw_meshes(
        turn_about_vertical(vertices, VIEWS_RAD[1]), embedded_hand().faces, SIDE_PX // 2
    )
    return tile(pictures, columns=10)


def draw_samples(layer: HandLayer, count: int = 24) -> Array:
    """Postures drawn from the first 30 components, with random shapes."""
    data = embedded_hand()
    generator = np.random.default_rng(3)
    poses = data.hands_mean + generator.normal(size=(count, 30)) @ data.hands_components[:30]
    vertices = _vertices(layer, poses.reshape(-1, 15, 3), generator.normal(size=(count, 10)))
    turns = generator.uniform(0, 2 * np.pi, count)
    turned = torch.cat(
        [turn_about_vertical(v[None], float(a)) for v, a in zip(vertices, turns, strict=True)]
    )
    return tile(draw_meshes(turned, data.faces, SIDE_PX // 2), columns=8)


def _vertices(layer: HandLayer, poses: Array, betas: Array) -> torch.Tensor:
    orient = torch.tensor(PALM_VIEW, dtype=torch.float64).expand(len(poses), 3)
    output = layer(
        betas=torch.from_numpy(betas), hand_pose=torch.from_numpy(poses), global_orient=orient
    )
    return output.vertices


def _sheet(vertices: torch.Tensor, faces: Array) -> Array:
    rows = [
        draw_meshes(turn_about_vertical(vertices, angle), faces, SIDE_PX) for angle in VIEWS_RAD
    ]
    return tile(np.concatenate(rows), columns=len(vertices))


def main() -> None:
    """Write all pictures."""
    layer = HandLayer(embedded_hand(), use_mean_pose=False, dtype=torch.float64)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in (("poses", draw_poses), ("shapes", draw_shapes), ("samples", draw_samples)):
        image = Image.fromarray(draw(layer)).quantize(192)
        image.save(FOLDER / f"hand_{name}.png", optimize=True)


if __name__ == "__main__":
    main()
