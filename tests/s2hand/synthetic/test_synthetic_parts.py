import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import binary_erosion

from s2hand.geometry.mesh import boundary_loops
from s2hand.hand.embedded import embedded_hand
from s2hand.hand.joints import BONES
from s2hand.rendering import rasterise
from s2hand.synthetic import collection, sequences
from s2hand.synthetic.body import body_mesh, extend_with_forearm
from s2hand.synthetic.collection import make_collection_shard
from s2hand.synthetic.detector import (
    DETECTORS,
    OBJECT_OCCLUDED,
    SELF_OCCLUDED,
    VISIBLE,
    DetectorInput,
    detect,
)
from s2hand.synthetic.files import format_entries, write_json_arrays
from s2hand.synthetic.micro_texture import texel_weights
from s2hand.synthetic.motion import (
    rotation_matrices,
)
from s2hand.synthetic.namespaces import posture_examples
from s2hand.synthetic.picture import Exposure, Picture, take_picture
from s2hand.synthetic.scene import PlacedThing, held_thing, sample_scene
from s2hand.synthetic.shading import _texel
from s2hand.synthetic.sizes import NamespaceSize
from s2hand.synthetic.stage import Stage, build_stage

HAND = embedded_hand()
EXAMPLES = posture_examples(HAND, "test")
PX = 64


@pytest.fixture(scope="module")
def stage() -> Stage:
    size = NamespaceSize(
        images=1, sequences=1, min_frames=1, max_frames=1, subjects=1, backgrounds=1, objects=2
    )
    return build_stage("training", size, 0, PX)


def test_json_numbers_equal_pythons() -> None:
    values = np.random.default_rng(0).normal(0, [1e-5, 1, 1000], (7, 4, 3))
    values[0, 0] = [0.0, -0.0000004, 12.5]
    parsed = json.loads(b"[" + format_entries(values) + b"]")
    assert_allclose(parsed, values, atol=5.1e-7)
    assert np.shape(parsed) == (7, 4, 3)


def test_json_blocks_join_to_one_list(tmp_path: Path) -> None:
    block = np.arange(12.0).reshape(2, 2, 3)
    write_json_arrays(tmp_path / "a.json", [block, block[:0], block + 1])
    expected = np.concatenate([block, block + 1])
    assert_array_equal(json.loads((tmp_path / "a.json").read_text()), expected)
    write_json_arrays(tmp_path / "b.json", [])
    assert json.loads((tmp_path / "b.json").read_text()) == []


@pytest.mark.parametrize("subdivisions", [1, 8, 12])
def test_texture_lookup_is_exact_for_linear_functions(subdivisions: int) -> None:
    weights = texel_weights(subdivisions)
    assert len(weights) == (subdivisions + 1) * (subdivisions + 2) // 2
    slopes = np.array([10.0, 100.0, 190.0])
    texels = np.repeat((weights @ slopes)[:, None], 5, axis=1)
    out = np.empty(7)
    for point in np.random.default_rng(1).dirichlet(np.ones(3), 200):
        _texel(texels, point[1], point[2], subdivisions, out)
        assert_allclose(out[:5] * 255, point @ slopes, rtol=1e-9)
    for corner in np.eye(3):
        _texel(texels, corner[1], corner[2], subdivisions, out)
        assert_allclose(out[0] * 255, corner @ slopes, rtol=1e-9)


def test_forearm_continues_the_hand_without_a_gap() -> None:
    mesh = body_mesh()
    ahead = np.array([[1.0, 0.0, 0.0]])
    template = HAND.v_template[None]
    body = extend_with_forearm(template, ahead, ahead, np.array([0.05]), mesh.rim)[0]
    assert mesh.faces.max() == len(body) - 1
    loops = boundary_loops(mesh.faces)
    assert not any(set(loop) & set(mesh.rim) for loop in loops), "the wrist is still open"
    behind = body[778:]
    assert behind[:, 0].min() > HAND.v_template[mesh.rim, 0].min() - 0.005


