"""Skin painted finer than the vertices: tone, creases, nails, palm lines, veins, mottling."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from s2hand.hand.embedded import HandSurface
from s2hand.synthetic.micro_texture import SKIN_SUBDIVISIONS, pack_texels, texel_weights
from s2hand.synthetic.noise import surface_noise

_TONES_SRGB = np.array(
    [
        [238, 203, 184],
        [226, 182, 155],
        [206, 154, 122],
        [174, 122, 91],
        [128, 85, 61],
        [84, 56, 43],
    ]
)
"""The back of the hand from the lightest to the darkest, Fitzpatrick's types I to VI."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SkinTone:
    """Colours of one person's hand, linear RGB albedo."""

    back: Float[np.ndarray, "3"]
    palm: Float[np.ndarray, "3"]
    nail: Float[np.ndarray, "3"]


def sample_tone(generator: np.random.Generator) -> SkinTone:
    """Draw a skin tone, uniform over the six types."""
    place = generator.uniform(0, 5)
    back = _tone(place) * np.exp(generator.normal(0, [0.04, 0.03, 0.05]))
    # Palms hold little melanin: lighter, and redder.
    palm = _tone(place * 0.55) * [1.02, 0.88, 0.86] * np.exp(generator.normal(0, 0.04, 3))
    # Nails are clear: the bed shines through, a little lighter and redder than the skin around.
    nail = 0.92 * _tone(place * 0.88) * [1.0, 0.92, 0.92] + 0.08 * np.array([0.72, 0.47, 0.43])
    return SkinTone(back=back, palm=palm, nail=nail)


def paint_hand(
    surface: HandSurface,
    faces: Int[np.ndarray, "1538 3"],
    tone: SkinTone,
    generator: np.random.Generator,
) -> UInt8[np.ndarray, "1538 texels 5"]:
    """Paint one person's hand."""
    weights = texel_weights(SKIN_SUBDIVISIONS)
    points = np.einsum("tk,fkc->ftc", weights, surface.rest_positions[faces])
    place = _Place(
        points=points.reshape(-1, 3),
        along=(surface.corner_along @ weights.T).ravel(),
        dorsal=(surface.corner_around[..., 0] @ weights.T).ravel(),
        lateral=(surface.corner_around[..., 1] @ weights.T).ravel(),
        part=np.repeat(surface.face_part, len(weights)),
        palmar=(_palmarity(surface, faces)[faces] @ weights.T).ravel(),
    )
    painter = _Painter(place, tone, generator)
    painter.mottle()
    painter.redden()
    painter.crease_fingers()
    painter.line_palm()
    painter.raise_veins()
    painter.put_nails()
    shape = (len(faces), len(weights))
    return pack_texels(
        painter.albedo.reshape(*shape, 3),
        painter.gloss.reshape(shape),
        painter.height_m.reshape(shape),
    )


def paint_forearm(
    points: Float[np.ndarray, "faces corners 3"],
    tone: SkinTone,
    generator: np.random.Generator,
) -> UInt8[np.ndarray, "faces texels 5"]:
    """Paint bare forearm skin over the faces' corners (metres, any frame fixed to the arm)."""
    weights = texel_weights(SKIN_SUBDIVISIONS)
    flat = np.einsum("tk,fkc->ftc", weights, points).reshape(-1, 3)
    blotches = surface_noise(flat, 0.012, generator) + surface_noise(flat, 0.004, generator)
    albedo = tone.back * (1 + 0.05 * blotches[:, None] * [0.7, 1.0, 1.1])
    height = 4e-5 * surface_noise(flat, 0.0015, generator)
    shape = (len(points), len(weights))
    gloss = np.full(shape, 0.4)
    return pack_texels(albedo.reshape(*shape, 3), gloss, height.reshape(shape))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Place:
    """Where each texel lies; ``HandSurface`` describes the coordinates."""

    points: np.ndarray
    along: np.ndarray
    dorsal: np.ndarray
    lateral: np.ndarray
    part: np.ndarray
    palmar: np.ndarray
    """0 on the back, 1 on the palm and the pads."""


