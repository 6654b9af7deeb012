"""In-the-wild videos in YouTube-3D-Hands' layout: one or both hands of somebody who gestures.

They look otherwise than the collection and the sequences: wide pictures, both hands in one, nothing
held, colours and contrast of consumers' cameras, traces of video compression. The stored images
are smaller than the annotated ones, by a factor of each video's own, as a later download may be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from s2hand.data.digests import hash_file
from s2hand.errors import DataError
from s2hand.geometry.mirroring import mirror_intrinsics, mirror_pixels
from s2hand.keypoints.hands import FoundHand, table_of
from s2hand.keypoints.tables import write_table
from s2hand.synthetic.body import Person
from s2hand.synthetic.detector import OBJECT_OCCLUDED, Detector, DetectorInput, detect
from s2hand.synthetic.files import unwritable, write_file
from s2hand.synthetic.motion import FRAMES_PER_SECOND, sample_frames, sample_motion
from s2hand.synthetic.picture import (
    Exposure,
    PaintedHand,
    develop_picture,
    encode_jpeg,
    paint_hand,
)
from s2hand.synthetic.scene import Scene, sample_scene
from s2hand.synthetic.shard import ShardRecord
from s2hand.synthetic.stage import Stage

FOLDER = "youtube3d"
ANNOTATED_SIZE_PX = (1280, 720)
_LARGEST_PER_CROP = 960 / 224
"""Width of the largest stored pictures over the side of crops."""
_SMALLEST_STORED = 0.7
"""Of the largest."""
_BOTH_HANDS, _LEFT_ALONE = 0.6, 0.5
_NOT_ANNOTATED = 0.08
"""Share of hands without annotation, as a fit that failed is left out of the published set."""
_WRONG_SIDE = 0.02
_MOST_FRAMES_BEFORE = 4000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Hand:
    """A hand over a video, as the right hand that it is or is mirrored to; at three moments."""

    is_left: bool
    vertices: Float[np.ndarray, "n 3 778 3"]
    joints: Float[np.ndarray, "n 3 21 3"]
    global_orient: Float[np.ndarray, "n 3 3"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Seen:
    """A hand in a finished picture, as it is there."""

    truth_px: Float[np.ndarray, "21 2"]
    visibility: Int[np.ndarray, "21"]
    blur_px: Float[np.ndarray, "21 2"]


def make_video(
    stage: Stage, root: Path, index: int, count: int, crop_size_px: int, detector: Detector
) -> ShardRecord:
    """Make one video of ``count`` frames, their detections, and the annotations of its hands.

    Raises:
        DataError: When a file cannot be written.
    """
    generator = stage.generator("video", index)
    size_px = _stored_size_px(crop_size_px, generator)
    frames = sample_frames(count, generator) + int(generator.integers(_MOST_FRAMES_BEFORE))
    person = stage.people[int(generator.integers(len(stage.people)))]
    intrinsics_px = _camera(size_px, generator)
    hands = [_move(stage, person, is_left, frames, generator) for is_left in _sides(generator)]
    scene = sample_scene(
        len(stage.backgrounds), len(stage.backgrounds[0]), size_px, person, generator
    )
    scene = _with_another_look(scene, generator)
    name = f"SYN{index:08d}"
    hashes, seen = {}, []
    for k, frame in enumerate(frames):
        noise_seed = int(generator.integers(2**62))
        pixels, in_frame = _shoot(
            stage, person, hands, k, scene, intrinsics_px, size_px, noise_seed
        )
        seen.append(in_frame)
        path = f"{FOLDER}/youtube/{name}/video/frames/{frame}.png"
        hashes[path] = write_file(root / path, _png(pixels, scene.jpeg_quality))
    path = f"{FOLDER}/keypoints/{name}.json"
    hashes[path] = _write_detections(root / path, hands, seen, frames, size_px, detector, generator)
    annotated = generator.random((len(hands), count)) >= _NOT_ANNOTATED
    annotated[0, 0] = True
    return ShardRecord(
        hashes=hashes,
        arrays={
            "name": np.array(name),
            "frames": frames,
            **_annotations(hands, annotated, intrinsics_px, size_px),
        },
    )


def _stored_size_px(crop_size_px: int, generator: np.random.Generator) -> tuple[int, int]:
    """Draw the size of a video's images, as wide as the annotated ones."""
    width = crop_size_px * _LARGEST_PER_CROP * generator.uniform(_SMALLEST_STORED, 1)
    annotated_width, annotated_height = ANNOTATED_SIZE_PX
    unit = annotated_width // math.gcd(annotated_width, annotated_height)
    units = max(1, round(width / unit))  # whole pixels in both directions
    return unit * units, unit * units * annotated_height // annotated_width


def _camera(size_px: tuple[int, int], generator: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """Draw a camera that nobody will know: the published set has none."""
    focal = size_px[0] * generator.uniform(0.75, 1.1)
    middle = (np.array(size_px) - 1) / 2
    return np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1.0]])


