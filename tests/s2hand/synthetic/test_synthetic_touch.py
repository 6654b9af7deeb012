"""Hands that do not run through themselves, and things that touch them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial import KDTree

from s2hand.hand.embedded import embedded_hand, embedded_surface
from s2hand.hand.layer import HandLayer
from s2hand.synthetic.body import body_mesh, make_person
from s2hand.synthetic.interpenetration import part_fingers, penetration_depths
from s2hand.synthetic.micro_texture import texel_weights
from s2hand.synthetic.motion import sample_motion, sample_postures
from s2hand.synthetic.objects import make_object
from s2hand.synthetic.scene import held_thing
from s2hand.synthetic.skin import sample_tone

HAND, SURFACE = embedded_hand(), embedded_surface()
LAYER = HandLayer(HAND, use_mean_pose=False, dtype=torch.float64)
DEEP_M = 0.004
EXAMPLES = np.arange(len(HAND.hands_coeffs))


def examples(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).integers(0, len(HAND.hands_coeffs), count)
    return (HAND.hands_mean + HAND.hands_coeffs[rows] @ HAND.hands_components).reshape(-1, 15, 3)


def pose(hand_pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    zero = torch.zeros(len(hand_pose), 10, dtype=torch.float64)
    output = LAYER(betas=zero, global_orient=zero[:, :3], hand_pose=torch.from_numpy(hand_pose))
    return output.vertices.numpy(), output.joints.numpy()


def winding_numbers(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Solid angle of a mesh over 4 pi (van Oosterom and Strackee, 1983): 1 inside, 0 outside."""
    low, high = corners.min((0, 1)), corners.max((0, 1))
    near = ((points > low) & (points < high)).all(1)
    numbers = np.zeros(len(points))
    a, b, c = (corners[None, :, k] - points[near, None] for k in range(3))
    x, y, z = (np.linalg.norm(v, axis=-1) for v in (a, b, c))
    volume = (a * np.cross(b, c)).sum(-1)
    below = x * y * z + (a * b).sum(-1) * z + (b * c).sum(-1) * x + (c * a).sum(-1) * y
    numbers[near] = np.arctan2(volume, below).sum(1) / (2 * np.pi)
    return numbers


def deepest_m(vertices: np.ndarray) -> float:
    """How far a vertex of one part lies below the surface of another, away from their joint."""
    part = np.zeros(778, int)
    part[HAND.faces] = SURFACE.face_part[:, None]
    near = (part[HAND.faces] != SURFACE.face_part[:, None]).any(1)
    for _ in range(3):
        near = np.isin(HAND.faces, HAND.faces[near]).any(1)
    apart = ~np.isin(np.arange(778), HAND.faces[near])
    deepest = 0.0
    for other in range(6):
        corners = vertices[HAND.faces[SURFACE.face_part == other]]
        asked = vertices[apart & (part != other)]
        inside = asked[winding_numbers(asked, corners) > 0.5]
        surface = np.einsum("tk,fkc->ftc", texel_weights(4), corners).reshape(-1, 3)
        for point in inside:
            deepest = max(deepest, np.linalg.norm(surface - point, axis=1).min())
    return deepest


def test_parted_fingers_are_outside_each_other_by_winding_numbers() -> None:
    before = examples(24, seed=3)
    after = part_fingers(HAND, before)
    deep = [np.mean([deepest_m(v) > DEEP_M for v in pose(p)[0]]) for p in (before, after)]
    assert deep[0] > 0.2, "too few of these hands collide for the test to say anything"
    assert deep[1] < 0.3 * deep[0]


def test_depths_agree_with_winding_numbers() -> None:
    postures = examples(24, seed=4)
    cheap = penetration_depths(HAND, postures).max((1, 2)) > 0.001
    exact = np.array([deepest_m(vertices) > 0.001 for vertices in pose(postures)[0]])
    assert (cheap == exact).mean() > 0.85
    assert cheap.any()
    assert not cheap.all()


