"""Batches of a ``FrameTable``: packed images, augmented, with everything else to match."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from s2hand.config import S2HandConfig
from s2hand.data.augmentation import (
    Augmentation,
    crop_boxes,
    draw_crop_boxes,
    draw_rotations_rad,
    jitter_colours,
    margin_boxes,
    rotate_about_centre,
    whole_image_affine,
)
from s2hand.data.packing import pack_images, stored_size_px
from s2hand.data.sample import Batch, FrameTable
from s2hand.errors import DataError
from s2hand.geometry.cameras import crop_affine, transform_keypoints

_MARGIN_FACTOR = 1.5
"""Packed side over input side for sequences: room for jitter at about the input's resolution."""


class FrameDataset:
    """Gives batches of a table's frames at the network's input size.

    Every image is decoded once, when the dataset is built: image collections are resized,
    sequences are cropped to the hand with room for jitter. A batch is then one resampling.
    """

    def __init__(
        self,
        table: FrameTable,
        image_size_px: int,
        *,
        augmentation: Augmentation | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        """Decode and pack the table's images.

        Args:
            table: The frames.
            image_size_px: Side of the network's input.
            augmentation: What is random when a batch is asked for with a generator.
            cache_dir: Where packed images are kept for other processes; None: in memory.

        Raises:
            DataError: If the table is empty, an image is missing, truncated or of another size
                than the first, or the intrinsics do not belong to images of this size.
        """
        if not len(table):
            raise DataError("a dataset must hold at least one frame, got none")
        self.table = table
        self.image_size_px = image_size_px
        self._augmentation = augmentation or Augmentation()
        self._stored_size_px = stored_size_px(table.image_paths[0])
        _check_sizes(table, self._stored_size_px)
        self._intrinsics_px = torch.from_numpy(table.intrinsics_px.astype(np.float64))
        self._extent_px = torch.from_numpy(table.crop_box_px.astype(np.float64))
        self._detected_px = torch.from_numpy(table.detected_keypoints_px.astype(np.float64))
        self._confidence = torch.from_numpy(table.detection_confidence)
        self._packed_affine, boxes_px, side_px = self._plan_packing()
        self._packed = pack_images(
            table.image_paths, boxes_px, self._stored_size_px, side_px, cache_dir
        )

    @classmethod
    def from_config(cls, table: FrameTable, config: S2HandConfig) -> "FrameDataset":
        """Make the dataset that a configuration asks for, of any split's table."""
        data = config.data
        return cls(
            table,
            config.model.image_size_px,
            augmentation=Augmentation(
                rotation_deg=data.sequence_rotation_deg if table.is_cropped else data.rotation_deg,
                crop_jitter=data.crop_jitter,
                colour_jitter=data.colour_jitter,
                crop_size_per_reach=data.crop_size_per_reach,
            ),
            cache_dir=Path(config.runtime.cache_dir) if config.runtime.cache_dir else None,
        )

    def __len__(self) -> int:
        return len(self.table)

    def batch(
        self,
        indices: Int[np.ndarray, "batch"] | Sequence[int],
        *,
        clip_length: int = 1,
        generator: torch.Generator | None = None,
    ) -> Batch:
        """Return the frames of the given rows.

        Args:
            indices: Rows of the table; the frames of a clip are neighbours.
            clip_length: Frames per clip; they share one rotation or jitter.
            generator: Source of the augmentation; its state determines the batch. None: the
                image as it is, or the crop without jitter.
        """
        rows = torch.as_tensor(np.asarray(indices, np.int64))
        if len(rows) % clip_length:
            raise ValueError(
                f"a batch of clips must hold whole clips of {clip_length} frames, got {len(rows)}"
            )
        affine, intrinsics_px = self._view(rows, clip_length, generator)
        packed = torch.from_numpy(np.asarray(self._packed[rows.numpy()]))
        images = packed.to(torch.float32).div_(255)
        to_input = affine @ torch.linalg.inv(self._packed_affine[rows])
        if not _is_identity(to_input) or images.shape[-1] != self.image_size_px:
            images = _resample(images, to_input, self.image_size_px)
        if generator is not None and self._augmentation.colour_jitter > 0:
            images = jitter_colours(
                images,
                self._augmentation.colour_jitter,
                clip_length=clip_length,
                generator=generator,
            )
        return Batch(
            images=images,
            intrinsics_px=intrinsics_px.float(),
            detected_keypoints_px=transform_keypoints(self._detected_px[rows], affine).float(),
            detection_confidence=self._confidence[rows],
            sample_index=rows,
            clip_length=clip_length,
        )

    def _plan_packing(self) -> tuple[Float[Tensor, "n 3 3"], Float[np.ndarray, "n 4"], int]:
        """Return the map stored → packed, the boxes to cut out, and the packed side."""
        if self.table.is_cropped:
            boxes = margin_boxes(
                self._extent_px,
                self._stored_size_px,
                size_per_reach=self._augmentation.crop_size_per_reach,
            )
            side_px = math.ceil(_MARGIN_FACTOR * self.image_size_px)
        else:
            width, height = self._stored_size_px
            edges = torch.tensor([-0.5, -0.5, width - 0.5, height - 0.5], dtype=torch.float64)
            boxes, side_px = edges.expand(len(self.table), 4), self.image_size_px
        return crop_affine(boxes, side_px), boxes.numpy(), side_px

    def _view(
        self, rows: Int[Tensor, "batch"], clip_length: int, generator: torch.Generator | None
    ) -> tuple[Float[Tensor, "batch 3 3"], Float[Tensor, "batch 3 3"]]:
        """Return the map stored → input pixels of each frame, and the input's camera."""
        if self.table.is_cropped:
            extent = self._extent_px[rows]
            if generator is None or not self._augmentation.crop_jitter:
                boxes = crop_boxes(
                    extent,
                    self._stored_size_px,
                    size_per_reach=self._augmentation.crop_size_per_reach,
                )
            else:
                boxes = draw_crop_boxes(
                    extent,
                    self._stored_size_px,
                    clip_length=clip_length,
                    generator=generator,
                    size_per_reach=self._augmentation.crop_size_per_reach,
                )
            affine = crop_affine(boxes, self.image_size_px)
        else:
            affine = whole_image_affine(self._stored_size_px[0], self.image_size_px)
            affine = affine.expand(len(rows), 3, 3)
        intrinsics = affine @ self._intrinsics_px[rows]
        if generator is None or self._augmentation.rotation_deg == 0:
            return affine, intrinsics
        angles = draw_rotations_rad(
            len(rows), self._augmentation.rotation_deg, clip_length=clip_length, generator=generator
        )
        turn, intrinsics = rotate_about_centre(intrinsics, angles, self.image_size_px)
        return turn @ affine, intrinsics


def _resample(
    images: Float[Tensor, "batch 3 side side"], affine: Float[Tensor, "batch 3 3"], size_px: int
) -> Float[Tensor, "batch 3 size size"]:
    """Move image content by a map of pixels; bilinear, black outside."""
    side_px = images.shape[-1]
    # grid_sample counts from -1 to 1 between the outer edges of the first and last pixel.
    to_normalised = _edge_map(side_px)
    from_normalised = torch.linalg.inv(_edge_map(size_px))
    theta = to_normalised @ torch.linalg.inv(affine) @ from_normalised
    shape = [len(images), 3, size_px, size_px]
    grid = functional.affine_grid(theta[:, :2].float(), shape, align_corners=False)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


def _edge_map(side_px: int) -> Float[Tensor, "3 3"]:
    scale, offset = 2 / side_px, 1 / side_px - 1
    return torch.tensor([[scale, 0, offset], [0, scale, offset], [0, 0, 1]], dtype=torch.float64)


def _is_identity(affine: Float[Tensor, "batch 3 3"]) -> bool:
    return bool(torch.allclose(affine, torch.eye(3, dtype=affine.dtype), rtol=0, atol=1e-9))


def _check_sizes(table: FrameTable, stored_px: tuple[int, int]) -> None:
    width, height = stored_px
    if not table.is_cropped and width != height:
        raise DataError(
            f"{table.image_paths[0]}: images of a collection must be square, got {width}x{height}"
        )
    centre = (np.array(stored_px) - 1) / 2
    offset = np.abs(table.intrinsics_px[:, :2, 2] - centre) / stored_px
    wrong = np.flatnonzero((offset > 0.25).any(axis=1))
    if len(wrong):
        row = int(wrong[0])
        x, y = table.intrinsics_px[row, :2, 2]
        raise DataError(
            f"{table.image_paths[row]}: the intrinsics' principal point must lie in the middle "
            f"half of the {width}x{height} px image, got ({x:.1f}, {y:.1f}); images and intrinsics "
            "are of different sizes: use the images that the annotations were made for"
        )
