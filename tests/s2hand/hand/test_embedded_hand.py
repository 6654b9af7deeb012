"""The embedded hand is MANO's interface in a human form: topology, proportions, skin in motion."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s2hand.hand.embedded import HandSurface, embedded_hand, embedded_surface
from s2hand.hand.model_data import SHAPES, HandModelData

ROOT = Path(__file__).parents[3]
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
TIPS = {
    "thumb": (744, 745),
    "index": (317, 320, 333),
    "middle": (443, 444),
    "ring": (554, 555, 556),
    "little": (671, 672, 673),
}
FIRST = {"thumb": 13, "index": 1, "middle": 4, "ring": 10, "little": 7}


@pytest.fixture(scope="module")
def hand() -> HandModelData:
    return embedded_hand()


@pytest.fixture(scope="module")
def joints(hand: HandModelData) -> np.ndarray:
    return hand.J_regressor @ hand.v_template


@pytest.fixture(scope="module")
def sampled(hand: HandModelData) -> np.ndarray:
    """Vertices of 1,000 postures drawn from all 45 components."""
    coefficients = np.random.default_rng(0).normal(size=(1000, 45))
    return pose_hand(hand, hand.hands_mean + coefficients @ hand.hands_components)


def pose_hand(hand: HandModelData, hand_pose: np.ndarray) -> np.ndarray:
    """Linear blend skinning, written out bone by bone."""
    vertices, (blends, joints) = hand.v_template, (hand.weights, hand.J_regressor @ hand.v_template)
    rotations = Rotation.from_rotvec(hand_pose.reshape(-1, 3)).as_matrix().reshape(-1, 15, 3, 3)
    features = (rotations - np.eye(3)).reshape(len(rotations), 135)
    shaped = vertices + np.tensordot(features, hand.posedirs, axes=(1, 2))
    turn, place = [np.broadcast_to(np.eye(3), (len(rotations), 3, 3))], [joints[[0]]]
    posed = blends[:, 0, None] * shaped
    for joint in range(1, 16):
        parent = PARENTS[joint]
        arm = joints[joint] - joints[parent]
        place.append(place[parent] + turn[parent] @ arm)
        turn.append(turn[parent] @ rotations[:, joint - 1])
        moved = (shaped - joints[joint]) @ turn[joint].swapaxes(1, 2) + place[joint][:, None]
        posed = posed + blends[:, joint, None] * moved
    return posed


def cross_products(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[..., faces[:, k], :] for k in range(3))
    return np.cross(b - a, c - a)


def directed_edges(faces: np.ndarray) -> set[tuple[int, int]]:
    return {(int(f[k]), int(f[(k + 1) % 3])) for f in faces for k in range(3)}


def boundary(faces: np.ndarray) -> list[int]:
    edges = directed_edges(faces)
    following = dict(edge for edge in edges if edge[::-1] not in edges)
    loop = [min(following)]
    while following[loop[-1]] != loop[0]:
        loop.append(following[loop[-1]])
    return loop


def capped_volume(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    rim = boundary(faces)
    centre = vertices[:, rim].mean(axis=1, keepdims=True)
    points = np.concatenate([vertices, centre], axis=1) - centre
    cap = np.array([(rim[k], rim[k - 1], 778) for k in range(len(rim))])
    a, b, c = (points[:, np.vstack([faces, cap])[:, k]] for k in range(3))
    return np.einsum("bfi,bfi->b", a, np.cross(b, c)) / 6


def test_one_disk_with_sixteen_edges_at_the_wrist(hand: HandModelData) -> None:
    edges = directed_edges(hand.faces)
    assert len(edges) == 3 * 1538, "an edge is used twice in one direction"
    undirected = {tuple(sorted(edge)) for edge in edges}
    assert 778 - len(undirected) + 1538 == 1
    rim = boundary(hand.faces)
    assert len(rim) == 16
    assert sum(edge[::-1] not in edges for edge in edges) == 16
    assert (hand.v_template[rim, 0] > hand.v_template[:, 0].max() - 1e-3).all()
    assert set(hand.faces.ravel().tolist()) == set(range(778))


def test_faces_are_outward_and_well_shaped(hand: HandModelData) -> None:
    crosses = cross_products(hand.v_template, hand.faces)
    area = 0.5 * np.linalg.norm(crosses, axis=1)
    sides = np.stack(
        [
            np.linalg.norm(
                hand.v_template[hand.faces[:, k]] - hand.v_template[hand.faces[:, k - 1]], axis=1
            )
            for k in range(3)
        ]
    )
    assert area.min() > 1e-6
    assert (sides.max(axis=0) ** 2 / (2 * area)).max() < 12
    volume = capped_volume(hand.v_template[None], hand.faces)[0]
    assert 240e-6 < volume < 420e-6  # hand and wrist, water displacement: 300-450 ml for men


def test_convention_right_hand_in_manos_frame(hand: HandModelData, joints: np.ndarray) -> None:
    assert joints[0] == pytest.approx([0.0957, 0.006, 0.006], abs=2e-3)
    tips = {name: hand.v_template[numbers[0]] for name, numbers in TIPS.items()}
    for name in ("index", "middle", "ring", "little"):
        assert tips[name][0] < -0.03, "fingers towards -x"
    across = [tips[name][2] for name in ("thumb", "index", "middle", "ring", "little")]
    assert across == sorted(across, reverse=True), "thumb towards +z, little finger towards -z"
    curl = np.zeros((1, 45))
    curl[0, [2, 5, 11, 14, 20, 23, 29, 32]] = 1.0  # about +z, MCP and PIP of the four fingers
    curled = pose_hand(hand, curl)[0]
    for name in ("index", "middle", "ring", "little"):
        assert curled[TIPS[name][0], 1] < tips[name][1] - 0.02, "flexion leads towards the palm, -y"


def test_chirality_needs_no_frame(hand: HandModelData, joints: np.ndarray) -> None:
    """Palm towards the viewer, fingers up, a right hand's thumb points to the viewer's right."""
    up = joints[4] - joints[0]
    towards_viewer = hand.v_template[TIPS["thumb"][0]] - joints[13]
    palm_normal = np.cross(joints[7] - joints[0], joints[1] - joints[0])
    palm_normal = -palm_normal / np.linalg.norm(palm_normal)
    rest = hand.v_template
    bent = pose_hand(hand, hand.hands_mean[None])[0]
    assert (bent[443] - rest[443]) @ palm_normal > 0.02, "the mean pose closes towards the palm"
    assert np.cross(up, palm_normal) @ towards_viewer > 0


def test_bone_lengths_at_zero_shape(joints: np.ndarray) -> None:
    """MANO's own figures (`s2hand_method`, section 1.3)."""
    wanted = {1: 0.0906, 4: 0.0947, 7: 0.0818, 10: 0.0861, 13: 0.0386}
    for joint, length in wanted.items():
        assert np.linalg.norm(joints[joint] - joints[0]) == pytest.approx(length, abs=1e-7)
    assert np.linalg.norm(joints[5] - joints[4]) == pytest.approx(0.0317, abs=1e-7)


