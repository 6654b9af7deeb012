"""Batches of a ``FrameTable``: packed images, augmented, with everything else to match."""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from s2hand.config import HandFrame, S2HandConfig
from s2hand.data.augmentation import (
    Augmentation,
    crop_boxes,
    draw_colour_maps,
    draw_crop_boxes,
    draw_picture_boxes,
    draw_rotations_rad,
    extreme_crop_boxes,
    map_colours,
    margin_boxes,
)
from s2hand.data.packing import PackingProgress, pack_images, stored_sizes_px
from s2hand.data.resampling import is_identity, resample
from s2hand.data.sample import Batch, FrameTable
from s2hand.data.transfer import PackedPixels
from s2hand.errors import DataError
from s2hand.geometry.cameras import (
    CameraView,
    affine_view,
    crop_affine,
    transform_keypoints,
    turn_in_plane,
    turned_view,
)

_NAMED = 10
"""So many damaged images are named; a check names all."""
_MARGIN_FACTOR = 1.5
"""Packed side over input side where there is jitter: room at about the input's resolution."""


class FrameDataset:
    """Gives batches of a table's frames at the network's input size.

    Every image is decoded once, when the dataset is built: image collections are resized, sequences
    are cropped to the hand with room for jitter. A batch is then one resampling, from the packed
    square to the picture of the view's camera. Images may differ in size. One that cannot be
    decoded is left out, and named in the notes of ``table``.

    Random numbers are drawn on the CPU, and images resampled on the device that ``to`` names: each
    device sees the same frames in the same views, and colours to a rounding.
    """

    def __init__(
        self,
        table: FrameTable,
        image_size_px: int,
        *,
        frame: HandFrame = "turned_camera",
        with_joints: bool = False,
        augmentation: Augmentation | None = None,
        cache_dir: Path | None = None,
        progress: PackingProgress | None = None,
    ) -> None:
        """Decode and pack the table's images.

        Args:
            table: The frames.
            image_size_px: Side of the network's input.
            frame: Whether a sequence's crop is the picture of a camera turned to the crop's
                centre, or an affine part of the dataset camera's picture.
            with_joints: Whether batches hold the true joints, where the table has them.
            augmentation: What is random when a batch is asked for with a generator.
            cache_dir: Where packed images are kept for other processes; None: in memory.
            progress: Is told of the packing, where the images are not packed already.

        Raises:
            DataError: If the table is empty, an image is missing, more than one image in a hundred
                is damaged, an image of a collection is not square, a copy is not as large as its
                original, or the intrinsics do not belong to an image of its size.
        """
        if not len(table):
            raise DataError("a dataset must hold at least one frame, got none")
        self.image_size_px = image_size_px
        self._augmentation = augmentation or Augmentation()
        self._frame = frame
        self._with_joints = with_joints
        self._hold(table, stored_sizes_px(table.image_paths))
        boxes_px, side_px = self._plan_packing()
        packing = _Packing(table)
        packed = pack_images(
            packing.paths,
            boxes_px.numpy()[packing.rows],
            side_px,
            cache_dir,
            is_mirrored=None if table.is_mirrored is None else table.is_mirrored[packing.rows],
            progress=progress,
        )
        self.pixels = PackedPixels(packed.pixels)
        """The packed images, and where batches are made."""
        rows, self._images_of, self._num_images = packing.readable(packed.damaged)
        if packed.damaged:
            told = _damage_note(packing.paths, packed.damaged)
            whole = replace(table, notes={**table.notes, "damaged images": told})
            self._hold(whole.select(rows), self._stored_px.numpy()[rows].astype(np.int64))
        self._from_packed = torch.linalg.inv(crop_affine(boxes_px[torch.from_numpy(rows)], side_px))

    def _hold(self, table: FrameTable, stored_px: Int[np.ndarray, "n 2"]) -> None:
        """Keep a table, and what batches need of it as tensors."""
        _check_sizes(table, stored_px)
        self.table = table
        """The frames whose images can be read."""
        self._stored_px = torch.from_numpy(stored_px).double()
        self._intrinsics_px = torch.from_numpy(table.intrinsics_px.astype(np.float64))
        self._extent_px = torch.from_numpy(table.crop_box_px.astype(np.float64))
        self._detected_px = torch.from_numpy(table.detected_keypoints_px.astype(np.float64))
        self._confidence = torch.from_numpy(table.detection_confidence)
        has_joints = self._with_joints and table.joints is not None
        self._joints = torch.from_numpy(table.joints) if has_joints else None

    @classmethod
    def from_config(
        cls, table: FrameTable, config: S2HandConfig, *, progress: PackingProgress | None = None
    ) -> "FrameDataset":
        """Make the dataset that a configuration asks for, of any split's table."""
        data = config.data
        return cls(
            table,
            config.model.image_size_px,
            frame=config.model.frame,
            with_joints=data.supervision == "3d",
            augmentation=Augmentation(
                rotation_deg=data.sequence_rotation_deg if table.is_cropped else data.rotation_deg,
                crop_jitter=data.crop_jitter,
                picture_jitter=data.picture_jitter,
                colour_jitter=data.colour_jitter,
                crop_size_per_reach=data.crop_size_per_reach,
            ),
            cache_dir=Path(config.runtime.cache_dir) if config.runtime.cache_dir else None,
            progress=progress,
        )

    def to(self, device: torch.device, *, holds_pixels: bool) -> "FrameDataset":
        """Return the same frames, whose batches are made on a device.

        Args:
            device: With its number, if there are several.
            holds_pixels: Whether all packed images are brought there now.
        """
        moved = copy(self)
        moved.pixels = self.pixels.to(device, is_held=holds_pixels)
        return moved

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
        view = self._view(rows, clip_length, generator)
        images = self.pixels.take(self._drawn_images(rows, generator)).to(torch.float32).div_(255)
        to_input = view.pixel_map @ self._from_packed[rows]
        if not is_identity(to_input) or images.shape[-1] != self.image_size_px:
            images = resample(images, to_input, self.image_size_px)
        if generator is not None and self._augmentation.colour_jitter > 0:
            maps = draw_colour_maps(
                len(rows),
                self._augmentation.colour_jitter,
                clip_length=clip_length,
                generator=generator,
            )
            images = map_colours(images, maps)
        return Batch(
            images=images,
            intrinsics_px=view.intrinsics_px.float(),
            camera_rotation=view.rotation.float(),
            detected_keypoints_px=transform_keypoints(
                self._detected_px[rows], view.pixel_map
            ).float(),
            detection_confidence=self._confidence[rows],
            sample_index=rows,
            clip_length=clip_length,
            joints=None if self._joints is None else self._joints[rows],
        ).to(self.pixels.device)

    def _drawn_images(
        self, rows: Int[Tensor, "batch"], generator: torch.Generator | None
    ) -> Int[np.ndarray, "batch"]:
        """Return the packed image of each frame, one of its copies; the first without generator.

        Nothing is drawn for a table without copies, whose batches so follow from the same numbers
        as ever.
        """
        chosen = rows.numpy()
        if generator is None or self._num_images.max() == 1:
            return self._images_of[chosen, 0]
        uniform = torch.rand(len(rows), generator=generator, dtype=torch.float64).numpy()
        draws = (uniform * self._num_images[chosen]).astype(np.int64)
        return self._images_of[chosen, draws]

    def _plan_packing(self) -> tuple[Float[Tensor, "n 4"], int]:
        """Return the box to cut out of each stored image, and the packed side."""
        if not self.table.is_cropped:
            is_jittered = self._augmentation.picture_jitter > 0
            side_px = _MARGIN_FACTOR * self.image_size_px if is_jittered else self.image_size_px
            return _whole_boxes(self._stored_px), math.ceil(side_px)
        place = (self._extent_px, self._stored_px)
        size_per_reach = self._augmentation.crop_size_per_reach
        boxes = margin_boxes(*place, size_per_reach=size_per_reach)
        if self._frame == "turned_camera":
            extremes = extreme_crop_boxes(*place, size_per_reach=size_per_reach)
            cameras = self._intrinsics_px.expand(len(extremes), *self._intrinsics_px.shape)
            views = turned_view(cameras, extremes, self.image_size_px)
            boxes = _boxes_around(views, self.image_size_px, self._stored_px, boxes)
        return boxes, math.ceil(_MARGIN_FACTOR * self.image_size_px)

    def _view(
        self, rows: Int[Tensor, "batch"], clip_length: int, generator: torch.Generator | None
    ) -> CameraView:
        """Return how the network sees each frame."""
        intrinsics_px, stored_px = self._intrinsics_px[rows], self._stored_px[rows]
        if not self.table.is_cropped:
            affine = crop_affine(self._picture_boxes(stored_px, generator), self.image_size_px)
            view = affine_view(intrinsics_px, affine)
        else:
            boxes = self._crop_boxes(self._extent_px[rows], stored_px, clip_length, generator)
            if self._frame == "turned_camera":
                view = turned_view(intrinsics_px, boxes, self.image_size_px)
            else:
                view = affine_view(intrinsics_px, crop_affine(boxes, self.image_size_px))
        if generator is None or self._augmentation.rotation_deg == 0:
            return view
        angles = draw_rotations_rad(
            len(rows), self._augmentation.rotation_deg, clip_length=clip_length, generator=generator
        )
        return turn_in_plane(view, angles, self.image_size_px)

    def _picture_boxes(
        self, stored_px: Float[Tensor, "batch 2"], generator: torch.Generator | None
    ) -> Float[Tensor, "batch 4"]:
        strength = self._augmentation.picture_jitter
        if generator is None or strength == 0:
            return _whole_boxes(stored_px)
        return draw_picture_boxes(stored_px[:, 0], strength, generator=generator)

    def _crop_boxes(
        self,
        extent_px: Float[Tensor, "batch 4"],
        stored_px: Float[Tensor, "batch 2"],
        clip_length: int,
        generator: torch.Generator | None,
    ) -> Float[Tensor, "batch 4"]:
        size_per_reach = self._augmentation.crop_size_per_reach
        if generator is None or not self._augmentation.crop_jitter:
            return crop_boxes(extent_px, stored_px, size_per_reach=size_per_reach)
        return draw_crop_boxes(
            extent_px,
            stored_px,
            clip_length=clip_length,
            generator=generator,
            size_per_reach=size_per_reach,
        )