class _Painter:
    """Layers of paint over the texels of one hand."""

    def __init__(self, place: _Place, tone: SkinTone, generator: np.random.Generator) -> None:
        self.place = place
        self.tone = tone
        self.generator = generator
        self.finger = place.part > 0
        self.palmar = place.palmar
        self.albedo = tone.back + (tone.palm - tone.back) * self.palmar[:, None]
        self.gloss = np.full(len(place.along), 0.4) + 0.15 * self.palmar
        self.height_m = np.zeros(len(place.along))

    def mottle(self) -> None:
        """Uneven blood and melanin, and the grain of the skin."""
        red = self._noise(0.011) + 0.6 * self._noise(0.0045)
        melanin = 0.7 * self._noise(0.02) + 0.5 * self._noise(0.003) + 0.5 * self._noise(0.0014)
        strength = self.generator.uniform(0.6, 1.5)
        self.albedo *= 1 + strength * 0.045 * red[:, None] * [-0.1, -1.0, -0.9]
        self.albedo *= 1 + strength * 0.04 * melanin[:, None] * [0.8, 1.0, 1.15]
        self.height_m += 5e-5 * self._noise(0.0016) + 1.2e-4 * self._noise(0.005)
        self.gloss += 0.12 * self._noise(0.006)

    def redden(self) -> None:
        """More blood in fingertips, over knuckles and in the balls of the hand."""
        along, strength = self.place.along, self.generator.uniform(0.5, 1.6)
        knuckles = sum(_bump(along, centre, 0.16) for centre in (0.0, 1.0, 2.0))
        red = self.finger * (0.7 * _step(2.2, 2.8, along) + 0.55 * knuckles * (1 - self.palmar))
        balls = ~self.finger * self.palmar * np.abs(self.place.lateral) ** 2
        red = red + 0.5 * balls + 0.25 * self.palmar
        self.albedo *= 1 - strength * 0.16 * red[:, None] * [0.15, 1.0, 0.85]

    def crease_fingers(self) -> None:
        """Flexion lines on the pads' side, wrinkles over the joints on the back."""
        wobble = 0.035 * self._noise(0.008)
        along = self.place.along + wobble
        lines = np.zeros_like(along)
        for centre, depth in ((0.36, 0.6), (0.42, 0.35), (0.95, 1.0), (1.03, 0.8), (1.99, 1.0)):
            shift = self.generator.normal(0, 0.012)
            lines = np.maximum(lines, depth * _bump(along, centre + shift, 0.019))
        self._carve(self.finger * self.palmar * lines, darkness=0.42, depth_m=5e-4)
        bend = self.place.along + 0.06 * self._noise(0.006)
        ripples = np.abs(np.sin(bend * self.generator.uniform(32, 42))) ** 6
        ripples = ripples * _step(-0.3, 0.4, self._noise(0.0035))  # short, not around the finger
        fold = 1.0 * _bump(bend, 1.0, 0.13) + 0.75 * _bump(bend, 2.0, 0.1)
        fold = fold + 0.35 * _bump(bend, 0.0, 0.15)
        age = self.generator.uniform(0.4, 1.3)
        self._carve(
            self.finger * (1 - self.palmar) * fold * ripples * age, darkness=0.2, depth_m=2.5e-4
        )

    def line_palm(self) -> None:
        """Heart, head and life line, the wrist's lines and fine ones."""
        across = np.clip(self.place.lateral, -1, 1)
        along = self.place.along + 0.025 * self._noise(0.012)
        shift = self.generator.normal(0, 0.02, 4)
        heart = np.abs(along + 0.16 + 0.09 * across - 0.16 * across**2 + shift[0])
        heart = np.where(across < 0.55, heart, 1.0)
        head = np.abs(along + 0.38 - 0.13 * across + 0.06 * across**2 + shift[1])
        head = np.where(across > -0.7, head, 1.0)
        arc = 0.88 - 0.75 * _step(-0.25, -0.85, along) + shift[2]
        life = np.where(along < -0.22, 0.5 * np.abs(across - arc), 1.0)
        wrist = np.minimum(np.abs(along + 1.03), np.abs(along + 0.97))
        lines = np.zeros_like(along)
        for distance, depth in ((heart, 1.0), (head, 0.9), (life, 1.0), (wrist, 0.6)):
            lines = np.maximum(lines, depth * np.exp(-((distance / 0.011) ** 2)))
        # Pieces of a field's level lines; whole ones would be closed curves as on a map.
        fine = np.exp(-((self._noise(0.007) / 0.045) ** 2)) * _step(0.0, 0.5, self._noise(0.005))
        fine = 0.25 * fine
        carved = ~self.finger * self.palmar * np.maximum(lines, fine)
        self._carve(carved, darkness=0.38, depth_m=5e-4)

    def raise_veins(self) -> None:
        """Bluish, slightly raised veins and tendons on the back of the hand."""
        back = ~self.finger * _step(0.2, 0.7, self.place.dorsal)
        warped = self.place.points * [0.45, 1.0, 1.0]
        field = surface_noise(warped, 0.017, self.generator)
        veins = np.exp(-((field / 0.11) ** 2)) * back * _step(-0.05, -0.25, self.place.along)
        strength = self.generator.uniform(0, 1.2)
        self.albedo *= 1 - strength * 0.12 * veins[:, None] * [1.0, 0.55, 0.25]
        self.height_m += strength * 4e-4 * veins
        tendon = np.cos(np.clip(self.place.lateral, -1.1, 1.1) * 1.5 * np.pi * 1.33) ** 8
        self.height_m += self.generator.uniform(0, 3e-4) * tendon * back

    def put_nails(self) -> None:
        """Nails with a lighter half-moon, a pale free edge and a dark rim."""
        length = self.generator.uniform(0.2, 0.26)
        x = (self.place.along - 2.9 + length) / length
        y = self.place.lateral / 0.62
        radius = (np.abs(x) ** 2.6 + np.abs(y) ** 2.6) ** (1 / 2.6)
        front = self.finger & (self.place.dorsal > 0.25)
        nail = front * _step(1.0, 0.9, radius)
        rim = front * np.exp(-(((radius - 1.02) / 0.09) ** 2))
        colour = np.broadcast_to(self.tone.nail, self.albedo.shape).copy()
        colour += 0.06 * _step(-0.55, -0.8, x)[:, None] * (0.8 - colour)
        begin = self.generator.uniform(0.72, 0.9)
        free_edge = _step(begin, begin + 0.12, x)[:, None]
        colour += free_edge * (np.array([0.7, 0.63, 0.54]) - colour) * 0.4
        self.albedo += nail[:, None] * (colour - self.albedo)
        self.albedo *= 1 - 0.3 * rim[:, None] * [0.7, 1.0, 1.0]
        self.gloss += nail * (0.95 - self.gloss)
        self.height_m = self.height_m * (1 - nail) + 2e-4 * nail - 2.5e-4 * rim

    def _noise(self, scale_m: float) -> np.ndarray:
        return surface_noise(self.place.points, scale_m, self.generator)

    def _carve(self, lines: np.ndarray, *, darkness: float, depth_m: float) -> None:
        """Darken along lines, less in red (blood shines through), and lower the surface."""
        self.albedo *= 1 - darkness * lines[:, None] * [0.75, 1.0, 1.05]
        self.height_m -= depth_m * lines
        self.gloss *= 1 - 0.4 * lines