def posed(stage: Stage) -> tuple[Exposure, np.ndarray]:
    rotations = np.concatenate([np.full((1, 3), 1.2092), HAND.hands_mean.reshape(15, 3)])[None]
    vertices, joints = stage.pose(np.zeros((1, 10)), rotations)
    shift = np.array([0, 0, 0.5]) - joints[:, 9]
    exposure = Exposure(
        vertices=np.repeat(vertices + shift, 3, axis=0),
        joints=np.repeat(joints + shift, 3, axis=0),
        global_orient=np.repeat(rotations[:, 0], 3, axis=0),
    )
    centre = (PX - 1) / 2
    return exposure, np.array([[120.0, 0, centre], [0, 120.0, centre], [0, 0, 1]])


def test_picture_shows_the_hand_where_the_rasteriser_sees_it(stage: Stage) -> None:
    exposure, intrinsics = posed(stage)
    generator = np.random.default_rng(0)
    person = stage.people[0]
    scene = sample_scene(1, len(stage.backgrounds[0]), (PX, PX), person, generator)
    with_hand = take_picture(stage, person, exposure, scene, [], intrinsics, (PX, PX), 1)
    away = Exposure(
        vertices=exposure.vertices + np.array([5.0, 0, 0]),
        joints=exposure.joints + np.array([5.0, 0, 0]),
        global_orient=exposure.global_orient,
    )
    without = take_picture(stage, person, away, scene, [], intrinsics, (PX, PX), 1)
    change = np.abs(with_hand.pixels.astype(int) - without.pixels).max(-1)
    raster = rasterise(exposure.vertices[:1], intrinsics[None], HAND.faces, height=PX, width=PX)
    hand = raster.face_id[0] >= 0
    assert change[hand].mean() > 4 * change[~hand].mean()
    pad = project_px(exposure.joints[1], intrinsics)
    assert_allclose(with_hand.truth_px, pad, atol=1e-9)


