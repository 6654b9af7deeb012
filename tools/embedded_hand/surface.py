"""The skin of the rest pose as an implicit function: tapered fingers, palm, eminences and webs.

The parts are joined by smooth unions, tightly between fingers and widely within the palm.
"""

from typing import Final

import numpy as np

from tools.embedded_hand.implicit import (
    Ellipsoid,
    Profile,
    Tube,
    polynomial_union,
    smooth_union,
)
from tools.embedded_hand.skeleton import (
    FINGERS,
    FIRST_JOINT,
    MM,
    WRIST,
    Array,
    Skeleton,
    unit,
)

# Breadths of the middle finger: 19-20 mm at the PIP joint, 17 mm at the DIP joint (rough
# means of women and men, reduced to a hand of 180 mm).
_LONG_FINGER: Final = Profile(
    along=(-0.45, 0.0, 0.35, 0.7, 1.0, 1.35, 1.65, 2.0, 2.3, 2.6, 3.0),
    half_width=(10.2, 10.2, 9.7, 9.5, 9.8, 9.0, 8.6, 8.7, 8.3, 7.8, 7.0),
    dorsal=(8.0, 8.6, 8.4, 8.0, 8.5, 7.4, 6.9, 6.9, 6.0, 5.2, 4.6),
    palmar=(9.0, 10.5, 10.4, 9.4, 8.4, 8.9, 8.4, 7.4, 8.2, 7.9, 6.4),
    cap_mm=8.5,
)
_THUMB: Final = Profile(
    along=(-0.3, 0.0, 0.5, 0.8, 1.0, 1.3, 1.6, 1.85, 2.0, 2.25, 2.55, 3.0),
    half_width=(11.0, 11.5, 11.5, 11.0, 11.0, 9.8, 9.5, 10.2, 10.4, 10.6, 9.9, 8.6),
    dorsal=(9.0, 9.5, 9.5, 9.2, 9.3, 8.4, 8.0, 8.2, 8.2, 7.0, 6.0, 5.0),
    palmar=(11.0, 13.0, 13.5, 11.8, 10.8, 10.0, 9.2, 8.6, 8.4, 9.2, 8.8, 7.0),
    cap_mm=10.0,
)
_THICKNESS: Final = {"index": 0.98, "middle": 1.0, "ring": 0.95, "little": 0.83, "thumb": 1.0}


class HandSurface:
    """The whole skin as one implicit function."""

    def __init__(self, skeleton: Skeleton) -> None:
        self.skeleton = skeleton
        self.tubes = {finger: _finger_tube(skeleton, finger) for finger in FINGERS}
        self.palm_parts = _palm_parts(skeleton)
        self.webs = _webs(self.tubes)
        self.thumb_web = _thumb_web(skeleton)

    def palm(self, points: Array) -> Array:
        """Signed distance to palm and wrist alone."""
        return smooth_union([part.distance(points) for part in self.palm_parts], 2.8 * MM)

    def distance(self, points: Array) -> Array:
        """Signed distance to the skin."""
        palm = self.palm(points)
        fingers = [
            polynomial_union(palm, self.tubes[finger].distance(points), 6.0 * MM)
            for finger in FINGERS
            if finger != "thumb"
        ]
        body = smooth_union(fingers, 0.35 * MM)
        for web in self.webs:
            body = polynomial_union(body, web.distance(points), 5.0 * MM)
        thumb = polynomial_union(palm, self.tubes["thumb"].distance(points), 12.0 * MM)
        body = polynomial_union(body, thumb, 1.5 * MM)
        for part in self.thumb_web:
            body = polynomial_union(body, part.distance(points), 12.0 * MM)
        return body

    def gradient(self, points: Array, step: float = 2e-4) -> Array:
        """Central differences of the distance."""
        columns = [
            (self.distance(points + offset) - self.distance(points - offset)) / (2 * step)
            for offset in np.eye(3) * step
        ]
        return np.stack(columns, axis=1)

    def project(self, points: Array, steps: int = 6) -> Array:
        """Move points to the skin along the gradient."""
        points = points.copy()
        for _ in range(steps):
            gradient = self.gradient(points)
            slope = np.maximum((gradient**2).sum(1), 0.15)
            move = (self.distance(points) / slope)[:, None] * gradient
            length = np.linalg.norm(move, axis=1, keepdims=True)
            points -= move * np.minimum(1.0, 4.0 * MM / np.maximum(length, 1e-12))
        return points

    def cast(self, origins: Array, directions: Array, reach: float = 0.030) -> Array:
        """First crossing of the skin along rays that start inside it."""
        low = np.zeros(len(origins))
        high = np.full(len(origins), reach)
        samples = np.linspace(0.0, reach, 41)
        grid = origins[:, None, :] + samples[None, :, None] * directions[:, None, :]
        values = self.distance(grid.reshape(-1, 3)).reshape(len(origins), -1)
        first = np.where((values > 0).any(1), np.argmax(values > 0, axis=1), samples.size - 1)
        high = samples[first]
        low = samples[np.maximum(first - 1, 0)]
        for _ in range(24):
            middle = 0.5 * (low + high)
            outside = self.distance(origins + middle[:, None] * directions) > 0
            high = np.where(outside, middle, high)
            low = np.where(outside, low, middle)
        return origins + (0.5 * (low + high))[:, None] * directions


def _finger_tube(skeleton: Skeleton, finger: str) -> Tube:
    first = FIRST_JOINT[finger]
    profile = _THUMB if finger == "thumb" else _LONG_FINGER
    dorsal = skeleton.backs[first : first + 3]
    return Tube(skeleton.chain(finger), dorsal, profile, _THICKNESS[finger])