def test_fingertips_lie_at_the_ends(hand: HandModelData, joints: np.ndarray) -> None:
    for name, numbers in TIPS.items():
        last = joints[FIRST[name] + 2]
        axis = last - joints[FIRST[name] + 1]
        axis /= np.linalg.norm(axis)
        own = np.flatnonzero(hand.weights[:, FIRST[name] + 2] > 0.5)
        reach = (hand.v_template[own] - last) @ axis
        for number in numbers:
            assert (hand.v_template[number] - last) @ axis > reach.max() - 0.004, (name, number)


def test_anthropometric_ratios(hand: HandModelData, joints: np.ndarray) -> None:
    """Middle finger against the others, breadth against length: published ranges of adults.

    Buryanov & Kotiuk 2010 (segments), Chatzioglou et al. 2024 (finger lengths), ANSUR II (hand
    length 181-193 mm, breadth 78-88 mm in the mean of women and men).
    """
    points = hand.v_template
    length = np.linalg.norm(points[TIPS["middle"][0]] - joints[0])
    assert 0.172 < length < 0.195
    knuckles = (np.abs(points[:, 0] - joints[10, 0]) < 0.005) & (points[:, 2] < 0.05)
    breadth = np.ptp(points[knuckles, 2])
    assert 0.078 < breadth < 0.088
    assert 0.43 < breadth / length < 0.48
    end = {name: np.linalg.norm(points[n[0]] - joints[FIRST[name]]) for name, n in TIPS.items()}
    assert 0.86 < end["index"] / end["middle"] < 0.95
    assert 0.90 < end["ring"] / end["middle"] < 0.98
    assert 0.70 < end["little"] / end["middle"] < 0.82
    wrist = points[points[:, 0] > joints[0, 0]]
    assert 0.050 < np.ptp(wrist[:, 2]) < 0.068
    for name, width_mm in {"index": 19, "middle": 19, "ring": 18, "little": 16}.items():
        joint = FIRST[name] + 1
        bone = joints[joint + 1] - joints[joint]
        bone /= np.linalg.norm(bone)
        across = np.cross([0.0, 1.0, 0.0], bone)
        offset = points - joints[joint]
        ring = (np.abs(offset @ bone) < 0.003) & (np.linalg.norm(offset, axis=1) < 0.013)
        width = np.ptp(offset[ring] @ across)
        assert width == pytest.approx(width_mm * 1e-3, abs=1.5e-3), name


