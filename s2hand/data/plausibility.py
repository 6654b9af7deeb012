"""Whether a set can be what its layout says: every hand by itself, and statistics of all frames."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from s2hand.data.files import project_truth
from s2hand.data.sample import FrameTable
from s2hand.errors import DataError
from s2hand.hand.joints import BONES, FINGERS, JOINT_NAMES, JointOrder

ERROR_BELOW, WARNING_BELOW = 0.5, 0.8

_HAND_M = (0.04, 0.4)
"""Diagonal of the box around a hand: less than a small child's fist, more than a large hand
stretched out."""
_USUAL_M = (0.1, 0.3)
"""The same of the middle one of a set."""
_NEAREST_M = 0.001
"""No lens is as near to what it sees; depth 0 has no place in a picture."""
_MOST_PX = 1e6
"""More than any camera matrix holds."""
_UNITS_M = {"millimetres": 1e-3, "centimetres": 1e-2}
_AT_ORIGIN_M = 0.001
_SAME_POINT_M = 0.02
"""Sets of fingertip vertices in use lie a centimetre apart."""
_NEAR = 0.2
"""Of the hand's extent: a detection this near its true joint agrees with it. On the synthetic
benchmark 99 % do, with a measured detector's errors 9 in 10, and 1 in 4 of another image's."""
_FEWEST_FOUND = 3
_SMALLEST_SPREAD = 0.02
"""Of the longer side of the image."""
_CLEARLY_SHORTER = 0.8
_WHOLE_TURN_RAD = 2 * np.pi
_TIPS = [4, 8, 12, 16, 20]
_TIPS_FIRST = ("wrist", *(f"{finger}_{k}" for finger in FINGERS for k in ("tip", 3, 2, 1)))
_ORDERS: Mapping[str, Sequence[str]] = {
    **{str(order): names for order, names in JOINT_NAMES.items()},
    "fingertips first": _TIPS_FIRST,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A share that is near 1 in every set that is what its layout says."""

    subject: str
    """What a note on it is filed under."""
    value: float
    of: str
    """Completes "71 % "."""
    where: str
    """The files that it speaks of."""
    remedy: str


def verdicts(shares: Sequence[Share]) -> dict[str, str]:
    """Judge shares: return a note (subject → text) on each one below four fifths.

    Raises:
        DataError: If one is below half; all of those are named.
    """
    wrong = [
        f"{share.where}: only {share.value:.0%} {share.of}, at least {ERROR_BELOW:.0%} are "
        f"expected; {share.remedy}"
        for share in shares
        if share.value < ERROR_BELOW
    ]
    if wrong:
        raise DataError("\n".join(wrong))
    return {
        share.subject: f"only {share.value:.0%} {share.of}"
        for share in shares
        if share.value < WARNING_BELOW
    }


def require_hands(
    points: Float32[np.ndarray, "n points 3"],
    sample_ids: Sequence[str],
    where: str,
    *,
    file_frame: str,
    file_order: JointOrder | None = None,
) -> None:
    """Check that true points, as read, are hands in front of the camera.

    Args:
        points: Metres, OpenCV camera frame; joints in OpenPose order, or vertices.
        sample_ids: Of each row.
        where: The files that hold them.
        file_frame: What the layout says of the frame in those files.
        file_order: Order of the joints in those files; None: vertices.

    Raises:
        DataError: If a hand is not hand-sized or has a point behind the camera, or the joints are
            in another order; it says which convention the numbers look like.
    """
    sizes_m = _diagonals(points)
    wrong = (sizes_m < _HAND_M[0]) | (sizes_m > _HAND_M[1])
    if wrong.any():
        _refuse(
            wrong, sample_ids, where,
            f"a hand in metres, {_HAND_M[0]:g} to {_HAND_M[1]:g} from corner to corner of the box "
            "around it",
            f"{sizes_m[wrong][0]:.3g}", _likely_unit(float(np.median(sizes_m[wrong]))),
        )  # fmt: skip
    behind = points[..., 2].min(axis=1) <= _NEAREST_M
    if behind.any():
        _refuse(
            behind, sample_ids, where, "in front of the camera",
            f"a point at z = {points[behind][0, :, 2].min():.3g} m",
            _likely_frame(points[behind], file_frame),
        )  # fmt: skip
    if file_order is not None:
        _require_order(points, where, file_order)


