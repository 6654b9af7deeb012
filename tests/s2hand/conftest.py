"""Tiny datasets in the official layouts, written without the code under test."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

TIPS = [4, 8, 12, 16, 20]
HO3D_FROM_OPENPOSE = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]


def right_hand() -> np.ndarray:
    """Make a right hand in OpenPose order, metres: fingers along x, bent to z, thumb at −y."""
    joints = [[0.0, 0.0, 0.0]]
    for side in (-0.04, -0.025, 0.0, 0.02, 0.04):
        for along, bent in ((0.08, 0.0), (0.11, 0.005), (0.135, 0.015), (0.15, 0.03)):
            joints.append([along if side > -0.04 else along - 0.04, side, bent])
    return np.array(joints) - [0.08, 0, 0]


def random_hands(
    random: np.random.Generator, count: int, place: tuple[float, float, float]
) -> np.ndarray:
    """Turn hands at random and put them about a place in front of the camera."""
    turns = Rotation.random(count, random).as_matrix()
    shaken = right_hand() + random.normal(scale=0.001, size=(count, 21, 3))
    return (
        shaken @ turns.transpose(0, 2, 1) + place + random.normal(scale=0.005, size=(count, 1, 3))
    )


def posed_hands(
    random: np.random.Generator, count: int, place: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Pose one hand about a place in front of the camera.

    Returns:
        Joints in OpenPose order; HO-3D's ``handPose``, fingers in MANO's order.
    """
    rest, joints, poses = right_hand(), np.zeros((count, 21, 3)), np.zeros((count, 16, 3))
    wrists = Rotation.random(count, random)
    poses[:, 1:] = random.normal(scale=0.1, size=(count, 15, 3))
    for frame, wrist in enumerate(wrists):
        poses[frame, 0] = (Rotation.from_matrix(np.diag([1, -1, -1])) * wrist).as_rotvec()
        joints[frame, 0] = place + wrist.apply(rest[0]) + random.normal(scale=0.005, size=3)
        for finger, first in enumerate((13, 1, 4, 10, 7)):
            turn, before = wrist, 0
            for k in range(4):
                joint = 4 * finger + k + 1
                bone = turn.apply(rest[joint] - rest[before])
                joints[frame, joint] = joints[frame, before] + bone
                if k < 3:
                    turn *= Rotation.from_rotvec(poses[frame, first + k])
                before = joint
    return joints, poses.reshape(count, 48)


def vertices_of(random: np.random.Generator, joints: np.ndarray, tips: list[int]) -> np.ndarray:
    """Scatter vertices about the joints; those of fingertips lie at the tips."""
    vertices = joints[:, random.integers(0, 21, 778)]
    vertices += random.normal(scale=0.005, size=vertices.shape)
    vertices[:, tips] = joints[:, TIPS]
    return vertices


def projected(joints: np.ndarray, camera: np.ndarray) -> np.ndarray:
    homogeneous = joints @ np.asarray(camera).T
    return homogeneous[..., :2] / homogeneous[..., 2:]


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def detections_of(keypoints: np.ndarray, names: list[str], confidence: float = 0.5) -> list:
    count = len(keypoints)
    return [
        keypoints.tolist(),
        np.full((count, 21, 1), confidence).tolist(),
        [[name] for name in names],
    ]


@pytest.fixture
def make_freihand(tmp_path: Path) -> Callable[..., Path]:
    """Write ``count`` training and evaluation images of ``size`` px; return the root."""

    def make(count: int = 5, size: int = 48) -> Path:
        random = np.random.default_rng(0)
        camera = np.array([[400.0, 0, size / 2], [0, 400.0, size / 2], [0, 0, 1]])
        root = tmp_path / "freihand"
        for name in ("training", "evaluation"):
            joints = random_hands(random, count, (0.0, 0.0, 2.0))
            write_json(root / f"{name}_K.json", [camera.tolist()] * count)
            write_json(root / f"{name}_xyz.json", joints.tolist())
            for index in range(count):
                pixels = random.integers(0, 255, (size, size, 3), dtype=np.uint8)
                write_image(root / name / "rgb" / f"{index:08d}.jpg", pixels)
            if name == "training":
                keypoints = projected(joints, camera) + random.normal(size=(count, 21, 2))
                names = [f"{index:08d}.jpg" for index in range(count)]
                path = root / "openpose_v2/training/detect_all.json"
                write_json(path, detections_of(keypoints, names))
        vertices = vertices_of(random, joints, [744, 320, 443, 555, 672])
        write_json(root / "evaluation_verts.json", vertices.tolist())
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
            hands, poses = posed_hands(random, count, (0.05, -0.02, 0.5))
            joints = hands[:, HO3D_FROM_OPENPOSE] * [1, -1, -1]
            seen = projected(hands, camera)
            for frame in range(count):
                place = root / folder / sequence
                pixels = random.integers(0, 255, (height, width, 3), dtype=np.uint8)
                write_image(place / "rgb" / f"{frame:04d}.{suffix}", pixels)
                meta = {"camMat": camera, "objName": "003_cracker_box"}
                if folder == "train":
                    meta |= {
                        "handJoints3D": joints[frame].astype(np.float32),
                        "handPose": poses[frame],
                        "handBeta": np.zeros(10),
                        "handTrans": np.zeros(3),
                    }
                else:
                    meta |= {
                        "handJoints3D": joints[frame, 0],
                        "handBoundingBox": [*seen[frame].min(0), *seen[frame].max(0)],
                    }
                path = place / "meta" / f"{frame:04d}.pkl"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(pickle.dumps(meta, protocol=2))
            lines = [f"{sequence}/{frame:04d}" for frame in range(count)]
            (root / f"{folder}.txt").write_text("\n".join(lines) + "\n")
            keypoints = seen + random.normal(scale=0.3, size=seen.shape)
            names = [f"{frame:04d}.{suffix}" for frame in range(count)]
            path = root / "openpose" / sequence / "detect.json"
            write_json(path, detections_of(keypoints, names))
        write_json(root / "evaluation_xyz.json", joints.tolist())
        vertices = vertices_of(random, hands, [744, 333, 444, 555, 672]) * [1, -1, -1]
        write_json(root / "evaluation_verts.json", vertices.tolist())
        return root

    return make