def test_weights_are_smooth_mixtures_of_few_bones(hand: HandModelData) -> None:
    assert (hand.weights >= 0).all()
    assert hand.weights.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert (hand.weights > 0).sum(axis=1).max() <= 4
    edges = np.array(sorted({tuple(sorted(edge)) for edge in directed_edges(hand.faces)}))
    jump = np.abs(hand.weights[edges[:, 0]] - hand.weights[edges[:, 1]]).max(axis=1)
    assert jump.max() < 0.8
    assert np.median(jump) < 0.2
    assert (hand.weights[boundary(hand.faces), 0] > 0.999).all(), "the wrist's rim is still"


def test_regressor_is_a_mixture_that_follows_the_shape(
    hand: HandModelData, joints: np.ndarray
) -> None:
    assert (hand.J_regressor >= 0).all()
    assert hand.J_regressor.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert (hand.J_regressor > 0).sum(axis=1).max() <= 90
    moved = np.tensordot(hand.J_regressor, hand.shapedirs, axes=(1, 0))
    larger = moved[:, :, 0]
    scale = np.linalg.norm(larger[4] - larger[0]) / np.linalg.norm(joints[4] - joints[0])
    expected = scale * (joints - joints[0])
    assert np.abs(larger - larger[0] - expected).max() < 2e-5, "size scales about the wrist"
    longer = moved[:, :, 7] / np.linalg.norm(moved[:, :, 7], axis=1).max()
    assert np.linalg.norm(longer[[1, 2, 3, 4, 5, 6, 13, 14, 15]], axis=1).max() < 0.02
    assert np.linalg.norm(longer[9]) > np.linalg.norm(longer[8]) > 0.3, "only the little finger"


def test_shape_directions_are_ten_different_ones(hand: HandModelData) -> None:
    flat = hand.shapedirs.reshape(-1, 10)
    size_mm = np.sqrt((flat**2).sum(axis=0) / 778) * 1e3
    assert (size_mm > 0.1).all()
    assert np.argmax(size_mm) == 0
    unit = flat / np.linalg.norm(flat, axis=0)
    overlap = np.abs(unit.T @ unit - np.eye(10))
    assert overlap.max() < 0.95
    assert np.linalg.matrix_rank(unit, tol=0.05) == 10


def test_pose_components_are_scaled_principal_directions(hand: HandModelData) -> None:
    deviation = np.linalg.norm(hand.hands_components, axis=1)
    assert (np.diff(deviation) <= 1e-9).all()
    directions = hand.hands_components / deviation[:, None]
    assert directions @ directions.T == pytest.approx(np.eye(45), abs=1e-6)
    assert (deviation[:30] ** 2).sum() / (deviation**2).sum() > 0.99
    assert 0.8 < deviation[0] < 1.4
    assert hand.hands_coeffs.mean(axis=0) == pytest.approx(0.0, abs=1e-5)
    assert hand.hands_coeffs.std(axis=0, ddof=1) == pytest.approx(1.0, abs=1e-4)


def test_correctives_are_local(hand: HandModelData) -> None:
    blocks = hand.posedirs.reshape(778, 3, 15, 9)
    for joint in range(1, 16):
        members = [joint]
        for child in range(joint + 1, 16):
            if PARENTS[child] in members:
                members.append(child)
        follow = hand.weights[:, members].sum(axis=1)
        away = (follow < 1e-3) | (follow > 1 - 1e-3)
        assert away.sum() > 500
        assert not blocks[away, :, joint - 1].any()


def test_sampled_postures_keep_faces_and_volume(hand: HandModelData, sampled: np.ndarray) -> None:
    area = 0.5 * np.linalg.norm(cross_products(sampled, hand.faces), axis=-1)
    assert area.min() > 1e-9, "a face is degenerate"
    ratio = capped_volume(sampled, hand.faces) / capped_volume(hand.v_template[None], hand.faces)
    assert 0.85 < ratio.min() < ratio.max() < 1.15


def test_no_vertex_is_farther_than_skinning_explains(
    hand: HandModelData, joints: np.ndarray, sampled: np.ndarray
) -> None:
    """Along the bones a vertex lies no farther from the wrist than its chain stretched out."""
    reach = np.zeros(16)
    for joint in range(1, 16):
        parent = PARENTS[joint]
        reach[joint] = reach[parent] + np.linalg.norm(joints[joint] - joints[parent])
    to_bones = np.linalg.norm(hand.v_template[:, None] - joints[None], axis=2)
    bound = np.where(hand.weights > 0, reach + to_bones, 0.0).max(axis=1)
    distance = np.linalg.norm(sampled - joints[0], axis=2).max(axis=0)
    assert (distance < bound + 0.012).all()