def require_cameras(
    intrinsics_px: Float32[np.ndarray, "n 3 3"], sample_ids: Sequence[str], where: str
) -> None:
    """Check that camera matrices project what is in front of the camera to finite pixels.

    Args:
        intrinsics_px: Camera matrices, as read.
        sample_ids: Of each row.
        where: The files that hold them.

    Raises:
        DataError: If one cannot be a camera's, naming the sample.
    """
    focal_px = np.diagonal(intrinsics_px, axis1=1, axis2=2)[:, :2]
    wrong = (
        (focal_px < 1).any(axis=1)
        | (np.abs(intrinsics_px) > _MOST_PX).any(axis=(1, 2))
        | (np.abs(intrinsics_px[:, 2] - (0, 0, 1)) > 1e-6).any(axis=1)
    )
    if wrong.any():
        _refuse(
            wrong, sample_ids, where,
            "seen by a camera ((fx, s, cx), (0, fy, cy), (0, 0, 1)) in pixels, fx and fy 1 or more",
            f"{intrinsics_px[wrong][0].tolist()}", "transposed, inverted, or not in pixels?",
        )  # fmt: skip


def judge(
    table: FrameTable,
    sizes_px: Int[np.ndarray, "n 2"],
    *,
    truth: str,
    detections: str,
    boxes: str = "",
    more: Sequence[Share] = (),
) -> dict[str, str]:
    """Judge a set's statistics; see :func:`verdicts`.

    Args:
        table: The set.
        sizes_px: Width and height of every stored image.
        truth: The files of true joints and vertices.
        detections: The files of detected keypoints; empty: none were read.
        boxes: The files of the hands' boxes, of a set that is cropped.
        more: What is known beyond the table.

    Returns:
        Notes on the set (subject → text).

    Raises:
        DataError: If a share is below half.
    """
    sides_px = sizes_px.astype(np.float32)[:, None]
    truth_px = None if table.joints is None else project_truth(table.joints, table.intrinsics_px)
    shares = list(more)
    if detections:
        shares += _detection_shares(table, sides_px, truth_px, detections)
    if truth_px is not None:
        shares += _truth_shares(table, sides_px, truth_px, truth)
    if table.is_cropped:
        points_px = table.detected_keypoints_px if truth_px is None else truth_px
        known = (table.detection_confidence > 0) | (truth_px is not None)
        shares += _box_shares(table.crop_box_px, sides_px, points_px, known, boxes)
    return verdicts(shares)


def _detection_shares(
    table: FrameTable,
    sides_px: Float32[np.ndarray, "n 1 2"],
    truth_px: Float32[np.ndarray, "n 21 2"] | None,
    where: str,
) -> Iterator[Share]:
    keypoints_px, found = table.detected_keypoints_px, table.detection_confidence > 0
    yield Share(
        subject="keypoints found",
        value=_share(found),
        of="of the keypoints are found",
        where=where,
        remedy="detect on these images, as they are stored, with a detector of hands",
    )
    is_seen = found.sum(axis=1) >= _FEWEST_FOUND
    seen_px, known = keypoints_px[is_seen], found[is_seen]
    low = np.where(known[..., None], seen_px, np.inf).min(axis=1)
    spread_px = np.where(known[..., None], seen_px, -np.inf).max(axis=1) - low
    smallest_px = _SMALLEST_SPREAD * sides_px[is_seen, 0].max(axis=1)
    yield Share(
        subject="keypoints apart",
        value=_share(spread_px.max(axis=1) > smallest_px),
        of=f"of the images have keypoints further apart than {_SMALLEST_SPREAD:.0%} of the image",
        where=where,
        remedy="a hand's keypoints must be pixels, each at its joint",
    )
    yield Share(
        subject="keypoints of their own",
        value=len(np.unique(seen_px, axis=0)) / len(seen_px) if len(seen_px) else 1.0,
        of="of the images have keypoints that no other image has",
        where=where,
        remedy="each image needs what was found in it",
    )
    yield Share(
        subject="keypoints inside",
        value=_share(_inside(keypoints_px, sides_px), found),
        of="of the found keypoints lie inside their image",
        where=where,
        remedy="detect on the images as they are stored",
    )
    if truth_px is None:
        return
    agreement = _agreement(keypoints_px, truth_px, found)
    likely = "" if agreement >= ERROR_BELOW else _likely_cause(table, truth_px)
    yield Share(
        subject="keypoints near the truth",
        value=agreement,
        of=f"of the found keypoints lie within {_NEAR:g} of the hand's extent of the projected "
        "true joints",
        where=where,
        remedy=likely or "are they, the truth and the cameras of the same images?",
    )


