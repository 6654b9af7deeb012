"""Left hands of a table as right ones."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int64

from s2hand.data.sample import FrameTable
from s2hand.geometry.mirroring import (
    mirror_boxes,
    mirror_intrinsics,
    mirror_pixels,
    mirror_points,
    mirror_rotations,
)


def mirror_left_hands(
    table: FrameTable, is_left: Bool[np.ndarray, "n"], width_px: Int64[np.ndarray, "n"]
) -> FrameTable:
    """Mirror the rows of left hands: keypoints, camera, box and truth; images when they are read.

    A keypoint that was not found stays at (0, 0).

    Args:
        table: Frames as they are stored, none mirrored yet.
        is_left: Which rows are of left hands.
        width_px: Width of every stored image.
    """
    assert table.is_mirrored is None
    if not is_left.any():
        return table
    width = width_px.astype(np.float32)
    found = (table.detection_confidence > 0)[..., None] & is_left[:, None, None]
    keypoints_px = table.detected_keypoints_px

    def where_left(mirrored: np.ndarray, stored: np.ndarray) -> np.ndarray:
        return np.where(is_left.reshape(-1, *[1] * (stored.ndim - 1)), mirrored, stored)

    def truth(
        mirror: Callable[[np.ndarray], np.ndarray], stored: np.ndarray | None
    ) -> np.ndarray | None:
        return None if stored is None else where_left(mirror(stored), stored)

    cameras = mirror_intrinsics(table.intrinsics_px, width)
    return replace(
        table,
        is_mirrored=is_left,
        detected_keypoints_px=np.where(found, mirror_pixels(keypoints_px, width), keypoints_px),
        intrinsics_px=where_left(cameras, table.intrinsics_px),
        crop_box_px=where_left(mirror_boxes(table.crop_box_px, width), table.crop_box_px),
        joints=truth(mirror_points, table.joints),
        vertices=truth(mirror_points, table.vertices),
        rotations=truth(mirror_rotations, table.rotations),
    )