def test_bent_joints_do_not_collapse(hand: HandModelData, joints: np.ndarray) -> None:
    """At 90 degrees the back of a PIP joint keeps its distance from the joint."""
    for name in ("index", "middle", "ring", "little"):
        joint = FIRST[name] + 1
        near = np.linalg.norm(hand.v_template - joints[joint], axis=1) < 0.011
        dorsal = near & (hand.v_template[:, 1] > joints[joint, 1] + 0.004)
        pose = np.zeros((1, 45))
        pose[0, 3 * (joint - 1) + 2] = np.pi / 2
        plain = np.linalg.norm(hand.v_template[dorsal] - joints[joint], axis=1)
        bent = np.linalg.norm(pose_hand(hand, pose)[0][dorsal] - joints[joint], axis=1)
        assert (bent / plain).min() > 0.93, name
        flat = HandModelData(
            **{k: getattr(hand, k) for k in SHAPES} | {"posedirs": np.zeros((778, 3, 135))},
            source="no correctives",
        )
        collapsed = np.linalg.norm(pose_hand(flat, pose)[0][dorsal] - joints[joint], axis=1)
        assert (collapsed / plain).min() < (bent / plain).min(), name


def test_surface_coordinates(hand: HandModelData, joints: np.ndarray) -> None:
    surface = embedded_surface()
    assert isinstance(surface, HandSurface)
    np.testing.assert_array_equal(surface.rest_positions, hand.v_template)
    assert set(surface.face_part.tolist()) == set(range(6))
    fingers = surface.face_part > 0
    lengths = np.linalg.norm(surface.corner_around[fingers], axis=2)
    assert lengths == pytest.approx(1.0, abs=1e-5)
    for part, name in enumerate(("thumb", "index", "middle", "ring", "little"), start=1):
        mine = surface.face_part == part
        corners = hand.faces[mine]
        along = surface.corner_along[mine]
        assert 2.9 < along.max() < 3.2
        pip = np.abs(along - 1.0) < 0.08
        distance = np.linalg.norm(hand.v_template[corners[pip]] - joints[FIRST[name] + 1], axis=1)
        assert pip.any()
        assert distance.max() < 0.026
        if name != "thumb":
            height = hand.v_template[corners][..., 1] - joints[FIRST[name] + 1, 1]
            dorsal = surface.corner_around[mine][..., 0]
            assert np.corrcoef(height.ravel(), dorsal.ravel())[0, 1] > 0.8
    palm = surface.face_part == 0
    assert surface.corner_along[palm].min() < -1.0
    assert surface.corner_around[palm][..., 1].min() > -1.5


def test_the_script_makes_the_committed_asset(
    monkeypatch: pytest.MonkeyPatch, hand: HandModelData, tmp_path: Path
) -> None:
    """Same arrays as committed, up to rounding of other machines' libraries; same bytes twice."""
    monkeypatch.syspath_prepend(str(ROOT))
    from tools.embedded_hand import build

    try:
        arrays = build.build()
        build.write(arrays, tmp_path / "one.npz")
        build.write(arrays, tmp_path / "two.npz")
    finally:
        for name in [name for name in sys.modules if name.startswith("tools.embedded_hand")]:
            del sys.modules[name]
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert (tmp_path / "one.npz").stat().st_size < 1_000_000
    for name in set(SHAPES) - {"faces"}:
        np.testing.assert_allclose(
            arrays[name], getattr(hand, name), atol=1e-5, err_msg=f"{name}: run `make hand-asset`"
        )
    assert_same_skin(arrays["faces"], hand.faces, hand.v_template)


def assert_same_skin(made: np.ndarray, kept: np.ndarray, points: np.ndarray) -> None:
    """Faces may differ in which of two equal diagonals splits a quadrilateral: rounding chooses."""
    assert made.shape == kept.shape
    rows = np.flatnonzero((made != kept).any(axis=1))
    assert len(rows) % 2 == 0
    for pair in rows.reshape(-1, 2):
        lengths = []
        for faces in (made, kept):
            diagonal = set(faces[pair[0]]) & set(faces[pair[1]])
            assert len(diagonal) == 2
            lengths.append(np.linalg.norm(np.subtract(*points[list(diagonal)])))
        assert set(made[pair].ravel()) == set(kept[pair].ravel())
        assert lengths[0] == pytest.approx(lengths[1], abs=1e-9)
