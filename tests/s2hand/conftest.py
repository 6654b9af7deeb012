"""Tiny datasets in the official layouts, written without the code under test."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def random_joints(random: np.random.Generator, count: int) -> np.ndarray:
    return random.normal(scale=0.04, size=(count, 21, 3)) + np.array([0.01, -0.02, 0.6])


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def detections_of(keypoints: np.ndarray, confidence: float = 0.5) -> list:
    count = len(keypoints)
    return [
        keypoints.tolist(),
        np.full((count, 21, 1), confidence).tolist(),
        [[f"{index}.jpg"] for index in range(count)],
    ]


@pytest.fixture
def make_freihand(tmp_path: Path) -> Callable[..., Path]:
    """Write ``count`` training and evaluation images of ``size`` px; return the root."""

    def make(count: int = 5, size: int = 48) -> Path:
        random = np.random.default_rng(0)
        camera = [[400.0, 0, size / 2], [0, 400.0, size / 2], [0, 0, 1]]
        root = tmp_path / "freihand"
        for name in ("training", "evaluation"):
            joints = random_joints(random, count)
            write_json(root / f"{name}_K.json", [camera] * count)
            write_json(root / f"{name}_xyz.json", joints.tolist())
            for index in range(count):
                pixels = random.integers(0, 255, (size, size, 3), dtype=np.uint8)
                write_image(root / name / "rgb" / f"{index:08d}.jpg", pixels)
        vertices = random.normal(scale=0.05, size=(count, 778, 3)) + np.array([0, 0, 0.6])
        write_json(root / "evaluation_verts.json", vertices.tolist())
        keypoints = random.uniform(0, size, (count, 21, 2))
        write_json(root / "openpose_v2/training/detect_all.json", detections_of(keypoints))
        return root

    return make


@pytest.fixture
def make_ho3d(tmp_path: Path) -> Callable[..., Path]:
    """Write one training sequence AB1 and one evaluation sequence SM1; return the root."""

    def make(count: int = 6, suffix: str = "png", width: int = 64, height: int = 48) -> Path:
        random = np.random.default_rng(1)
        camera = np.array([[60.0, 0, width / 2 - 0.5], [0, 60, height / 2], [0, 0, 1]])
        root = tmp_path / "ho3d"
        for folder, sequence in (("train", "AB1"), ("evaluation", "SM1")):
            joints = random_joints(random, count) * [1, -1, -1]
            for frame in range(count):
                place = root / folder / sequence
                pixels = random.integers(0, 255, (height, width, 3), dtype=np.uint8)
                write_image(place / "rgb" / f"{frame:04d}.{suffix}", pixels)
                meta = {"camMat": camera, "objName": "003_cracker_box"}
                if folder == "train":
                    meta |= {
                        "handJoints3D": joints[frame].astype(np.float32),
                        "handPose": random.normal(size=48),
                        "handBeta": np.zeros(10),
                        "handTrans": np.zeros(3),
                    }
                else:
                    meta |= {
                        "handJoints3D": joints[frame, 0],
                        "handBoundingBox": [20, 10, 40, 30],
                    }
                path = place / "meta" / f"{frame:04d}.pkl"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(pickle.dumps(meta, protocol=2))
            lines = [f"{sequence}/{frame:04d}" for frame in range(count)]
            (root / f"{folder}.txt").write_text("\n".join(lines) + "\n")
            keypoints = random.uniform(0, height, (count, 21, 2))
            write_json(root / "openpose" / sequence / "detect.json", detections_of(keypoints))
        write_json(root / "evaluation_xyz.json", joints.tolist())
        vertices = (random.normal(scale=0.05, size=(count, 778, 3)) + np.array([0, 0, 0.6])) * [
            1,
            -1,
            -1,
        ]
        write_json(root / "evaluation_verts.json", vertices.tolist())
        return root

    return make
