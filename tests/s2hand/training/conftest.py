"""A tiny training: a few noise images in sequences, and a model that trains in milliseconds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import s2hand.data.mixture
import s2hand.training.loop
from s2hand.config import (
    ClipConfig,
    LossConfig,
    LossWeights,
    ModelConfig,
    OptimiserConfig,
    S2HandConfig,
    StageConfig,
)
from s2hand.config import DataConfig as Data
from s2hand.data.dataset import FrameDataset
from s2hand.data.record import DatasetRecord, TrainingData
from s2hand.data.sample import FrameTable
from s2hand.training.context import LocalContext

NUM_FRAMES = 16
IMAGE_SIZE_PX = 32
FINGERPRINT = "0" * 64
"""Of the tiny table, which lies in no folder."""
RECORD = DatasetRecord(
    name="ho3d", version="", origin="own", why_not_official="16 frames of noise", split="train",
    frames=NUM_FRAMES, sequences=2, kind="sequences", handedness="right", truth=(),
    detections=True, intrinsics=True, image_formats=(".png",), image_size_px=(64, 48),
)  # fmt: skip


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> FrameTable:
    """Two sequences of eight noise images with plausible keypoints."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(3)
    paths = []
    for index in range(NUM_FRAMES):
        paths.append(folder / f"{index:04d}.png")
        pixels = random.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    keypoints = random.uniform([20, 14], [44, 34], (NUM_FRAMES, 21, 2)).astype(np.float32)
    box = np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1)
    camera = np.array([[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1]], np.float32)
    return FrameTable(
        sample_ids=tuple(f"S{index // 8}/{index % 8:04d}" for index in range(NUM_FRAMES)),
        image_paths=tuple(paths),
        intrinsics_px=np.tile(camera, (NUM_FRAMES, 1, 1)),
        sequences=tuple(f"S{index // 8}" for index in range(NUM_FRAMES)),
        frames=np.arange(NUM_FRAMES, dtype=np.int64) % 8,
        detected_keypoints_px=keypoints,
        detection_confidence=random.uniform(0.2, 1, (NUM_FRAMES, 21)).astype(np.float32),
        crop_box_px=box,
    )


def true_joints() -> np.ndarray:
    return np.random.default_rng(4).normal(size=(NUM_FRAMES, 21, 3)).astype(np.float32)


@pytest.fixture
def config() -> S2HandConfig:
    """A stage for each branch, then both on clips with the quaternion loss."""
    return S2HandConfig(
        model=ModelConfig(encoder="convnet", pretrained="none", image_size_px=IMAGE_SIZE_PX,
                          keypoint_stacks=1, keypoint_channels=8),
        losses=LossConfig(weights=LossWeights(quaternion=0.05)),
        data=Data(dataset="ho3d"),
        clips=ClipConfig(num_frames=2, frame_interval=2, frames_per_batch=8),
        stages=(
            StageConfig(name="image", epochs=2, learning_rate=1e-3, decay_every_epochs=1,
                        decay_factor=0.5, branch="3d"),
            StageConfig(name="keypoints", epochs=1, learning_rate=1e-3, decay_every_epochs=1,
                        decay_factor=0.5, branch="2d"),
            StageConfig(name="motion", epochs=2, learning_rate=1e-4, decay_every_epochs=1,
                        decay_factor=0.5, samples="clips"),
        ),
        optimiser=OptimiserConfig(batch_size=8),
    )  # fmt: skip


@pytest.fixture
def in_tiny_data(monkeypatch: pytest.MonkeyPatch, table: FrameTable) -> None:
    """Let trainings read the tiny table instead of a folder."""
    known = replace(table, joints=true_joints())

    def load(config: S2HandConfig) -> FrameTable:
        return known if config.data.supervision == "3d" else table

    monkeypatch.setattr(s2hand.data.mixture, "load_train", load)
    data = TrainingData(fingerprint=FINGERPRINT, record=RECORD)
    monkeypatch.setattr(s2hand.training.loop, "identify_training_data", lambda _: data)


@pytest.fixture
def make_context(tmp_path: Path) -> Callable[..., LocalContext]:
    """Make contexts whose trials share one folder of stages and record their reports."""

    def make(trial: str = "trial", on_report: Callable | None = None) -> LocalContext:
        return LocalContext(
            checkpoint_dir=tmp_path / "checkpoints" / trial,
            stage_dir=tmp_path / "stages",
            on_report=on_report,
        )

    return make


@pytest.fixture
def one_stage(config: S2HandConfig) -> S2HandConfig:
    """The stage of clips alone."""
    return replace(config, stages=config.stages[-1:])


@pytest.fixture
def batch(table):
    """Four clips of two frames with true joints, one frame without any confidence."""
    confidence = table.detection_confidence.copy()
    confidence[3] = 0
    known = replace(table, detection_confidence=confidence, joints=true_joints())
    dataset = FrameDataset(known, 32, with_joints=True)
    return dataset.batch(np.arange(8), clip_length=2)