class _Packing:
    """Which images are packed: those of every frame, its copies behind its own."""

    def __init__(self, table: FrameTable) -> None:
        every = [
            (path, *copies)
            for path, copies in zip(
                table.image_paths, table.copies or ((),) * len(table), strict=True
            )
        ]
        if table.copies is not None:
            _check_copies(every)
        self.paths = [path for paths in every for path in paths]
        self.rows = np.repeat(np.arange(len(table)), [len(paths) for paths in every])
        """The frame of each image."""

    def readable(
        self, damaged: Mapping[int, str]
    ) -> tuple[
        Int64[np.ndarray, "kept"], Int64[np.ndarray, "kept most"], Int64[np.ndarray, "kept"]
    ]:
        """Return the frames with an image, the numbers of their images, and how many they are."""
        whole = np.array([n for n in range(len(self.paths)) if n not in damaged], np.int64)
        rows, firsts, counts = np.unique(self.rows[whole], return_index=True, return_counts=True)
        places = firsts[:, None] + np.minimum(np.arange(counts.max()), counts[:, None] - 1)
        return rows, whole[places], counts


def _check_copies(every: Sequence[tuple[Path, ...]]) -> None:
    for original, *copies in every:
        sizes_px = stored_sizes_px([original, *copies])
        wrong = np.flatnonzero((sizes_px != sizes_px[0]).any(axis=1))
        if len(wrong):
            copy = copies[int(wrong[0]) - 1]
            raise DataError(
                f"{copy}: a copy must be as large as its original, got "
                f"{'x'.join(map(str, sizes_px[wrong[0]]))} and "
                f"{'x'.join(map(str, sizes_px[0]))} px of {original.name}"
            )


