"""Small tables of frames with one bright blob each, for the tests of what becomes of images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from s2hand.data.sample import Batch, FrameTable
from s2hand.geometry.cameras import project


def blob_image(width: int, height: int, centre: np.ndarray, sigma: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    value = 255 * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * sigma**2))
    return np.repeat(value[..., None], 3, axis=2).astype(np.uint8)


def centroid(image: torch.Tensor) -> np.ndarray:
    weight = image[0].numpy().astype(np.float64)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def blob_table(
    folder: Path, *, width: int, height: int, cropped: bool, count: int = 4
) -> FrameTable:
    """Frames with one bright blob, which is where keypoint 0 is detected."""
    random = np.random.default_rng(0)
    size = np.array([width, height])
    joints = random.normal(scale=0.02, size=(count, 21, 3)) + np.array([0, 0, 0.6])
    joints[:, 0, :2] += random.uniform(-0.03, 0.03, (count, 2))
    camera = np.array([[width * 1.1, 0, width / 2 + 1.3], [0, width * 1.08, height / 2 - 0.7]])
    keypoints = (joints @ np.vstack([camera, [0, 0, 1]]).T)[..., :2] / joints[..., 2:]
    paths = []
    folder = folder / ("sequence" if cropped else "collection")
    folder.mkdir()
    for frame in range(count):
        paths.append(folder / f"{frame:04d}.png")
        pixels = blob_image(width, height, keypoints[frame, 0], sigma=width / 80)
        Image.fromarray(pixels).save(paths[-1])
    assert np.all((keypoints[:, 0] > 0.2 * size) & (keypoints[:, 0] < 0.8 * size))
    extent = np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1)
    return FrameTable(
        sample_ids=tuple(f"A/{frame:04d}" for frame in range(count)),
        image_paths=tuple(paths),
        intrinsics_px=np.tile(np.vstack([camera, [0, 0, 1]]), (count, 1, 1)).astype(np.float32),
        sequences=("A" if cropped else "",) * count,
        frames=np.arange(count),
        detected_keypoints_px=keypoints.astype(np.float32),
        detection_confidence=np.full((count, 21), 0.7, np.float32),
        crop_box_px=(extent if cropped else np.full((count, 4), np.nan)).astype(np.float32),
        joints=joints.astype(np.float32),
    )


def seen_joints(table: FrameTable, batch: Batch) -> torch.Tensor:
    """Project the table's true joints into the batch's images."""
    joints = torch.from_numpy(table.joints[batch.sample_index.numpy()])
    return project(joints @ batch.camera_rotation, batch.intrinsics_px)


def with_copies(table: FrameTable, folder: Path) -> FrameTable:
    """Give each frame but the last two more images, of one colour each."""
    copies = []
    for row, path in enumerate(table.image_paths):
        with Image.open(path) as image:
            size = image.size
        paths = [folder / f"copy{row}_{n}.png" for n in range(2)]
        for n, copy in enumerate(paths):
            Image.new("RGB", size, (40 * (n + 1), 10 * row, 0)).save(copy)
        copies.append(tuple(paths) if row < len(table) - 1 else ())
    return replace(table, copies=tuple(copies))