@pytest.fixture
def make_youtube3d(tmp_path: Path) -> Callable[..., Path]:
    """Write two videos, with both hands and with a left one, annotated at twice the stored size."""

    def make(count: int = 8, size: tuple[int, int] = (160, 90)) -> Path:
        random = np.random.default_rng(2)
        camera = np.array([[160.0, 0, size[0] / 2 - 0.5], [0, 160, size[1] / 2 - 0.5], [0, 0, 1]])
        root = tmp_path / "youtube3d"
        images, annotations = [], []
        for video, sides in (("vidA", (False, True)), ("vid B", (True,))):
            folder = f"youtube/{video}/video/frames"
            first = len(images)
            for frame in range(100, 100 + count):
                pixels = random.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
                write_image(root / folder / f"{frame}.png", pixels)
                images.append(
                    {
                        "name": f"{folder}/{frame}.png",
                        "width": 2 * size[0],
                        "height": 2 * size[1],
                        "id": 1000 + len(images),
                    }
                )
            found = []
            for is_left in sides:
                hand = random_hands(random, 1, (0.1 if is_left else -0.1, 0.0, 0.6))
                times = np.arange(count)
                drift = np.stack([np.sin(0.7 * times), np.sin(1.13 * times + 1), 0 * times], 1)
                joints = hand + 0.03 * drift[:, None]
                if is_left:
                    joints = joints * [-1, 1, 1] + [0.2, 0, 0]
                vertices = vertices_of(random, joints, [744, 320, 443, 555, 672])
                seen = projected(joints, camera) + random.normal(scale=0.3, size=(count, 21, 2))
                for row in range(count):
                    annotated = (projected(vertices[row], camera) + 0.5) * 2 - 0.5
                    depth = (vertices[row, :, 2:] - 0.6) * 2 * 160 / 0.6
                    annotations.append(
                        {
                            "vertices": np.concatenate([annotated, depth], axis=1).tolist(),
                            "is_left": int(is_left),
                            "image_id": images[first + row]["id"],
                            "id": 7 + len(annotations),
                        }
                    )
                    points = np.column_stack([seen[row], np.full(21, 0.6)])
                    found.append(
                        {
                            "sample": f"{100 + row}.png",
                            "right": 0.1 if is_left else 0.9,
                            "points": points.ravel().tolist(),
                        }
                    )
            write_json(
                root / f"keypoints/{video}.json",
                {
                    "format": "s2hand-keypoints/1",
                    "detector": "made",
                    "version": "1",
                    "samples": [f"{frame}.png" for frame in range(100, 100 + count)],
                    "hands": found,
                },
            )
        write_json(root / "youtube_train.json", {"images": images, "annotations": annotations})
        return root

    return make


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write two pictures and a clip of both hands, with what was detected in them."""

    def make(count: int = 8) -> Path:
        random = np.random.default_rng(3)
        root = tmp_path / "my pictures"
        sizes = {"one.jpg": (100, 60), "two.png": (64, 64)}
        frames = {f"frame_{number:04d}.jpg": (80, 60) for number in range(7, 7 + count)}
        rights = {"keypoints.json": ((0.9,), (0.2,)), "keypoints/clip.json": ((0.8, 0.3),) * count}
        for name, folder, images in (
            ("keypoints.json", root, sizes),
            ("keypoints/clip.json", root / "clip", frames),
        ):
            hands = []
            places = random.uniform(0, 25, (2, 21, 2)) + np.array([[[5, 5]], [[45, 25]]])
            for number, (image, (width, height)) in enumerate(images.items()):
                write_image(
                    folder / image, random.integers(0, 255, (height, width, 3), dtype=np.uint8)
                )
                for points, right in zip(places, rights[name][number], strict=False):
                    found = points + random.normal(scale=0.5, size=(21, 2))
                    points_px = np.column_stack([found, np.full(21, 0.7)])
                    hand = {"sample": image, "right": right, "points": points_px.ravel().tolist()}
                    hands.append(hand)
            content = {"format": "s2hand-keypoints/1", "detector": "made", "version": "1"}
            write_json(root / name, content | {"samples": list(images), "hands": hands})
        return root

    return make
