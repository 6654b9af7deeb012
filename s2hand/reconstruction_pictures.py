"""Pictures of reconstructions: a row per frame, from the input to a look from the side."""

import math

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from s2hand.geometry.cameras import resize_affine, transform_keypoints
from s2hand.hand.joints import BONES
from s2hand.rendering.pictures import tile, turn_about_vertical

COLUMN_TITLES = ("input", "detected", "projected", "overlay", "rendered", "novel view")
TITLE_HEIGHT_PX = 16
MIN_CELL_PX = 128

_WRIST_COLOUR = (255, 255, 255)
_FINGER_COLOURS = ((242, 77, 64), (255, 191, 26), (64, 204, 77), (51, 166, 255), (204, 102, 255))
"""Thumb to little finger."""
_JOINT_COLOURS = (
    np.array([_WRIST_COLOUR, *(colour for colour in _FINGER_COLOURS for _ in range(4))]) / 255
)
_BONE_RADIUS, _JOINT_RADIUS, _CROSS_RADIUS, _CROSS_ARM = 0.005, 0.012, 0.004, 0.022
"""Sizes of the marks, in sides of a cell."""


def reconstruction_grid(
    *,
    images: Float[Tensor, "rows 3 size size"],
    detected_keypoints_px: Float[Tensor, "rows 21 2"],
    detection_confidence: Float[Tensor, "rows 21"],
    projected_keypoints_px: Float[Tensor, "rows 21 2"],
    heatmap_keypoints_px: Float[Tensor, "rows 21 2"] | None,
    rendered_image: Float[Tensor, "rows 3 size size"],
    rendered_silhouette: Float[Tensor, "rows size size"],
    novel_view_image: Float[Tensor, "rows 3 size size"],
) -> UInt8[np.ndarray, "rows_height columns_width 3"]:
    """Lay out what a model made of each frame: a row each, under the titles ``COLUMN_TITLES``."""
    cells = reconstruction_cells(
        images=images,
        detected_keypoints_px=detected_keypoints_px,
        detection_confidence=detection_confidence,
        projected_keypoints_px=projected_keypoints_px,
        heatmap_keypoints_px=heatmap_keypoints_px,
        rendered_image=rendered_image,
        rendered_silhouette=rendered_silhouette,
        novel_view_image=novel_view_image,
    )
    rows = np.stack([cells[title] for title in COLUMN_TITLES], axis=1)
    cell_px = rows.shape[-2]
    pictures = rows.reshape(-1, cell_px, cell_px, 3)
    return np.concatenate([_title_strip(cell_px), tile(pictures, columns=len(COLUMN_TITLES))])


def reconstruction_cells(
    *,
    images: Float[Tensor, "rows 3 size size"],
    detected_keypoints_px: Float[Tensor, "rows 21 2"],
    detection_confidence: Float[Tensor, "rows 21"],
    projected_keypoints_px: Float[Tensor, "rows 21 2"],
    heatmap_keypoints_px: Float[Tensor, "rows 21 2"] | None,
    rendered_image: Float[Tensor, "rows 3 size size"],
    rendered_silhouette: Float[Tensor, "rows size size"],
    novel_view_image: Float[Tensor, "rows 3 size size"],
) -> dict[str, UInt8[np.ndarray, "rows cell cell 3"]]:
    """Draw what a model made of each frame, by the titles ``COLUMN_TITLES``.

    The input; the detected keypoints, the fainter the lower their confidence; the projected
    joints, with the heat maps' keypoints as crosses; the rendering over the input; the rendering
    alone; the same hand from another side. Small images are enlarged by a whole number, to cells
    of at least 128 px.

    Convention:
        Keypoints are pixels of ``images``, (0, 0) being the centre of the top-left pixel; they
        are enlarged by u to (u + 0.5)·s − 0.5. Renderings are on black. All on the CPU.

    Args:
        images: RGB, 0 to 1.
        detected_keypoints_px: The detector's.
        detection_confidence: 0 to 1; at 0 a keypoint is invisible.
        projected_keypoints_px: The reconstructed hand's joints.
        heatmap_keypoints_px: The 2D branch's; None where a model has none.
        rendered_image: The reconstructed hand in the input's camera; clipped to 0 to 1.
        rendered_silhouette: Its share of every pixel, 0 to 1.
        novel_view_image: The hand of :func:`turned_about_vertical` in the same camera.
    """
    scale = math.ceil(MIN_CELL_PX / images.shape[-1])
    plain, detected, projected = (_cells(images, scale) for _ in range(3))
    detected_px = _to_cell(detected_keypoints_px, scale)
    projected_px = _to_cell(projected_keypoints_px, scale)
    for row in range(len(images)):
        draw_skeleton(detected[row], detected_px[row], detection_confidence[row].numpy())
        draw_skeleton(projected[row], projected_px[row], np.ones(21))
    if heatmap_keypoints_px is not None:
        for cell, keypoints_px in zip(
            projected, _to_cell(heatmap_keypoints_px, scale), strict=True
        ):
            _draw_crosses(cell, keypoints_px)
    overlay = images * (1 - rendered_silhouette[:, None]) + rendered_image
    renderings = (_cells(each, scale) for each in (overlay, rendered_image, novel_view_image))
    columns = (plain, detected, projected, *renderings)
    return {
        title: np.round(cells * 255).astype(np.uint8)
        for title, cells in zip(COLUMN_TITLES, columns, strict=True)
    }


