"""Pictures of reconstructed hands: in their places, and from the side."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from s2hand.drawing import plaster
from s2hand.geometry.cameras import resize_affine
from s2hand.reconstruction import PictureHand
from s2hand.rendering import MeshTopology, render
from s2hand.rendering.pictures import draw_meshes, turn_about_vertical

_MAX_OVERLAY_PX = 1600
_SIDE_VIEW_PX = 512


def draw_on_picture(
    picture: UInt8[np.ndarray, "height width 3"], hands: Sequence[PictureHand]
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Draw hands over their picture, as plaster, so that their shapes are seen.

    The farther hand is drawn first. Pictures with a side above 1600 px are shrunk to that.
    """
    scale = min(1.0, _MAX_OVERLAY_PX / max(picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    drawn = np.asarray(Image.fromarray(picture).resize((width, height))) / 255
    for hand in sorted(hands, key=lambda each: -float(each.vertices[:, 2].mean())):
        drawn = _with_hand(drawn, hand, scale)
    return np.round(drawn.clip(0, 1) * 255).astype(np.uint8)


def _with_hand(
    picture: Float[np.ndarray, "rows columns 3"], hand: PictureHand, scale: float
) -> Float[np.ndarray, "rows columns 3"]:
    camera = resize_affine(torch.tensor([scale]).double()) @ torch.from_numpy(hand.intrinsics_px)
    vertices = torch.from_numpy(hand.vertices[None]).float()
    look = plaster(vertices)
    height, width = picture.shape[:2]
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
    return picture * (1 - covered) + seen.image[0].permute(1, 2, 0).numpy()


def draw_from_side(hand: PictureHand) -> UInt8[np.ndarray, "side side 3"]:
    """Draw a hand by itself, turned by 90° about the camera's vertical, filling its picture."""
    vertices = torch.from_numpy(hand.vertices[None]).float()
    turned = turn_about_vertical(vertices, math.pi / 2)
    return draw_meshes(turned, hand.faces, _SIDE_VIEW_PX)[0]