def _truth_shares(
    table: FrameTable,
    sides_px: Float32[np.ndarray, "n 1 2"],
    truth_px: Float32[np.ndarray, "n 21 2"],
    where: str,
) -> Iterator[Share]:
    yield Share(
        subject="true joints inside",
        value=_share(_inside(truth_px, sides_px)),
        of="of the true joints are projected into their image",
        where=where,
        remedy="truth, cameras and images must be of the same release",
    )
    assert table.joints is not None
    yield Share(
        subject="right hands",
        value=_share(_bends_as_a_right_hand(table.joints)),
        of="of the true hands bend their fingers as right hands do",
        where=where,
        remedy="an axis looks flipped, or the fingers are in another order; left hands must be "
        "mirrored, with their images",
    )
    if table.vertices is not None:
        tips = table.vertices[:, list(table.fingertips)]
        distances_m = lengths(tips - table.joints[:, _TIPS])
        yield Share(
            subject="vertices and joints agree",
            value=_share(distances_m < _SAME_POINT_M),
            of=f"of the fingertips lie within {100 * _SAME_POINT_M:g} cm as joints and as vertices",
            where=where,
            remedy="both must be in one frame, one unit and the order of one list",
        )
    if table.rotations is not None:
        angles_rad = lengths(table.rotations)
        yield Share(
            subject="rotations in radians",
            value=_share(angles_rad.max(axis=1) <= _WHOLE_TURN_RAD),
            of="of the true poses turn no joint by more than a whole turn",
            where=where,
            remedy="rotations must be axis-angle in radians; these look like degrees",
        )


def _box_shares(
    boxes_px: Float32[np.ndarray, "n 4"],
    sides_px: Float32[np.ndarray, "n 1 2"],
    points_px: Float32[np.ndarray, "n 21 2"],
    known: Bool[np.ndarray, "n 21"],
    where: str,
) -> Iterator[Share]:
    low, high = boxes_px[:, None, :2], boxes_px[:, None, 2:]
    yield Share(
        subject="boxes inside",
        value=_share(_inside((low + high) / 2, sides_px)),
        of="of the hands' boxes have their middle in the image",
        where=where,
        remedy="boxes must be x0, y0, x1, y1 in pixels of the stored image",
    )
    margin = (high - low) / 2
    near = ((points_px >= low - margin) & (points_px <= high + margin)).all(axis=-1)
    yield Share(
        subject="hands near their boxes",
        value=_share(near, known),
        of="of a hand's points lie within its box or half its size around it",
        where=where,
        remedy="boxes, truth and detections must be of the same images, in pixels as stored",
    )


def _likely_cause(table: FrameTable, truth_px: Float32[np.ndarray, "n 21 2"]) -> str:
    """Say in what convention detections and truth would agree that do not; empty: in none known."""
    joints, intrinsics_px = table.joints, table.intrinsics_px
    keypoints_px, found = table.detected_keypoints_px, table.detection_confidence > 0
    assert joints is not None
    larger = np.median((truth_px[found] + 0.5) / np.maximum(keypoints_px[found] + 0.5, 0.5))
    agreement = {
        "the keypoints look like (y, x) instead of (x, y)": _agreement(
            keypoints_px[..., ::-1], truth_px, found
        ),
        f"the keypoints look like pixels of images {1 / larger:.3g} times as large": _agreement(
            (keypoints_px + 0.5) * larger - 0.5, truth_px, found
        ),
    }
    for axis, sign in {"x to the left": [-1, 1, 1], "y upwards": [1, -1, 1]}.items():
        flipped = project_truth(joints * np.array(sign, np.float32), intrinsics_px)
        agreement[f"the truth looks like a frame with {axis}"] = _agreement(
            keypoints_px, flipped, found
        )
    for order in _ORDERS:
        for what, moved in {
            "keypoints look": _permutation(order, "openpose"),
            "true joints look": _permutation("openpose", order),
        }.items():
            agreement[f"the {what} like the joint order '{order}'"] = _agreement(
                keypoints_px[:, moved], truth_px, found[:, moved]
            )
    best = max(agreement, key=agreement.__getitem__)
    return best if agreement[best] >= WARNING_BELOW else ""


def _agreement(
    keypoints_px: Float[np.ndarray, "n 21 2"],
    truth_px: Float[np.ndarray, "n 21 2"],
    found: Bool[np.ndarray, "n 21"],
) -> float:
    distances_px = lengths(keypoints_px - truth_px)
    return _share(distances_px <= _NEAR * _diagonals(truth_px)[:, None], found)


