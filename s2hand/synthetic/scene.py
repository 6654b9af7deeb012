"""Light, camera settings and things of one picture or one sequence."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from s2hand.hand.joints import BONES
from s2hand.synthetic.body import Person
from s2hand.synthetic.objects import ObjectModel

_LONG_SLEEVE_M, _SHORT_SLEEVE_M = (0.02, 0.066), (0.15, 0.4)
"""Where long and short sleeves end, from the wrist's opening."""
_NARROWER = np.array([0.8, 0.8, 1.0])
_SHRINKS, _MOVES, _HALVINGS = 8, 10, 4
"""How often a held thing is made narrower, moved and moved by halves until it touches."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scene:
    """Everything about a picture but the hand; the fields are ``paint``'s and ``develop``'s."""

    lights: Float[np.ndarray, "lights 7"]
    ambient: Float[np.ndarray, "2 3"]
    materials: Float[np.ndarray, "3 5"]
    background: int
    view: Float[np.ndarray, "6"]
    background_light: Float[np.ndarray, "3"]
    shadow_shift: Float[np.ndarray, "2"]
    sensor: Float[np.ndarray, "8"]
    jpeg_quality: int
    cuff_m: float
    """Where the sleeve begins, from the wrist's opening."""
    wrist_bend: Float[np.ndarray, "3"]
    """Added to the forearm's unit direction, in the hand's frame."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PlacedThing:
    """A thing in the camera frame."""

    model: int
    axes: Float[np.ndarray, "3 3"]
    """Columns: the images of the model's unit axes, with their lengths."""
    centre: Float[np.ndarray, "3"]


def sample_scene(
    num_backgrounds: int,
    background_size_px: int,
    image_size_px: tuple[int, int],
    person: Person,
    generator: np.random.Generator,
) -> Scene:
    """Draw lights, materials, background and camera settings."""
    lights, ambient = _lights(generator)
    brightness = 0.45 * ambient.mean() + 0.3 * lights[:, 3:6].mean(1).sum()
    tint = lights[:, 3:6].sum(0) + ambient.sum(0)
    tint = tint / tint.mean()
    sleeve = generator.uniform(0.02, 1.1, 3) ** 1.5 * generator.uniform(0.3, 1)
    if generator.random() < 0.5:
        sleeve = np.full(3, sleeve.mean()) * (1 + generator.normal(0, 0.05, 3))
    materials = np.array(
        [
            [1, 1, 1, 0.8 * person.gloss, 1],
            [*np.clip(sleeve, 0.01, 1.2), 0.05, 0],
            [1, 1, 1, generator.uniform(0.1, 0.8), 0],
        ]
    )
    # Automatic exposure: a light hand is exposed less, a dark one more, but not to equality.
    exposure = generator.uniform(0.5, 0.95) / brightness * (0.3 / person.brightness) ** 0.4
    noisy = generator.exponential(0.5)
    sensor = np.array(
        [
            exposure,
            min(generator.exponential(0.25), 1.0),
            4e-4 * noisy,
            3e-5 * noisy,
            generator.uniform(0, 0.12),
            generator.uniform(-0.1, 0.4),
            generator.uniform(0.15, 0.6) if generator.random() < 0.6 else 0.0,
            generator.uniform(0.75, 1.2),
        ]
    )
    return Scene(
        lights=lights,
        ambient=ambient,
        materials=materials,
        background=int(generator.integers(num_backgrounds)),
        view=_view(background_size_px, image_size_px, generator),
        background_light=tint * generator.uniform(0.35, 0.95) / exposure,
        shadow_shift=generator.normal(0, 1.5, 2),
        sensor=sensor,
        jpeg_quality=int(generator.integers(72, 97)),
        cuff_m=float(
            generator.uniform(*(_LONG_SLEEVE_M if generator.random() < 0.45 else _SHORT_SLEEVE_M))
        ),
        wrist_bend=generator.normal(0, 1, 3) * [0.0, 0.32, 0.18],
    )


