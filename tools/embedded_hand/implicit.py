"""Building blocks of the skin: generalised cylinders, ellipsoids and smooth unions.

Every part gives a signed distance (negative inside, in metres, exact enough near the skin).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.interpolate import PchipInterpolator

from tools.embedded_hand.skeleton import MM, Array, unit

CROSS_SECTION_POWER: Final = 2.25
"""Above 2: fingers are slightly squarer than ellipses."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Half-widths and heights of a finger along its axis, in millimetres.

    ``along`` counts segments: 0 first joint, 1 and 2 the next two, 3 the tip.
    """

    along: tuple[float, ...]
    half_width: tuple[float, ...]
    dorsal: tuple[float, ...]
    palmar: tuple[float, ...]
    cap_mm: float
    """Length of the rounded end."""


def nearest_sample(points: Array, samples: Array) -> Array:
    """Number of the closest sample for each point."""
    return np.argmin((samples**2).sum(axis=1) - 2.0 * points @ samples.T, axis=1)


class Tube:
    """A generalised cylinder along a polyline: signed distance and anatomical coordinates."""

    def __init__(self, chain: Array, dorsal: Array, profile: Profile, thickness: float) -> None:
        along = np.linspace(profile.along[0], 3.0, 140)
        self.along = along
        self.points = _interpolate_chain(chain, along)
        tangents = unit(np.gradient(self.points, axis=0))
        knots = np.array([0.0, 0.5, 1.5, 2.5, 3.0])
        normals = np.stack(
            [np.interp(along, knots, dorsal[[0, 0, 1, 2, 2], axis]) for axis in range(3)], axis=1
        )
        self.normals = unit(normals - tangents * np.sum(normals * tangents, axis=1, keepdims=True))
        self.radials = np.cross(self.normals, tangents)
        self.tangents = tangents
        self.arc = np.concatenate(
            [[0.0], np.cumsum(np.linalg.norm(np.diff(self.points, axis=0), axis=1))]
        )
        scale = thickness * MM
        self.half_width = _smooth_profile(along, profile.along, profile.half_width) * scale
        self.dorsal = _smooth_profile(along, profile.along, profile.dorsal) * scale
        self.palmar = _smooth_profile(along, profile.along, profile.palmar) * scale
        self.cap = profile.cap_mm * scale

    def coordinates(self, points: Array) -> tuple[Array, Array, Array]:
        """Give, per point, the index of the nearest axis sample, and (dorsal, radial) offsets."""
        nearest = nearest_sample(points, self.points[self.arc <= self.arc[-1] - self.cap])
        offset = points - self.points[nearest]
        local = np.stack(
            [
                np.einsum("pi,pi->p", offset, axes[nearest])
                for axes in (self.normals, self.radials, self.tangents)
            ],
            axis=1,
        )
        return nearest, local[:, 2], local[:, :2]

    def distance(self, points: Array) -> Array:
        """Signed distance to the tube, with rounded ends."""
        nearest, excess, offsets = self.coordinates(points)
        last = nearest == int(np.count_nonzero(self.arc <= self.arc[-1] - self.cap)) - 1
        beyond = np.where(last, np.maximum(excess, 0.0), np.where(nearest == 0, excess, 0.0))
        # Past the last usable sample the half-widths go on tapering towards the tip's values.
        station = np.interp(
            self.arc[nearest] + np.where(last, np.clip(excess, 0.0, self.cap), 0.0),
            self.arc,
            np.arange(self.arc.size),
        )
        index = np.arange(self.arc.size)
        width = np.interp(station, index, self.half_width)
        height = np.where(
            offsets[:, 0] > 0,
            np.interp(station, index, self.dorsal),
            np.interp(station, index, self.palmar),
        )
        power = CROSS_SECTION_POWER
        gauge = (
            np.abs(offsets[:, 0] / height) ** power
            + np.abs(offsets[:, 1] / width) ** power
            + np.abs(beyond / self.cap) ** power
        ) ** (1 / power)
        radius = np.sqrt((offsets**2).sum(1) + beyond**2)
        return radius - radius / np.maximum(gauge, 1e-6)


@dataclass(frozen=True, kw_only=True)
class Ellipsoid:
    """An ellipsoid with its own axes (rows of ``axes``) and radii in metres."""

    centre: Array
    axes: Array
    radii: Array

    def distance(self, points: Array) -> Array:
        """First-order signed distance."""
        local = (points - self.centre) @ self.axes.T / self.radii
        gauge = np.linalg.norm(local, axis=1)
        slope = np.linalg.norm(local / self.radii, axis=1) / np.maximum(gauge, 1e-9)
        return (gauge - 1.0) / np.maximum(slope, 1e-9)


def smooth_union(distances: list[Array], width: float) -> Array:
    """Join parts with a fillet of about ``width`` metres (exponential smooth minimum)."""
    stacked = np.stack(distances)
    lowest = stacked.min(axis=0)
    return lowest - width * np.log(np.exp(-(stacked - lowest) / width).sum(axis=0))


def polynomial_union(first: Array, second: Array, width: float | Array) -> Array:
    """Join two parts with a fillet; beyond ``width`` of each other nothing changes."""
    overlap = np.maximum(width - np.abs(first - second), 0.0)
    return np.minimum(first, second) - overlap**2 / (4.0 * width)


def _interpolate_chain(chain: Array, along: Array) -> Array:
    """A smooth curve through joints and tip (rounded corners), extended before the first joint."""
    knots = np.arange(4.0)
    before = chain[0] + (chain[0] - chain[1]) * 1.0
    points = np.vstack([before, chain])
    knots = np.concatenate([[-1.0], knots])
    fine = np.linspace(-1.0, 3.0, 401)
    curve = np.stack([np.interp(fine, knots, points[:, axis]) for axis in range(3)], axis=1)
    kernel = np.hanning(33)
    kernel /= kernel.sum()
    padded = np.vstack(
        [
            2 * curve[0] - curve[16:0:-1],
            curve,
            2 * curve[-1] - curve[-2:-18:-1],
        ]
    )
    smooth = np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in range(3)], axis=1)
    return np.stack([np.interp(along, fine, smooth[:, axis]) for axis in range(3)], axis=1)


def _smooth_profile(along: Array, knots: tuple[float, ...], values: tuple[float, ...]) -> Array:
    return np.asarray(PchipInterpolator(knots, values)(np.clip(along, knots[0], knots[-1])))
