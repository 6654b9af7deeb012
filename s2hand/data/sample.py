"""What a dataset is (``FrameTable``) and what a training step sees of it (``Batch``)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from s2hand.data.transfer import to_device
from s2hand.errors import DataError
from s2hand.hand.fingertips import S2HAND_FINGERTIPS, Fingertips


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameTable:
    """One split of a dataset: a row per frame, images by path, everything else in memory.

    Convention:
        Joints in OpenPose order, metres, OpenCV camera frame. Pixels are those of the stored
        image, (0, 0) being the centre of its top-left pixel. All hands are right ones: of a left
        hand everything but the stored image is mirrored.
    """

    sample_ids: tuple[str, ...]
    image_paths: tuple[Path, ...]
    intrinsics_px: Float32[np.ndarray, "n 3 3"]
    sequences: tuple[str, ...]
    """Name of the frame's sequence; empty in image collections."""
    frames: Int64[np.ndarray, "n"]
    """True frame number within the sequence (in a collection: the image's number)."""
    detected_keypoints_px: Float32[np.ndarray, "n 21 2"]
    detection_confidence: Float32[np.ndarray, "n 21"]
    crop_box_px: Float32[np.ndarray, "n 4"]
    """The hand's extent x0, y0, x1, y1, without padding; NaN in collections, which are not
    cropped."""
    joints: Float32[np.ndarray, "n 21 3"] | None = None
    vertices: Float32[np.ndarray, "n 778 3"] | None = None
    rotations: Float32[np.ndarray, "n 16 3"] | None = None
    """True full axis-angle pose, wrist first, without a mean pose (flat hand is zero)."""
    is_mirrored: Bool[np.ndarray, "n"] | None = None
    """Whether the frame's hand is a left one: the image is to be mirrored, all else is already.
    None: no hand is."""
    copies: tuple[tuple[Path, ...], ...] | None = None
    """Further images of each frame, as large and with the same hand, camera and keypoints, before
    another background: training draws one of all its images anew each time. None: no frame has
    any."""
    has_camera: Bool[np.ndarray, "n"] | None = None
    """Whether the frame's camera is known; else its intrinsics are assumed. None: all are."""
    fingertips: Fingertips = S2HAND_FINGERTIPS
    """Vertices at which the fingertips of ``joints`` lie; the set's, not a column."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What a result must say of the set's files (subject → text); the set's, not a column."""

    def __post_init__(self) -> None:
        for column in fields(self):
            values = getattr(self, column.name)
            if (
                column.name not in {"fingertips", "notes"}
                and values is not None
                and len(values) != len(self.sample_ids)
            ):
                raise DataError(
                    f"FrameTable.{column.name} must have one entry per sample "
                    f"({len(self.sample_ids)}), got {len(values)}"
                )
        uncropped = np.isnan(self.crop_box_px).any(axis=1)
        if uncropped.any() and not uncropped.all():
            raise DataError(
                "FrameTable.crop_box_px must hold a box for every frame or NaN for every frame, "
                f"got NaN for {int(uncropped.sum())} of {len(uncropped)} frames"
            )

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def is_cropped(self) -> bool:
        """Whether frames are cropped to the hand before they enter the network."""
        return len(self) > 0 and not bool(np.isnan(self.crop_box_px).any())

    def select(self, rows: Int64[np.ndarray, "rows"]) -> "FrameTable":
        """Return a table of the given rows, in their order."""

        def pick(values: tuple) -> tuple:
            return tuple(values[row] for row in rows)

        return replace(
            self,
            sample_ids=pick(self.sample_ids),
            image_paths=pick(self.image_paths),
            sequences=pick(self.sequences),
            intrinsics_px=self.intrinsics_px[rows],
            frames=self.frames[rows],
            detected_keypoints_px=self.detected_keypoints_px[rows],
            detection_confidence=self.detection_confidence[rows],
            crop_box_px=self.crop_box_px[rows],
            joints=None if self.joints is None else self.joints[rows],
            vertices=None if self.vertices is None else self.vertices[rows],
            rotations=None if self.rotations is None else self.rotations[rows],
            is_mirrored=None if self.is_mirrored is None else self.is_mirrored[rows],
            copies=None if self.copies is None else pick(self.copies),
            has_camera=None if self.has_camera is None else self.has_camera[rows],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What one step sees. In a batch of clips, the frames of a clip are neighbours."""

    images: Float[Tensor, "batch 3 size size"]
    """RGB, 0 to 1."""
    intrinsics_px: Float[Tensor, "batch 3 3"]
    """Camera of the input image, in input pixels."""
    camera_rotation: Float[Tensor, "batch 3 3"]
    """How that camera is turned: x_dataset = camera_rotation · x_input, between its frame and the
    dataset camera's, in which predictions and truth are."""
    detected_keypoints_px: Float[Tensor, "batch 21 2"]
    """Detections in input pixels."""
    detection_confidence: Float[Tensor, "batch 21"]
    sample_index: Int64[Tensor, "batch"]
    """Row of the ``FrameTable``."""
    clip_length: int = 1
    """Frames per clip; 1 for independent frames."""
    joints: Float[Tensor, "batch 21 3"] | None = None
    """True joints, metres, the dataset camera's frame; None: not for this training to see."""

    def to(self, device: torch.device) -> "Batch":
        """Bring tensors to a device, but for ``sample_index``, which names frames to people.

        To CUDA they are copied without waiting until they are there.
        """
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {
            name: to_device(values, device)
            for name, values in columns.items()
            if isinstance(values, Tensor) and name != "sample_index"
        }
        return replace(self, **moved)