def held_thing(
    model: int,
    shape: ObjectModel,
    skin: Float[np.ndarray, "778 3"],
    joints: Float[np.ndarray, "21 3"],
    palm: Float[np.ndarray, "3 3"],
    generator: np.random.Generator,
) -> PlacedThing:
    """Put a thing where the hand could hold it: before the palm, as wide as fits, touching skin.

    Args:
        model: Index of the thing.
        shape: The thing itself.
        skin: The hand's vertices, camera frame.
        joints: Camera frame.
        palm: The hand's global rotation: fingers at −x, palm at −y, thumb at +z.
        generator: Draws what is not determined.
    """
    axis = palm @ (np.array([0, 0, 1.0]) + generator.normal(0, [0.35, 0.2, 0]))
    axis /= np.linalg.norm(axis)
    inner = 0.5 * joints[[8, 12, 16, 20]].mean(0) + 0.5 * joints[[0, 5, 9, 13, 17]].mean(0)
    steps = np.linspace(0, 1, 5)[:, None]
    flesh = np.concatenate([joints[a] * (1 - steps) + joints[b] * steps for a, b in BONES])
    best, radius = inner, 0.0
    for distance in np.linspace(0.0, 0.07, 8):  # away from the palm until it fits
        centre = inner - distance * palm[:, 1]
        across = flesh - centre
        across = across - (across @ axis)[:, None] * axis
        room = np.linalg.norm(across, axis=1).min() - 0.009
        if room > radius:
            best, radius = centre, room
        if room > 0.018:
            break
    radius = float(np.clip(radius, 0.007, 0.042))
    length = generator.uniform(0.03, 0.09)
    axes = _axes_along(axis, generator) * [radius, radius, length]
    centre = best + axis * generator.uniform(-0.3, 0.3) * length
    return _brought_to_touch(model, shape, axes, centre, skin)


def _brought_to_touch(
    model: int, shape: ObjectModel, axes: np.ndarray, centre: np.ndarray, skin: np.ndarray
) -> PlacedThing:
    """Make a thing narrower while skin is inside, then move it to the nearest skin."""
    inverse = np.linalg.inv(axes).T
    local = (skin - centre) @ inverse
    for _ in range(_SHRINKS):
        if not shape.contains(local):
            break
        axes, inverse, local = axes * _NARROWER, inverse / _NARROWER, local / _NARROWER
    way = skin - centre
    way = way[(way**2).sum(1).argmin()]
    step = way @ inverse
    # The nearest vertex is met at the latest when the centre reaches it.
    shares = np.arange(1, _MOVES + 1) / _MOVES
    met = next((share for share in shares if shape.contains(local - share * step)), 1.0)
    free = met - 1 / _MOVES
    for _ in range(_HALVINGS):
        middle = 0.5 * (free + met)
        free, met = (free, middle) if shape.contains(local - middle * step) else (middle, met)
    return PlacedThing(model=model, axes=axes, centre=centre + free * way)


def free_thing(
    model: int,
    joints: Float[np.ndarray, "21 3"],
    generator: np.random.Generator,
    *,
    in_front: bool,
) -> PlacedThing:
    """Put a thing near the hand: between it and the camera, or beside and behind it."""
    centre = joints[int(generator.integers(21))].copy()
    towards_camera = -centre / np.linalg.norm(centre)
    reach = generator.uniform(0.04, 0.12) if in_front else -generator.uniform(0.05, 0.2)
    centre = centre + reach * towards_camera + generator.normal(0, 0.03, 3)
    radius, length = generator.uniform(0.008, 0.03), generator.uniform(0.02, 0.1)
    axis = generator.normal(size=3)
    axes = _axes_along(axis / np.linalg.norm(axis), generator)
    return PlacedThing(model=model, axes=axes * [radius, radius, length], centre=centre)


def _lights(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two or three lights of different colour and softness, and ambient light from two sides."""
    count = int(generator.integers(2, 4))
    lights = np.zeros((count, 7))
    for k in range(count):
        direction = generator.normal([0, -0.9, -0.7], 1)  # mostly from above and in front
        lights[k, :3] = direction / np.linalg.norm(direction)
        strength = generator.uniform(0.5, 1.6) if k == 0 else generator.uniform(0.08, 0.6)
        lights[k, 3:6] = strength * _colour_of_light(generator)
        lights[k, 6] = generator.uniform(0.8, 7)
    ambient = generator.uniform(0.15, 0.75) * np.stack(
        [_colour_of_light(generator), _colour_of_light(generator) * generator.uniform(0.25, 0.8)]
    )
    return lights, ambient


def _colour_of_light(generator: np.random.Generator) -> np.ndarray:
    """From lamp light to the sky's, after the camera's white balance."""
    warm, cool = np.array([1.14, 0.98, 0.78]), np.array([0.9, 1.0, 1.12])
    share = generator.random()
    return warm * share + cool * (1 - share)


def _view(
    background_size: int, image_size_px: tuple[int, int], generator: np.random.Generator
) -> np.ndarray:
    """Show a random, turned and possibly mirrored part of the background."""
    most = np.clip(background_size / max(image_size_px), 0.8, 1.6)
    scale = generator.uniform(0.5, most)
    angle = generator.normal(0, 0.3)
    flip = generator.choice([-1.0, 1.0])
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    shift = generator.uniform(0, background_size, 2)
    return np.array([flip * cosine, -sine, shift[0], flip * sine, cosine, shift[1]])


def _axes_along(axis: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Give a right-handed frame, as columns, whose third axis is given."""
    first = np.cross(axis, generator.normal(size=3))
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(axis, first), axis], axis=1)
