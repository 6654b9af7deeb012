"""Pictures of a reconstructed hand: in its place, and from the side."""

import math

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from s2hand.drawing import plaster
from s2hand.geometry.cameras import resize_affine
from s2hand.reconstruction import PictureHand
from s2hand.rendering import MeshTopology, render
from s2hand.rendering.pictures import draw_meshes, turn_about_vertical

_MAX_OVERLAY_PX = 1600
_SIDE_VIEW_PX = 512


def draw_on_picture(
    picture: UInt8[np.ndarray, "height width 3"], hand: PictureHand
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Draw a hand over its picture, as plaster, so that its shape is seen.

    Pictures with a side above 1600 px are shrunk to that.
    """
    scale = min(1.0, _MAX_OVERLAY_PX / max(picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    small = np.asarray(Image.fromarray(picture).resize((width, height))) / 255
    camera = resize_affine(torch.tensor([scale]).double()) @ torch.from_numpy(hand.intrinsics_px)
    vertices = torch.from_numpy(hand.vertices[None]).float()
    look = plaster(vertices)
    seen = render(
        vertices,
        MeshTopology.from_faces(torch.from_numpy(hand.faces), len(hand.vertices)),
        look.albedo,
        look.lighting,
        camera.float(),
        height=height,
        width=width,
    )
    covered = seen.silhouette[0, ..., None].numpy()
    drawn = small * (1 - covered) + seen.image[0].permute(1, 2, 0).numpy()
    return np.round(drawn.clip(0, 1) * 255).astype(np.uint8)


def draw_from_side(hand: PictureHand) -> UInt8[np.ndarray, "side side 3"]:
    """Draw a hand by itself, turned by 90° about the camera's vertical, filling its picture."""
    vertices = torch.from_numpy(hand.vertices[None]).float()
    turned = turn_about_vertical(vertices, math.pi / 2)
    return draw_meshes(turned, hand.faces, _SIDE_VIEW_PX)[0]
