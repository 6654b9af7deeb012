"""What ``s2hand predict`` writes of a hand: drawings, meshes, numbers."""

import json
from collections.abc import Sequence
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
from s2hand.photos import Photo, assumed_intrinsics_px
from s2hand.picture_drawing import draw_from_side, draw_on_picture
from s2hand.reconstruction import PictureHand

_FORMAT = "s2hand-hand/1"
_PARAMETERS = ("betas", "hand_pose_pca", "hand_pose", "global_orient", "transl", "scale")

_SIZES = {
    **{"vertices": 778 * 3, "joints": 21 * 3, "keypoints_px": 21 * 2, "box_px": 4},
    **{"intrinsics_px": 9, "betas": 10, "hand_pose_pca": 30, "hand_pose": 45},
    **{"global_orient": 3, "transl": 3, "scale": 1},
}
"""Numbers of each kind in a row, flattened."""

_SCHEMA = pa.schema(
    [
        pa.field("picture", pa.string(), nullable=False),
        pa.field("mirrored", pa.bool_(), nullable=False),
        pa.field("camera", pa.string(), nullable=False),
        pa.field("depth", pa.string(), nullable=False),
        *(
            pa.field(name, pa.list_(pa.float32(), size), nullable=False)
            for name, size in _SIZES.items()
        ),
    ]
)


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


def camera_of(photo: Photo, given: tuple[float, float, float, float] | None) -> Camera:
    """Take the camera that was given, or EXIF's focal length, or the picture's longer side."""
    height, width = photo.pixels.shape[:2]
    if given is not None:
        fx, fy, cx, cy = given
        camera = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        return Camera(intrinsics_px=camera, source="given")
    return Camera(
        intrinsics_px=assumed_intrinsics_px(width, height, photo.focal_px),
        source="guessed" if photo.focal_px is None else "exif",
    )


def write_hand(
    folder: Path, picture: UInt8[np.ndarray, "height width 3"], hand: PictureHand, camera: Camera
) -> None:
    """Write ``overlay.png``, ``side.png``, ``hand.obj``, ``.ply``, ``.glb`` and ``hand.json``.

    OBJ and PLY are in the picture's camera frame, metres; GLB is turned as glTF wants it.
    """
    folder.mkdir(exist_ok=True)
    _write(folder / "overlay.png", _png(draw_on_picture(picture, hand)))
    _write(folder / "side.png", _png(draw_from_side(hand)))
    for suffix, content_of in WRITERS.items():
        _write(folder / f"hand{suffix}", content_of(hand.vertices, hand.faces, hand.colours))
    content = json.dumps(_plain(folder.name, hand, camera), indent=1, allow_nan=False)
    _write(folder / "hand.json", content.encode())


def hand_row(picture: str, hand: PictureHand, camera: Camera) -> dict[str, Any]:
    """Return a hand as a row of ``hands.parquet``; arrays are flattened."""
    plain = _plain(picture, hand, camera)
    numbers = plain | plain["parameters"] | {"intrinsics_px": plain["camera"]["intrinsics_px"]}
    return {
        "picture": picture,
        "mirrored": hand.is_left,
        "camera": camera.source,
        "depth": camera.depth,
        **{name: np.ravel(numbers[name]).tolist() for name in _SIZES},
    }


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows of all hands as one Parquet file."""
    with whole_file(path) as file:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=_SCHEMA), file)


def _plain(picture: str, hand: PictureHand, camera: Camera) -> dict[str, Any]:
    parameters = {name: getattr(hand.parameters, name)[0].tolist() for name in _PARAMETERS}
    return {
        "format": _FORMAT,
        "picture": picture,
        "mirrored": hand.is_left,
        "depth": camera.depth,
        "camera": {"source": camera.source, "intrinsics_px": camera.intrinsics_px.tolist()},
        "box_px": hand.box_px.tolist(),
        "keypoints_px": hand.keypoints_px.tolist(),
        "joints": hand.joints.tolist(),
        "vertices": hand.vertices.tolist(),
        "parameters": parameters,
    }


def _png(picture: UInt8[np.ndarray, "height width 3"]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)
