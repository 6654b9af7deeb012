"""Puts the parts together and writes the asset, byte for byte the same every time."""

import io
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from tools.embedded_hand.correctives import build_correctives
from tools.embedded_hand.fingers import Fingers, MeshBuilder, build_fingers
from tools.embedded_hand.palm import build_palm
from tools.embedded_hand.pose_space import build_pose_space
from tools.embedded_hand.shape_directions import build_regressor, joint_fields, shape_fields
from tools.embedded_hand.skeleton import FINGERS, FIRST_JOINT, PARENTS, Array, build_skeleton
from tools.embedded_hand.skinning import Anatomy, anatomy, build_weights
from tools.embedded_hand.surface import HandSurface

ASSET: Final = Path(__file__).parents[2] / "s2hand" / "hand" / "assets" / "embedded_hand.npz"
VERTICES: Final = 778
TIP_NUMBERS: Final = {
    "thumb": (744, 745),
    "index": (320, 317, 333),
    "middle": (443, 444),
    "ring": (555, 554, 556),
    "little": (672, 671, 673),
}
"""Numbers that the fingertip tables in use give to vertices on the fingertips."""
PALM_MARGIN: Final = 0.010
PALM_MIDDLE: Final = 0.004
PALM_HALF_DEPTH: Final = 0.012
"""Metres: skin beside the outer knuckles, depth of the palm's middle below them, half depth."""


def build() -> dict[str, Array]:
    """Make all arrays of the asset."""
    skeleton = build_skeleton()
    surface = HandSurface(skeleton)
    mesh = MeshBuilder()
    fingers = build_fingers(surface, mesh)
    build_palm(surface, mesh, fingers, VERTICES - len(mesh.points) - 16)
    points, faces, owner = _renumber(np.array(mesh.points), np.array(mesh.faces), fingers)
    place = anatomy(surface, points, owner)
    weights = build_weights(skeleton, points, faces, place)
    share = np.stack(
        [weights[:, FIRST_JOINT[name] : FIRST_JOINT[name] + 3].sum(axis=1) for name in FINGERS],
        axis=1,
    )
    shapedirs = shape_fields(surface, points, place, share)
    regressor = build_regressor(skeleton, points, shapedirs, joint_fields(surface))
    poses = build_pose_space(skeleton)
    part, along, around = _corner_coordinates(skeleton.joints, points, faces, place)
    return {
        "v_template": points,
        "faces": faces.astype(np.int16),
        "J_regressor": regressor,
        "shapedirs": shapedirs.astype(np.float32),
        "posedirs": build_correctives(skeleton, points, weights).astype(np.float32),
        "weights": weights,
        "hands_components": poses.components,
        "hands_mean": poses.mean,
        "hands_coeffs": poses.coefficients.astype(np.float32),
        "kintree_table": np.array([[0, *PARENTS[1:]], range(16)], dtype=np.int16),
        "face_part": part.astype(np.int8),
        "corner_along": along.astype(np.float32),
        "corner_around": around.astype(np.float32),
    }


def write(arrays: dict[str, Array], path: Path = ASSET) -> None:
    """Write a compressed archive with fixed time stamps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getvalue())


def _renumber(points: Array, faces: Array, fingers: Fingers) -> tuple[Array, Array, Array]:
    """Put the fingertips at their numbers; give points, faces and each vertex's finger."""
    owner = np.full(len(points), -1)
    for index, name in enumerate(FINGERS):
        owner[[i for ring in fingers.rings[name][1:] for i in ring]] = index
        owner[fingers.tips[name]] = index
    taken: dict[int, int] = {}
    for name, numbers in TIP_NUMBERS.items():
        chosen = [fingers.tips[name][k] for k in (2, 3, 1)]
        taken |= dict(zip(numbers, chosen, strict=False))
    rest = iter(sorted(set(range(len(points))) - set(taken.values())))
    order = np.array([taken[i] if i in taken else next(rest) for i in range(len(points))])
    number = np.argsort(order)
    return points[order], number[faces], owner[order]


def _corner_coordinates(
    joints: Array, points: Array, faces: Array, place: Anatomy
) -> tuple[Array, Array, Array]:
    """Anatomical coordinates of each face's corners, in the face's own part."""
    owners = place.finger[faces]
    part = owners.max(axis=1) + 1
    along = np.zeros(faces.shape)
    around = np.zeros((*faces.shape, 2))
    for index in range(len(FINGERS)):
        mine = part == index + 1
        along[mine] = place.along[faces[mine], index]
        around[mine] = place.around[faces[mine], index]
    palm = part == 0
    along[palm], around[palm] = _palm_coordinates(points, joints, faces[palm])
    return part, along, around


def _palm_coordinates(points: Array, joints: Array, faces: Array) -> tuple[Array, Array]:
    """Along: −1 at the wrist, 0 at the line of knuckles. Around: (dorsal, place across)."""
    knuckles = joints[[FIRST_JOINT[name] for name in ("little", "ring", "middle", "index")]]
    half_breadth = 0.5 * (knuckles[-1, 2] - knuckles[0, 2]) + PALM_MARGIN
    lateral = (points[:, 2] - 0.5 * (knuckles[-1, 2] + knuckles[0, 2])) / half_breadth
    line = np.interp(points[:, 2], knuckles[:, 2], knuckles[:, 0])
    height = np.interp(points[:, 2], knuckles[:, 2], knuckles[:, 1]) - PALM_MIDDLE
    along = (line - points[:, 0]) / (joints[0, 0] - line)
    dorsal = np.clip((points[:, 1] - height) / PALM_HALF_DEPTH, -1.0, 1.0)
    around = np.stack([dorsal, lateral], axis=1)
    return along[faces], around[faces]
