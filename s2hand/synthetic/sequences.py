"""The sequences in HO-3D v3's layout: videos of a moving hand with a thing, 30 frames a second."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from s2hand.geometry.rotations import (
    axis_angle_to_quaternion,
    quaternion_multiply,
    quaternion_to_axis_angle,
)
from s2hand.hand.fingertips import HO3D_FINGERTIPS
from s2hand.hand.joints import joint_permutation
from s2hand.layouts import Split
from s2hand.synthetic.body import Person
from s2hand.synthetic.detector import Detector, DetectorInput, detect
from s2hand.synthetic.files import pickle_official, write_file
from s2hand.synthetic.motion import (
    FRAMES_PER_SECOND,
    rotation_matrices,
    sample_frames,
    sample_motion,
)
from s2hand.synthetic.picture import Exposure, Picture, encode_jpeg, take_picture
from s2hand.synthetic.scene import (
    PlacedThing,
    Scene,
    free_thing,
    held_thing,
    sample_scene,
)
from s2hand.synthetic.shard import ShardRecord
from s2hand.synthetic.stage import Stage

FOLDERS: dict[Split, str] = {"train": "ho3d/train", "test": "ho3d/evaluation"}
OPENGL = np.array([1.0, -1.0, -1.0])
"""HO-3D's frame: y up, z back."""
_OFFICIAL_WIDTH_PX, _OFFICIAL_CROP_PX = 640, 224
_TO_HO3D = joint_permutation("openpose", "mano_tips")
_HELD, _IN_FRONT = 0.75, 0.2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Video:
    """A sequence before it is painted; every frame at three moments of its exposure."""

    name: str
    person: Person
    frames: Int[np.ndarray, "n"]
    rotations: Float[np.ndarray, "n 3 16 3"]
    transl: Float[np.ndarray, "n 3"]
    """Translation at half time, camera frame."""
    vertices: Float[np.ndarray, "n 3 778 3"]
    joints: Float[np.ndarray, "n 3 21 3"]
    intrinsics_px: Float[np.ndarray, "3 3"]
    image_size_px: tuple[int, int]


def stored_size_px(crop_size_px: int) -> tuple[int, int]:
    """Give width and height at which a sequence is stored so that crops have the wanted side.

    At 224 this is HO-3D's own 640 × 480.
    """
    width = 4 * round(_OFFICIAL_WIDTH_PX * crop_size_px / _OFFICIAL_CROP_PX / 4)
    return width, 3 * width // 4


def make_sequence(
    stage: Stage, root: Path, index: int, count: int, crop_size_px: int, detector: Detector
) -> ShardRecord:
    """Make one sequence of ``count`` annotated frames.

    Raises:
        DataError: When a file cannot be written.
    """
    generator = stage.generator("sequence", index)
    video = _film(stage, index, count, stored_size_px(crop_size_px), generator)
    scene = sample_scene(
        len(stage.backgrounds), len(stage.backgrounds[0]), video.image_size_px, video.person,
        generator,
    )  # fmt: skip
    main_thing, others = _cast_things(stage, video, generator)
    folder = f"{FOLDERS[stage.role.split]}/{video.name}"
    hashes, pictures = {}, []
    for k, frame in enumerate(video.frames):
        things = [main_thing[k], *others]
        picture = _shoot(stage, video, scene, things, k, int(generator.integers(2**62)))
        pictures.append(picture)
        name = f"{folder}/rgb/{frame:04d}.jpg"
        jpeg = encode_jpeg(picture.pixels, scene.jpeg_quality)
        hashes[name] = write_file(root / name, jpeg)
        name = f"{folder}/meta/{frame:04d}.pkl"
        meta = _meta(stage, video, k, main_thing[k][0], picture)
        hashes[name] = write_file(root / name, pickle_official(meta))
    name = f"ho3d/openpose/{video.name}/detect.json"
    hashes[name] = write_file(root / name, _detections(video, pictures, detector, generator))
    vertices = video.vertices[:, 1]
    return ShardRecord(
        hashes=hashes,
        arrays={
            "frames": video.frames,
            "name": np.array(video.name),
            "xyz": _ho3d_joints(video.joints[:, 1], vertices),
            "verts": (vertices * OPENGL).astype(np.float32),
        },
    )


