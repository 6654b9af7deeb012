"""Things to hold and things in the way: boxes and turned shapes with printed surfaces."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from s2hand.synthetic.micro_texture import OBJECT_SUBDIVISIONS, pack_texels, texel_weights
from s2hand.synthetic.noise import surface_noise


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ObjectModel:
    """One thing, standing along its z axis."""

    name: str
    vertices: Float[np.ndarray, "vertices 3"]
    """Radius 1 across (x, y), from −1 to 1 along z; scaled where it is placed."""
    faces: Int[np.ndarray, "faces 3"]
    texels: UInt8[np.ndarray, "faces texels 5"]
    profile: Float[np.ndarray, "heights"]
    """Radius at evenly spaced heights from −1 to 1; a square's is half its side."""
    is_square: bool

    def contains(self, points: Float[np.ndarray, "points 3"]) -> bool:
        """Say whether any of the points, in the model's own coordinates, lies inside."""
        near = points[(np.abs(points) < 1).all(1)]
        height = near[:, 2]
        across = np.abs(near[:, :2]).max(1) if self.is_square else np.hypot(near[:, 0], near[:, 1])
        levels = np.linspace(-1, 1, len(self.profile))
        return bool((across < np.interp(height, levels, self.profile)).any())


def make_object(name: str, generator: np.random.Generator) -> ObjectModel:
    """Make one thing: a box or a turned shape (can, ball, bottle, cone, cup)."""
    is_square = bool(generator.random() < 0.4)
    profile = np.full(2, np.sqrt(0.5)) if is_square else _profile(generator)
    vertices, faces = _box() if is_square else _turned(profile)
    return ObjectModel(
        name=name,
        vertices=vertices,
        faces=faces,
        texels=_print(vertices[faces], generator),
        profile=profile,
        is_square=is_square,
    )


def _box() -> tuple[np.ndarray, np.ndarray]:
    """A box whose cross-section is a square in the unit circle, each side with its own corners."""
    steps = np.linspace(-1, 1, 7)
    first, second = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    quads = np.array(
        [
            [7 * i + j, 7 * i + j + 7, 7 * i + j + 8, 7 * i + j + 1]
            for i in range(6)
            for j in range(6)
        ]
    )
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    vertices: list[np.ndarray] = []
    faces = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            points = np.empty((49, 3))
            points[:, axis] = side
            points[:, (axis + 1) % 3], points[:, (axis + 2) % 3] = first, second
            faces.append((triangles if side > 0 else triangles[:, ::-1]) + 49 * len(vertices))
            vertices.append(points)
    box = np.concatenate(vertices) * [np.sqrt(0.5), np.sqrt(0.5), 1]
    return box, np.concatenate(faces)


def _profile(generator: np.random.Generator) -> np.ndarray:
    """Radius at 13 heights; the ends close the shape."""
    height = np.linspace(-1, 1, 13)
    kind = generator.choice(["can", "ball", "bottle", "cone", "free"])
    if kind == "ball":
        radius = np.sqrt(np.clip(1 - height**2, 0, 1))
    elif kind == "bottle":
        radius = np.where(height < 0.3, 1.0, np.clip(1 - 1.6 * (height - 0.3), 0.4, 1))
    elif kind == "cone":
        radius = np.interp(height, [-1, 1], generator.uniform(0.3, 1, 2))
    elif kind == "free":
        radius = np.interp(height, np.linspace(-1, 1, 4), generator.uniform(0.5, 1, 4))
    else:
        radius = np.ones(13)
    return radius / radius.max()


def _turned(profile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn a profile about z; the caps have rings of their own so that their rim stays sharp."""
    height = np.linspace(-1, 1, len(profile))
    rings = [(-1.0, 0.0), (-1.0, profile[0]), *zip(height, profile, strict=True)]
    rings += [(1.0, profile[-1]), (1.0, 0.0)]
    around = 24
    angles = 2 * np.pi * np.arange(around) / around
    vertices = np.concatenate(
        [
            np.stack([r * np.cos(angles), r * np.sin(angles), np.full(around, z)], 1)
            for z, r in rings
        ]
    )
    faces = []
    for ring in range(len(rings) - 1):
        if ring in {1, len(rings) - 3}:  # between a cap's rim and the wall: the same circle twice
            continue
        for k in range(around):
            a, b = around * ring + k, around * ring + (k + 1) % around
            faces += [(a, b, b + around), (a, b + around, a + around)]
    return vertices, np.array(faces)


def _print(corners: np.ndarray, generator: np.random.Generator) -> UInt8[np.ndarray, "f t 5"]:
    """Paint plain colour, stripes, checks, blotches or a label band."""
    weights = texel_weights(OBJECT_SUBDIVISIONS)
    points = np.einsum("tk,fkc->ftc", weights, corners).reshape(-1, 3)
    grey = generator.uniform(0.03, 0.75, (2, 1))
    vividness = 0.05 if generator.random() < 0.5 else 0.3
    first, second = np.clip(grey * np.exp(vividness * generator.normal(0, 1.5, (2, 3))), 0.01, 0.9)
    angle = np.arctan2(points[:, 1], points[:, 0])
    kind = generator.choice(["plain", "stripes", "checks", "blotches", "label"])
    if kind == "stripes":
        phase = points @ generator.normal(0, 6, 3)
        mix = (np.sin(phase) > generator.uniform(-0.5, 0.7)).astype(float)
    elif kind == "checks":
        cells = np.floor(points[:, 2] * 5) + np.floor(angle / np.pi * 6)
        mix = cells % 2
    elif kind == "blotches":
        mix = (surface_noise(points, 0.35, generator) > generator.uniform(-0.2, 0.4)).astype(float)
    elif kind == "label":
        mix = (np.abs(points[:, 2] - generator.uniform(-0.3, 0.3)) < 0.45).astype(float)
        print_rows = (np.sin(points[:, 2] * 40) > 0.3) & (surface_noise(points, 0.1, generator) > 0)
        mix = mix * np.where(print_rows & (np.cos(angle) > 0.2), 0.25, 1.0)
    else:
        mix = 0.3 * surface_noise(points, 0.6, generator) + 0.3
    mix = np.clip(mix, 0, 1)[:, None]
    albedo = (first * (1 - mix) + second * mix) * (
        1 + 0.06 * surface_noise(points, 0.05, generator)[:, None]
    )
    shape = (len(corners), len(weights))
    gloss = np.full(shape, generator.uniform(0, 1))
    height = 1e-4 * generator.uniform(0, 1) * surface_noise(points, 0.08, generator)
    return pack_texels(albedo.reshape(*shape, 3), gloss, height.reshape(shape))