def _sides(generator: np.random.Generator) -> tuple[bool, ...]:
    """Draw which hands a video shows: whether each is a left one."""
    if generator.random() < _BOTH_HANDS:
        return (False, True)
    return (bool(generator.random() < _LEFT_ALONE),)


def _move(
    stage: Stage,
    person: Person,
    is_left: bool,  # noqa: FBT001
    frames: Int[np.ndarray, "n"],
    generator: np.random.Generator,
) -> _Hand:
    """Move a hand about its side of the picture, the right one's being the left."""
    count = len(frames)
    open_share = generator.uniform(0.08, 0.4) / FRAMES_PER_SECOND
    times = frames[:, None] / FRAMES_PER_SECOND + open_share * np.array([-0.5, 0, 0.5])
    motion = sample_motion(stage.hand, stage.postures, times.ravel() - times.min(), generator)
    betas = np.broadcast_to(person.betas, (3 * count, 10)).copy()
    vertices, joints = stage.pose(betas, motion.rotations)
    middle = np.array([-0.17, 0.02, generator.uniform(0.65, 1.0)])
    middle = middle + generator.normal(0, [0.03, 0.03, 0])
    reach = np.array([0.06, 0.07, 0.06]) * generator.uniform(0.4, 1.2)
    transl = middle + motion.offset * reach - joints[:, 9]
    return _Hand(
        is_left=is_left,
        vertices=(vertices + transl[:, None]).reshape(count, 3, 778, 3),
        joints=(joints + transl[:, None]).reshape(count, 3, 21, 3),
        global_orient=motion.rotations[:, 0].reshape(count, 3, 3),
    )


def _with_another_look(scene: Scene, generator: np.random.Generator) -> Scene:
    """Give a scene the colours, contrast and compression of a consumer's video."""
    exposure, lens, shot, read, vignetting, contrast, shadow, saturation = scene.sensor
    cast = generator.uniform(0.82, 1.18, 3)
    lights = scene.lights.copy()
    lights[:, 3:6] *= cast
    return replace(
        scene,
        lights=lights,
        ambient=scene.ambient * cast,
        background_light=scene.background_light * cast * generator.uniform(0.6, 1.5),
        sensor=np.array(
            [
                exposure * generator.uniform(0.85, 1.3),
                min(lens + generator.uniform(0.1, 0.6), 1.0),
                0.4 * shot,
                0.4 * read,
                vignetting + generator.uniform(0, 0.15),
                contrast + generator.uniform(0.1, 0.5),
                shadow,
                saturation * generator.uniform(0.6, 1.5),
            ]
        ),
        jpeg_quality=int(generator.integers(35, 75)),
    )


def _shoot(
    stage: Stage,
    person: Person,
    hands: Sequence[_Hand],
    k: int,
    scene: Scene,
    intrinsics_px: Float[np.ndarray, "3 3"],
    size_px: tuple[int, int],
    noise_seed: int,
) -> tuple[UInt8[np.ndarray, "height width 3"], list[_Seen]]:
    """Take one picture of all hands, the nearer ones before the farther."""
    painted = [_paint(stage, person, hand, k, scene, intrinsics_px, size_px) for hand in hands]
    colour = np.zeros((size_px[1], size_px[0], 4), np.float32)
    seen: dict[int, _Seen] = {}
    far_to_near = sorted(range(len(hands)), key=lambda n: -hands[n].joints[k, 1, :, 2].mean())
    for place, number in enumerate(far_to_near):
        hand = painted[number]
        left, top, width, height = hand.window
        region = colour[top : top + height, left : left + width]
        region[:] = hand.colour + (1 - hand.colour[..., 3:]) * region
        hidden = np.zeros(21, np.bool_)
        for nearer in far_to_near[place + 1 :]:
            hidden |= _covers(painted[nearer], hand.truth_px)
        seen[number] = _Seen(
            truth_px=hand.truth_px,
            visibility=np.where(hidden, OBJECT_OCCLUDED, hand.visibility),
            blur_px=hand.blur_px,
        )
    whole = np.array([0, 0, *size_px])
    pixels = develop_picture(stage, scene, colour, whole, size_px, noise_seed)
    return pixels, [seen[number] for number in range(len(hands))]