def _film(
    stage: Stage,
    index: int,
    count: int,
    image_size_px: tuple[int, int],
    generator: np.random.Generator,
) -> _Video:
    frames = sample_frames(count, generator)
    open_share = generator.uniform(0.08, 0.5) / FRAMES_PER_SECOND
    times = frames[:, None] / FRAMES_PER_SECOND + open_share * np.array([-0.5, 0, 0.5])
    motion = sample_motion(stage.hand, stage.postures, times.ravel(), generator)
    person = stage.people[int(generator.integers(len(stage.people)))]
    betas = np.broadcast_to(person.betas, (3 * count, 10)).copy()
    vertices, joints = stage.pose(betas, motion.rotations)
    scale = image_size_px[0] / _OFFICIAL_WIDTH_PX
    focal = generator.uniform(590, 640) * scale
    principal = (np.array([320, 240]) + generator.normal(0, 4, 2)) * scale - 0.5
    intrinsics_px = np.array([[focal, 0, principal[0]], [0, focal, principal[1]], [0, 0, 1.0]])
    depth = generator.uniform(0.5, 0.8)
    reach = np.array([0.13, 0.09, 0.07]) * generator.uniform(0.4, 1.2)
    middle = np.array([0, 0, depth]) + generator.normal(0, [0.03, 0.02, 0])
    # The middle of the hand, not its wrist, moves about the middle of the picture.
    transl = middle + motion.offset * reach - joints[:, 9]
    steady = transl.reshape(count, 3, 3)
    return _Video(
        name=f"SYN{'' if stage.role.split == 'train' else 'E'}{index:04d}",
        person=person,
        frames=frames,
        rotations=motion.rotations.reshape(count, 3, 16, 3),
        transl=steady[:, 1],
        vertices=(vertices + transl[:, None]).reshape(count, 3, 778, 3),
        joints=(joints + transl[:, None]).reshape(count, 3, 21, 3),
        intrinsics_px=intrinsics_px,
        image_size_px=image_size_px,
    )


def _cast_things(
    stage: Stage, video: _Video, generator: np.random.Generator
) -> tuple[list[tuple[PlacedThing, PlacedThing]], list[tuple[PlacedThing, PlacedThing]]]:
    """Choose the sequence's thing, held in most, and sometimes another in front of the hand."""
    model, other = (int(k) for k in generator.integers(len(stage.things), size=2))
    palms = rotation_matrices(video.rotations[:, :, 0])
    at = int(generator.integers(len(video.frames)))
    if generator.random() < _HELD:
        thing = held_thing(
            model, stage.things[model], video.vertices[at, 1], video.joints[at, 1], palms[at, 1],
            generator,
        )  # fmt: skip
        wrist, palm = video.joints[at, 1, 0], palms[at, 1]
        place, axes = palm.T @ (thing.centre - wrist), palm.T @ thing.axes

        def carried(k: int, moment: int) -> PlacedThing:
            turn = palms[k, moment]
            return PlacedThing(
                model=model, axes=turn @ axes, centre=turn @ place + video.joints[k, moment, 0]
            )

        path = [(carried(k, 0), carried(k, 2)) for k in range(len(video.frames))]
    else:
        thing = free_thing(model, video.joints[at, 1], generator, in_front=False)
        path = [(thing, thing)] * len(video.frames)
    others = []
    if generator.random() < _IN_FRONT:
        front = free_thing(other, video.joints[at, 1], generator, in_front=True)
        others.append((front, front))
    return path, others


def _shoot(
    stage: Stage,
    video: _Video,
    scene: Scene,
    things: list[tuple[PlacedThing, PlacedThing]],
    k: int,
    noise_seed: int,
) -> Picture:
    exposure = Exposure(
        vertices=video.vertices[k],
        joints=video.joints[k],
        global_orient=video.rotations[k, :, 0],
    )
    return take_picture(
        stage, video.person, exposure, scene, things, video.intrinsics_px, video.image_size_px,
        noise_seed,
    )  # fmt: skip