def _damage_note(paths: Sequence[Path], damaged: Mapping[int, str]) -> str:
    names = [f"{paths[n].parent.name}/{paths[n].name}" for n in sorted(damaged)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"{len(names):,} of {len(paths):,} cannot be decoded and are left out: "
        f"{', '.join(names[:_NAMED])}{more}"
    )


def _whole_boxes(stored_px: Float[Tensor, "n 2"]) -> Float[Tensor, "n 4"]:
    return torch.cat((torch.full_like(stored_px, -0.5), stored_px - 0.5), dim=1)


def _boxes_around(
    views: CameraView,
    view_size_px: int,
    stored_px: Float[Tensor, "n 2"],
    smallest_px: Float[Tensor, "n 4"],
) -> Float[Tensor, "n 4"]:
    """Return square boxes that hold what several views of each image see of it.

    They are no smaller than ``smallest_px``, so that the packed square is not finer than it would
    be for affine crops: a batch's resampling does not smooth.
    """
    low, high = -0.5, view_size_px - 0.5
    corners = torch.tensor([[low, low], [high, low], [low, high], [high, high]]).double()
    rays = torch.linalg.inv(views.pixel_map) @ torch.cat((corners, torch.ones(4, 1)), dim=1).T
    # A corner at or behind the horizon lies endlessly far out in its direction.
    seen_px = rays[..., :2, :] / rays[..., 2:, :].clamp(min=1e-9)
    seen_low, seen_high = seen_px.amin(dim=(0, 3)), seen_px.amax(dim=(0, 3))
    edges = _whole_boxes(stored_px)
    seen_low = seen_low.clamp(edges[:, :2], edges[:, 2:])
    seen_high = seen_high.clamp(edges[:, :2], edges[:, 2:])
    side = (seen_high - seen_low).amax(dim=1, keepdim=True)
    side = torch.maximum(side, smallest_px[:, 2:3] - smallest_px[:, :1])
    centre = (seen_low + seen_high) / 2
    return torch.cat((centre - side / 2, centre + side / 2), dim=1)


def _check_sizes(table: FrameTable, stored_px: Int[np.ndarray, "n 2"]) -> None:
    if not table.is_cropped:
        oblong = np.flatnonzero(stored_px[:, 0] != stored_px[:, 1])
        if len(oblong):
            row = int(oblong[0])
            width, height = stored_px[row]
            raise DataError(
                f"{table.image_paths[row]}: images of a collection are resized whole and must be "
                f"square, got {width}x{height} px; cut a square around the hand, with intrinsics "
                "and keypoints to match"
            )
    centre = (stored_px - 1) / 2
    offset = np.abs(table.intrinsics_px[:, :2, 2] - centre) / stored_px
    wrong = np.flatnonzero((offset > 0.25).any(axis=1))
    if len(wrong):
        row = int(wrong[0])
        x, y = table.intrinsics_px[row, :2, 2]
        width, height = stored_px[row]
        raise DataError(
            f"{table.image_paths[row]}: the intrinsics' principal point must lie in the middle "
            f"half of the {width}x{height} px image, got ({x:.1f}, {y:.1f}); images and intrinsics "
            "are of different sizes: use the images that the annotations were made for"
        )
