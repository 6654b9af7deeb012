"""Pictures of meshes for people to look at: shaded, anti-aliased, side by side."""

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from s2hand.geometry.mesh import vertex_normals
from s2hand.geometry.rotations import axis_angle_to_matrix
from s2hand.rendering.rasterise import NO_FACE, interpolate, rasterise

_SKIN = np.array([0.87, 0.67, 0.56])
_PAPER = 1.0
_LIGHTS = (((-0.45, -0.55, -0.7), 0.75), ((0.8, -0.1, -0.6), 0.22))
"""Direction to each light (camera frame) and its strength."""
_AMBIENT = 0.28
_SUPERSAMPLING = 2
_FOCAL_IN_SIDES = 3.0
_FILL = 0.86
"""How much of the picture's side the largest extent of a mesh takes."""

PALM_VIEW = (1.2092, 1.2092, 1.2092)
"""Turns MANO's frame so that the fingers point up and the palm faces the camera."""


def draw_meshes(
    vertices: Float[Tensor, "meshes verts 3"], faces: Int[np.ndarray, "faces 3"], side_px: int
) -> UInt8[np.ndarray, "meshes side side 3"]:
    """Draw each mesh on white, centred and scaled to fill its picture.

    Args:
        vertices: Metres, OpenCV orientation (x right, y down, z away from the viewer); where
            the meshes lie does not matter.
        faces: Triangles, counter-clockwise seen from outside.
        side_px: Side of each square picture.
    """
    side = side_px * _SUPERSAMPLING
    placed = _place(vertices)
    focal = _FOCAL_IN_SIDES * side
    intrinsics = np.array([[focal, 0, (side - 1) / 2], [0, focal, (side - 1) / 2], [0, 0, 1.0]])
    raster = rasterise(
        placed.numpy().astype(np.float32),
        np.broadcast_to(intrinsics, (len(placed), 3, 3)).astype(np.float32),
        faces,
        height=side,
        width=side,
    )
    normals = vertex_normals(placed, torch.from_numpy(faces.astype(np.int64)))
    shaded = _shade(interpolate(normals.numpy(), faces, raster))
    image = np.where((raster.face_id == NO_FACE)[..., None], _PAPER, shaded)
    blocks = image.reshape(len(placed), side_px, _SUPERSAMPLING, side_px, _SUPERSAMPLING, 3)
    return np.round(blocks.mean(axis=(2, 4)) * 255).astype(np.uint8)


def tile(
    pictures: UInt8[np.ndarray, "n height width 3"], columns: int
) -> UInt8[np.ndarray, "rows_height columns_width 3"]:
    """Lay pictures out row by row; places left over are white."""
    rows = -(-len(pictures) // columns)
    height, width = pictures.shape[1:3]
    sheet = np.full((rows * columns, height, width, 3), 255, np.uint8)
    sheet[: len(pictures)] = pictures
    sheet = sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width, 3)


def turn_about_vertical(
    vertices: Float[Tensor, "*batch verts 3"], angle_rad: float
) -> Float[Tensor, "*batch verts 3"]:
    """Turn meshes about the camera's y axis, for a look from another side."""
    axis_angle = vertices.new_tensor([0.0, angle_rad, 0.0])
    return vertices @ axis_angle_to_matrix(axis_angle).mT


def _place(vertices: Float[Tensor, "meshes verts 3"]) -> Float[Tensor, "meshes verts 3"]:
    low, high = vertices.amin(1, keepdim=True), vertices.amax(1, keepdim=True)
    extent = (high - low)[..., :2].amax(-1, keepdim=True)
    centred = (vertices - (low + high) / 2) / extent * _FILL
    return centred + torch.tensor([0.0, 0.0, _FOCAL_IN_SIDES])


def _shade(
    normals: Float[np.ndarray, "meshes height width 3"],
) -> Float[np.ndarray, "meshes height width 3"]:
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    unit = normals / np.where(length > 0, length, 1)
    # The open wrist shows the inside: light it as if it were the outside.
    unit = np.where(unit[..., 2:] > 0, -unit, unit)
    light = np.full(unit.shape[:-1], _AMBIENT)
    for direction, strength in _LIGHTS:
        towards = np.array(direction) / np.linalg.norm(direction)
        light += strength * np.maximum(unit @ towards, 0)
    return np.clip(_SKIN * light[..., None], 0, 1)