def _bends_as_a_right_hand(joints: Float32[np.ndarray, "n 21 3"]) -> Bool[np.ndarray, "n"]:
    """Say of which hands the fingertips lie on the palm's side if it is a right hand's."""
    wrist, knuckles, tips = joints[:, 0], joints[:, [5, 9, 13, 17]], joints[:, [8, 12, 16, 20]]
    out_of_palm = np.cross(knuckles[:, 0] - wrist, knuckles[:, 3] - wrist)
    bent: np.ndarray = ((tips - knuckles).sum(axis=1) * out_of_palm).sum(axis=-1) > 0
    return bent


def _likely_unit(size_m: float) -> str:
    for unit, metres in _UNITS_M.items():
        if _USUAL_M[0] <= size_m * metres <= _USUAL_M[1]:
            return f"these look like {unit}, and metres are needed"
    return "these are of no unit that is known here: are they normalised?"


def _likely_frame(points: Float32[np.ndarray, "n points 3"], file_frame: str) -> str:
    origins = {"the hand's middle": points.mean(axis=1)}
    if points.shape[1] == len(JOINT_NAMES["openpose"]):
        origins |= dict(zip(JOINT_NAMES["openpose"], points.swapaxes(0, 1), strict=True))
    for name, place in origins.items():
        if np.median(lengths(place)) < _AT_ORIGIN_M:
            return f"these look relative to {name}, and the camera's frame is needed"
    if np.median(points[..., 2]) < 0:
        return f"y and z look flipped: {file_frame}"
    return f"are the numbers absolute, in the camera's frame? {file_frame}"


def _require_order(
    joints: Float32[np.ndarray, "n 21 3"], where: str, file_order: JointOrder
) -> None:
    """Refuse joints whose neighbours lie clearly nearer to each other in another known order."""
    in_file = joints[:, _permutation("openpose", file_order)]
    found = {order: _bones_m(in_file[:, _permutation(order, "openpose")]) for order in _ORDERS}
    as_read = found.pop(file_order)
    relative = {order: float(np.median(length / as_read)) for order, length in found.items()}
    # Fingers of another sequence have bones of the same length: the first order is meant.
    best = min(relative, key=lambda order: round(relative[order], 3))
    if relative[best] < _CLEARLY_SHORTER:
        raise DataError(
            f"{where}: joints must be in the order '{file_order}', got what looks like the order "
            f"'{best}', in which the bones are {1 - relative[best]:.0%} shorter; use the official "
            "file, or reorder the joints (docs/conventions.md lists them)"
        )


def _bones_m(joints: Float32[np.ndarray, "n 21 3"]) -> Float[np.ndarray, "n"]:
    parents, children = (joints[:, list(ends)] for ends in zip(*BONES, strict=True))
    total: np.ndarray = lengths(children - parents).sum(axis=1)
    return total


def _permutation(source: str, target: str) -> list[int]:
    return [_ORDERS[source].index(name) for name in _ORDERS[target]]


def _refuse(
    wrong: Bool[np.ndarray, "n"],
    sample_ids: Sequence[str],
    where: str,
    expected: str,
    found: str,
    likely: str,
) -> None:
    raise DataError(
        f"{where}: {sample_ids[int(np.argmax(wrong))]} must be {expected}, got {found} "
        f"({int(wrong.sum()):,} such of {len(wrong):,}); {likely}"
    )


def _inside(
    points_px: Float[np.ndarray, "n points 2"], sides_px: Float32[np.ndarray, "n 1 2"]
) -> Bool[np.ndarray, "n points"]:
    return np.asarray(((points_px >= -0.5) & (points_px <= sides_px - 0.5)).all(axis=-1))


def _diagonals(points: Float[np.ndarray, "n points axes"]) -> Float[np.ndarray, "n"]:
    """Return the diagonal of the box around each row's points."""
    return lengths(np.ptp(points.astype(np.float64), axis=1))


def lengths(vectors: Float[np.ndarray, "... axes"]) -> Float[np.ndarray, "..."]:
    """Return lengths, in double precision: a number of a file may be too large to be squared.

    Args:
        vectors: In single precision, mostly.
    """
    found: np.ndarray = np.linalg.norm(vectors.astype(np.float64), axis=-1)
    return found


def _share(good: Bool[np.ndarray, "..."], among: Bool[np.ndarray, "..."] | None = None) -> float:
    """Return the share of good values, of all or ``among`` some; 1 where there are none."""
    counted = good if among is None else good[among]
    return float(counted.mean()) if counted.size else 1.0