def _metacarpal_tube(skeleton: Skeleton, finger: str) -> Tube:
    """One ray of the palm, from the carpus to the knuckle."""
    knuckle = skeleton.joints[FIRST_JOINT[finger]]
    across = {"index": 12.0, "middle": 3.5, "ring": -5.5, "little": -13.0}[finger]
    carpus = np.array([0.088, WRIST[1] + 0.5 * MM, WRIST[2] + across * MM])
    end = knuckle + unit(knuckle - carpus) * 11.0 * MM
    chain = np.stack([carpus + (end - carpus) * t for t in (0.0, 1 / 3, 2 / 3, 1.0)])
    profile = Profile(
        along=(0.0, 1.0, 2.0, 2.65, 3.0),
        half_width=(9.5, 8.6, 8.6, 8.8, 8.4),
        dorsal=(9.0, 7.2, 6.4, 7.4, 6.8),
        palmar=(11.0, 10.0, 9.5, 9.6, 8.5),
        cap_mm=9.0,
    )
    thickness = {"index": 0.96, "middle": 1.0, "ring": 0.96, "little": 0.84}[finger]
    first = FIRST_JOINT[finger]
    dorsal = np.repeat(skeleton.backs[first][None], 3, axis=0)
    return Tube(chain, dorsal, profile, thickness)


def _ellipsoid(
    centre: Array, long_axis: Array, up: Array, radii_mm: tuple[float, ...]
) -> Ellipsoid:
    long_axis = unit(long_axis)
    up = unit(up - long_axis * (up @ long_axis))
    axes = np.stack([long_axis, up, np.cross(long_axis, up)])
    return Ellipsoid(centre=np.asarray(centre), axes=axes, radii=np.array(radii_mm) * MM)


def _palm_parts(skeleton: Skeleton) -> list[Tube | Ellipsoid]:
    joints = skeleton.joints
    up = np.array([0.0, 1.0, 0.0])
    forearm_chain = np.stack(
        [
            np.array([0.145 - 0.033 * k, WRIST[1] - 0.0006 * k, WRIST[2] - 0.0012 * k])
            for k in range(4)
        ]
    )
    forearm = Tube(
        forearm_chain,
        np.repeat(up[None], 3, axis=0),
        Profile(
            along=(0.0, 0.9, 1.4, 1.8, 2.4, 3.0),
            half_width=(29.0, 27.6, 26.6, 26.8, 29.0, 30.0),
            dorsal=(18.0, 16.6, 15.3, 13.2, 9.5, 6.0),
            palmar=(19.5, 18.4, 17.8, 17.0, 14.0, 10.0),
            cap_mm=14.0,
        ),
        1.0,
    )
    metacarpals = [
        _metacarpal_tube(skeleton, finger) for finger in ("index", "middle", "ring", "little")
    ]
    thumb_bone = joints[14] - joints[13]
    thenar = _ellipsoid(
        joints[13] + 0.40 * thumb_bone + np.array([2.0, -3.6, -6.5]) * MM,
        thumb_bone + np.array([-0.006, 0.0, -0.006]),
        -up,
        (31.0, 12.0, 15.5),
    )
    hypothenar = _ellipsoid(
        np.array([0.0630, -0.0060, -0.0165]),
        np.array([-1.0, 0.0, -0.36]),
        -up,
        (31.0, 13.5, 14.0),
    )
    pad = _ellipsoid(
        0.5 * (joints[1] + joints[7]) + np.array([-4.0, -4.6, 0.0]) * MM,
        joints[1] - joints[7],
        up,
        (35.5, 7.4, 17.0),
    )
    knuckles = [
        _ellipsoid(
            joints[FIRST_JOINT[finger]] + np.array([4.0, 3.2, 0.0]) * MM,
            np.array([1.0, 0.0, 0.0]),
            up,
            (9.0, 6.6 * size, 5.6 * size),
        )
        for finger, size in (("index", 1.0), ("middle", 1.05), ("ring", 0.95), ("little", 0.9))
    ]
    return [forearm, *metacarpals, thenar, hypothenar, pad, *knuckles]


def _webs(tubes: dict[str, Tube]) -> list[Ellipsoid]:
    webs = []
    for first, second in (("index", "middle"), ("middle", "ring"), ("ring", "little")):
        one, two = tubes[first], tubes[second]
        i = int(np.argmin(np.abs(one.along - 0.22)))
        j = int(np.argmin(np.abs(two.along - (0.22 if second != "little" else 0.32))))
        centre = 0.5 * (one.points[i] + two.points[j]) + np.array([0.0, -2.5, 0.0]) * MM
        across = one.points[i] - two.points[j]
        slope = np.array([-0.8, -0.5, 0.0])
        webs.append(_ellipsoid(centre, across, slope, (9.0, 9.0, 5.0)))
    return webs


def _thumb_web(skeleton: Skeleton) -> list[Ellipsoid]:
    """The fold between thumb and index finger: two flat ellipsoids."""
    joints = skeleton.joints
    thumb = joints[14]
    index = joints[1]
    span = index - thumb
    inner = 0.5 * (joints[13] + 0.6 * (joints[14] - joints[13]) + WRIST + 0.62 * (index - WRIST))
    outer = thumb + 0.48 * span + np.array([14.0, 0.0, -3.0]) * MM
    up = np.cross(span, unit(joints[13] - index))
    return [
        _ellipsoid(inner, span, up, (22.0, 8.0, 17.0)),
        _ellipsoid(outer, span, up, (22.0, 5.0, 9.0)),
    ]