def turned_about_vertical(
    vertices: Float[Tensor, "batch verts 3"], angle_rad: float
) -> Float[Tensor, "batch verts 3"]:
    """Turn each hand about the vertical through its own centre, the mean of its vertices.

    Convention:
        The vertical is the camera's y axis, downwards: a positive angle turns z to x.
    """
    centre = vertices.mean(dim=1, keepdim=True)
    return turn_about_vertical(vertices - centre, angle_rad) + centre


def draw_skeleton(
    cell: Float[np.ndarray, "cell cell 3"],
    keypoints_px: Float[np.ndarray, "21 2"],
    opacity: Float[np.ndarray, "21"],
) -> None:
    """Draw a hand's joints and bones into a cell, in the fingers' colours.

    Args:
        cell: RGB, 0 to 1; it is drawn into.
        keypoints_px: Pixels of the cell.
        opacity: Of each joint, 0 to 1; a bone has that of its joints, multiplied.
    """
    for bone in BONES:
        strength = float(opacity[list(bone)].prod())
        _draw_stroke(
            cell, keypoints_px[list(bone)], _BONE_RADIUS, _JOINT_COLOURS[bone[1]], strength
        )
    for joint, colour in enumerate(_JOINT_COLOURS):
        disc = keypoints_px[[joint, joint]]
        _draw_stroke(cell, disc, _JOINT_RADIUS, colour, float(opacity[joint]))


def _cells(
    pictures: Float[Tensor, "rows 3 size size"], scale: int
) -> Float[np.ndarray, "rows cell cell 3"]:
    enlarged = pictures.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    return enlarged.clamp(0, 1).movedim(1, -1).numpy()


def _to_cell(
    keypoints_px: Float[Tensor, "rows 21 2"], scale: int
) -> Float[np.ndarray, "rows 21 2"]:
    affine = resize_affine(torch.full((len(keypoints_px),), float(scale)))
    return transform_keypoints(keypoints_px, affine.to(keypoints_px)).numpy()


def _draw_crosses(
    cell: Float[np.ndarray, "cell cell 3"], keypoints_px: Float[np.ndarray, "21 2"]
) -> None:
    for keypoint, colour in zip(keypoints_px, _JOINT_COLOURS, strict=True):
        for direction in ((1, 1), (1, -1)):
            arm = np.multiply(direction, _CROSS_ARM * len(cell))
            _draw_stroke(cell, np.stack((keypoint - arm, keypoint + arm)), _CROSS_RADIUS, colour)


def _draw_stroke(
    cell: Float[np.ndarray, "cell cell 3"],
    ends_px: Float[np.ndarray, "2 2"],
    radius: float,
    colour: Float[np.ndarray, "3"],
    opacity: float = 1.0,
) -> None:
    """Blend a line with round ends into the cell; between equal ends it is a disc.

    Pixels at its rim are blended by their distance, so that a mark lies where it belongs to a
    fraction of a pixel; Pillow's snap to whole ones.
    """
    start, along = ends_px[0], ends_px[1] - ends_px[0]
    rows, columns = np.ogrid[: len(cell), : len(cell)]
    x, y = columns - start[0], rows - start[1]
    length_squared = max(float(along @ along), np.finfo(np.float32).tiny)
    share = np.clip((x * along[0] + y * along[1]) / length_squared, 0, 1)
    distance = np.hypot(x - share * along[0], y - share * along[1])
    weight = opacity * np.clip(radius * len(cell) + 0.5 - distance, 0, 1)
    cell += weight[..., None] * (colour - cell)


def _title_strip(cell_px: int) -> UInt8[np.ndarray, "height width 3"]:
    strip = Image.new("RGB", (cell_px * len(COLUMN_TITLES), TITLE_HEIGHT_PX), "white")
    draw = ImageDraw.Draw(strip)
    for column, title in enumerate(COLUMN_TITLES):
        position = (column * cell_px + 4, 2)
        draw.text(position, title, fill="black", font=ImageFont.load_default())
    return np.asarray(strip)
