"""One picture: a posed hand with forearm and things in a scene, painted and developed."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from s2hand.synthetic.body import Person, extend_with_forearm
from s2hand.synthetic.detector import OBJECT_OCCLUDED, SELF_OCCLUDED, VISIBLE
from s2hand.synthetic.motion import rotation_matrices
from s2hand.synthetic.scene import PlacedThing, Scene
from s2hand.synthetic.sensor import develop
from s2hand.synthetic.shading import THING, paint
from s2hand.synthetic.stage import Stage, thing_faces

_MIN_SUBFRAMES, _MAX_SUBFRAMES = 4, 12
_NEAR_M = 0.05
_FLESH_M = 0.016
"""A joint lies this deep below the skin at most; what is farther in front of it hides it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Exposure:
    """The hand when the shutter opens, at half time and when it closes, camera frame."""

    vertices: Float[np.ndarray, "3 778 3"]
    joints: Float[np.ndarray, "3 21 3"]
    global_orient: Float[np.ndarray, "3 3"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Picture:
    """A finished picture and what a detector's errors depend on."""

    pixels: UInt8[np.ndarray, "height width 3"]
    truth_px: Float[np.ndarray, "21 2"]
    visibility: Int[np.ndarray, "21"]
    blur_px: Float[np.ndarray, "21 2"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PaintedHand:
    """A hand in linear light, without what is behind it."""

    colour: Float[np.ndarray, "rows columns 4"]
    """Premultiplied RGB and coverage of the painted rectangle."""
    window: Int[np.ndarray, "4"]
    """Left, top, width and height of that rectangle in the picture."""
    truth_px: Float[np.ndarray, "21 2"]
    visibility: Int[np.ndarray, "21"]
    blur_px: Float[np.ndarray, "21 2"]


def take_picture(
    stage: Stage,
    person: Person,
    exposure: Exposure,
    scene: Scene,
    things: Sequence[tuple[PlacedThing, PlacedThing]],
    intrinsics_px: Float[np.ndarray, "3 3"],
    image_size_px: tuple[int, int],
    noise_seed: int,
) -> Picture:
    """Paint and develop one picture; each thing is given at the exposure's start and its end."""
    hand = paint_hand(stage, person, exposure, scene, things, intrinsics_px, image_size_px)
    return Picture(
        pixels=develop_picture(stage, scene, hand.colour, hand.window, image_size_px, noise_seed),
        truth_px=hand.truth_px,
        visibility=hand.visibility,
        blur_px=hand.blur_px,
    )


def paint_hand(
    stage: Stage,
    person: Person,
    exposure: Exposure,
    scene: Scene,
    things: Sequence[tuple[PlacedThing, PlacedThing]],
    intrinsics_px: Float[np.ndarray, "3 3"],
    image_size_px: tuple[int, int],
) -> PaintedHand:
    """Paint a hand with its forearm and things, each at the exposure's start and its end."""
    body = _with_forearm(stage, exposure, scene)
    models = [stage.things[placed.model] for placed, _ in things]
    start, end = (
        np.concatenate([body[moment], *(_placed(stage, pair[moment]) for pair in things)])
        for moment in (0, 1)
    )
    faces, own_face = thing_faces(models, len(body[0]))
    model_of_face = np.repeat(
        [placed.model for placed, _ in things], [len(m.faces) for m in models]
    )
    projected = [_project(joints, intrinsics_px) for joints in exposure.joints]
    blur = projected[2] - projected[0]
    window = _window(np.concatenate([start, end]), intrinsics_px, image_size_px)
    colour = np.empty((window[3], window[2], 4), np.float32)
    seen = np.empty((21, 2))
    vertices = exposure.vertices[1]
    centre = vertices.mean(0)
    radius = 1.15 * np.linalg.norm(vertices - centre, axis=1).max()
    paint(
        start,
        end,
        np.concatenate([stage.mesh.faces, faces]),
        np.concatenate([stage.mesh.material, np.full(len(faces), THING)]),
        person.texels,
        stage.thing_texels,
        np.stack([model_of_face, own_face], 1).astype(np.int64),
        scene.materials,
        intrinsics_px,
        scene.lights,
        scene.ambient,
        np.array([*centre, radius]),
        int(np.clip(np.ceil(np.linalg.norm(blur, axis=1).max()), _MIN_SUBFRAMES, _MAX_SUBFRAMES)),
        window,
        colour,
        projected[1],
        seen,
    )
    return PaintedHand(
        colour=colour,
        window=window,
        truth_px=projected[1],
        visibility=_visibility(seen, exposure.joints[1][:, 2]),
        blur_px=blur,
    )


def develop_picture(
    stage: Stage,
    scene: Scene,
    colour: Float[np.ndarray, "rows columns 4"],
    window: Int[np.ndarray, "4"],
    image_size_px: tuple[int, int],
    noise_seed: int,
) -> UInt8[np.ndarray, "height width 3"]:
    """Put what was painted before the scene's background, and expose the picture."""
    pixels = np.empty((image_size_px[1], image_size_px[0], 3), np.uint8)
    develop(
        colour, window, stage.backgrounds[scene.background], scene.view, scene.background_light,
        scene.shadow_shift, scene.sensor, noise_seed, pixels,
    )  # fmt: skip
    return pixels


def encode_jpeg(pixels: UInt8[np.ndarray, "height width 3"], quality: int) -> bytes:
    """Compress a picture."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _with_forearm(
    stage: Stage, exposure: Exposure, scene: Scene
) -> Float[np.ndarray, "2 vertices 3"]:
    """Extend the hand at the start and at the end of the exposure."""
    ends = exposure.vertices[[0, 2]]
    palm = rotation_matrices(exposure.global_orient[[0, 2]])
    outwards = palm[..., 0]
    forearm = palm @ (np.array([1.0, 0, 0]) + scene.wrist_bend)
    forearm /= np.linalg.norm(forearm, axis=-1, keepdims=True)
    return extend_with_forearm(ends, outwards, forearm, np.full(2, scene.cuff_m), stage.mesh.rim)


def _placed(stage: Stage, thing: PlacedThing) -> np.ndarray:
    return stage.things[thing.model].vertices @ thing.axes.T + thing.centre


def _project(points: np.ndarray, intrinsics_px: np.ndarray) -> np.ndarray:
    homogeneous = points @ intrinsics_px.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def _window(
    vertices: np.ndarray, intrinsics_px: np.ndarray, image_size_px: tuple[int, int]
) -> Int[np.ndarray, "4"]:
    """Give left, top, width and height of the part of the picture that the meshes can cover."""
    size = np.array(image_size_px)
    if vertices[:, 2].min() < _NEAR_M:
        return np.array([0, 0, *size])
    points = _project(vertices, intrinsics_px)
    low = np.clip(np.floor(points.min(0)) - 2, 0, size - 1).astype(np.int64)
    high = np.clip(np.ceil(points.max(0)) + 3, low + 1, size).astype(np.int64)
    return np.concatenate([low, high - low])


def _visibility(seen: np.ndarray, joint_depth: np.ndarray) -> Int[np.ndarray, "21"]:
    depth, material = seen[:, 0], seen[:, 1]
    hidden_by_thing = (material == THING) & (depth < joint_depth - 0.004)
    hidden_by_hand = (material >= 0) & (material != THING) & (depth < joint_depth - _FLESH_M)
    kinds = [hidden_by_thing, hidden_by_hand]
    return np.select(kinds, [OBJECT_OCCLUDED, SELF_OCCLUDED], VISIBLE)
