"""Edge loops of the fingers: ten-sided rings at chosen stations, a closed tip, shared webs."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from tools.embedded_hand.implicit import Tube
from tools.embedded_hand.skeleton import MM, Array, unit
from tools.embedded_hand.surface import HandSurface

SIDES: Final = 10
ANGLES: Final = np.arange(SIDES) * (2 * np.pi / SIDES)
"""Ring vertices: 0 radial side, 1-4 dorsal, 5 ulnar side, 6-9 palmar."""
LONG_FINGERS: Final = ("index", "middle", "ring", "little")

# Stations of the rings in segments (1 PIP joint, 2 DIP joint, 3 tip); denser at the joints.
_LONG_STATIONS: Final = (0.62, 0.87, 1.0, 1.13, 1.45, 1.84, 1.99, 2.14, 2.45, 2.77)
STATIONS: Final = {
    "index": _LONG_STATIONS,
    "middle": _LONG_STATIONS,
    "ring": _LONG_STATIONS,
    "little": (0.66, 0.86, 1.0, 1.14, 1.45, 1.82, 1.98, 2.15, 2.45, 2.76),
    "thumb": (1.0, 1.15, 1.4, 1.7, 1.88, 2.02, 2.18, 2.48, 2.78),
}
# Where the base loop of a long finger lies on its axis: knuckle side, web, palm side.
_BASE_DORSAL: Final = 0.14
_BASE_PALMAR: Final = 0.30
_WEB: Final = {
    ("index", "middle"): (0.36, 0.36, 0.44, 0.42),
    ("middle", "ring"): (0.36, 0.36, 0.44, 0.42),
    ("ring", "little"): (0.34, 0.40, 0.48, 0.46),
}


@dataclass
class MeshBuilder:
    """Vertices and faces as they are added."""

    points: list[Array] = field(default_factory=list)
    faces: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, points: Array) -> list[int]:
        """Append points; give their numbers."""
        start = len(self.points)
        self.points.extend(np.atleast_2d(points))
        return list(range(start, len(self.points)))

    def quad(self, a: int, b: int, c: int, d: int) -> None:
        """Append a quadrilateral as two triangles, split along its shorter diagonal."""
        p = self.points
        if np.linalg.norm(p[a] - p[c]) <= np.linalg.norm(p[b] - p[d]):
            self.faces += [(a, b, c), (a, c, d)]
        else:
            self.faces += [(a, b, d), (b, c, d)]


@dataclass
class Fingers:
    """What the palm is sewn to: base loops, rings per finger (base first), tip points."""

    base: dict[str, list[int]]
    rings: dict[str, list[list[int]]]
    tips: dict[str, list[int]]
    knuckle_line: list[int]
    """The closed loop of 28 vertices around the four fingers' bases."""


def build_fingers(surface: HandSurface, mesh: MeshBuilder) -> Fingers:
    """Lay the rings of all five fingers on the skin and join them by quadrilaterals."""
    base = _base_loops(surface, mesh)
    base["thumb"] = mesh.add(_thumb_base(surface))
    rings, tips = {}, {}
    for finger in ("thumb", *LONG_FINGERS):
        rings[finger], tips[finger] = _tube_rings(surface, mesh, finger, base[finger])
    order = list(LONG_FINGERS)
    dorsal = [i for finger in order for i in base[finger][1:4]] + [base["little"][4]]
    palmar = [i for finger in order for i in base[finger][9:6:-1]] + [base["little"][6]]
    loop = [base["index"][0], *dorsal, base["little"][5], *reversed(palmar)]
    return Fingers(base=base, rings=rings, tips=tips, knuckle_line=loop)


def axis_frame(tube: Tube, along: float) -> tuple[Array, Array, Array]:
    """Axis point, dorsal and radial directions at a station."""
    return tuple(
        np.array([np.interp(along, tube.along, values[:, k]) for k in range(3)])
        for values in (tube.points, tube.normals, tube.radials)
    )


def _cast_ring(surface: HandSurface, tube: Tube, along: Array, angles: Array) -> Array:
    origins, directions = [], []
    for station, angle in zip(along, angles, strict=True):
        point, dorsal, radial = axis_frame(tube, float(station))
        origins.append(point)
        directions.append(np.cos(angle) * radial + np.sin(angle) * dorsal)
    return surface.cast(np.array(origins), unit(np.array(directions)))