def project_px(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    homogeneous = points @ intrinsics.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def test_blur_needs_motion(stage: Stage) -> None:
    exposure, intrinsics = posed(stage)
    scene = sample_scene(
        1, len(stage.backgrounds[0]), (PX, PX), stage.people[0], np.random.default_rng(0)
    )
    shift = np.array([-0.03, 0, 0.03])[:, None, None] * [1.0, 0, 0]
    moving = Exposure(
        vertices=exposure.vertices + shift,
        joints=exposure.joints + shift,
        global_orient=exposure.global_orient,
    )
    pictures = [
        take_picture(stage, stage.people[0], e, scene, [], intrinsics, (PX, PX), 1)
        for e in (exposure, moving)
    ]
    assert_array_equal(pictures[0].blur_px, 0)
    assert_allclose(pictures[1].blur_px[9], [0.06 / 0.5 * 120, 0], atol=1e-6)
    sharpness = [np.abs(np.diff(p.pixels.astype(float), axis=1)).mean() for p in pictures]
    assert sharpness[1] < 0.9 * sharpness[0]


def test_held_things_leave_room_for_the_fingers(stage: Stage) -> None:
    exposure, _ = posed(stage)
    joints = exposure.joints[1]
    palm = rotation_matrices(exposure.global_orient[:1])[0]
    for seed in range(10):
        thing = held_thing(
            0, stage.things[0], exposure.vertices[1], joints, palm, np.random.default_rng(seed)
        )
        axis = thing.axes[:, 2] / np.linalg.norm(thing.axes[:, 2])
        steps = np.linspace(0, 1, 20)[:, None]
        flesh = np.concatenate([joints[a] * (1 - steps) + joints[b] * steps for a, b in BONES])
        across = flesh - thing.centre
        across -= (across @ axis)[:, None] * axis
        radius = np.linalg.norm(thing.axes[:, 0])
        assert np.linalg.norm(across, axis=1).min() > 0.7 * min(
            radius, 0.03
        )  # a square's half side


def first_surface_m(exposure: Exposure, intrinsics: np.ndarray) -> np.ndarray:
    """Depth of the hand on the ray through each joint, by a picture of one pixel for each."""
    cameras = np.repeat(intrinsics[None], 21, axis=0)
    cameras[:, :2, 2] -= project_px(exposure.joints[1], intrinsics)
    vertices = np.repeat(exposure.vertices[1:2], 21, axis=0)
    return rasterise(vertices, cameras, HAND.faces, height=1, width=1).depth_m[:, 0, 0]


def test_what_lies_before_a_joint_hides_it(stage: Stage) -> None:
    exposure, intrinsics = posed(stage)
    person = stage.people[0]
    scene = sample_scene(1, len(stage.backgrounds[0]), (PX, PX), person, np.random.default_rng(0))

    def look(*things: PlacedThing) -> Picture:
        pairs = [(thing, thing) for thing in things]
        return take_picture(stage, person, exposure, scene, pairs, intrinsics, (PX, PX), 1)

    flesh_m = exposure.joints[1, :, 2] - first_surface_m(exposure, intrinsics)
    # The forearm, which the wrist's ray may meet, is not in the picture that is compared with.
    clear = np.flatnonzero(np.abs(flesh_m - 0.016) > 1e-3)[1:]
    expected = np.where(flesh_m > 0.016, SELF_OCCLUDED, VISIBLE)[clear]
    assert set(expected) == {VISIBLE, SELF_OCCLUDED}
    assert_array_equal(look().visibility[clear], expected)
    before, behind = (
        PlacedThing(model=0, axes=0.08 * np.eye(3), centre=np.array([0, 0, depth]))
        for depth in (0.25, 1.0)
    )
    assert_array_equal(look(before).visibility, OBJECT_OCCLUDED)
    assert_array_equal(look(behind).visibility, look().visibility)


@pytest.mark.parametrize("kind", ["collection", "sequence"])
def test_the_detector_is_told_how_each_joint_is_seen(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    module = collection if kind == "collection" else sequences
    told: list[DetectorInput] = []
    taken: list[Picture] = []

    def take(*arguments: object) -> Picture:
        taken.append(take_picture(*arguments))
        return taken[-1]

    def find(given: DetectorInput, *rest: object) -> tuple[np.ndarray, np.ndarray]:
        told.append(given)
        return detect(given, *rest)

    monkeypatch.setattr(module, "take_picture", take)
    monkeypatch.setattr(module, "detect", find)
    if kind == "collection":
        record = make_collection_shard(stage, tmp_path, 0, 12, PX, DETECTORS["simulated"])
        assert record.arrays["keypoints"].shape == (12, 21, 2)
        assert len(record.hashes) == 12
    else:
        sequences.make_sequence(stage, tmp_path, 0, 3, PX, DETECTORS["simulated"])
    (given,) = told
    for name in ("truth_px", "visibility", "blur_px"):
        seen = np.stack([getattr(picture, name) for picture in taken])
        assert_array_equal(getattr(given, name), seen)
    assert len(set(given.visibility.ravel())) > 1
    assert (given.frames is None) == (kind == "collection")


def test_a_background_does_not_shine_through_the_hand(stage: Stage) -> None:
    """Every pixel whose neighbourhood the hand covers is the same before a dark and a light one."""
    exposure, intrinsics = posed(stage)
    person = stage.people[0]
    scene = sample_scene(1, len(stage.backgrounds[0]), (PX, PX), person, np.random.default_rng(0))
    shown = [
        take_picture(
            stage, person, exposure, replace(scene, background_light=np.full(3, light)), [],
            intrinsics, (PX, PX), 1,
        ).pixels
        for light in (0.0, 1.0)
    ]  # fmt: skip
    raster = rasterise(exposure.vertices[:1], intrinsics[None], HAND.faces, height=PX, width=PX)
    inside = binary_erosion(raster.face_id[0] >= 0, iterations=3)
    assert inside.sum() > 50
    assert_array_equal(shown[0][inside], shown[1][inside])
    assert (shown[0] != shown[1]).any(-1)[raster.face_id[0] < 0].mean() > 0.5
