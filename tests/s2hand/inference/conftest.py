"""A tiny model with all parts and random weights, and hand models of a user's own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from s2hand.config import ModelConfig, S2HandConfig
from s2hand.data.sample import FrameTable
from s2hand.geometry.rotations import axis_angle_to_matrix
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.export import export_hand_model
from s2hand.hand.fingertips import HO3D_FINGERTIPS
from s2hand.hand.layer import HandLayer
from s2hand.model import S2Hand
from s2hand.trained_model import ModelRecord, save_model

SIZE_PX = 32
NUM_FRAMES = 12


@pytest.fixture(autouse=True)
def _without_a_hand_model_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S2HAND_MANO", raising=False)


@pytest.fixture
def config() -> S2HandConfig:
    return S2HandConfig(
        model=ModelConfig(encoder="convnet", pretrained="none", image_size_px=SIZE_PX,
                          keypoint_stacks=2, keypoint_channels=8),
    )  # fmt: skip


@pytest.fixture
def make_model() -> Callable[[S2HandConfig], S2Hand]:
    """Make models that see a difference between images, though nobody trained them."""

    def make(config: S2HandConfig) -> S2Hand:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            model = S2Hand(config, use_pretrained=False)
            images = torch.rand(16, 3, SIZE_PX, SIZE_PX) * torch.rand(16, 3, 1, 1)
        for layer in model.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
                layer.momentum = 1.0
        with torch.no_grad():
            # Normalised to these images, features differ from image to image.
            cameras = torch.tensor([[60.0, 0, 15.5], [0, 60, 15.5], [0, 0, 1]]).repeat(16, 1, 1)
            straight = torch.eye(3).expand(16, 3, 3)
            model.train()(images, cameras, straight, outputs=model.outputs - {"rendering"})
        return model.to(memory_format=model.memory_format).eval()  # type: ignore[call-overload]

    return make


@pytest.fixture
def model(config: S2HandConfig, make_model: Callable[[S2HandConfig], S2Hand]) -> S2Hand:
    return make_model(config)


@pytest.fixture
def record(config: S2HandConfig, model: S2Hand) -> ModelRecord:
    return ModelRecord(
        config=config,
        identity={"seed": 3, "stages": ["a" * 64, "b" * 64], "code": {"s2hand.model": "c" * 64}},
        hand_fingerprint=model.hand_fingerprint,
        data={"name": "FreiHAND", "splits": {"train": 12}, "share": 0.1},
        initial_weights={"encoder": {"name": "none"}},
    )


@pytest.fixture
def saved(model: S2Hand, record: ModelRecord, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(model, record, path)
    return path


@pytest.fixture
def make_mano(tmp_path: Path) -> Callable[[float], Path]:
    """Make files in MANO's layout with numbers of their own."""

    def make(size: float) -> Path:
        hand = embedded_hand()
        path = tmp_path / f"size_{size}_RIGHT.pkl"
        export_hand_model(replace(hand, v_template=hand.v_template * size), path)
        return path

    return make


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Seven images, their cameras, and the rotations from those to another one."""
    generator = torch.Generator().manual_seed(1)
    cameras = torch.tensor([[60.0, 0, 15.5], [0, 60, 15.5], [0, 0, 1]]).repeat(7, 1, 1)
    cameras[:, 0, 2] += torch.arange(7)
    images = torch.rand(7, 3, SIZE_PX, SIZE_PX, generator=generator)
    rotations = axis_angle_to_matrix(torch.rand(7, 3, generator=generator) / 2)
    return images * torch.linspace(0.1, 1, 7)[:, None, None, None], cameras, rotations


@pytest.fixture
def table(tmp_path: Path) -> FrameTable:
    """Two sequences of six noise images with true hands."""
    random = np.random.default_rng(3)
    paths = []
    for index in range(NUM_FRAMES):
        paths.append(tmp_path / f"{index:04d}.png")
        pixels = random.integers(0, random.integers(20, 255), (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths[-1])
    keypoints = random.uniform([20, 14], [44, 34], (NUM_FRAMES, 21, 2)).astype(np.float32)
    hands = HandLayer(embedded_hand(), fingertips=HO3D_FINGERTIPS)(
        betas=torch.zeros(NUM_FRAMES, 10),
        hand_pose_pca=torch.from_numpy(random.normal(size=(NUM_FRAMES, 30)).astype(np.float32)),
        global_orient=torch.full((NUM_FRAMES, 3), 1.2),
        transl=torch.tensor([0, 0, 0.6]).expand(NUM_FRAMES, 3),
    )
    camera = np.array([[60, 0, 31.5], [0, 60, 23.5], [0, 0, 1]], np.float32)
    return FrameTable(
        sample_ids=tuple(f"S{index // 6}/{index % 6:04d}" for index in range(NUM_FRAMES)),
        image_paths=tuple(paths),
        intrinsics_px=np.tile(camera, (NUM_FRAMES, 1, 1)),
        sequences=tuple(f"S{index // 6}" for index in range(NUM_FRAMES)),
        frames=np.arange(NUM_FRAMES, dtype=np.int64) % 6,
        detected_keypoints_px=keypoints,
        detection_confidence=random.uniform(0.2, 1, (NUM_FRAMES, 21)).astype(np.float32),
        crop_box_px=np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1),
        fingertips=HO3D_FINGERTIPS,
        joints=hands.joints.numpy(),
        vertices=hands.vertices.numpy(),
    )
