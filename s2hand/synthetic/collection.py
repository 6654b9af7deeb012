"""The image collection in FreiHAND's layout: unrelated pictures, square, one hand in the middle."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from s2hand.layouts import Split
from s2hand.synthetic.detector import Detector, DetectorInput, detect
from s2hand.synthetic.files import write_file
from s2hand.synthetic.motion import (
    rotation_matrices,
    sample_orientations,
    sample_postures,
)
from s2hand.synthetic.picture import Exposure, Picture, encode_jpeg, take_picture
from s2hand.synthetic.scene import PlacedThing, free_thing, held_thing, sample_scene
from s2hand.synthetic.shard import ShardRecord
from s2hand.synthetic.stage import Stage

SHARD_IMAGES = 64
FOLDERS: dict[Split, str] = {"train": "freihand/training", "test": "freihand/evaluation"}
_OFFICIAL_SIZE_PX = 224
_MIN_EXTENT_M = 0.11
"""A hand seen end-on is not brought nearer than one of this extent would be."""
_HELD, _IN_FRONT, _BLURRED = 0.4, 0.15, 0.35
"""Chances of a held thing, a thing in front of the hand, and motion during the exposure."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Hands:
    """The hands of a shard, each at three moments of its exposure."""

    person: Int[np.ndarray, "n"]
    betas: Float[np.ndarray, "n 10"]
    rotations: Float[np.ndarray, "n 3 16 3"]
    vertices: Float[np.ndarray, "n 3 778 3"]
    joints: Float[np.ndarray, "n 3 21 3"]
    intrinsics_px: Float[np.ndarray, "n 3 3"]


def make_collection_shard(
    stage: Stage, root: Path, shard: int, count: int, image_size_px: int, detector: Detector
) -> ShardRecord:
    """Make ``count`` pictures, the first of which has the number ``shard · SHARD_IMAGES``.

    Raises:
        DataError: When a file cannot be written.
    """
    generator = stage.generator("collection", shard)
    hands = _sample_hands(stage, count, image_size_px, generator)
    hashes, pictures = {}, []
    for k in range(count):
        picture, quality = _take(stage, hands, k, image_size_px, generator)
        name = f"{FOLDERS[stage.role.split]}/rgb/{shard * SHARD_IMAGES + k:08d}.jpg"
        hashes[name] = write_file(root / name, encode_jpeg(picture.pixels, quality))
        pictures.append(picture)
    given = DetectorInput(
        truth_px=np.stack([picture.truth_px for picture in pictures]),
        visibility=np.stack([picture.visibility for picture in pictures]),
        blur_px=np.stack([picture.blur_px for picture in pictures]),
        frames=None,
        image_size_px=(image_size_px, image_size_px),
        unit_px=image_size_px / _OFFICIAL_SIZE_PX,
    )
    keypoints, confidence = detect(given, detector, generator)
    arrays = {"K": hands.intrinsics_px, "keypoints": keypoints, "confidence": confidence}
    if stage.role.has_truth:
        arrays |= {
            "xyz": hands.joints[:, 1],
            "verts": hands.vertices[:, 1].astype(np.float32),
            "mano": _mano(stage, hands, given.truth_px),
        }
    return ShardRecord(hashes=hashes, arrays=arrays)


def _sample_hands(
    stage: Stage, count: int, image_size_px: int, generator: np.random.Generator
) -> _Hands:
    person = generator.integers(len(stage.people), size=count)
    betas = np.stack([stage.people[k].betas for k in person])
    middle = np.concatenate(
        [
            sample_orientations(count, generator)[:, None],
            sample_postures(stage.hand, stage.postures, count, generator),
        ],
        axis=1,
    )
    moves = generator.random(count) < _BLURRED
    turn = generator.normal(0, 0.018, (count, 16, 3)) * moves[:, None, None]
    shift = generator.normal(0, 0.0025, (count, 3)) * moves[:, None]
    rotations = np.stack([middle - turn, middle, middle + turn], axis=1)
    vertices, joints = stage.pose(np.repeat(betas, 3, axis=0), rotations.reshape(-1, 16, 3))
    vertices, joints = vertices.reshape(count, 3, 778, 3), joints.reshape(count, 3, 21, 3)
    focal = image_size_px * generator.uniform(1.8, 2.9, count)
    place = _place(joints[:, 1], focal, image_size_px, generator)
    moments = place[:, None] + np.stack([-shift, 0 * shift, shift], axis=1)
    intrinsics_px = np.zeros((count, 3, 3))
    intrinsics_px[:, 0, 0] = intrinsics_px[:, 1, 1] = focal
    intrinsics_px[:, :2, 2] = (image_size_px - 1) / 2
    intrinsics_px[:, 2, 2] = 1
    return _Hands(
        person=person,
        betas=betas,
        rotations=rotations,
        vertices=vertices + moments[:, :, None],
        joints=joints + moments[:, :, None],
        intrinsics_px=intrinsics_px,
    )


def _place(
    joints: np.ndarray, focal: np.ndarray, image_size_px: int, generator: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """Put hands where they fill 45 to 80 % of the picture, roughly in its middle."""
    low, high = joints.min(1), joints.max(1)
    wanted_px = image_size_px * generator.uniform(0.45, 0.8, len(joints))
    extent = np.maximum((high - low)[:, :2].max(1), _MIN_EXTENT_M)
    depth = focal * extent / wanted_px
    offset_px = generator.normal(0, 0.035 * image_size_px, (len(joints), 2))
    target = np.concatenate([offset_px / focal[:, None] * depth[:, None], depth[:, None]], axis=1)
    return target - (low + high) / 2


def _take(
    stage: Stage, hands: _Hands, k: int, image_size_px: int, generator: np.random.Generator
) -> tuple[Picture, int]:
    person = stage.people[hands.person[k]]
    size = (image_size_px, image_size_px)
    scene = sample_scene(len(stage.backgrounds), len(stage.backgrounds[0]), size, person, generator)
    exposure = Exposure(
        vertices=hands.vertices[k],
        joints=hands.joints[k],
        global_orient=hands.rotations[k, :, 0],
    )
    things = [(thing, thing) for thing in _things(stage, exposure, generator)]
    noise_seed = int(generator.integers(2**62))
    picture = take_picture(
        stage, person, exposure, scene, things, hands.intrinsics_px[k], size, noise_seed
    )
    return picture, scene.jpeg_quality


def _things(stage: Stage, exposure: Exposure, generator: np.random.Generator) -> list[PlacedThing]:
    joints, things = exposure.joints[1], []
    palm = rotation_matrices(exposure.global_orient[1])
    if generator.random() < _HELD:
        model = int(generator.integers(len(stage.things)))
        shape, skin = stage.things[model], exposure.vertices[1]
        things.append(held_thing(model, shape, skin, joints, palm, generator))
    if generator.random() < _IN_FRONT:
        model = int(generator.integers(len(stage.things)))
        things.append(free_thing(model, joints, generator, in_front=True))
    return things


def _mano(stage: Stage, hands: _Hands, truth_px: np.ndarray) -> Float[np.ndarray, "n 61"]:
    """Give FreiHAND's 61 numbers: posture relative to the mean, shape, root in the image, scale.

    The root is joint 9; ((u, v) − principal point, f) / scale is its place.
    """
    pose = hands.rotations[:, 1].reshape(-1, 48).copy()
    pose[:, 3:] -= stage.hand.hands_mean
    scale = hands.intrinsics_px[:, 0, 0] / hands.joints[:, 1, 9, 2]
    return np.concatenate([pose, hands.betas, truth_px[:, 9], scale[:, None]], axis=1)