def _base_loops(surface: HandSurface, mesh: MeshBuilder) -> dict[str, list[int]]:
    """Ten vertices around each long finger; neighbours share three in the web between them."""
    webs = {pair: mesh.add(_web_points(surface, *pair, _WEB[pair])) for pair in _WEB}
    loops = {}
    for position, finger in enumerate(LONG_FINGERS):
        tube = surface.tubes[finger]
        along = np.array([0.25, *[_BASE_DORSAL] * 4, 0.25, *[_BASE_PALMAR] * 4])
        ring = _cast_ring(surface, tube, along, ANGLES)
        radial = webs.get((LONG_FINGERS[position - 1], finger)) if position else None
        ulnar = webs.get((finger, LONG_FINGERS[position + 1])) if position < 3 else None
        numbers: dict[int, int] = {}
        if radial:
            numbers |= {1: radial[0], 0: radial[1], 9: radial[2]}
        if ulnar:
            numbers |= {4: ulnar[0], 5: ulnar[1], 6: ulnar[2]}
        for k in range(SIDES):
            if k not in numbers:
                numbers[k] = mesh.add(ring[k])[0]
        loops[finger] = [numbers[k] for k in range(SIDES)]
    return loops


def _web_points(
    surface: HandSurface, first: str, second: str, stations: tuple[float, ...]
) -> Array:
    """Dorsal, middle and palmar point of the web between two fingers."""
    one, two, middle_along, palmar_along = stations
    a, b = surface.tubes[first], surface.tubes[second]

    def between(along: float, height: float) -> Array:
        p, n, _ = axis_frame(a, along)
        q, m, _ = axis_frame(b, along + (two - one))
        return 0.5 * (p + q) + 0.5 * (n + m) * height * MM

    start = np.stack(
        [between(one - 0.10, 4.5), between(middle_along, 0.0), between(palmar_along, -6.5)]
    )
    return surface.project(start, steps=12)


def _thumb_base(surface: HandSurface) -> Array:
    tube = surface.tubes["thumb"]
    along = np.interp(
        np.arange(SIDES + 1), [0, 1, 2.5, 5, 7.5, 10], [0.64, 0.64, 0.72, 1.06, 0.86, 0.64]
    )
    return _cast_ring(surface, tube, along[:SIDES], ANGLES)


def _tube_rings(
    surface: HandSurface, mesh: MeshBuilder, finger: str, base: list[int]
) -> tuple[list[list[int]], list[int]]:
    tube = surface.tubes[finger]
    rings = [base]
    base_along = np.array([_station_of(tube, mesh.points[i]) for i in base])
    base_angle = np.array([_angle_of(tube, mesh.points[i]) for i in base])
    stations = STATIONS[finger]
    level = 1.0 if finger != "thumb" else 1.25
    for station in stations:
        # Rings near the base follow its slant, rings from the first inner joint on are straight.
        straight = np.clip((station - base_along.mean()) / (level - base_along.mean()), 0.0, 1.0)
        slant = (base_along - base_along.mean()) * (1 - straight) ** 1.5
        turn = (1 - straight) ** 2
        angles = ANGLES + turn * np.angle(np.exp(1j * (base_angle - ANGLES)))
        rings.append(mesh.add(_cast_ring(surface, tube, station + slant, angles)))
    for lower, upper in pairwise(rings):
        for k in range(SIDES):
            nxt = (k + 1) % SIDES
            mesh.quad(lower[k], lower[nxt], upper[nxt], upper[k])
    tips = mesh.add(_tip_points(surface, tube))
    _close_tip(mesh, rings[-1], tips)
    return rings, tips


def _close_tip(mesh: MeshBuilder, ring: list[int], tips: list[int]) -> None:
    """Close the last ring with four vertices: dorsal radial, dorsal ulnar, palmar ulnar, radial."""
    a, b, c, d = tips
    mesh.faces += [(ring[0], a, d), (ring[5], c, b)]
    for corners in (
        (ring[0], ring[1], ring[2], a),
        (ring[2], ring[3], b, a),
        (ring[3], ring[4], ring[5], b),
        (ring[5], ring[6], ring[7], c),
        (ring[7], ring[8], d, c),
        (ring[8], ring[9], ring[0], d),
        (a, b, c, d),
    ):
        mesh.quad(*corners)


def _tip_points(surface: HandSurface, tube: Tube) -> Array:
    """Four points on the end of the finger."""
    inside, dorsal, radial = axis_frame(tube, 2.66)
    tangent = unit(tube.tangents[-1])
    spread = np.array([(0.36, 0.40), (0.36, -0.40), (-0.44, -0.40), (-0.44, 0.40)])
    directions = unit(tangent + spread[:, :1] * dorsal + spread[:, 1:] * radial)
    return surface.cast(np.tile(inside, (4, 1)), directions)


def _station_of(tube: Tube, point: Array) -> float:
    nearest = int(np.argmin(((tube.points - point) ** 2).sum(1)))
    return float(tube.along[nearest])


def _angle_of(tube: Tube, point: Array) -> float:
    nearest = int(np.argmin(((tube.points - point) ** 2).sum(1)))
    offset = point - tube.points[nearest]
    return float(np.arctan2(offset @ tube.normals[nearest], offset @ tube.radials[nearest]))
