"""What ``s2hand predict`` writes of hands: drawings, meshes, numbers."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, UInt8
from PIL import Image

from s2hand.files import whole_file
from s2hand.mesh_files import WRITERS
from s2hand.photos import assumed_intrinsics_px
from s2hand.picture_drawing import draw_from_side, draw_on_picture
from s2hand.reconstruction import PictureHand
from s2hand_platform.experiments.s2hand.finding import HandFinder, Place

_FORMAT = "s2hand-hands/1"
_PARAMETERS = ("betas", "hand_pose_pca", "hand_pose", "global_orient", "transl", "scale")
_ROWS_AT_ONCE = 256
_NUMBERED = re.compile(r"(?:hand|side)_(\d+)\.(?:obj|ply|glb|png)")

_SIZES = {
    **{"vertices": 778 * 3, "joints": 21 * 3, "keypoints_px": 21 * 2, "box_px": 4},
    **{"intrinsics_px": 9, "betas": 10, "hand_pose_pca": 30, "hand_pose": 45},
    **{"global_orient": 3, "transl": 3, "scale": 1},
}
"""Numbers of each kind in a row, flattened."""

PICTURE_SCHEMA = pa.schema(
    [
        pa.field("picture", pa.string(), nullable=False),
        pa.field("hand", pa.int64(), nullable=False),
        pa.field("found_by", pa.string(), nullable=False),
        pa.field("detector", pa.string()),
        pa.field("detection_confidence", pa.float32()),
        pa.field("mirrored", pa.bool_(), nullable=False),
        pa.field("camera", pa.string(), nullable=False),
        pa.field("depth", pa.string(), nullable=False),
        *(
            pa.field(name, pa.list_(pa.float32(), size), nullable=False)
            for name, size in _SIZES.items()
        ),
    ]
)
"""A row is a hand; ``hand`` is its number in the picture."""

AddRows = Callable[[Sequence[dict[str, Any]]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """A picture's camera, and how it is known."""

    intrinsics_px: Float[np.ndarray, "3 3"]
    source: Literal["given", "exif", "guessed"]

    @property
    def depth(self) -> Literal["metric", "relative"]:
        """A guessed focal length makes distances from the camera wrong by a common factor."""
        return "relative" if self.source == "guessed" else "metric"

    @property
    def told(self) -> str:
        """Say which camera was taken."""
        focal = f"focal length {self.intrinsics_px[0, 0]:.0f} px"
        return {
            "given": f"{focal} as given",
            "exif": f"{focal} by EXIF",
            "guessed": f"{focal}, the longer side, as nothing tells it: depth is relative",
        }[self.source]

    def to_plain(self) -> dict[str, Any]:
        """Dump it to JSON's types."""
        return {"source": self.source, "intrinsics_px": self.intrinsics_px.tolist()}


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenHand:
    """A reconstructed hand, and the place where it was looked for."""

    hand: PictureHand
    place: Place

    def to_plain(self) -> dict[str, Any]:
        """Dump all but the vertices to JSON's types."""
        hand = self.hand
        return {
            "mirrored": hand.is_left,
            "detection_confidence": self.place.confidence,
            "box_px": hand.box_px.tolist(),
            "keypoints_px": hand.keypoints_px.tolist(),
            "joints": hand.joints.tolist(),
            "parameters": {
                name: getattr(hand.parameters, name)[0].tolist() for name in _PARAMETERS
            },
        }


def camera_of(
    picture: UInt8[np.ndarray, "height width 3"],
    focal_px: float | None,
    given: tuple[float, float, float, float] | None,
) -> Camera:
    """Take the camera that was given, or the focal length of EXIF, or the picture's longer side."""
    height, width = picture.shape[:2]
    if given is not None:
        fx, fy, cx, cy = given
        camera = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        return Camera(intrinsics_px=camera, source="given")
    return Camera(
        intrinsics_px=assumed_intrinsics_px(width, height, focal_px),
        source="guessed" if focal_px is None else "exif",
    )


def write_picture(
    folder: Path,
    picture: UInt8[np.ndarray, "height width 3"],
    seen: Sequence[SeenHand],
    camera: Camera,
    finder: HandFinder,
) -> None:
    """Write ``overlay.png``, ``hands.json``, and of each hand ``side_0.png`` and its meshes.

    OBJ and PLY are in the picture's camera frame, metres; GLB is turned as glTF wants it. What an
    earlier run wrote of more hands is removed.
    """
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        found = _NUMBERED.fullmatch(path.name)
        if found and int(found[1]) >= len(seen):
            path.unlink()
    hands = [each.hand for each in seen]
    _write(folder / "overlay.png", _png(draw_on_picture(picture, hands)))
    for number, hand in enumerate(hands):
        _write(folder / f"side_{number}.png", _png(draw_from_side(hand)))
        for suffix in WRITERS:
            write_mesh(folder / f"hand_{number}{suffix}", hand)
    content = {
        "format": _FORMAT,
        "picture": folder.name,
        "found_by": finder.found_by,
        "detector": finder.detector_name,
        "depth": camera.depth,
        "camera": camera.to_plain(),
        "hands": [each.to_plain() | {"vertices": each.hand.vertices.tolist()} for each in seen],
    }
    write_json(folder / "hands.json", content)


def write_mesh(path: Path, hand: PictureHand) -> None:
    """Write a hand's mesh in the format of the path's ending."""
    _write(path, WRITERS[path.suffix](hand.vertices, hand.faces, hand.colours))


def write_json(path: Path, content: Any) -> None:
    """Write JSON; no NaN."""
    _write(path, json.dumps(content, indent=1, allow_nan=False).encode())


def hand_row(
    picture: str, number: int, seen: SeenHand, camera: Camera, finder: HandFinder
) -> dict[str, Any]:
    """Return a hand as a row of ``hands.parquet``; arrays are flattened."""
    plain = seen.to_plain()
    numbers = {
        **plain,
        **plain["parameters"],
        "vertices": seen.hand.vertices,
        "intrinsics_px": camera.intrinsics_px,
    }
    return {
        "picture": picture,
        "hand": number,
        "found_by": finder.found_by,
        "detector": finder.detector_name,
        "detection_confidence": seen.place.confidence,
        "mirrored": seen.hand.is_left,
        "camera": camera.source,
        "depth": camera.depth,
        **{name: np.ravel(numbers[name]).tolist() for name in _SIZES},
    }


@contextmanager
def open_table(path: Path, schema: pa.Schema) -> Iterator[AddRows]:
    """Open a Parquet file for rows that come in pieces; it appears whole or not at all.

    Rows are written many at once: of each piece Parquet keeps a description in memory.

    Yields:
        What adds rows.
    """
    waiting: list[dict[str, Any]] = []
    with whole_file(path) as file, pq.ParquetWriter(file, schema) as writer:

        def write() -> None:
            writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
            waiting.clear()

        def add(rows: Sequence[dict[str, Any]]) -> None:
            waiting.extend(rows)
            if len(waiting) >= _ROWS_AT_ONCE:
                write()

        yield add
        write()


def _png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)
