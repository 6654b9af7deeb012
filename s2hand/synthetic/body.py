"""The hand's mesh continued by a forearm, and a cast of people with their painted skin."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int, UInt8

from s2hand.geometry.mesh import boundary_loops
from s2hand.hand.embedded import embedded_hand, embedded_surface
from s2hand.synthetic.micro_texture import SKIN_SUBDIVISIONS, pack_texels, texel_weights
from s2hand.synthetic.noise import surface_noise
from s2hand.synthetic.shading import SKIN, SLEEVE
from s2hand.synthetic.skin import paint_forearm, paint_hand, sample_tone

_BARE_RINGS_M = (0.007, 0.016, 0.028, 0.045, 0.07, 0.11, 0.17, 0.25, 0.35, 0.45)
"""Distance of the rings of bare skin from the wrist's opening; a sleeve covers the last ones."""
_SLEEVE_RINGS_M = (0.0, 0.0015, 0.02, 0.05, 0.1, 0.17, 0.28, 0.45)
"""Distance of the sleeve's rings from its cuff."""
_RIM = 16


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BodyMesh:
    """Triangles of hand, bare forearm and sleeve; vertices in that order."""

    faces: Int[np.ndarray, "faces 3"]
    material: Int[np.ndarray, "faces"]
    rim: Int[np.ndarray, "16"]
    """The hand's vertices around the wrist's opening."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Person:
    """Shape, painted skin and sleeve of one subject."""

    betas: Float[np.ndarray, "10"]
    texels: UInt8[np.ndarray, "faces texels 5"]
    gloss: float
    """How shiny the skin is, as a factor."""
    brightness: float
    """Mean albedo of the back of the hand."""


def body_mesh() -> BodyMesh:
    """Build the triangles that continue the embedded hand."""
    hand_faces = embedded_hand().faces
    rim = boundary_loops(hand_faces)[0]
    first = np.arange(_RIM)
    bare = [rim, *(778 + _RIM * k + first for k in range(len(_BARE_RINGS_M)))]
    start = 778 + _RIM * len(_BARE_RINGS_M)
    sleeve = [start + _RIM * k + first for k in range(len(_SLEEVE_RINGS_M))]
    bare_faces, sleeve_faces = _tube(bare), _tube(sleeve)
    faces = np.concatenate([hand_faces, bare_faces, sleeve_faces])
    material = np.full(len(faces), SKIN, np.int64)
    material[-len(sleeve_faces) :] = SLEEVE
    return BodyMesh(faces=faces.astype(np.int64), material=material, rim=rim)


def extend_with_forearm(
    hand: Float[np.ndarray, "batch 778 3"],
    outwards: Float[np.ndarray, "batch 3"],
    forearm: Float[np.ndarray, "batch 3"],
    cuff_m: Float[np.ndarray, "batch"],
    rim: Int[np.ndarray, "16"],
) -> Float[np.ndarray, "batch vertices 3"]:
    """Add the vertices of forearm and sleeve to posed hands.

    Args:
        hand: Vertices in the camera frame, metres.
        outwards: Unit direction in which the hand's wrist points.
        forearm: Unit direction of the forearm, at an angle to the first where the wrist bends.
        cuff_m: Distance of the sleeve's cuff from the wrist's opening.
        rim: The vertices around the opening.
    """
    opening = hand[..., rim, :]
    centre = opening.mean(-2)
    offsets = opening - centre[..., None, :]
    rings = [hand]
    for distance in _BARE_RINGS_M:
        rings.append(_ring(centre, offsets, outwards, forearm, np.full_like(cuff_m, distance), 1.0))
    for distance in _SLEEVE_RINGS_M:
        width = 1.06 if distance == 0 else 1.3
        rings.append(_ring(centre, offsets, outwards, forearm, cuff_m + distance, width))
    return np.concatenate(rings, axis=-2)


def make_person(mesh: BodyMesh, generator: np.random.Generator) -> Person:
    """Draw one subject and paint it."""
    tone = sample_tone(generator)
    hand = embedded_hand()
    skin = paint_hand(embedded_surface(), hand.faces, tone, generator)
    ahead = np.array([[1.0, 0, 0]])
    template = extend_with_forearm(hand.v_template[None], ahead, ahead, np.array([0.06]), mesh.rim)[
        0
    ]
    corners = template[mesh.faces]
    bare = (mesh.material == SKIN) & (np.arange(len(mesh.faces)) >= len(hand.faces))
    forearm = paint_forearm(corners[bare], tone, generator)
    sleeve = _weave(corners[mesh.material == SLEEVE], generator)
    return Person(
        betas=np.clip(generator.normal(0, 1, 10), -2.2, 2.2),
        texels=np.concatenate([skin, forearm, sleeve]),
        gloss=float(generator.uniform(0.3, 1.0)),
        brightness=float(tone.back.mean()),
    )


def _tube(rings: list[np.ndarray]) -> np.ndarray:
    """Connect rings whose points run against the hand's own edges around its opening."""
    faces = []
    for near, far in pairwise(rings):
        for k in range(_RIM):
            a, b = near[k], near[(k + 1) % _RIM]
            c, d = far[k], far[(k + 1) % _RIM]
            faces += [(b, a, c), (b, c, d)]
    return np.array(faces)


def _ring(
    centre: np.ndarray,
    offsets: np.ndarray,
    outwards: np.ndarray,
    forearm: np.ndarray,
    distance: np.ndarray,
    width: float,
) -> np.ndarray:
    """Place one ring: the axis bends from the hand's direction to the forearm's within 4 cm."""
    share = np.clip(distance / 0.04, 0, 1)[..., None]
    direction = outwards * (1 - share) + forearm * share
    direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    middle = 0.5 * (outwards + direction)
    bent = np.minimum(distance, 0.04)[..., None] * middle
    axis_point = centre + bent + np.maximum(distance - 0.04, 0)[..., None] * forearm
    along = (offsets * direction[..., None, :]).sum(-1, keepdims=True)
    flat = offsets - along * direction[..., None, :] * np.minimum(share, 1)[..., None]
    # The forearm is narrowest just behind the wrist and grows towards the elbow.
    growth = (
        1 - 0.06 * np.exp(-((distance - 0.015) ** 2) / 2e-4) + 2.2 * np.maximum(distance - 0.02, 0)
    )
    return axis_point[..., None, :] + flat * (np.minimum(growth, 1.5) * width)[..., None, None]


def _weave(
    corners: np.ndarray, generator: np.random.Generator
) -> UInt8[np.ndarray, "faces texels 5"]:
    """Paint grey cloth with folds; each picture tints it."""
    weights = texel_weights(SKIN_SUBDIVISIONS)
    flat = np.einsum("tk,fkc->ftc", weights, corners).reshape(-1, 3)
    folds = surface_noise(flat * [1.0, 0.4, 0.4], 0.015, generator)
    folds = folds + 0.6 * surface_noise(flat, 0.006, generator)
    thread = surface_noise(flat, 0.0012, generator)
    stripes = np.sin(flat[:, 0] * generator.uniform(150, 900)) > 0.4
    pattern = generator.uniform(0, 0.5) * stripes * (generator.random() < 0.35)
    grey = np.clip(0.75 * (1 + 0.1 * folds + 0.12 * thread) * (1 - pattern), 0, 1)
    shape = (len(corners), len(weights))
    albedo = np.repeat(grey.reshape(*shape, 1), 3, axis=-1)
    return pack_texels(albedo, np.full(shape, 0.05), 6e-4 * folds.reshape(shape))