def _ho3d_joints(joints: np.ndarray, vertices: np.ndarray) -> Float[np.ndarray, "n 21 3"]:
    """Bring joints to HO-3D's order, fingertip vertices and OpenGL frame."""
    ordered = joints[:, _TO_HO3D].copy()
    ordered[:, 16:] = vertices[:, list(HO3D_FINGERTIPS)]
    return ordered * OPENGL


def _meta(
    stage: Stage, video: _Video, k: int, thing: PlacedThing, picture: Picture
) -> dict[str, object]:
    """Give the content of a frame's meta file; an evaluation frame's knows only the root."""
    sizes = np.linalg.norm(thing.axes, axis=0)
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * sizes
    turn = OPENGL[:, None] * (thing.axes / sizes)
    joints = _ho3d_joints(video.joints[k : k + 1, 1], video.vertices[k : k + 1, 1])[0]
    meta: dict[str, object] = {
        "camMat": video.intrinsics_px,
        "objName": stage.things[thing.model].name,
        "objLabel": thing.model,
        "objTrans": thing.centre * OPENGL,
        "objRot": _axis_angle(turn)[:, None],
        "objCorners3D": corners @ turn.T + thing.centre * OPENGL,
        "objCorners3DRest": corners,
        "camIDList": ["0"],
    }
    if stage.role.split == "test":
        low, high = picture.truth_px.min(0), picture.truth_px.max(0)
        return {**meta, "handJoints3D": joints[0], "handBoundingBox": [*low, *high]}
    pose = video.rotations[k, 1].copy()
    root = _rest_root(stage, video.person)
    # x_gl = F (R (x − root) + root + t) is R' (x − root) + root + t' with R' = F R.
    pose[0] = _flipped(pose[0])
    transl = OPENGL * (root + video.transl[k]) - root
    return {
        **meta,
        "handJoints3D": joints,
        "handPose": pose.ravel(),
        "handBeta": video.person.betas,
        "handTrans": transl,
    }


def _rest_root(stage: Stage, person: Person) -> Float[np.ndarray, "3"]:
    shaped = stage.hand.v_template + stage.hand.shapedirs @ person.betas
    return stage.hand.J_regressor[0] @ shaped


def _flipped(axis_angle: np.ndarray) -> Float[np.ndarray, "3"]:
    """Turn a rotation by half a turn about x, which is the change of frame."""
    quaternion = axis_angle_to_quaternion(torch.from_numpy(axis_angle.copy()))
    half_turn = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    return quaternion_to_axis_angle(quaternion_multiply(half_turn, quaternion)).numpy()


def _axis_angle(matrix: np.ndarray) -> Float[np.ndarray, "3"]:
    return Rotation.from_matrix(matrix).as_rotvec()


def _detections(
    video: _Video, pictures: list[Picture], detector: Detector, generator: np.random.Generator
) -> bytes:
    """Write the detector's file: one entry per frame number; nothing is found in the gaps."""
    keypoints, confidence = detect(
        DetectorInput(
            truth_px=np.stack([picture.truth_px for picture in pictures]),
            visibility=np.stack([picture.visibility for picture in pictures]),
            blur_px=np.stack([picture.blur_px for picture in pictures]),
            frames=video.frames,
            image_size_px=video.image_size_px,
            unit_px=video.image_size_px[0] / _OFFICIAL_WIDTH_PX,
        ),
        detector,
        generator,
    )
    count = int(video.frames[-1]) + 1
    all_keypoints, all_confidence = np.zeros((count, 21, 2)), np.zeros((count, 21, 1))
    all_keypoints[video.frames], all_confidence[video.frames, :, 0] = keypoints, confidence
    content = [
        all_keypoints.round(2).tolist(),
        all_confidence.round(4).tolist(),
        [[f"{frame:04d}.jpg"] for frame in range(count)],
    ]
    return json.dumps(content).encode()