def _palmarity(surface: HandSurface, faces: np.ndarray) -> np.ndarray:
    """Say per vertex how much it belongs to the palm's skin, smooth across parts and the wrist."""
    wrist = np.where(surface.face_part[:, None] > 0, 1.0, _step(-0.9, -0.25, surface.corner_along))
    corners = _step(0.25, -0.45, surface.corner_around[..., 0]) * wrist
    count = np.bincount(faces.ravel(), minlength=len(surface.rest_positions))
    for _ in range(3):  # the mean over the faces around each vertex, three times
        sums = np.bincount(faces.ravel(), corners.ravel(), len(count))
        vertices = sums / count
        corners = 0.5 * vertices[faces] + 0.5 * vertices[faces].mean(1, keepdims=True)
    return vertices


def _tone(place: float) -> Float[np.ndarray, "3"]:
    linear = (_TONES_SRGB / 255) ** 2.2
    return np.array([np.interp(place, np.arange(6), linear[:, c]) for c in range(3)])


def _step(start: float, end: float, value: np.ndarray) -> np.ndarray:
    """Rise smoothly from 0 at ``start`` to 1 at ``end``, which may be the smaller one."""
    ramp = np.clip((value - start) / (end - start), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _bump(value: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.exp(-(((value - centre) / width) ** 2))