def test_only_the_fingers_that_collide_are_moved() -> None:
    postures = examples(60, seed=5)
    depths = penetration_depths(HAND, postures)
    free = depths.max((1, 2)) <= 0.001
    parted = part_fingers(HAND, postures)
    assert_array_equal(parted[free], postures[free])
    assert (parted[~free] != postures[~free]).any((1, 2)).all()
    assert (penetration_depths(HAND, parted).max((1, 2)) < 0.002).all()
    # Each moved finger is on the straight way to the mean posture.
    rest = HAND.hands_mean.reshape(15, 3)
    share = np.linalg.norm(parted - rest, axis=-1) / np.linalg.norm(postures - rest, axis=-1)
    assert_allclose(parted - rest, share[..., None] * (postures - rest), atol=1e-12)
    assert ((share > 0) & (share <= 1 + 1e-12)).all()


def test_drawn_hands_and_hands_in_motion_touch_at_most() -> None:
    drawn = sample_postures(HAND, EXAMPLES, 100, np.random.default_rng(0))
    assert (penetration_depths(HAND, drawn).max((1, 2)) > 0.002).mean() < 0.03
    motions = [
        sample_motion(HAND, EXAMPLES, np.arange(40) / 10, np.random.default_rng(k))
        for k in range(5)
    ]
    frames = np.concatenate([np.ascontiguousarray(m.rotations[:, 1:]) for m in motions])
    assert (penetration_depths(HAND, frames).max((1, 2)) > 0.002).mean() < 0.03


def test_held_things_touch_the_skin() -> None:
    postures = sample_postures(HAND, EXAMPLES, 40, np.random.default_rng(1))
    things = [make_object("thing", np.random.default_rng(k)) for k in range(10)]
    weights = texel_weights(6)
    for k, (skin, joints) in enumerate(zip(*pose(postures), strict=True)):
        shape = things[k % 10]
        thing = held_thing(0, shape, skin, joints, np.eye(3), np.random.default_rng(k))
        corners = (shape.vertices @ thing.axes.T + thing.centre)[shape.faces]
        surface = np.einsum("tk,fkc->ftc", weights, corners).reshape(-1, 3)
        assert KDTree(surface).query(skin)[0].min() < 0.004
        inside = winding_numbers(skin, corners) > 0.5
        assert inside.sum() <= 8


@pytest.mark.parametrize("seed", range(12))
def test_a_thing_contains_what_its_mesh_encloses(seed: int) -> None:
    shape = make_object("thing", np.random.default_rng(seed))
    points = np.random.default_rng(0).uniform(-1.1, 1.1, (300, 3))
    enclosed = np.abs(winding_numbers(points, shape.vertices[shape.faces])) > 0.5
    contained = np.array([shape.contains(point[None]) for point in points])
    assert (enclosed == contained).mean() > 0.97  # the mesh is a polygon, the thing is round


def test_nails_follow_the_tone_of_the_skin() -> None:
    tones = [sample_tone(np.random.default_rng(k)) for k in range(60)]
    back = np.array([tone.back.mean() for tone in tones])
    nail = np.array([tone.nail.mean() for tone in tones])
    assert np.corrcoef(np.log(back), np.log(nail))[0, 1] > 0.9
    ratio = nail / back
    assert (ratio > 0.8).all()
    assert (ratio < 4).all()


@pytest.mark.parametrize("seed", range(6))
def test_forearm_goes_on_in_the_colour_of_the_wrist(seed: int) -> None:
    mesh = body_mesh()
    texels = make_person(mesh, np.random.default_rng(seed)).texels[..., :3].astype(float)
    at_rim = np.isin(mesh.faces, mesh.rim).sum(1) == 2
    numbers = np.arange(len(mesh.faces))
    # The palm's side of the hand alone: there the colours differ most.
    rest = HAND.v_template[mesh.rim]
    palmar = mesh.rim[rest[:, 1] < np.median(rest[:, 1])]
    palmar_faces = at_rim & (np.isin(mesh.faces, palmar).sum(1) == 2)
    hand = texels[palmar_faces & (numbers < len(HAND.faces))].mean((0, 1))
    arm = texels[palmar_faces & (numbers >= len(HAND.faces))].mean((0, 1))
    assert_allclose(hand, arm, rtol=0.1)