def _paint(
    stage: Stage,
    person: Person,
    hand: _Hand,
    k: int,
    scene: Scene,
    intrinsics_px: Float[np.ndarray, "3 3"],
    size_px: tuple[int, int],
) -> PaintedHand:
    """Paint a hand; a left one in the mirrored scene, and mirrored back."""
    exposure = Exposure(
        vertices=hand.vertices[k], joints=hand.joints[k], global_orient=hand.global_orient[k]
    )
    if not hand.is_left:
        return paint_hand(stage, person, exposure, scene, [], intrinsics_px, size_px)
    width = size_px[0]
    mirrored = replace(scene, lights=scene.lights * [-1, 1, 1, 1, 1, 1, 1])
    camera = mirror_intrinsics(intrinsics_px, width)
    painted = paint_hand(stage, person, exposure, mirrored, [], camera, size_px)
    left, top, columns, rows = painted.window
    return PaintedHand(
        colour=painted.colour[:, ::-1],
        window=np.array([width - left - columns, top, columns, rows]),
        truth_px=mirror_pixels(painted.truth_px, width),
        visibility=painted.visibility,
        blur_px=painted.blur_px * [-1, 1],
    )


def _covers(hand: PaintedHand, points_px: Float[np.ndarray, "21 2"]) -> Bool[np.ndarray, "21"]:
    """Say at which points of the picture a painted hand lies."""
    column, row = (np.rint(points_px) - hand.window[:2]).astype(int).T
    rows, columns = hand.colour.shape[:2]
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    coverage = hand.colour[row.clip(0, rows - 1), column.clip(0, columns - 1), 3]
    return inside & (coverage > 0.5)


def _png(pixels: UInt8[np.ndarray, "height width 3"], quality: int) -> bytes:
    """Write a picture as the frame of a compressed video is written."""
    buffer = BytesIO()
    with Image.open(BytesIO(encode_jpeg(pixels, quality))) as compressed:
        compressed.save(buffer, "PNG")
    return buffer.getvalue()


def _write_detections(
    path: Path,
    hands: Sequence[_Hand],
    seen: Sequence[Sequence[_Seen]],
    frames: Int[np.ndarray, "n"],
    size_px: tuple[int, int],
    detector: Detector,
    generator: np.random.Generator,
) -> str:
    """Write what a detector finds in a video's images; return the file's SHA-256."""
    found: dict[str, list[FoundHand]] = {f"{frame}.png": [] for frame in frames}
    for number, hand in enumerate(hands):
        of_hand = [in_frame[number] for in_frame in seen]
        keypoints_px, confidence = detect(
            DetectorInput(
                truth_px=np.stack([each.truth_px for each in of_hand]),
                visibility=np.stack([each.visibility for each in of_hand]),
                blur_px=np.stack([each.blur_px for each in of_hand]),
                frames=frames,
                image_size_px=size_px,
                unit_px=size_px[0] / ANNOTATED_SIZE_PX[0],
            ),
            detector,
            generator,
        )
        sure = 1 - generator.beta(1, 12, len(frames))
        is_mistaken = generator.random(len(frames)) < _WRONG_SIDE
        right = np.where(is_mistaken == hand.is_left, sure, 1 - sure)
        for k, frame in enumerate(frames):
            if confidence[k].any():
                found[f"{frame}.png"].append(
                    FoundHand(
                        keypoints_px=keypoints_px[k].astype(np.float32),
                        confidence=confidence[k].astype(np.float32),
                        right=float(right[k]),
                    )
                )
    try:
        write_table(path, "hands", table_of(found, detector="simulated", version=""))
        return hash_file(path)
    except OSError as error:
        raise DataError(unwritable(path, error)) from error


def _annotations(
    hands: Sequence[_Hand],
    annotated: Bool[np.ndarray, "hands n"],
    intrinsics_px: Float[np.ndarray, "3 3"],
    size_px: tuple[int, int],
) -> dict[str, np.ndarray]:
    """Give the annotated hands: place of the frame, side, vertices in annotated pixels.

    As in a fit with weak perspective, depth is in the same unit, relative to the hand's middle.
    """
    places, sides, vertices_px = [], [], []
    scale = ANNOTATED_SIZE_PX[0] / size_px[0]
    for number, hand in enumerate(hands):
        camera = mirror_intrinsics(intrinsics_px, size_px[0]) if hand.is_left else intrinsics_px
        rows = np.flatnonzero(annotated[number])
        vertices = hand.vertices[rows, 1]
        points = vertices @ camera.T
        stored_px = points[..., :2] / points[..., 2:]
        if hand.is_left:
            stored_px = mirror_pixels(stored_px, size_px[0])
        middle_m = vertices[..., 2].mean(axis=1)[:, None]
        depth_px = (vertices[..., 2] - middle_m) * camera[0, 0] / middle_m * scale
        annotated_px = (stored_px + 0.5) * scale - 0.5
        vertices_px.append(np.concatenate([annotated_px, depth_px[..., None]], axis=-1))
        places.append(rows)
        sides.append(np.full(len(rows), hand.is_left))
    order = np.argsort(np.concatenate(places), kind="stable")
    return {
        "hand_places": np.concatenate(places)[order],
        "is_left": np.concatenate(sides)[order],
        "vertices_px": np.concatenate(vertices_px)[order].astype(np.float32),
    }
